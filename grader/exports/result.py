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
from grader.exports.places import Place, find_places
from grader.model import Outcome
from grader.reports.json import SCHEMA
from grader.reports.words import VERDICTS, clip, visible

__all__ = ["Finding", "Result", "amount", "read_result", "result_of"]

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

    @property
    def passed(self) -> bool | None:
        """True, False, or None where nothing could be decided."""
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

    @property
    def is_undecided(self) -> bool:
        """Whether the grader failed at something."""
        return any(finding.passed is None for finding in self.findings)


def amount(number: float) -> float | int:
    """
    Points as JSON has them: whole where they are whole, else without what binary fractions add.

    >>> amount(7.0), amount(0.1 + 0.2)
    (7, 0.3)
    """
    rounded = round(number, 6)
    return int(rounded) if rounded == int(rounded) else rounded


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
    )


def _finding(exercise: Mapping[str, Any], places: Mapping[str, Place]) -> Finding:
    diagnoses = exercise["diagnoses"][:MAX_DIAGNOSES]
    details = [_text(line) for each in diagnoses for line in (each["message"], each["hint"]) if line]
    name = _line(exercise["name"])
    return Finding(
        name=name,
        outcome=Outcome(exercise["outcome"]),
        points=float(exercise["points"]),
        max_points=float(exercise["max_points"]),
        message=_text(exercise.get("message", "")),
        details=tuple(details),
        diagnoses=tuple(str(each["id"]) for each in exercise["diagnoses"]),
        place=places.get(exercise["name"]),
    )


def _text(text: Any) -> str:
    return clip(visible(str(text)))


def _line(text: Any) -> str:
    return " ".join(_text(text).split())
