"""
The words of an export: texts that are only texts, and no longer than they may be.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NewType

from grader.model import Adjustment
from grader.reports.cells import amount
from grader.reports.reading import Finding, ReadReport
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
"""A report without characters that control, reorder or hide: the only one that a format takes."""


def harmless(report: ReadReport) -> Harmless:
    """The report, with everything visible that would control, reorder or hide."""
    return Harmless(_visible(report))


def _visible(value: Any) -> Any:
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, tuple):
        return tuple(map(_visible, value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return dataclasses.replace(value, **{name: _visible(inner) for name, inner in fields.items()})
    return value


def line(text: str) -> str:
    """A text on one line."""
    return " ".join(clip(text).split())


def title(finding: Finding) -> str:
    """The exercise and its verdict: `grad_w1: Wrong values`."""
    return f"{line(finding.name)}: {VERDICTS[finding.outcome].word}"


def message(finding: Finding) -> str:
    """What was seen, one sentence."""
    return clip(finding.message)


def details(finding: Finding) -> tuple[str, ...]:
    """What an instructor decided, and what the mistake may come from, each with a first hint: a few lines, or none."""
    decided = [by_hand(finding.adjustment, line(finding.name))] if finding.adjustment else []
    explained = [
        clip(text)
        for diagnosis in finding.diagnoses[:MAX_DIAGNOSES]
        for text in (diagnosis.message, diagnosis.hint)
        if text
    ]
    return (*decided, *explained)


def full_text(finding: Finding) -> str:
    """Everything there is to say about an exercise, in lines."""
    return "\n".join((message(finding), *details(finding)))


def by_hand(adjustment: Adjustment | None, what: str = "the whole") -> str:
    """What an instructor decided about an exercise or the whole, in a few sentences; empty if nothing."""
    if adjustment is None:
        return ""
    points, graded = adjustment.points, adjustment.graded
    given = f" {amount(points)} points for {what}" if points is not None else ""
    instead = f", in place of {amount(graded)}" if points is not None and graded is not None else ""
    comment = f" {adjustment.comment}" if adjustment.comment else ""
    return clip(f"By your instructor:{given}{instead}{'.' if given else ''}{comment} Why: {adjustment.reason}")


def marks(report: ReadReport) -> str:
    """The total, in words."""
    if not report.gives_marks:
        return f"no marks until {report.release}"
    return f"{amount(report.score)} of {amount(report.max_score)} points"


def problem(report: ReadReport) -> str:
    """Why the file could not be read as a notebook; empty if it could."""
    return clip(report.problem)


def flags(report: ReadReport) -> list[str]:
    """What an instructor should look at, as `autograd: grad_w1: In [3], line 2: .backward()`."""
    return [line(f"{flag.id}: {flag.exercise}: {flag.evidence}") for flag in report.flags]


def notes(report: ReadReport) -> list[str]:
    """What the grader noticed about the submission, for the instructor."""
    return [clip(note) for note in report.notes]
