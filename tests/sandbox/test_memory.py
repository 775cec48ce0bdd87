"""Memory of all kinds counts together, also what no process seems to have."""

from __future__ import annotations

import asyncio

import pytest

from grader.sandbox import Bounds, start_forked_kernel

from .conftest import SandboxRunner

BOUNDS = Bounds(memory_mib=256, processes=48, scratch_mib=16, file_size_mib=8, cpu_s=60)
SETUP = """
import ctypes, os, socket, threading, time
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
left = []
def in_children(count, what):
    for _ in range(count):
        if os.fork() == 0:
            try:
                what()
                time.sleep(60)
            finally:
                os._exit(0)
def private(mib):
    left.append(bytearray(b"x") * (mib << 20))
def full_sockets(count=150):
    for _ in range(count):
        for end in socket.socketpair():
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
            left.append(end)
            end.setblocking(False)
            try:
                while True:
                    end.send(bytes(1 << 16))
            except BlockingIOError:
                pass
def without_its_first_thread():
    def more():
        time.sleep(0.2)
        left.append(bytearray(b"x") * (100 << 20))
        time.sleep(60)
    threading.Thread(target=more).start()
    libc.syscall({"x86_64": 60, "aarch64": 93}[os.uname().machine], 0)  # ends this thread only
def many_mappings():
    libc.mmap.restype = ctypes.c_void_p
    place = libc.mmap(None, 20_000 * 8192, 3, 0x4022, -1, 0)
    for number in range(20_000):
        libc.mprotect(ctypes.c_void_p(place + number * 8192), ctypes.c_size_t(4096), 1)
def with_another_name():
    libc.prctl(15, b"\\xff\\xfe")
    left.append(bytearray(b"x") * (100 << 20))
"""


def _end(runner: SandboxRunner, code: str) -> str:
    async def run() -> str:
        async with start_forked_kernel(runner.server, BOUNDS) as kernel:
            kernel.client.execute(SETUP + code + "\ntime.sleep(60)")
            provisioner = kernel.manager.provisioner
            await asyncio.wait_for(provisioner.wait(), 120)
            return str(provisioner.end)

    return asyncio.run(run())


@pytest.mark.slow
@pytest.mark.parametrize(
    "code",
    [
        "in_children(6, lambda: private(100))",
        "in_children(8, full_sockets)",
        "in_children(6, without_its_first_thread)",
        "in_children(6, with_another_name)",
        "many_mappings()\nin_children(40, lambda: None)",
    ],
)
def test_memory_that_no_process_seems_to_have_is_bounded(isolated_runner: SandboxRunner, code: str) -> None:
    assert _end(isolated_runner, code) == "memory"


@pytest.mark.parametrize(
    "code",
    [
        "private(100)\nin_children(6, lambda: left[0][0])",
        "full_sockets(50)\nin_children(6, lambda: None)",
        "in_children(30, lambda: None)",
        "many_mappings()",
    ],
)
def test_what_is_shared_counts_once(isolated_runner: SandboxRunner, code: str) -> None:
    assert isolated_runner.run(SETUP + code + "\ntime.sleep(2)\nresult = 'lives'", bounds=BOUNDS) == "lives"


def test_no_memory_is_shared_without_a_file(sandbox_runner: SandboxRunner) -> None:
    """Its pages stay as long as one of them is mapped, whoever touches it, and nothing tells how many these are."""
    result = sandbox_runner.run(
        "import ctypes, mmap, os\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "libc.mmap.restype = ctypes.c_void_p\n"
        "libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + 3 * [ctypes.c_int] + [ctypes.c_long]\n"
        "def fails(flags, file=-1):\n"
        "    return libc.mmap(None, 1 << 24, 3, flags, file, 0) == 2**64 - 1\n"
        "shared, validated, without_file, at_once = 1, 3, 0x20, 0x8000\n"
        "result = [fails(shared | without_file), fails(shared | without_file | at_once)]\n"
        "result += [fails(validated | without_file)]\n"
        "for attempt in (lambda: mmap.mmap(-1, 4096), lambda: os.open('/dev/zero', os.O_RDONLY)):\n"
        "    try:\n"
        "        result.append(attempt())\n"
        "    except OSError as error:\n"
        "        result.append(type(error).__name__)\n"
        "private = mmap.mmap(-1, 1 << 24, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)\n"
        "file = os.open('file', os.O_CREAT | os.O_RDWR)\n"
        "os.ftruncate(file, 4096)\n"
        "of_a_file = mmap.mmap(file, 4096)\n"
        "private[0] = of_a_file[0] = 7\n"
        "result.append(os.pread(file, 1, 0))"
    )
    assert result.pop(4) in ("FileNotFoundError", "PermissionError")
    assert result == [True, True, True, "PermissionError", b"\x07"]


def test_a_pipe_stays_as_large_as_it_is(sandbox_runner: SandboxRunner) -> None:
    result = sandbox_runner.run(
        "import fcntl, os\n"
        "inside, outside = os.pipe()\n"
        "try:\n"
        "    fcntl.fcntl(outside, 1031, 1 << 20)\n"
        "except PermissionError:\n"
        "    result = fcntl.fcntl(outside, 1032), fcntl.fcntl(outside, fcntl.F_GETFL) & os.O_WRONLY"
    )
    assert result == (64 << 10, 1)


def test_threads_have_the_descriptors_of_their_process(sandbox_runner: SandboxRunner) -> None:
    result = sandbox_runner.run(
        "import ctypes, os\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "clone = {'x86_64': 56, 'aarch64': 220}[os.uname().machine]\n"
        "flags = 0x10000 | 0x100 | 0x800  # CLONE_THREAD, CLONE_VM, CLONE_SIGHAND\n"
        "result = [libc.syscall(clone, ctypes.c_long(flags), 0, 0, 0, 0), libc.syscall(436, 1000, 1001, 2)]"
    )
    assert result == [-1, -1]
