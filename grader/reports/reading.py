"""
What the formats are made from: a report's JSON, read back, with the lines of the student's file beside it.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from grader.errors import UsageError
from grader.model import Outcome
from grader.reports.cells import amount
from grader.reports.json import SCHEMA
from grader.reports.places import Place, find_places
from grader.reports.words import VERDICTS, clip, visible

__all__ = ["Finding", "Result", "read_result", "result_of"]

MAX_REPORT_BYTES = 64 * 1024 * 1024
MAX_DIAGNOSES = 3


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """
    One exercise, in words that have no control characters in them and are no longer than they may be.

    Attributes:
        title: `grad_w1: Wrong values`.
        message: What was seen, one sentence.
        details: What it may come from, each with a first hint; a few lines, or none.
        place: Where to look in the student's file, if that is known.
    """

    name: str
    outcome: Outcome
    points: float
    max_points: float
    message: str
    details: tuple[str, ...] = ()
    diagnoses: tuple[str, ...] = ()
    place: Place | None = None
    is_adjusted: bool = False

    @property
    def passed(self) -> bool | None:
        """True, False, or None where nothing could be decided: by the grader, nor by an instructor."""
        if self.outcome.passed is None and self.is_adjusted:
            return self.points >= self.max_points
        return self.outcome.passed

    @property
    def title(self) -> str:
        """The exercise and its verdict."""
        return f"{self.name}: {VERDICTS[self.outcome].word}"

    @property
    def text(self) -> str:
        """Everything there is to say, in lines."""
        return "\n".join((self.message, *self.details))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """
    One report.

    Attributes:
        student: The platform's id, or the file's stem.
        notes: For the instructor: what the grader failed at, or another version of the assignment.
        flags: For the instructor, as `autograd: grad_w1: In [3], line 2: .backward()`.
        problem: Why the file could not be read as a notebook, if it could not.
        by_hand: What an instructor decided about the total, in a sentence.
        release: Until this moment students see less; empty if they may see everything.
        is_for_students: False for the instructor's view until then.
        losses: The training curve, autograd's and the student's, if there is one; None where it is not finite.
    """

    assignment: str
    title: str
    version: str
    submission: str
    student: str
    sha256: str
    score: float
    max_score: float
    findings: tuple[Finding, ...]
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    problem: str | None = None
    layers: tuple[str, ...] = ()
    losses: tuple[tuple[float | None, ...], tuple[float | None, ...]] | None = None
    by_hand: str = ""
    is_total_given: bool = False
    release: str = ""
    is_for_students: bool = True

    @property
    def gives_marks(self) -> bool:
        """Whether points mean anything."""
        return not (self.release and self.is_for_students)

    @property
    def marks(self) -> str:
        """The total, in words."""
        if not self.gives_marks:
            return f"no marks until {self.release}"
        return f"{amount(self.score)} of {amount(self.max_score)} points"

    @property
    def is_undecided(self) -> bool:
        """Whether the grader failed at something, and no instructor decided it."""
        return not self.is_total_given and any(finding.passed is None for finding in self.findings)


def read_result(path: Path, notebooks: Sequence[Path] = ()) -> Result:
    """
    Read a report's JSON.

    Args:
        notebooks: What was graded may be among them: lines are looked up there.

    Raises:
        UsageError: The file is not there, or no report.
        SubmissionError: One of the notebooks is not there.
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
        return result_of(content, find_places(content, notebooks))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UsageError(
            f"{path} is no report of the schema {SCHEMA}.", "Name one that the grader wrote, `<stem>.json`."
        ) from error


def result_of(report: Mapping[str, Any], places: Mapping[str, Place] | None = None) -> Result:
    """A report as `grader.reports.json.report_to_dict` makes it."""
    chain = report.get("chain") or {}
    training = chain.get("training")
    notebook = report["notebook"]
    adjustments = report.get("adjustments", [])
    visibility = report.get("visibility", {})
    return Result(
        assignment=str(report["assignment"]["id"]),
        title=_line(report["assignment"].get("title", "")),
        version=str(report["assignment"]["version"]),
        submission=_line(report["submission"]["name"]),
        student=_line(report["submission"]["student"]),
        sha256=str(report["submission"]["sha256"]),
        score=float(report["score"]),
        max_score=float(report["max_score"]),
        findings=tuple(_finding(exercise, places or {}) for exercise in report["exercises"]),
        seconds=float(report["timing_s"]["total"]),
        notes=tuple(_text(note) for note in report.get("notes", ())),
        flags=tuple(_line(f"{flag['id']}: {flag['exercise']}: {flag['evidence']}") for flag in report["flags"]),
        problem=_text(notebook["problem"]) if notebook.get("problem") else None,
        layers=tuple(map(str, report["sandbox"]["layers"])),
        losses=(tuple(training["reference"]), tuple(training["student"])) if training else None,
        by_hand=next((_by_hand(each, "the whole") for each in adjustments if each["exercise"] is None), ""),
        is_total_given=any(each["exercise"] is None and each["points"] is not None for each in adjustments),
        release=str(visibility.get("release") or ""),
        is_for_students=visibility.get("is_shown", True) is True,
    )


def _finding(exercise: Mapping[str, Any], places: Mapping[str, Place]) -> Finding:
    diagnoses = exercise["diagnoses"][:MAX_DIAGNOSES]
    details = [_text(line) for each in diagnoses for line in (each["message"], each["hint"]) if line]
    name = _line(exercise["name"])
    adjustment = exercise.get("adjustment") or {}
    if adjustment:
        details.insert(0, _by_hand(adjustment, name))
    return Finding(
        name=name,
        outcome=Outcome(exercise["outcome"]),
        points=float(exercise["points"]),
        max_points=float(exercise["max_points"]),
        message=_text(exercise.get("message", "")),
        details=tuple(details),
        diagnoses=tuple(str(each["id"]) for each in exercise["diagnoses"]),
        place=places.get(exercise["name"]),
        is_adjusted=adjustment.get("points") is not None,
    )


def _by_hand(adjustment: Mapping[str, Any], what: str) -> str:
    """What an instructor decided, in a few sentences."""
    points, graded = adjustment["points"], adjustment["graded"]
    given = f" {amount(float(points))} points for {what}" if points is not None else ""
    instead = f", in place of {amount(float(graded))}" if points is not None and graded is not None else ""
    said = f" {adjustment['comment']}" if adjustment["comment"] else ""
    return _text(f"By your instructor:{given}{instead}{'.' if given else ''}{said} Why: {adjustment['reason']}")


def _text(text: Any) -> str:
    return clip(visible(str(text)))


def _line(text: Any) -> str:
    return " ".join(_text(text).split())
