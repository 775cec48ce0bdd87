"""
How long one grading takes in a fresh process, as in CI, beside importing torch and ipykernel in one.

    python benchmarks/cold.py [--times 10]

They take turns. What is timed is the whole process, from its start to its end: `grader grade` reads the notebook, runs
it in its sandbox, compares, and writes both reports. Exits with 1 if its median is more than LIMIT times that of the
imports.
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
    """Take turns, and print a table."""
    parser = argparse.ArgumentParser(description="Time a grading in a fresh process.")
    parser.add_argument("--times", type=int, default=10, help="how often each [10]")
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
                taken = timed(command, may_fail=name.endswith("wrong"))
                if turn >= 0:  # the first one reads files that later ones find in memory
                    seconds[name].append(taken)
    floor = statistics.median(seconds["imports of torch and ipykernel alone"])
    worst = 0.0
    print("| a fresh process for | median, s | fastest | slowest | to the imports |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, taken in seconds.items():
        ratio = statistics.median(taken) / floor
        worst = max(worst, ratio)
        print(f"| {name} | {statistics.median(taken):.2f} | {min(taken):.2f} | {max(taken):.2f} | {ratio:.2f} × |")
    return 0 if worst <= LIMIT else 1


def grade(notebook: Path, folder: str) -> list[str]:
    """The command line of one grading."""
    return [sys.executable, "-m", "grader", "grade", str(notebook), "-o", f"{folder}/reports", "-q"]


def timed(command: list[str], *, may_fail: bool) -> float:
    """Wall time of a process. Anything but the exit code that is expected ends the benchmark."""
    started = time.perf_counter()
    code = subprocess.run(command, check=False).returncode
    taken = time.perf_counter() - started
    if code != int(may_fail):
        raise RuntimeError(f"{' '.join(command)} ended with {code}.")
    return taken


if __name__ == "__main__":
    sys.exit(main())
