"""
What Canvas and Moodle import: a row for each student. What could not be graded has none, and so changes nothing there.

Both find students by their own ids, which is how reports from their archives name them. An export of the platform's
own, filled in by `grader batch --fill`, is the safer way: it has the names and the column already.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

from grader.errors import UsageError
from grader.exports import words
from grader.exports.words import Harmless
from grader.reports.cells import inert, points

__all__ = ["render_canvas", "render_moodle"]

PARTICIPANT = re.compile(r"(?:Participant )?(\d+)")


def render_canvas(reports: Sequence[Harmless]) -> str:
    """
    A gradebook of Canvas's with one assignment. Numbers are Canvas's ids, anything else is a login.

    Raises:
        UsageError: They are of several assignments: an empty cell would take a mark away.
    """
    titles = {words.line(report.title) or report.assignment_id: report.max_score for report in reports}
    if len(titles) != 1:
        raise UsageError(f"canvas takes one assignment, not {len(titles)}.", "Export each assignment by itself.")
    ((title, most),) = titles.items()
    rows = [
        ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", title],
        ["    Points Possible", "", "", "", "", points(most)],
    ]
    for report in _decided(reports):
        student = words.line(report.student)
        is_number = student.isascii() and student.isdigit()
        ids = [student, "", ""] if is_number else ["", "", inert(student)]
        rows.append([inert(student), *ids, "", points(report.score)])
    return _written(rows)


def render_moodle(reports: Sequence[Harmless]) -> str:
    """
    A grading worksheet of Moodle's, with what is wrong as a comment.

    Raises:
        UsageError: A student's name is no participant's number.
    """
    rows = [["Identifier", "Grade", "Maximum Grade", "Last modified (grade)", "Feedback comments"]]
    for report in _decided(reports):
        student = words.line(report.student)
        match = PARTICIPANT.fullmatch(student)
        if match is None:
            raise UsageError(
                f"Moodle knows participants by numbers, and {student!r} is none.",
                "Grade what Moodle lets you download, or use grader batch --fill.",
            )
        wrong = (
            f"{words.line(finding.name)}: {words.message(finding)}" for finding in report.findings if not finding.passed
        )
        comment = words.problem(report) or "; ".join(wrong)
        rows.append([f"Participant {match[1]}", points(report.score), points(report.max_score), "-", inert(comment)])
    return _written(rows)


def _decided(reports: Iterable[Harmless]) -> Iterable[Harmless]:
    return (report for report in reports if not report.is_undecided)


def _written(rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
