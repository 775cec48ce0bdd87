"""
Gradebooks that Canvas and Moodle import, with a row for each student.

A student who could not be graded has no row, so the import does not change the student's mark. Both platforms find
students by their own ids, by which reports are named if the submissions came from there. `grader batch --fill` is
safer: it fills in the platform's own export, which already has the names and the column.
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
    Render a gradebook for Canvas with one assignment. A student who is a number is found by id, others by login.

    Raises:
        UsageError: The reports belong to several assignments: an empty cell would delete a mark.
    """
    titles = {words.line(report.title) or report.assignment_id: report.max_score for report in reports}
    if len(titles) != 1:
        raise UsageError(f"canvas takes one assignment, not {len(titles)}.", "Export each assignment separately.")
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
    Render a grading worksheet for Moodle. The comments say what is wrong.

    Raises:
        UsageError: A student is not named by a participant's number.
    """
    rows = [["Identifier", "Grade", "Maximum Grade", "Last modified (grade)", "Feedback comments"]]
    for report in _decided(reports):
        student = words.line(report.student)
        match = PARTICIPANT.fullmatch(student)
        if match is None:
            raise UsageError(
                f"Moodle identifies participants by numbers, and {student!r} is not a number.",
                "Grade a download from Moodle, or use grader batch --fill.",
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
