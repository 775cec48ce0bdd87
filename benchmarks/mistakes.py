"""
Measures whether explanations of wrong gradients are true, on answers whose causes are known.

    python benchmarks/mistakes.py                               the answers in benchmarks/mistakes
    python benchmarks/mistakes.py benchmarks/mistakes/second    answers that no recogniser was improved by
    python benchmarks/mistakes.py FOLDER --list                 answers of your own, and each that is not named rightly

A folder has a file `<assignment>.toml` for each assignment; benchmarks/mistakes/README.md describes the format. Each
answer is graded in a notebook in which everything else is right. Its first diagnosis is true if it is the cause, or one
of the names that are just as true. Intervals are those of Wilson (1927), for 95 %. The second set is held out: once
somebody has looked at what is said about its answers, it measures nothing.
"""

from __future__ import annotations

import argparse
import dataclasses
import enum
import itertools
import json
import math
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import nbformat

from grader.assignment.load import Assignment, load_assignment
from grader.assignment.source import SourceNotebook, read_source
from grader.authoring.release import fill_blanks, release_notebook
from grader.errors import GraderError, UsageError
from grader.model import ExerciseResult, Submission
from grader.pipeline import grade

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent
SHIPPED = Path(__file__).with_suffix("")
HELD_OUT = SHIPPED.resolve() / "second"
RIGHT, OTHER = "right", "other"
NAME_NO_CAUSE = ("misplaced", "nearly_right", "other_operation", "rescaled")
"""Diagnoses that say only what was observed: none of the causes in the list."""
_QUANTILE = 1.959964
"""Of the normal distribution, for an interval of 95 %."""


