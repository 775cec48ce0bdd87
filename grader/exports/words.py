"""
The texts of an export: without control characters, and limited in length.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NewType

from grader.model import Adjustment
from grader.reports.cells import amount
from grader.reports.reading import Finding, ReadReport
from grader.reports.terminal import without_commands
from grader.reports.words import VERDICTS, clip, visible

__all__ = [
    "Harmless",
    "by_hand",
    "details",
    "flags",
    "full_text",
    "harmless",
    "line",
    "marks",
    "message",
    "notes",
    "problem",
    "title",
]

MAX_DIAGNOSES = 3

Harmless = NewType("Harmless", ReadReport)
"""A report without characters that control, reorder or hide text: the only kind that formats accept."""


def harmless(report: ReadReport) -> Harmless:
    """Make characters visible that would control, reorder or hide text, and break commands to the log of a job."""
    return Harmless(_visible(report))


def _visible(value: Any) -> Any:
    if isinstance(value, str):
        return without_commands(visible(value))
    if isinstance(value, tuple):
        return tuple(map(_visible, value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return dataclasses.replace(value, **{name: _visible(inner) for name, inner in fields.items()})
    return value


def line(text: str) -> str:
    """Put a text on one line."""
    return " ".join(clip(text).split())


def title(finding: Finding) -> str:
    """The exercise and its verdict: `grad_w1: Wrong values`."""
    return f"{line(finding.name)}: {VERDICTS[finding.outcome].word}"


def message(finding: Finding) -> str:
    """What was observed, in one sentence."""
    return clip(finding.message)


def details(finding: Finding) -> tuple[str, ...]:
    """The instructor's decision and the explanations of the mistake, each with its first hint: a few lines, or none."""
    decided = [by_hand(finding.adjustment, line(finding.name))] if finding.adjustment else []
    explained = [
        clip(text)
        for diagnosis in finding.diagnoses[:MAX_DIAGNOSES]
        for text in (diagnosis.message, diagnosis.hint)
        if text
    ]
    return (*decided, *explained)


def full_text(finding: Finding) -> str:
    """The message and the details of an exercise, in lines."""
    return "\n".join((message(finding), *details(finding)))


def by_hand(adjustment: Adjustment | None, what: str = "the total") -> str:
    """The instructor's decision about an exercise or the total, in a few sentences; empty if there is none."""
    if adjustment is None:
        return ""
    text = "By your instructor:"
    if adjustment.points is not None:
        text += f" {amount(adjustment.points)} points for {what}"
        text += "." if adjustment.graded is None else f" instead of {amount(adjustment.graded)}."
    if adjustment.comment:
        text += f" {adjustment.comment}"
    return clip(f"{text} Why: {adjustment.reason}")


def marks(report: ReadReport) -> str:
    """The total, in words."""
    if not report.gives_marks:
        return f"no marks until {report.release}"
    return f"{amount(report.score)} of {amount(report.max_score)} points"


def problem(report: ReadReport) -> str:
    """Why the file cannot be read as a notebook; empty if it can."""
    return clip(report.problem)


def flags(report: ReadReport) -> list[str]:
    """The flags for the instructor, such as `autograd: grad_w1: In [3], line 2: .backward()`."""
    return [line(f"{flag.id}: {flag.exercise}: {flag.evidence}") for flag in report.flags]


def notes(report: ReadReport) -> list[str]:
    """The notes for the instructor."""
    return [clip(note) for note in report.notes]
