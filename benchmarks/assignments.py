"""
Times a warm grading of each assignment, and the floor: the least that a grading can cost.

    python benchmarks/assignments.py --rounds 5                      # all that are shipped
    python benchmarks/assignments.py convnet attention --rounds 10

For each assignment, the grader and the floor (`floor.py`) take turns at the right submissions of the corpus. Before
anything is timed, each of these must get full marks, and a wrong submission must not.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import nbformat
from classroom import HandedIn, filled
from peers import Floor, ThisGrader

from grader import shipped
from grader.assignment.find import find_assignment, find_sources
from grader.assignment.load import Assignment, load_assignment
from grader.assignment.source import read_source
from grader.authoring.release import release_notebook
from grader.checking.check import GRADING

CORPUS = Path(__file__).parent.parent / "tests" / "corpus"
LIMIT = 3.0


@dataclasses.dataclass(frozen=True, slots=True)
class Handful:
    """An assignment and a few submissions to it: the first is wrong, the others are right."""

    assignment: Assignment
    submissions: tuple[HandedIn, ...]


def main() -> int:
    """Print a line for each assignment. Returns 1 if one of them takes `LIMIT` floors or more, else 0."""
    os.environ[GRADING] = "a benchmark"  # the notebooks' own `check` does nothing, for the floor too
    known = list(find_sources(shipped.solutions()))
    parser = argparse.ArgumentParser(description="Time a warm grading of each assignment, and its floor.")
    parser.add_argument("ids", nargs="*", metavar="ID", help="which assignments [all]")
    parser.add_argument("--rounds", type=int, default=5, help="how often each submission is graded [5]")
    options = parser.parse_args()
    print("| assignment | submissions | grader, warm | floor | ratio |")
    print("| --- | ---: | ---: | ---: | ---: |")
    ratios = []
    for assignment_id in options.ids or known:
        with tempfile.TemporaryDirectory() as name:
            handful = read_handful(assignment_id, Path(name))
            graded, floors = take_turns(handful, Path(name), options.rounds)
        ratios.append(statistics.median(graded) / statistics.median(floors))
        print(
            f"| {assignment_id} | {len(graded) // options.rounds} | {statistics.median(graded):.3f} s "
            f"| {statistics.median(floors):.3f} s | {ratios[-1]:.2f} × |",
            flush=True,
        )
    return 1 if max(ratios) >= LIMIT else 0


def read_handful(assignment_id: str, folder: Path) -> Handful:
    """Write the corpus's submissions to an assignment as notebooks. The solution fills in what a case leaves out."""
    path = find_assignment(assignment_id, shipped.solutions())
    assignment, released = load_assignment(path), release_notebook(read_source(path))

    def handed_in() -> Iterator[HandedIn]:
        cases = sorted((CORPUS / assignment_id).glob("*/answers.py"))
        wrong = next(case for case in cases if case.parent.name.startswith("wrong_"))
        for case in (wrong, *(case for case in cases if case.parent.name.startswith("ok_"))):
            notebook = filled(released, case.read_text(encoding="utf-8"), assignment.solution_code)
            file = folder / f"{case.parent.name}.ipynb"
            nbformat.write(notebook, file)
            yield HandedIn(file.stem, file, {})

    return Handful(assignment, tuple(handed_in()))


def take_turns(handful: Handful, folder: Path, rounds: int) -> tuple[list[float], list[float]]:
    """Seconds of each grading, by the grader and by the floor. They alternate in who begins."""
    grader, floor = ThisGrader(handful.assignment, folder), Floor(handful.assignment, folder)
    full_marks = sum(exercise.points for exercise in handful.assignment.exercises)
    wrong, *right = handful.submissions
    seconds: dict[object, list[float]] = {grader: [], floor: []}
    try:
        for handed_in in (wrong, *right):  # this also warms both
            score = grader.grade([handed_in])[0].score
            if (score == full_marks) is (handed_in is wrong):
                raise RuntimeError(f"{handed_in.name} got {score} of {full_marks} points.")
        right = [handed_in for handed_in in right if _can_run(floor, handed_in)]
        for number in range(rounds):
            for place, handed_in in enumerate(right):
                turns = (grader, floor) if (number + place) % 2 else (floor, grader)
                for contender in turns:
                    seconds[contender] += [graded.seconds for graded in contender.grade([handed_in])]
    finally:
        grader.close()
        floor.close()
    return seconds[grader], seconds[floor]


def _can_run(floor: Floor, handed_in: HandedIn) -> bool:
    """Whether the floor, which calls functions by position, can run this: some functions have reordered parameters."""
    try:
        floor.grade([handed_in])
    except RuntimeError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
