"""
Times the grading of a submission by this grader and by its peers.

    python benchmarks/throughput.py --submissions 10 --peers nbclient,nbgrader,otter

All contenders grade the same submissions in one run, in turn, so that ratios hold although the machine's speed varies.
Before anything is timed, each must give full marks to a right submission, and fewer to a wrong one.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import statistics
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from classroom import Classroom, HandedIn
from memory import Footprint, MemorySampler
from peers import PEERS, Contender, Environment, Floor, Graded, Nbclient, ThisGrader

from grader.checking.check import GRADING

CACHE = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "grader-benchmarks"


def main() -> None:
    """Set up the contenders, check that each grades, time them, and print a table."""
    os.environ[GRADING] = "a benchmark"  # for all contenders, the notebooks' own `check` does and imports nothing
    options = _options()
    options.work.mkdir(parents=True, exist_ok=True)
    versions = {name: version(name) for name in ("torch", "ipykernel", "nbclient")} | {
        "Python": platform.python_version()
    }
    contenders: list[Contender] = []
    with tempfile.TemporaryDirectory(prefix="run-", dir=options.work) as name:
        folder = Path(name)
        classroom = Classroom(folder / "submissions")
        submissions = [classroom.right(number) for number in range(1, options.submissions + 1)]
        try:
            contenders += [ThisGrader(classroom.assignment, folder), Floor(classroom.assignment, folder)]
            for peer in options.peers:
                package, make = PEERS[peer]
                if package is None:
                    contenders.append(make(classroom, folder))
                else:
                    environment = Environment(package, options.work)
                    versions[package] = environment.version
                    contenders.append(make(classroom, folder, environment))
            for contender in contenders:
                _say(f"Checking {contender.name} ...")
                _check(contender, classroom)
            seconds = _time(contenders, submissions, options.rounds, full_marks=classroom.points)
            memory = {
                contender.name: [_measure(contender, handed_in) for handed_in in submissions[:3]]
                for contender in contenders
                if isinstance(contender, (ThisGrader, Nbclient))
            }
        finally:
            for contender in contenders:
                contender.close()
    machine = f"{_processor()}, {os.cpu_count()} cores, Linux {platform.release()}"
    command = shlex.join(["python", *sys.argv])
    print(_table(seconds, memory))
    print(f"\n`{command}` on {machine}; " + ", ".join(f"{name} {number}" for name, number in versions.items()) + ".")
    if options.json is not None:
        raw = {
            "command": command,
            "machine": machine,
            "versions": versions,
            "seconds": seconds,
            "memory_mib": {
                name: [footprint._asdict() for footprint in footprints] for name, footprints in memory.items()
            },
        }
        options.json.write_text(json.dumps(raw, indent=2) + "\n", encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time this grader, its peers, and the floor on the same submissions.")
    parser.add_argument("--submissions", type=int, default=10, help="how many submissions [10]")
    parser.add_argument("--rounds", type=int, default=1, help="how often each is graded [1]")
    parser.add_argument("--peers", type=_peers, default=list(PEERS), help=f"some of {','.join(PEERS)}, or '' [all]")
    parser.add_argument("--work", type=Path, default=CACHE, help=f"keeps the peers' environments [{CACHE}]")
    parser.add_argument("--json", type=Path, help="write every measurement to this file")
    return parser.parse_args()


def _peers(text: str) -> list[str]:
    names = [name for name in text.split(",") if name]
    if unknown := set(names) - set(PEERS):
        raise argparse.ArgumentTypeError(f"there is no peer {', '.join(unknown)}")
    return names


def _check(contender: Contender, classroom: Classroom) -> None:
    """Raise RuntimeError unless a right submission gets full marks and a wrong one fewer. Also warms the contender."""
    right, wrong = contender.grade([classroom.right(0), classroom.wrong()])
    if right.score is not None and (right.score != classroom.points or not 0 < (wrong.score or 0) < classroom.points):
        raise RuntimeError(
            f"{contender.name} gives {right.score} and {wrong.score} of {classroom.points} points "
            "to a right and a wrong submission."
        )


def _time(
    contenders: Sequence[Contender], submissions: Sequence[HandedIn], rounds: int, *, full_marks: float
) -> dict[str, list[float]]:
    """
    The seconds of each contender for each submission.

    They take turns at each submission, and a different one begins each time. Contenders that take the whole class at
    once get it when the others are half done.
    """
    seconds: dict[str, list[float]] = {contender.name: [] for contender in contenders}

    def turn(contender: Contender, submissions: Sequence[HandedIn]) -> None:
        graded: list[Graded] = contender.grade(submissions)
        if any(result.score not in (None, full_marks) for result in graded):
            raise RuntimeError(f"{contender.name} gave less than full marks to a right submission.")
        seconds[contender.name] += [result.seconds for result in graded]

    singly = [contender for contender in contenders if not contender.at_once]
    at_once = [contender for contender in contenders if contender.at_once]
    for number in range(1, rounds + 1):
        _say(f"Round {number} of {rounds} ...")
        for place, handed_in in enumerate(submissions):
            if place == len(submissions) // 2:
                for contender in at_once:
                    turn(contender, submissions)
            first = place % len(singly)
            for contender in singly[first:] + singly[:first]:
                turn(contender, [handed_in])
    return seconds


def _measure(contender: Contender, handed_in: HandedIn) -> Footprint:
    with MemorySampler() as sampler:
        contender.grade([handed_in])
    return sampler.footprint


def _table(seconds: dict[str, list[float]], memory: dict[str, list[Footprint]]) -> str:
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    grader, floor = medians[ThisGrader.name], medians[Floor.name]
    rows = [
        "| | seconds per submission | min–max | relative to this grader | to the floor | memory, PSS | memory, added |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name in sorted(medians, key=medians.__getitem__):
        spread = f"{min(seconds[name]):.3f}–{max(seconds[name]):.3f}" if len(set(seconds[name])) > 1 else ""
        started, added = "", ""
        if name in memory:
            started = f"{statistics.median(footprint.started for footprint in memory[name]):.0f} MiB"
            added = f"{statistics.median(footprint.added for footprint in memory[name]):.0f} MiB"
        rows.append(
            f"| {name} | {medians[name]:.3f} | {spread} | {medians[name] / grader:.2f} × "
            f"| {medians[name] / floor:.2f} × | {started} | {added} |"
        )
    return "\n".join(rows)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