class Verdict(enum.Enum):
    """What became of one answer. Of a right one, only `INVENTED`, `REFUSED` and `FINE` are possible."""

    RIGHTLY = "named rightly"
    WRONGLY = "named wrongly"
    NOT_NAMED = "not named"
    PASSED = "counted as right"
    FINE = "fine"
    INVENTED = "invented"
    REFUSED = "counted as wrong"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer: `also` are names that are just as true as its `cause`."""

    assignment: str
    number: int
    exercise: str
    code: str
    cause: str
    also: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """An answer, and what was said about it."""

    answer: Answer
    verdict: Verdict
    diagnosis: str | None
    message: str

    def line(self) -> str:
        """One line, for a list."""
        where = f"{self.answer.assignment} {self.answer.exercise} #{self.answer.number}"
        said = f"{self.diagnosis}: {self.message}" if self.diagnosis else self.message
        return f"{self.verdict.value:17}{where:45}{self.answer.cause:18}{said}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table. Returns 2 if the answers cannot be read, else 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=SHIPPED, help="with the answers")
    parser.add_argument("--solutions", type=Path, default=ROOT / "solutions", help="the folder of source notebooks")
    parser.add_argument("--assignment", action="append", help="only this one; may be repeated")
    parser.add_argument("--strict", action="store_true", help="count only the cause itself, not what is just as true")
    parser.add_argument("--list", action="store_true", help="list each answer that is not named rightly")
    parser.add_argument("--json", type=Path, help="write every answer with its diagnosis to this file")
    options = parser.parse_args(arguments)
    try:
        if options.list and options.folder.resolve() == HELD_OUT:
            raise UsageError("The second set is held out.", "Only its totals may be looked at: leave --list out.")
        answers = read_answers(options.folder, options.assignment)
        measured = list(measure(answers, options.solutions, strict=options.strict))
    except GraderError as error:
        print(error, file=sys.stderr)
        return 2
    for line in table(measured):
        print(line)
    if options.list:
        print()
        for each in measured:
            if each.verdict not in (Verdict.RIGHTLY, Verdict.FINE):
                print(each.line())
    if options.json:
        rows = [
            {**dataclasses.asdict(m.answer), "verdict": m.verdict.value, "diagnosis": m.diagnosis} for m in measured
        ]
        options.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return 0


def measure(answers: Iterable[Answer], solutions: Path, *, strict: bool) -> Iterator[Measured]:
    """
    Grade every answer.

    Raises:
        UsageError: An answer is to an exercise that there is not.
    """
    for name, of_assignment in itertools.groupby(answers, key=lambda answer: answer.assignment):
        path = solutions / f"{name}.md"
        source, assignment = read_source(path), load_assignment(path)
        for answer in of_assignment:
            yield _measured(answer, source, assignment, strict=strict)


def read_answers(folder: Path, only: Sequence[str] | None = None) -> list[Answer]:
    """
    The answers in a folder, those to the same assignment together.

    Args:
        only: The assignments to read; None for all.

    Raises:
        UsageError: The folder has no such file, or an answer is not as the format wants it.
    """
    paths = [path for path in sorted(folder.glob("*.toml")) if not only or path.stem in only]
    if not paths:
        raise UsageError(f"There are no answers in {folder}.", "Name a folder with files `<assignment>.toml`.")
    return [answer for path in paths for answer in _answers_in(path)]


def _answers_in(path: Path) -> list[Answer]:
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))["answer"]
        return [
            Answer(
                assignment=path.stem,
                number=number,
                exercise=table["exercise"],
                code=table["code"],
                cause=table["cause"],
                also=tuple(table.get("also", ())),
            )
            for number, table in enumerate(tables, 1)
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}.", "benchmarks/mistakes/README.md has the format.") from error


def _measured(answer: Answer, source: SourceNotebook, assignment: Assignment, *, strict: bool) -> Measured:
    notebook = fill_blanks(release_notebook(source), f"# %%\n{answer.code}")
    for exercise in source.exercises:
        if exercise.name != answer.exercise:
            notebook = fill_blanks(notebook, exercise.code)
    written = nbformat.writes(notebook).encode()
    report = grade(Submission.of(written, name=f"{answer.assignment}.ipynb", student="one"), assignment)
    result = next((each for each in report.exercises if each.name == answer.exercise), None)
    if result is None:
        raise UsageError(f"{answer.assignment} has no exercise {answer.exercise}.", "Name an exercise of it.")
    diagnosis = result.diagnoses[0] if result.diagnoses else None
    return Measured(
        answer=answer,
        verdict=_verdict(answer, result, strict=strict),
        diagnosis=diagnosis.id if diagnosis else None,
        message=diagnosis.message if diagnosis else result.message,
    )


def _verdict(answer: Answer, result: ExerciseResult, *, strict: bool) -> Verdict:
    named = result.diagnoses[0].id if result.diagnoses else None
    if answer.cause == RIGHT:
        return Verdict.INVENTED if named else Verdict.FINE if result.passed else Verdict.REFUSED
    if result.passed:
        return Verdict.PASSED
    if named is None or named in NAME_NO_CAUSE:
        return Verdict.NOT_NAMED
    true = {answer.cause, *(() if strict else answer.also)}
    return Verdict.RIGHTLY if named in true else Verdict.WRONGLY


# ------------------------------------------------------------------------------------------------------------ figures


def table(measured: Sequence[Measured]) -> Iterator[str]:
    """The figures as lines: for each cause, for all wrong answers, and for right ones."""
    wrong = [each for each in measured if each.answer.cause != RIGHT]
    right = [each for each in measured if each.answer.cause == RIGHT]
    yield f"{'cause':20}{'answers':>8}{'rightly':>9}{'wrongly':>9}{'not named':>11}{'as right':>10}   named rightly"
    causes = Counter(each.answer.cause for each in wrong)
    for cause, _ in sorted(causes.items(), key=lambda item: (item[0] == OTHER, -item[1], item[0])):
        yield _row(cause, [each for each in wrong if each.answer.cause == cause])
    if not wrong:
        return
    yield _row("all", wrong)
    count = Counter(each.verdict for each in wrong)
    named = count[Verdict.RIGHTLY] + count[Verdict.WRONGLY]
    yield ""
    yield f"precision of the first diagnosis   {_share(count[Verdict.RIGHTLY], named)}   named rightly, of all named"
    yield f"coverage                           {_share(named, len(wrong))}   named, of all wrong answers"
    known = [each for each in wrong if each.answer.cause != OTHER]
    rightly = sum(each.verdict is Verdict.RIGHTLY for each in known)
    yield f"named rightly                      {_share(rightly, len(known))}   of all whose cause has a name"
    if right:
        invented = sum(each.verdict is Verdict.INVENTED for each in right)
        refused = sum(each.verdict is not Verdict.FINE for each in right)
        yield f"invented                           {_share(invented, len(right))}   right answers with a diagnosis"
        yield f"counted as wrong                   {_share(refused, len(right))}   right answers without full points"


def _row(name: str, answers: Sequence[Measured]) -> str:
    count = Counter(each.verdict for each in answers)
    rightly = count[Verdict.RIGHTLY]
    return (
        f"{name:20}{len(answers):8}{rightly:9}{count[Verdict.WRONGLY]:9}{count[Verdict.NOT_NAMED]:11}"
        f"{count[Verdict.PASSED]:10}   {_share(rightly, len(answers))}"
    )


def _share(part: int, whole: int) -> str:
    """A share in per cent with its interval."""
    if not whole:
        return "–"
    low, high = wilson(part, whole)
    return f"{100 * part / whole:5.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def wilson(part: int, whole: int) -> tuple[float, float]:
    """
    The interval of a share, for 95 %.

    Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference, J. Am. Stat. Assoc. 22
    (1927).

    >>> [round(end, 3) for end in wilson(98, 100)]
    [0.93, 0.994]
    """
    square = _QUANTILE**2
    share, centre = part / whole, (part + square / 2) / (whole + square)
    half = _QUANTILE / (whole + square) * math.sqrt(whole * share * (1 - share) + square / 4)
    return max(0.0, centre - half), min(1.0, centre + half)


if __name__ == "__main__":
    sys.exit(main())
