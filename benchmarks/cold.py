"""
Times one grading in a fresh process, as in continuous integration, and the imports of torch and ipykernel alone.

    python benchmarks/cold.py [--times 10]

The two take turns. The whole process is timed, from its start to its end: `grader grade` reads the notebook, runs it
in its sandbox, compares, and writes both reports. Exits with 1 if the median of a grading is more than `LIMIT` times
that of the imports.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from classroom import Classroom

LIMIT = 1.5
IMPORTS = [sys.executable, "-c", "import torch, ipykernel"]


def main() -> int:
    """Time them in turn, and print a table. Returns 1 if a grading is too slow, else 0."""
    parser = argparse.ArgumentParser(description="Time a grading in a fresh process.")
    parser.add_argument("--times", type=int, default=10, help="how often each is timed [10]")
    options = parser.parse_args()
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
    floor = statistics.median(seconds["imports of torch and ipykernel alone"])
    worst = 0.0
    print("| a fresh process for | median, s | fastest | slowest | relative to the imports |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, taken in seconds.items():
        ratio = statistics.median(taken) / floor
        worst = max(worst, ratio)
        print(f"| {name} | {statistics.median(taken):.2f} | {min(taken):.2f} | {max(taken):.2f} | {ratio:.2f} × |")
    return 0 if worst <= LIMIT else 1


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


if __name__ == "__main__":
    sys.exit(main())
