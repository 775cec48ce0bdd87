"""
The warm process: imports everything once, then forks a supervised, sandboxed kernel for each request.

It has one thread, runs no tensor operation, is given no secret, and ends when its socket is closed. A request is one
packet of JSON with descriptors; the first of them is that kernel's own control socket, over which its supervisor says
what became of it, and is told which signals to send. Closing it kills the kernel.

    grader ── control ──► forkserver
       └───── one per kernel ──► supervisor ──► kernel (process 1 of its namespace) ──► what student code starts
"""

# Between two roots, plain strings say best which path is meant.
# ruff: noqa: PTH110, PTH116, PTH208

from __future__ import annotations

import array
import contextlib
import gc
import importlib
import io
import itertools
import json
import os
import select
import signal
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from grader.sandbox import linux
from grader.sandbox.installation import view_of_installation
from grader.sandbox.layers import (
    SCRATCH,
    Bounds,
    Identity,
    become_inner_user,
    build_root,
    enter_namespaces,
    give_up_powers,
    namespace_ids,
    probe,
    write_maps_of,
)
from grader.sandbox.processes import descendants, memory_mib, size_of_self
from grader.sandbox.seccomp import build_filter

__all__ = ["main"]

_USERS = range(61184, 65520)  # what systemd gives to dynamic users: nobody else's
_PACKET = 1 << 16
_WATCH_S = 0.1
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


class _Server:
    def __init__(self, control: socket.socket, preload: list[str], hide: list[str], *, figures: bool) -> None:
        self.control = control
        self.users: Iterator[int] = itertools.cycle(_USERS)
        self.app = _import_everything(preload, figures=figures)
        self.view = view_of_installation(hide=map(Path, hide))
        self.namespaces = namespace_ids()
        self.root_device = os.stat("/").st_dev
        self.gives_users = _can_give_users()
        self.filters = {}
        with contextlib.suppress(OSError):
            self.filters = {isolated: build_filter(unix_sockets=isolated) for isolated in (False, True)}
        self.warm = size_of_self()
        self.warm_mib = memory_mib("self", exact=False)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # supervisors leave no zombies
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the grader, which closes the socket
        gc.collect()
        gc.freeze()

    def serve(self) -> None:
        """Answer requests until the grader is gone."""
        self.control.send(b'{"ready": true}')
        while True:
            packet, descriptors = _receive_packet(self.control)
            if not packet:
                return
            self._start(json.loads(packet), descriptors)

    def _start(self, request: dict[str, Any], descriptors: list[int]) -> None:
        identity = Identity(os.geteuid(), os.getegid())
        if self.gives_users:
            user = next(self.users)
            identity = Identity(user, user)
            os.chown(request["scratch"], user, user)
        ours, theirs = socket.socketpair()
        process = os.fork()
        if process == 0:
            _run_and_exit(lambda: _Supervisor(self, request, descriptors, identity, theirs).run())
        theirs.close()
        for descriptor in descriptors:
            os.close(descriptor)
        with ours:
            if self.gives_users and ours.recv(1):  # nothing comes where namespaces were refused
                with contextlib.suppress(OSError):
                    write_maps_of(process, identity)
                    ours.send(b"1")


