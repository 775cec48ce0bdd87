"""
Measures forked kernels, and what many of them leave behind: `python -m tests.sandbox.endurance 1000`.

Not a test: the argument decides how long it takes. It prints medians in milliseconds, and counts before and after.
"""

# ruff: noqa: T201

from __future__ import annotations

import asyncio
import gc
import statistics
import sys
import tempfile
import time
from pathlib import Path

import psutil

from grader.execution.warm import PACKAGES, PRELOAD
from grader.sandbox import Bounds, ForkServer, ForkServerProvisioner, start_forked_kernel


async def _sandbox_only(server: ForkServer) -> float:
    """Seconds from asking for a kernel until it is in its sandbox, with every layer probed."""
    provisioner = ForkServerProvisioner(server=server, bounds=Bounds())
    started = time.perf_counter()
    provisioner.begin()
    await provisioner.started()
    seconds = time.perf_counter() - started
    await provisioner.kill()
    await provisioner.wait()
    await provisioner.cleanup()
    return seconds


async def _whole(server: ForkServer) -> tuple[float, float, float]:
    """Seconds until a kernel is ready, until it has run a first cell, and until all of it is gone."""
    started = time.perf_counter()
    async with start_forked_kernel(server, Bounds()) as kernel:
        ready = time.perf_counter()
        await kernel.client.execute("x = 1", reply=True, timeout=10)
        executed = time.perf_counter()
    return ready - started, executed - ready, time.perf_counter() - executed


def _count(warm: psutil.Process) -> dict[str, float]:
    gc.collect()
    return {
        "descriptors": psutil.Process().num_fds(),
        "threads": psutil.Process().num_threads(),
        "rss_mib": psutil.Process().memory_info().rss >> 20,
        "forkserver_descriptors": warm.num_fds(),
        "forkserver_rss_mib": warm.memory_info().rss >> 20,
        "processes": len(warm.children(recursive=True)),
        "folders": len(list(Path(tempfile.gettempdir()).glob(".grader-*"))),
        "mounts": len(Path("/proc/self/mountinfo").read_text().splitlines()),
    }


async def _main(count: int) -> None:
    with ForkServer(preload=PRELOAD, packages=PACKAGES) as server:
        server.start()
        print("layers:", ", ".join(server.layers))
        warm = psutil.Process(server.pid)
        for _ in range(10):
            await _whole(server)
        before = _count(warm)
        alone = [await _sandbox_only(server) for _ in range(50)]
        times = [await _whole(server) for _ in range(count)]
        await asyncio.sleep(0.5)
        after = _count(warm)
    print(f"fork + sandbox: {statistics.median(alone) * 1e3:.1f} ms (median of 50)")
    for name, column in zip(("ready", "first cell", "end"), zip(*times, strict=True), strict=True):
        quarter = max(1, count // 4)
        first, last = statistics.median(column[:quarter]), statistics.median(column[-quarter:])
        print(
            f"{name}: {statistics.median(column) * 1e3:.1f} ms (first quarter {first * 1e3:.1f}, last {last * 1e3:.1f})"
        )
    for name, value in before.items():
        print(f"{name}: {value:g} before, {after[name]:g} after")


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]) if len(sys.argv) > 1 else 60))
