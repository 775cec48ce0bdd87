"""
Times one grading in a fresh process, as in continuous integration, and the imports of torch and ipykernel alone.

    python benchmarks/cold.py [--times 10] [--cores 1]

The two take turns. The whole process is timed, from its start to its end: `grader grade` reads the notebook, runs it
in its sandbox, compares, and writes both reports. Then it is graded again, and the memory of all processes together is
watched. Exits with 1 if the median of a grading is more than `LIMITS` times that of the imports, or the memory more
than `MOST_MIB`.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
from classroom import Classroom

LIMITS = {1: 1.4, 2: 1.5}
"""How many times as long as the imports a grading may take, by the number of processor cores."""

MOST_MIB = 512
"""The proportional set size that all processes of a grading may have together."""

IMPORTS = [sys.executable, "-c", "import torch, ipykernel"]


def main() -> int:
    """Time them in turn, and print a table. Returns 1 if a grading takes too long or too much memory, else 0."""
    parser = argparse.ArgumentParser(description="Time a grading in a fresh process.")
    parser.add_argument("--times", type=int, default=10, help="how often each is timed [10]")
    parser.add_argument("--cores", type=int, choices=LIMITS, default=2, help="how many cores may be used [2]")
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))[: options.cores]
    if len(cores) < options.cores:
        parser.error(f"this machine has {len(cores)} core")
    os.sched_setaffinity(0, cores)  # what we start inherits this
    with tempfile.TemporaryDirectory(prefix="cold-") as folder:
        classroom = Classroom(Path(folder) / "submissions")
        contenders = {
            "imports of torch and ipykernel alone": IMPORTS,
            "grader grade, all right": grade(classroom.right(0).path, folder),
            "grader grade, one wrong": grade(classroom.wrong().path, folder),
        }
        seconds: dict[str, list[float]] = {name: [] for name in contenders}
        for turn in range(-1, options.times):
            for name, command in contenders.items():
                duration = timed(command, code=1 if name.endswith("wrong") else 0)
                if turn >= 0:  # in the first turn, files are not yet in memory
                    seconds[name].append(duration)
        peak = peak_mib(contenders["grader grade, all right"])
    floor = statistics.median(seconds["imports of torch and ipykernel alone"])
    worst = 0.0
    print("| a fresh process for | median, s | fastest | slowest | relative to the imports |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, taken in seconds.items():
        ratio = statistics.median(taken) / floor
        worst = max(worst, ratio)
        print(f"| {name} | {statistics.median(taken):.2f} | {min(taken):.2f} | {max(taken):.2f} | {ratio:.2f} × |")
    print(f"\nAll processes of a grading together have at most {peak:.0f} MiB (proportional set size).")
    return 0 if worst <= LIMITS[options.cores] and peak <= MOST_MIB else 1


def grade(notebook: Path, folder: str) -> list[str]:
    """The command line of one grading."""
    return [sys.executable, "-m", "grader", "grade", str(notebook), "-o", f"{folder}/reports", "-q"]


def timed(command: list[str], *, code: int) -> float:
    """The wall time of a process, in seconds. Raises RuntimeError if it ends with another exit code."""
    started = time.perf_counter()
    returned = subprocess.run(command, check=False).returncode
    duration = time.perf_counter() - started
    if returned != code:
        raise RuntimeError(f"{' '.join(command)} ended with exit code {returned}.")
    return duration


def peak_mib(command: list[str]) -> float:
    """
    The largest proportional set size, in MiB, of a process and all that it has started, looked at all the time.

    Memory that processes share counts once. On a machine where others run the same libraries, it counts less.
    """
    peak = 0.0
    with subprocess.Popen(command) as process:
        while process.poll() is None:
            total = 0
            with contextlib.suppress(psutil.NoSuchProcess):
                first: Any = psutil.Process(process.pid)  # type: ignore[no-untyped-call]  # it has no types
                for each in (first, *first.children(recursive=True)):
                    with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                        total += each.memory_full_info().pss
            peak = max(peak, total / (1 << 20))
    return peak


if __name__ == "__main__":
    sys.exit(main())