class _Supervisor:
    """Stays outside of the sandbox: carries signals into it, watches its memory, and tells what became of it."""

    def __init__(
        self, server: _Server, request: dict[str, Any], descriptors: list[int], identity: Identity, maps: socket.socket
    ) -> None:
        self.server = server
        self.request = request
        self.identity = identity
        self.maps = maps
        self.bounds = Bounds(**request["bounds"])
        self.control = socket.socket(fileno=descriptors[0])
        self.channel, *listeners = descriptors[1:]
        self.listeners = dict(zip(request["listeners"], listeners, strict=True))
        self.kernel = 0

    def run(self) -> None:
        os.setsid()  # a process group of our own: `kill(0)` in there must not reach the server
        linux.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        linux.prctl(_PR_SET_CHILD_SUBREAPER, 1)  # where there is no PID namespace, orphans come to us
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        keep = {self.control.fileno(), self.maps.fileno(), self.channel, *self.listeners.values()}
        _close_all_but(keep)
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("1000")  # if anything must go, then this
            Path("/proc/self/coredump_filter").write_text("0")  # a crash has nothing to tell the machine
        self.isolated = enter_namespaces(
            self.identity, write_maps=self._ask_for_maps if self.server.gives_users else None
        )
        self.maps.close()
        told, tells = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.kernel = os.fork()
        if self.kernel == 0:
            told.close()
            _run_and_exit(lambda: _Inside(self, tells).run())
        tells.close()
        os.close(self.channel)
        for listener in self.listeners.values():
            os.close(listener)
        if self.isolated:
            become_inner_user()
            linux.drop_capabilities()
            linux.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # which the change of user has cleared
        self._watch(told)

    def _ask_for_maps(self) -> bool:
        self.maps.send(b"?")
        return self.maps.recv(1) == b"1"

    def _watch(self, told: socket.socket) -> None:
        process = os.pidfd_open(self.kernel)
        poll = select.poll()
        for descriptor in (self.control.fileno(), process, told.fileno()):
            poll.register(descriptor, select.POLLIN)
        why, is_inside = "", False
        while True:
            ready = {descriptor for descriptor, _ in poll.poll(_WATCH_S * 1000)}
            if told.fileno() in ready:
                if message := told.recv(_PACKET):  # before student code runs: the socket is closed by then
                    is_inside = True
                    self._tell(message)
                else:
                    poll.unregister(told.fileno())
            if self.control.fileno() in ready:
                try:
                    command = self.control.recv(16)
                except OSError:
                    command = b""
                if not command or int(command) == signal.SIGKILL:
                    self._kill()
                    poll.unregister(self.control.fileno())
                else:
                    os.kill(self.kernel, int(command))
            if process in ready:
                break
            if not why and is_inside and self._uses_too_much():
                why = "memory"
                self._kill()
        self._kill()
        _, status = os.waitpid(self.kernel, 0)
        self._kill_orphans()
        self._tell(json.dumps({"exit": os.waitstatus_to_exitcode(status), "why": why}).encode())

    def _tell(self, message: bytes) -> None:
        with contextlib.suppress(OSError):
            self.control.send(message)

    def _kill(self) -> None:
        for _ in range(300):
            try:
                os.kill(self.kernel, signal.SIGKILL)
                break
            except PermissionError:
                time.sleep(0.01)  # the kernel is just about to become the user that we are already
        if not self.isolated:
            self._kill_orphans()

    def _kill_orphans(self) -> None:
        """Where killing process 1 does not end everything: end, one by one, whoever descends from us."""
        if self.isolated:
            return
        for _ in range(1000):
            family = descendants(os.getpid())
            if not family - {self.kernel}:
                return
            for process in family:
                with contextlib.suppress(OSError):
                    os.kill(process, signal.SIGKILL)
                    if process != self.kernel:  # that one is waited for elsewhere
                        os.waitpid(process, os.WNOHANG)

    def _uses_too_much(self) -> bool:
        """
        Whether all processes together have more memory than one may have, which no limit on one process tells.

        At first, since that is cheap, pages that a fork shares are counted for each process; in case of doubt, once.
        """
        limit = self.bounds.memory_mib + self.server.warm_mib
        for exact in (False, True):
            if self.isolated:  # our root is theirs
                processes = [name for name in os.listdir("/proc") if name.isdigit()] if os.path.exists("/proc") else []
            else:
                processes = [str(process) for process in descendants(os.getpid())]
            if sum(memory_mib(process, exact=exact) for process in processes) <= limit:
                return False
        return True


class _Inside:
    """The kernel's process, from its fork until student code runs."""

    def __init__(self, supervisor: _Supervisor, tells: socket.socket) -> None:
        self.supervisor = supervisor
        self.tells = tells

    def run(self) -> None:
        """Go in, say so, and be a kernel; say what went wrong if it did."""
        try:
            self._go_in()
        except Exception as error:
            with contextlib.suppress(OSError):
                self.tells.send(json.dumps({"problem": f"{type(error).__name__}: {error}"[:1000]}).encode())
            raise

    def _go_in(self) -> None:
        outer, server = self.supervisor, self.supervisor.server
        bounds = outer.bounds
        outer.control.close()
        os.setsid()
        inside = namespace_ids()
        has_root = outer.isolated and build_root(server.view, bounds)
        if not has_root:
            _change_user(outer.identity, isolated=outer.isolated, is_given=server.gives_users)
        if outer.isolated:
            linux.libc.sethostname(b"sandbox", 7)
        scratch = SCRATCH if has_root else Path(outer.request["scratch"])
        os.chdir(scratch)
        _set_environment(scratch, outer.channel)
        _silence()
        give_up_powers(
            server.view, bounds, filter_program=server.filters.get(has_root), scratch=scratch, warm=server.warm
        )
        layers = probe(server.namespaces, inside, bounds, has_root=has_root, root_device=server.root_device)
        self.tells.send(json.dumps({"layers": layers}).encode())
        if outer.request.get("probe"):
            return
        from grader.sandbox.kernel import run_kernel

        run_kernel(
            server.app,
            key=outer.request["key"].encode(),
            listeners=outer.listeners,
            name=outer.request["name"],
            output_bytes=outer.request["output_bytes"],
            ready=self._ready,
        )

    def _ready(self) -> None:
        self.tells.send(b'{"ready": true}')
        self.tells.close()


