"""Memory of all kinds counts together, also what no process seems to have."""

from __future__ import annotations

import asyncio

import pytest

from grader.sandbox import Bounds, start_forked_kernel

from .conftest import SandboxRunner

BOUNDS = Bounds(memory_mib=256, processes=48, scratch_mib=16, file_size_mib=8, cpu_s=60)
SETUP = """
import ctypes, mmap, os, socket, threading, time
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
def shared(mib):
    mapping = mmap.mmap(-1, mib << 20)
    for offset in range(0, len(mapping), mmap.PAGESIZE):
        mapping[offset] = 1
    left.append(mapping)
    return mapping
def a_mapping_out_of_sight():
    mapping = mmap.mmap(-1, 100 << 20)
    for start in range(0, len(mapping), 1 << 20):
        for offset in range(start, start + (1 << 20), mmap.PAGESIZE):
            mapping[offset] = 1
        mapping.madvise(mmap.MADV_DONTNEED, start, 1 << 20)  # the pages stay, but in no page table
    left.append(mapping)
    return mapping
def a_mapping_of_a_program():
    address = ctypes.addressof(ctypes.c_char.from_buffer(a_mapping_out_of_sight()))
    libc.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(100 << 20), 5)
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


@pytest.mark.parametrize(
    "code",
    [
        "in_children(6, lambda: shared(100))",
        "in_children(6, a_mapping_out_of_sight)",
        "in_children(6, a_mapping_of_a_program)",
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
        "shared(100)\nin_children(6, lambda: left[0][0])",
        "a_mapping_out_of_sight()\nin_children(6, lambda: left[0][0])",
        "full_sockets(50)\nin_children(6, lambda: None)",
        "in_children(30, lambda: None)",
        "many_mappings()",
    ],
)
def test_what_is_shared_counts_once(isolated_runner: SandboxRunner, code: str) -> None:
    assert isolated_runner.run(SETUP + code + "\ntime.sleep(2)\nresult = 'lives'", bounds=BOUNDS) == "lives"


def test_threads_have_the_descriptors_of_their_process(sandbox_runner: SandboxRunner) -> None:
    result = sandbox_runner.run(
        "import ctypes, os\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "clone = {'x86_64': 56, 'aarch64': 220}[os.uname().machine]\n"
        "flags = 0x10000 | 0x100 | 0x800  # CLONE_THREAD, CLONE_VM, CLONE_SIGHAND\n"
        "result = [libc.syscall(clone, ctypes.c_long(flags), 0, 0, 0, 0), libc.syscall(436, 1000, 1001, 2)]"
    )
    assert result == [-1, -1]
