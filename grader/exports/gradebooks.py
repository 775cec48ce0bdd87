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
from grader.reports.cells import inert, points
from grader.reports.reading import Result

__all__ = ["render_canvas", "render_moodle"]

PARTICIPANT = re.compile(r"(?:Participant )?(\d+)")


def render_canvas(results: Sequence[Result]) -> str:
    """
    A gradebook of Canvas's with one assignment. Numbers are Canvas's ids, anything else is a login.

    Raises:
        UsageError: They are of several assignments: an empty cell would take a mark away.
    """
    titles = {result.title or result.assignment: result.max_score for result in results}
    if len(titles) != 1:
        raise UsageError(f"canvas takes one assignment, not {len(titles)}.", "Export each assignment by itself.")
    ((title, most),) = titles.items()
    rows = [
        ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", title],
        ["    Points Possible", "", "", "", "", points(most)],
    ]
    for result in _decided(results):
        is_number = result.student.isascii() and result.student.isdigit()
        ids = [result.student, "", ""] if is_number else ["", "", inert(result.student)]
        rows.append([inert(result.student), *ids, "", points(result.score)])
    return _written(rows)


def render_moodle(results: Sequence[Result]) -> str:
    """
    A grading worksheet of Moodle's, with what is wrong as a comment.

    Raises:
        UsageError: A student's name is no participant's number.
    """
    rows = [["Identifier", "Grade", "Maximum Grade", "Last modified (grade)", "Feedback comments"]]
    for result in _decided(results):
        match = PARTICIPANT.fullmatch(result.student)
        if match is None:
            raise UsageError(
                f"Moodle knows participants by numbers, and {result.student!r} is none.",
                "Grade what Moodle lets you download, or use grader batch --fill.",
            )
        wrong = (f"{finding.name}: {finding.message}" for finding in result.findings if not finding.passed)
        comment = result.problem or "; ".join(wrong)
        rows.append([f"Participant {match[1]}", points(result.score), points(result.max_score), "-", inert(comment)])
    return _written(rows)


def _decided(results: Iterable[Result]) -> Iterable[Result]:
    return (result for result in results if not result.is_undecided)


def _written(rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