def _run_and_exit(work: Any) -> NoReturn:
    """Run in a forked child, and never return into the server's code."""
    status = 1
    try:
        work()
        status = 0
    except BaseException:
        with contextlib.suppress(BaseException):
            traceback.print_exc(file=sys.__stderr__)
    finally:
        os._exit(status)


def _change_user(identity: Identity, *, isolated: bool, is_given: bool) -> None:
    """Without a private root: be somebody else than root, if that one can still read Python's own files."""
    if isolated:
        become_inner_user()
    elif is_given:
        with contextlib.suppress(OSError):
            os.setgroups([])
            os.setegid(identity.group)
            os.seteuid(identity.user)
            can_read = os.access(os.__file__, os.R_OK, effective_ids=True)
            os.seteuid(0)
            os.setegid(0)
            if can_read:
                os.setresgid(identity.group, identity.group, identity.group)
                os.setresuid(identity.user, identity.user, identity.user)


def _can_give_users() -> bool:
    """Whether we are root, with the power to make others of ourselves, and the users to give are there to be given."""
    if os.geteuid() != 0:
        return False
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
    set_users_and_groups = 1 << 6 | 1 << 7 | 1 << 0  # CAP_SETGID, CAP_SETUID, CAP_CHOWN
    if int(status["CapEff"], 16) & set_users_and_groups != set_users_and_groups:
        return False
    for kind in ("uid", "gid"):
        ranges = [
            [int(field) for field in line.split()] for line in Path(f"/proc/self/{kind}_map").read_text().splitlines()
        ]
        if not any(first <= _USERS.start and _USERS.stop <= first + count for first, _, count in ranges):
            return False
    return True


def _set_environment(scratch: Path, channel: int) -> None:
    folder = str(scratch)
    os.environ.update(
        HOME=folder,
        TMPDIR=folder,
        IPYTHONDIR=folder,
        MPLCONFIGDIR=folder,
        USER="student",
        GRADER_CHANNEL=f"fd:{channel}",
    )
    tempfile.tempdir = None  # what was found out in the warm process does not hold here


def _silence() -> None:
    null = os.open("/dev/null", os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.close(null)


def _close_all_but(keep: set[int]) -> None:
    previous = 2
    for descriptor in [*sorted(keep), 1 << 20]:
        os.closerange(previous + 1, descriptor)
        previous = descriptor


def _receive_packet(control: socket.socket) -> tuple[bytes, list[int]]:
    packet, ancillary, _, _ = control.recvmsg(_PACKET, socket.CMSG_SPACE(16 * 4), socket.MSG_CMSG_CLOEXEC)
    descriptors = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
    return packet, descriptors.tolist()


def _import_everything(preload: list[str], *, figures: bool) -> Any:
    from grader.sandbox.kernel import prepare_kernel

    app = prepare_kernel(figures=figures)
    for name in preload:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    if "torch" in sys.modules:
        torch = sys.modules["torch"]
        torch.set_num_threads(1)
        torch.zeros(8).half().sum()  # has it look at /proc/cpuinfo, which a kernel does not see
    if "grader.data" in sys.modules:
        sys.modules["grader.data"].load_mnist()  # what every notebook reads
    if "matplotlib.figure" in sys.modules:
        figure = sys.modules["matplotlib.figure"].Figure((1, 1))
        figure.subplots().set_title("0")
        figure.savefig(io.BytesIO(), format="png")  # finds its fonts
    return app


def main(arguments: str) -> None:
    """Run the server. `arguments` is JSON: the number of the control socket, and what `ForkServer` was given."""
    options = json.loads(arguments)
    control = socket.socket(fileno=options["control"])
    with control:
        _Server(control, options["preload"], options["hide"], figures=options["figures"]).serve()
