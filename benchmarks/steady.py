"""
Does a long run leak anything or get slower? Grades one submission many times in one process, and compares.

    python benchmarks/steady.py --times 1000

Exits with 1 if anything grew: descriptors, sockets, threads, processes, temporary files, memory, or the time.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from classroom import Classroom
from memory import descendants
from peers import ThisGrader

MEMORY_MAY_GROW_MIB = 8.0
TIME_MAY_GROW = 1.25
_SETTLE_S = 1.0
_RSS = {"memory here, MiB", "memory of helpers, MiB"}


def main() -> int:
    """Grade, count, and print a table. Returns 1 if anything grew, else 0."""
    parser = argparse.ArgumentParser(description="Grade one submission many times and look for leaks.")
    parser.add_argument("--times", type=int, default=1000, help="how many gradings [1000]")
    parser.add_argument("--warm-up", type=int, default=30, help="how many gradings before the first count [30]")
    options = parser.parse_args()
    # All temporary files go into one folder, with a short name because of the sockets in it.
    with (
        tempfile.TemporaryDirectory(prefix="st-") as temporary,
        tempfile.TemporaryDirectory(prefix="steady-") as results,
    ):
        os.environ["TMPDIR"] = tempfile.tempdir = temporary
        classroom = Classroom(Path(results) / "submissions")
        grader = ThisGrader(classroom.assignment, Path(results))
        handed_in = classroom.right(0)

        def grade_once() -> float:
            (graded,) = grader.grade([handed_in])
            if graded.score != classroom.points:
                raise RuntimeError(f"{graded.score} of {classroom.points} points for a right submission.")
            return graded.seconds

        for _ in range(options.warm_up):
            grade_once()
        before = _count(Path(temporary))
        seconds = []
        for number in range(1, options.times + 1):
            seconds.append(grade_once())
            if number % 100 == 0:
                print(f"{number}: {statistics.median(seconds[-100:]):.3f} s", file=sys.stderr, flush=True)
        after = _count(Path(temporary))

    part = max(1, min(100, options.times // 2))
    first, last = statistics.median(seconds[:part]), statistics.median(seconds[-part:])
    print(f"| | before | after {options.times} |\n| --- | ---: | ---: |")
    print(f"| seconds per submission, median of {part} | {first:.3f} | {last:.3f} |")
    for name in before:
        print(f"| {name} | {before[name]:g} | {after[name]:g} |")
    may_grow = {name: MEMORY_MAY_GROW_MIB if name in _RSS else 0.0 for name in before}
    grown = [name for name in before if after[name] > before[name] + may_grow[name]]
    if last > first * TIME_MAY_GROW:
        grown.append("time")
    print(f"\nGrown: {', '.join(grown) or 'nothing'}.")
    return 1 if grown else 0


def _count(temporary: Path) -> dict[str, float]:
    """What this process and its helper, the warm process that kernels are forked from, hold while nothing is graded."""
    gc.collect()
    time.sleep(_SETTLE_S)
    helpers = descendants(os.getpid())
    here = _descriptors("self")
    of_helpers = [link for helper in helpers for link in _descriptors(helper)]
    return {
        "processes": len(helpers),
        "descriptors here": len(here),
        "descriptors of helpers": len(of_helpers),
        "sockets here": _sockets(here),
        "sockets of helpers": _sockets(of_helpers),
        "threads here": len(list(Path("/proc/self/task").iterdir())),
        "threads of helpers": sum(len(list(Path(f"/proc/{helper}/task").iterdir())) for helper in helpers),
        "temporary files": sum(1 for _ in temporary.rglob("*")),
        "memory here, MiB": _resident_mib("self"),
        "memory of helpers, MiB": sum(map(_resident_mib, helpers)),
    }


def _descriptors(process: int | str) -> list[str]:
    # Listing the folder needs a descriptor too, which no longer exists when its link is read.
    folder = Path(f"/proc/{process}/fd")
    return [str(path.readlink()) for path in folder.iterdir() if path.is_symlink()]


def _sockets(links: list[str]) -> int:
    return sum(link.startswith("socket:") for link in links)


def _resident_mib(process: int | str) -> float:
    pages = int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)


if __name__ == "__main__":
    sys.exit(main())
