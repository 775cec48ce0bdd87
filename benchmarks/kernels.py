"""
Times a kernel: until it is forked and in its sandbox, until its first answer, and until it is gone.

    python benchmarks/kernels.py --times 100

Exits with 1 if the median of fork and sandbox is above `SANDBOXED_MS`.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time

from grader.execution.warm import forkserver
from grader.sandbox import Bounds, start_forked_kernel
from grader.sandbox.provisioner import ForkServerProvisioner

SANDBOXED_MS = 30.0


class _Timed(ForkServerProvisioner):
    """Records when a kernel was requested, and when it was in its sandbox."""

    requested = sandboxed = 0.0

    def begin(self) -> None:
        type(self).requested = time.perf_counter()
        super().begin()

    async def started(self) -> None:
        await super().started()
        type(self).sandboxed = time.perf_counter()


async def _one(bounds: Bounds) -> tuple[tuple[float, float, float], tuple[str, ...]]:
    async with start_forked_kernel(forkserver(), bounds) as kernel:
        await kernel.client.execute("1", reply=True, timeout=20)
        answered = time.perf_counter()
        layers = kernel.layers
    gone = time.perf_counter()
    return (_Timed.sandboxed - _Timed.requested, answered - _Timed.sandboxed, gone - answered), layers


def main() -> int:
    """Start kernels one after the other, and print medians. Returns 1 if they are too slow, else 0."""
    parser = argparse.ArgumentParser(description="Time a kernel: its fork and sandbox, its first answer, and its end.")
    parser.add_argument("--times", type=int, default=100, help="how many kernels [100]")
    times = parser.parse_args().times
    from grader.sandbox import running

    running.ForkServerProvisioner = _Timed  # type: ignore[attr-defined]
    for _ in range(5):
        asyncio.run(_one(Bounds()))
        time.sleep(0.2)
    rows = [asyncio.run(_one(Bounds())) for _ in range(times)]
    print("| from | to | median | 90 % are below |\n| --- | --- | ---: | ---: |")
    for number, (begin, end) in enumerate(
        (("requested", "in its sandbox"), ("in its sandbox", "answered a first cell"), ("asked to end", "gone"))
    ):
        values = sorted(1000 * seconds[number] for seconds, _ in rows)
        print(f"| {begin} | {end} | {statistics.median(values):.1f} ms | {values[int(0.9 * times)]:.1f} ms |")
    print("\nLayers: " + ", ".join(rows[-1][1]) + ".")
    return 1 if 1000 * statistics.median(seconds[0] for seconds, _ in rows) > SANDBOXED_MS else 0


if __name__ == "__main__":
    sys.exit(main())
