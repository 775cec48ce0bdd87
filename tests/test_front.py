"""`grader grade` as three processes: the front, the judge that is forked from the warm process, and its kernels."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
import psutil
import pytest

from grader.sandbox import ForkServer, Level, level_of
from tests.conftest import ROOT, SOURCES, handed_in
from tests.processes import process_name, variable
from tests.sandbox.test_places import AS_USER, NO_NAMESPACES, interpreter

pytestmark = pytest.mark.skipif(not ForkServer.is_available(), reason="only Linux forks the judge")

GRADE = ("-m", "grader", "grade")
ORDINARY_USER = 54321
PLACES = {
    "here": (),
    "filtered": tuple(NO_NAMESPACES),
    "an ordinary user": tuple(AS_USER),
    "filtered, an ordinary user": (*AS_USER, *NO_NAMESPACES),
}
FARTHEST = pytest.mark.parametrize("place", ["here", "filtered, an ordinary user"], indirect=True)
ONE_PROCESS = ("-W", "default::ImportWarning", *GRADE)
"""The same command in a process that has switches of its own, which the judge would not have."""


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """What to put before a command that runs as another user, or where namespaces are refused."""
    wrapped: tuple[str, ...] = PLACES[request.param]
    if AS_USER[0] in wrapped and os.geteuid() != 0:
        pytest.skip("only root can be another user")
    if wrapped and subprocess.run([*wrapped, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("users cannot be changed here, or namespaces cannot be refused")
    return wrapped


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can enter, unlike those of pytest."""
    folder = Path(tempfile.mkdtemp(prefix="grader-front-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


class Graded:
    """A grading in a process of its own, whose descendants have a mark."""

    def __init__(
        self, folder: Path, cell: str = "", *, command: tuple[str, ...] = GRADE, place: tuple[str, ...] = ()
    ) -> None:
        self.folder = folder
        self.place = place
        folder.mkdir(exist_ok=True)
        self.mark = f"Test{secrets.token_hex(4)}"
        notebook = handed_in("")
        if cell:
            notebook.cells.insert(0, nbformat.v4.new_code_cell(cell))
        nbformat.write(notebook, folder / "alice.ipynb")
        python = interpreter() if place else sys.executable
        self.command = [*place, python, *command, "alice.ipynb", "--solutions", str(SOURCES)]
        self.environment = os.environ | {"TZ": self.mark}
        if place:
            packages = [str(Path(__import__(name).__file__ or "").parents[1]) for name in ("torch", "ipykernel")]
            self.environment |= {"PYTHONPATH": os.pathsep.join([str(ROOT), *packages]), "HOME": str(folder)}
            self.environment |= {"TMPDIR": str(folder)}
        if AS_USER[0] in place:
            for path in (folder, folder / "alice.ipynb"):
                os.chown(path, ORDINARY_USER, ORDINARY_USER)

    def run(self, before: tuple[str, ...] = (), **options: object) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        return subprocess.run(
            [*before, *self.command],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
            **options,
        )

    def start(self) -> subprocess.Popen[str]:
        """Start it, and wait until its notebook runs a cell that never ends."""
        process = subprocess.Popen(
            self.command, cwd=self.folder, env=self.environment, stderr=subprocess.PIPE, text=True, bufsize=1
        )
        until = time.monotonic() + 120
        while not self.is_busy():
            assert time.monotonic() < until
            assert process.poll() is None
            time.sleep(0.05)
        return process

    def is_busy(self) -> bool:
        """Whether a kernel of its own waits in the cell that never ends, which gives itself a name."""
        return any(process_name(process) == self.mark for process in psutil.process_iter())

    def has_ended(self) -> bool:
        """Wait until nothing of it is left."""
        mine = [
            process
            for process in psutil.process_iter()
            if self.mark in (process_name(process), variable(process, "TZ"))
        ]
        return not psutil.wait_procs(mine, timeout=20)[1]

    def report(self) -> str:
        """The JSON of its report without how long it took."""
        content = json.loads((self.folder / "reports" / "alice.json").read_text())
        assert content.pop("timing_s")
        return json.dumps(content)


def busy(graded: Graded) -> Graded:
    """The same with a notebook that never ends, and whose process has the mark as its name."""
    cell = (
        f"import ctypes, time\nctypes.CDLL(None).prctl(15, b'{graded.mark}', 0, 0, 0)\nwhile True:\n    time.sleep(1)"
    )
    notebook = handed_in("")
    notebook.cells.insert(0, nbformat.v4.new_code_cell(cell))
    nbformat.write(notebook, graded.folder / "alice.ipynb")
    return graded


def judge_of(front: int) -> psutil.Process:
    """The judge: the last child of the front, which has started the warm process before."""
    *others, judge = sorted(psutil.Process(front).children(), key=lambda child: child.create_time())
    assert len(others) == 1
    return judge


@pytest.mark.slow
@FARTHEST
def test_the_judge_makes_the_same_report_as_one_process(open_folder: Path, place: tuple[str, ...]) -> None:
    """Byte for byte, and says the same in the same order."""
    apart = Graded(open_folder / "apart", place=place)
    alone = Graded(open_folder / "alone", command=ONE_PROCESS, place=place)
    for graded in (apart, alone):
        notebook = handed_in("# %%\ndef grad_z1(da1, z1):\n    return da1\n")
        for number, cell in enumerate(notebook.cells):
            cell["id"] = f"cell{number}"
        nbformat.write(notebook, graded.folder / "alice.ipynb")

    done, expected = apart.run(), alone.run()
    level = level_of(json.loads(apart.report())["sandbox"]["layers"])
    assert (level is Level.FILTERED) is (NO_NAMESPACES[0] in place)

    assert (done.returncode, done.stdout, done.stderr) == (expected.returncode, expected.stdout, expected.stderr)
    assert done.returncode == 1
    assert apart.report() == alone.report()
    pages = [(graded.folder / "reports" / "alice.html").read_text() for graded in (apart, alone)]
    assert len(pages[0]) == pytest.approx(len(pages[1]), abs=64)


def memory_of(process: int) -> bytes:
    """
    What a process has in memory that it may write to: its heap, stack, environment and buffers.

    Raises:
        FileNotFoundError, ProcessLookupError: It has ended.
    """
    content = bytearray()
    with Path(f"/proc/{process}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{process}/maps").read_text().splitlines():
            span, access = line.split()[:2]
            first, last = (int(end, 16) for end in span.split("-"))
            if access.startswith("rw"):
                with contextlib.suppress(OSError):
                    content += os.pread(memory.fileno(), last - first, first)
    return bytes(content)


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can read the memory of a kernel")
def test_a_kernel_has_nothing_that_the_judge_was_told(open_folder: Path, place: tuple[str, ...]) -> None:
    """Neither its arguments nor its environment: only the judge has them in its memory, and the front."""
    graded = busy(Graded(open_folder / "class", place=place))
    secret = f"needle-{secrets.token_hex(16)}"
    graded.environment |= {"GRADER_SECRET": secret}
    graded.command += ["--hidden-seed", "7"]
    process = graded.start()
    judge = judge_of(process.pid)
    (warm,) = (child for child in psutil.Process(process.pid).children() if child.pid != judge.pid)

    told = memory_of(judge.pid)
    others = []
    for each in (warm, *warm.children(recursive=True)):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a process that looked around has ended
            others.append(memory_of(each.pid))
    process.kill()
    process.communicate(timeout=60)

    assert len(others) >= 4  # besides the warm process, two supervisors, with a conductor and a kernel
    for word in (secret.encode(), b"--hidden-seed"):
        assert word in told
        assert not any(word in other for other in others)


REACH = """
import ctypes, os, resource, struct, time
libc = ctypes.CDLL(None, use_errno=True)
buffer = ctypes.create_string_buffer(4096)
vector = (ctypes.c_void_p * 2)(ctypes.addressof(buffer), 8)
first = os.getpid() - 200
reached = []
for process in range(max(2, first), os.getpid()):
    for name, value in (
        ("kill", libc.kill(process, 0)), ("tkill", libc.syscall(200, process, 0)), ("killpg", libc.killpg(process, 0)),
        ("pidfd", libc.syscall(434, process, 0)), ("ptrace", libc.ptrace(0x4206, process, 0, 0)),
        ("vm", libc.process_vm_readv(process, vector, 1, vector, 1, 0)),
        ("prlimit", libc.syscall(302, process, 7, None, buffer)),
        ("affinity", libc.syscall(204, process, 128, buffer)), ("scheduler", libc.sched_getscheduler(process)),
        ("kcmp", libc.syscall(312, process, process, 0, 0, 0)), ("session", libc.getsid(process)),
    ):
        if value >= 0:
            reached.append((process, name))
    for name in ("mem", "environ", "cmdline", "maps", "stat", "fd/0", "cwd", "root/etc", "task", "exe"):
        try:
            reached.append((process, name, os.open(f"/proc/{process}/{name}", os.O_RDONLY)))
        except OSError:
            pass
raise RuntimeError(f"from {first} on: {reached}")
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux" or os.uname().machine != "x86_64", reason="numbers of calls of x86_64")
def test_a_kernel_cannot_reach_the_judge(open_folder: Path, place: tuple[str, ...]) -> None:
    """Where processes have no namespace of their own, it tries each one that was started before it."""
    graded = Graded(open_folder / "class", REACH, place=place)
    process = subprocess.Popen(
        graded.command, cwd=graded.folder, env=graded.environment, stderr=subprocess.PIPE, text=True
    )
    judge = 0
    while process.poll() is None:
        with contextlib.suppress(psutil.Error, ValueError, AssertionError):
            judge = judge_of(process.pid).pid
        time.sleep(0.02)
    process.communicate(timeout=60)

    report = json.loads(graded.report())
    words = report["notebook"]["first_error"].split()
    assert words[-1] == "[]", words
    assert process.returncode == 0
    if NO_NAMESPACES[0] in place:
        assert int(words[-3]) <= judge <= int(words[-3]) + 200


@pytest.mark.slow
@FARTHEST
def test_signals_end_everything_in_each_place(open_folder: Path, place: tuple[str, ...]) -> None:
    """Also what has another user, or no namespace of processes that ends with its first one."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        graded = busy(Graded(open_folder / number.name, place=place))
        process = graded.start()

        process.send_signal(number)
        process.communicate(timeout=60)

        assert process.returncode == -number
        assert graded.has_ended()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code", "says"),
    [
        (signal.SIGINT, 2, "Stopped."),
        (signal.SIGTERM, -signal.SIGTERM, ""),
        (signal.SIGHUP, -signal.SIGHUP, ""),
        (signal.SIGKILL, -signal.SIGKILL, ""),
    ],
)
def test_a_signal_ends_everything(tmp_path: Path, number: signal.Signals, code: int, says: str) -> None:
    """As it would end one process, and nothing is left."""
    graded = busy(Graded(tmp_path / "class"))
    process = graded.start()

    process.send_signal(number)
    _, errors = process.communicate(timeout=60)

    assert (process.returncode, errors.strip()) == (code, says)
    assert graded.has_ended()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_judge_that_crashes_is_told(tmp_path: Path, number: signal.Signals) -> None:
    """A sentence instead of a report, and the exit code of a grader that failed."""
    graded = busy(Graded(tmp_path / "class"))
    process = graded.start()

    judge_of(process.pid).send_signal(number)
    _, errors = process.communicate(timeout=60)

    assert process.returncode == 3
    assert errors.startswith(f"grader: The process that grades was ended by {number.name}.")
    assert graded.has_ended()


@pytest.mark.slow
@pytest.mark.parametrize("command", [GRADE, ONE_PROCESS])
def test_nobody_has_to_listen(tmp_path: Path, command: tuple[str, ...]) -> None:
    """As in `grader grade … | head -1`: whoever reads the messages has gone. The report is written."""
    graded = Graded(tmp_path / "class", command=command)
    reading, writing = os.pipe()
    os.close(reading)

    done = subprocess.run(
        graded.command, cwd=graded.folder, env=graded.environment, stdout=writing, stderr=writing, timeout=300
    )
    os.close(writing)

    assert done.returncode == 1  # by rich, whose table nobody reads
    assert (graded.folder / "reports" / "alice.json").exists()
    assert graded.has_ended()


@pytest.mark.slow
def test_a_terminal_is_one_to_the_judge(tmp_path: Path) -> None:
    """It has its size, and shows colours."""
    import pty
    import termios

    shown = []
    for name, command in (("apart", GRADE), ("alone", ONE_PROCESS)):
        graded = Graded(tmp_path / name, command=command)
        ours, theirs = pty.openpty()
        termios.tcsetwinsize(ours, (30, 50))
        environment = graded.environment | {"TERM": "xterm-256color"}
        done = subprocess.run(graded.command, cwd=graded.folder, env=environment, stderr=theirs, timeout=300)
        os.close(theirs)
        content = b""
        while b"alice.json" not in content:
            content += os.read(ours, 1 << 16)
        os.close(ours)
        shown.append((done.returncode, content))

    assert shown[0] == shown[1]
    assert b"\x1b[" in shown[0][1]
