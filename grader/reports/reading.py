"""
The one reader of a report's JSON, `grader.report/1`.

Texts are read as they were written, even if a student wrote them. `grader.exports.words.harmless` makes them safe for
other programs, and the templates of the pages make them safe for browsers.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from grader.calling.tables import Answer, Counterexample, Table
from grader.errors import UsageError
from grader.model import Adjustment, Diagnosis, Flag, Outcome, PartResult
from grader.reports.json import SCHEMA

__all__ = ["Finding", "Place", "ReadReport", "load_report", "parse_report", "read_report"]

MAX_REPORT_BYTES = 64 * 1024 * 1024


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """A line of a file, counted from 1. The path is relative to the working directory if the file is inside."""

    file: str
    line: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """
    What a report says about one exercise.

    Attributes:
        message: What was observed, in one sentence.
        diagnoses: Explanations of a wrong gradient, each with its first hint.
        fingerprint: Equal for equal wrong answers; empty if there is no wrong answer.
        counterexample: A call with few numbers on which the function is wrong, if there is one.
        adjustment: The instructor's decision; `points` already includes it.
        cell, line: Where to look in the notebook: the line that raised, or else the start of the function.
        place: The same line in the student's file; see `grader.reports.places`.
        parts: The parts that have points of their own, if the exercise was called.
        shares: The points of each of these parts, in any case.
    """

    name: str
    outcome: Outcome
    points: float
    max_points: float
    message: str = ""
    diagnoses: tuple[Diagnosis, ...] = ()
    counterexample: Counterexample | None = None
    fingerprint: str = ""
    adjustment: Adjustment | None = None
    cell: int | None = None
    line: int | None = None
    place: Place | None = None
    parts: tuple[PartResult, ...] = ()
    shares: tuple[float, ...] = ()

    @property
    def is_adjusted(self) -> bool:
        """Whether an instructor gave the points."""
        return self.adjustment is not None and self.adjustment.points is not None

    @property
    def passed(self) -> bool | None:
        """True or False; None if neither the grader nor an instructor could decide."""
        if self.outcome.passed is None and self.is_adjusted:
            return self.points >= self.max_points
        return self.outcome.passed


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ReadReport:
    """
    A report that was read back.

    Attributes:
        submission: The name of the file that was graded.
        student: The platform's id, or the file's stem.
        graded_score: The grader's score; None if no instructor changed it, or if the grader could not decide.
        flags: What the instructor should look at, with evidence.
        notes: How the grader failed, that the notebook has another version of the assignment, or what it misses where
            it is graded.
        problem: Why the file cannot be read as a notebook; empty if it can.
        notebook_of: The assignment that the notebook names, if that is another one. Anybody may have written it.
        layers: The layers of the sandbox.
        losses: The losses during training with autograd's gradients and with the student's, if the network was trained;
            None stands for a loss that is not finite.
        adjustments: The instructor's decisions about exercises and, with an empty name, about the total.
        release: Until this moment students see less; empty if they may see everything.
        is_for_students: False for the complete report until then.
    """

    assignment_id: str
    title: str
    version: str
    submission: str
    student: str
    sha256: str
    score: float
    max_score: float
    graded_score: float | None = None
    findings: tuple[Finding, ...] = ()
    flags: tuple[Flag, ...] = ()
    notes: tuple[str, ...] = ()
    problem: str = ""
    notebook_of: str = ""
    layers: tuple[str, ...] = ()
    losses: tuple[tuple[float | None, ...], tuple[float | None, ...]] | None = None
    seconds: float = 0.0
    adjustments: tuple[Adjustment, ...] = ()
    release: str = ""
    is_for_students: bool = True

    @property
    def gives_marks(self) -> bool:
        """Whether the report has points."""
        return not (self.release and self.is_for_students)

    @property
    def total(self) -> Adjustment | None:
        """The instructor's decision about the total, if there is one."""
        return next((adjustment for adjustment in self.adjustments if not adjustment.exercise), None)

    @property
    def is_adjusted(self) -> bool:
        """Whether an instructor gave points for an exercise or in total."""
        return any(adjustment.points is not None for adjustment in self.adjustments)

    @property
    def is_undecided(self) -> bool:
        """Whether there is no mark yet, because the grader failed and no instructor decided."""
        if self.total is not None and self.total.points is not None:
            return False
        return any(finding.passed is None for finding in self.findings)


