"""Limits hold, have the right consequences, and leave nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import resource
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from grader.sandbox import ForkServer, start_forked_kernel

from .conftest import SANDBOX_BOUNDS, SandboxRunner


def test_a_fork_bomb_is_contained(sandbox_runner: SandboxRunner) -> None:
    result = sandbox_runner.run(
        "import os, time\n"
        "made = 0\n"
        "for _ in range(100):\n"
        "    try:\n"
        "        if os.fork() == 0:\n"
        "            time.sleep(60); os._exit(0)\n"
        "        made += 1\n"
        "    except BlockingIOError:\n"
        "        break\n"
        "result = made"
    )
    assert 0 < result < SANDBOX_BOUNDS.processes
    assert sandbox_runner.run("result = 'fine'") == "fine"


def test_too_much_memory_is_an_error(sandbox_runner: SandboxRunner) -> None:
    assert sandbox_runner.run("x = bytearray(600 << 20)").startswith("MemoryError")
    assert "allocate" in sandbox_runner.run("import torch; torch.ones(600 << 18)")
    assert sandbox_runner.run(
        "import mmap; mmap.mmap(-1, 2 << 30, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)"
    ).startswith(("OSError", "MemoryError"))


def test_memory_of_all_processes_is_bounded(isolated_runner: SandboxRunner) -> None:
    code = (
        "import os, time\n"
        "for _ in range(8):\n"
        "    if os.fork() == 0:\n"
        "        x = bytearray(b'x') * (200 << 20); time.sleep(60); os._exit(0)\n"
        "time.sleep(60)"
    )

    async def run() -> str:
        async with start_forked_kernel(isolated_runner.server, SANDBOX_BOUNDS) as kernel:
            kernel.client.execute(code)
            provisioner = kernel.manager.provisioner
            await asyncio.wait_for(provisioner.wait(), 30)
            return str(provisioner.end)

    assert asyncio.run(run()) == "memory"


def test_shared_pages_of_forks_do_not_count_twice(isolated_runner: SandboxRunner) -> None:
    result = isolated_runner.run(
        "import os, time\n"
        "x = bytearray(b'x') * (300 << 20)\n"
        "children = [os.fork() or (time.sleep(1), os._exit(0)) for _ in range(4)]\n"
        "result = [os.waitpid(child, 0)[1] for child in children]"
    )
    assert result == [0, 0, 0, 0]


def test_scratch_and_files_are_bounded(isolated_runner: SandboxRunner) -> None:
    result = isolated_runner.run(
        "import os\n"
        "written, errors = 0, set()\n"
        "for n in range(8):\n"
        "    try:\n"
        "        with open(f'f{n}', 'wb', buffering=0) as file:\n"
        "            while True: written += file.write(bytes(1 << 20))\n"
        "    except OSError as error: errors.add(error.errno)\n"
        "result = (written >> 20, sorted(errors))"
    )
    assert result == (SANDBOX_BOUNDS.scratch_mib, [27, 28])  # EFBIG, ENOSPC


def test_no_folder_of_ours_can_be_written(isolated_runner: SandboxRunner) -> None:
    """The sockets are made outside, in a folder that a kernel does not see."""
    mounts = isolated_runner.run("result = open('/proc/self/mountinfo').read()")
    writable = [line.split()[4] for line in mounts.splitlines() if line.split()[5].startswith("rw")]
    assert [path for path in writable if not path.startswith(("/proc", "/dev/"))] == ["/scratch"]


def test_cpu_time_is_bounded(sandbox_server: ForkServer) -> None:
    bounds = dataclasses.replace(SANDBOX_BOUNDS, cpu_s=2)

    async def run() -> int | None:
        async with start_forked_kernel(sandbox_server, bounds) as kernel:
            kernel.client.execute("while True: pass")
            return await asyncio.wait_for(kernel.manager.provisioner.wait(), 60)

    assert asyncio.run(run()) in (-9, -24)


def test_a_flood_of_output_does_not_fill_our_memory(sandbox_server: ForkServer) -> None:
    async def run() -> int:
        async with start_forked_kernel(sandbox_server, SANDBOX_BOUNDS) as kernel:
            before = psutil.Process().memory_info().rss
            kernel.client.execute("for _ in range(1000): print('x' * (1 << 20))")
            highest, until = before, time.monotonic() + 4
            while time.monotonic() < until:  # nobody reads: the worst case
                await asyncio.sleep(0.1)
                highest = max(highest, psutil.Process().memory_info().rss)
            return (highest - before) >> 20

    assert asyncio.run(run()) < 600


def test_nothing_outlives_a_kernel(sandbox_server: ForkServer) -> None:
    code = (
        "import os, signal, time, subprocess\n"
        "for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP): signal.signal(number, signal.SIG_IGN)\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork(): os._exit(0)\n"
        "    while True: time.sleep(1)\n"
        "subprocess.Popen(['sleep', '1234'], start_new_session=True)\n"
        "time.sleep(0.2)"
    )

    async def run() -> tuple[int, int]:
        async with start_forked_kernel(sandbox_server, SANDBOX_BOUNDS) as kernel:
            await kernel.client.execute(code, reply=True, timeout=60)
            during = len(_family(sandbox_server))
        until = time.monotonic() + 30  # the supervisor has reported that all have ended, and is about to end itself
        while _family(sandbox_server) and time.monotonic() < until:
            await asyncio.sleep(0.01)
        return during, len(_family(sandbox_server))

    during, after = asyncio.run(run())
    assert during >= 4
    assert after == 0


def _family(server: ForkServer) -> list[psutil.Process]:
    assert server.pid is not None
    found = []
    for process in psutil.Process(server.pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


@pytest.mark.slow
def test_sixty_kernels_leave_nothing_behind(sandbox_server: ForkServer, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tempfile.mkdtemp(prefix="own-")  # short, as a socket's path must be; others may use the usual one
    monkeypatch.setattr(tempfile, "tempdir", folder)

    async def some(count: int) -> None:
        for _ in range(count):
            async with start_forked_kernel(sandbox_server, SANDBOX_BOUNDS) as kernel:
                await kernel.client.execute("x = 1", reply=True, timeout=60)

    def count() -> dict[str, int]:
        until = time.monotonic() + 30  # the last one is just ending
        while _family(sandbox_server) and time.monotonic() < until:
            time.sleep(0.01)
        gc.collect()
        assert server is not None
        return {
            "descriptors": psutil.Process().num_fds(),
            "descriptors of the forkserver": server.num_fds(),
            "threads": psutil.Process().num_threads(),
            "processes": len(_family(sandbox_server)),
            "folders": len(list(Path(folder).iterdir())),
        }

    asyncio.run(some(5))
    server = psutil.Process(sandbox_server.pid)
    before, memory, server_memory = count(), _peak(), server.memory_info().rss
    asyncio.run(some(60))
    after = count()
    Path(folder).rmdir()
    assert after == before
    assert _peak() - memory < 30 << 20
    assert server.memory_info().rss - server_memory < 10 << 20


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


@pytest.mark.parametrize("code", ["import os; os.abort()", "import ctypes; ctypes.string_at(0)"])
def test_a_crash_is_an_exit_code(sandbox_server: ForkServer, code: str) -> None:
    async def run() -> int | None:
        async with start_forked_kernel(sandbox_server, SANDBOX_BOUNDS) as kernel:
            kernel.client.execute(code)
            return await asyncio.wait_for(kernel.manager.provisioner.wait(), 60)

    assert (asyncio.run(run()) or 0) < 0
