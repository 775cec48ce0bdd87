"""
Makes the documents of one submission: its notebook is executed or judged again, adjusted, and cut for the student.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import zlib
from collections.abc import Sequence
from pathlib import Path

from grader.assignment.load import Assignment
from grader.classroom.adjustments import adjust_report
from grader.classroom.records import Graded
from grader.errors import GraderError, as_fault
from grader.execution.kept import pack_attempt, unpack_attempt
from grader.execution.record import Attempt
from grader.model import Adjustment, Report, Submission
from grader.pipeline import fault_report, grade_or_fault
from grader.reports.html import render_html
from grader.reports.json import render_json
from grader.sandbox import Level
from grader.visibility import EVERYTHING, Visibility, views_of

__all__ = ["Handling", "make_documents", "make_fault_documents"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Handling:
    """
    What is known about a submission besides its bytes.

    Attributes:
        now: The moment at which `visibility` decides what the student sees.
        packed: How it ran before, packed by `grader.execution.kept`; if that can be read, nothing is executed.
        adjustments: The instructor's, for this student.
    """

    now: dt.datetime
    packed: bytes | None = dataclasses.field(default=None, repr=False)
    adjustments: tuple[Adjustment, ...] = ()
    visibility: Visibility = EVERYTHING


def make_documents(
    submission: Submission, assignment: Assignment, handling: Handling, *, require: Level, secrets: Sequence[Path] = ()
) -> Graded:
    """
    Grade one submission. If the grader fails, that becomes a report that costs no points.

    Nothing is tried again if the machine may have been too busy: whoever knows what else runs must decide that.
    """
    kept: list[bytes] = []
    doubts: list[bool] = []

    def keep(attempt: Attempt) -> None:
        kept.append(pack_attempt(attempt, assignment) or b"")
        doubts.append(attempt.execution.is_doubtful)

    known = None if handling.packed is None else _unpacked(handling.packed, assignment)
    report, fault = grade_or_fault(
        submission, assignment, require=require, secrets=secrets, known=known, keep=keep, retries=False
    )
    try:
        graded = _documents(report, fault, handling)
    except Exception as error:
        graded = make_fault_documents(submission, assignment, handling, as_fault(error))
    return dataclasses.replace(graded, packed=kept[0] if kept else None, is_doubtful=any(doubts))


def make_fault_documents(
    submission: Submission, assignment: Assignment, handling: Handling, fault: GraderError
) -> Graded:
    """Make the documents of a submission at which the grader failed."""
    return _documents(fault_report(submission, assignment, fault), fault, handling)


def _unpacked(packed: bytes, assignment: Assignment) -> Attempt | None:
    try:
        return unpack_attempt(packed, assignment)
    except GraderError:
        return None  # the fault is in the assignment: grading will report it


def _documents(report: Report, fault: GraderError | None, handling: Handling) -> Graded:
    whole, shown = views_of(adjust_report(report, handling.adjustments), handling.visibility, handling.now)
    is_all = shown is whole
    return Graded(
        report=render_json(whole),
        page=_page(whole),
        fault="" if fault is None else str(fault),
        shown_report=render_json(shown) if not is_all else "",
        shown_page=_page(shown) if not is_all else b"",
    )


def _page(report: Report) -> bytes:
    return zlib.compress(render_html(report).encode("utf-8"))