def load_report(path: Path) -> ReadReport:
    """
    Read the file of a report.

    Raises:
        UsageError: The file cannot be read, or is not a report.
    """
    try:
        with path.open("rb") as file:
            content = json.loads(file.read(MAX_REPORT_BYTES).decode("utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}).", "Name a report, `<stem>.json`.") from error
    except ValueError as error:
        raise UsageError(f"{path} is not JSON.", "Name a report that the grader wrote, `<stem>.json`.") from error
    try:
        if content["schema"] != SCHEMA:
            raise KeyError(SCHEMA)
        return read_report(content)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UsageError(
            f"{path} is not a report of the schema {SCHEMA}.", "Name a report that the grader wrote, `<stem>.json`."
        ) from error


def parse_report(text: str) -> ReadReport:
    """Read a report from its JSON, which the grader itself has saved."""
    return read_report(json.loads(text))


def read_report(content: Mapping[str, Any]) -> ReadReport:
    """
    Read a report from plain data, as `grader.reports.json.report_to_dict` makes it.

    Raises:
        AttributeError, KeyError, TypeError, ValueError: The data is not a report.
    """
    training = (content.get("chain") or {}).get("training")
    graded_score = content.get("graded_score")
    visibility = content.get("visibility", {})
    return ReadReport(
        assignment_id=str(content["assignment"]["id"]),
        title=str(content["assignment"].get("title", "")),
        version=str(content["assignment"]["version"]),
        submission=str(content["submission"]["name"]),
        student=str(content["submission"]["student"]),
        sha256=str(content["submission"]["sha256"]),
        score=_number(content["score"]),
        max_score=_number(content["max_score"]),
        graded_score=None if graded_score is None else _number(graded_score),
        findings=tuple(map(_finding, content["exercises"])),
        flags=tuple(
            Flag(id=str(flag["id"]), exercise=flag["exercise"], evidence=str(flag["evidence"]))
            for flag in content["flags"]
        ),
        notes=tuple(map(str, content.get("notes", ()))),
        problem=str(content["notebook"].get("problem") or ""),
        notebook_of=str(content["notebook"].get("of_assignment") or ""),
        layers=tuple(map(str, content["sandbox"]["layers"])),
        losses=(tuple(training["reference"]), tuple(training["student"])) if training else None,
        seconds=float(content["timing_s"]["total"]),
        adjustments=tuple(
            _adjustment(adjustment, adjustment["exercise"] or "") for adjustment in content.get("adjustments", [])
        ),
        release=str(visibility.get("release") or ""),
        is_for_students=visibility.get("is_shown", True) is True,
    )


def _finding(exercise: Mapping[str, Any]) -> Finding:
    name, adjustment, error = str(exercise["name"]), exercise.get("adjustment"), exercise.get("error") or {}
    where = error if error.get("cell") and error.get("line") else exercise
    return Finding(
        name=name,
        outcome=Outcome(exercise["outcome"]),
        points=_number(exercise["points"]),
        max_points=_number(exercise["max_points"]),
        message=str(exercise.get("message", "")),
        diagnoses=tuple(
            Diagnosis(id=str(diagnosis["id"]), message=str(diagnosis["message"]), hint=str(diagnosis["hint"] or ""))
            for diagnosis in exercise["diagnoses"]
        ),
        counterexample=_counterexample(exercise["counterexample"]) if exercise.get("counterexample") else None,
        fingerprint=str(exercise.get("fingerprint") or ""),
        adjustment=_adjustment(adjustment, name) if adjustment else None,
        cell=_whole(where.get("cell")),
        line=_whole(where.get("line")),
        parts=tuple(map(_part, exercise.get("parts", ()))),
        shares=tuple(map(_number, exercise.get("shares", ()))),
    )


def _part(part: Mapping[str, Any]) -> PartResult:
    return PartResult(
        name=str(part["name"]),
        outcome=Outcome(part["outcome"]),
        points=_number(part["points"]),
        max_points=_number(part["max_points"]),
    )


def _counterexample(example: Mapping[str, Any]) -> Counterexample:
    if "reason" in example:
        return Counterexample(reason=str(example["reason"]))
    return Counterexample(
        rows=int(example["rows"]),
        arguments=tuple(map(_table, example["arguments"])),
        constants=tuple((str(constant["name"]), str(constant["value"])) for constant in example["constants"]),
        answers=tuple(
            Answer(
                yours=_table(answer["yours"]),
                right=_table(answer["right"]),
                differs=tuple(map(bool, answer["differs"])),
            )
            for answer in example["answers"]
        ),
        partway=str(example["partway"]),
    )


def _table(table: Mapping[str, Any]) -> Table:
    numbers = tuple(math.nan if number is None else float(number) for number in table["numbers"])
    return Table(name=str(table["name"]), shape=tuple(map(int, table["shape"])), numbers=numbers)


def _adjustment(adjustment: Mapping[str, Any], exercise: str) -> Adjustment:
    points, graded = adjustment["points"], adjustment["graded"]
    return Adjustment(
        exercise=exercise,
        points=None if points is None else _number(points),
        comment=str(adjustment["comment"] or ""),
        reason=str(adjustment["reason"]),
        graded=None if graded is None else _number(graded),
    )


def _number(value: Any) -> float:
    """A number, unchanged: a whole number stays one."""
    if not isinstance(value, (int, float)):
        raise TypeError(f"{value!r} is not a number")
    return value


def _whole(value: Any) -> int | None:
    if value is not None and not isinstance(value, int):
        raise TypeError(f"{value!r} is not a whole number")
    return value
