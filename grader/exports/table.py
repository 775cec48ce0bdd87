"""
CSV with a row for each exercise, for spreadsheets and data frames.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from grader.exports import words
from grader.exports.words import Harmless
from grader.reports.cells import inert, points

__all__ = ["render_csv"]

HEADING = ("student", "submission", "assignment", "exercise", "outcome", "points", "max_points", "diagnosis", "message")


def render_csv(reports: Sequence[Harmless]) -> str:
    """Render the table. Points have two decimals, or are empty if nothing could be decided. No cell is a formula."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADING)
    for report in reports:
        for finding in report.findings:
            row = (
                words.line(report.student),
                words.line(report.submission),
                report.assignment_id,
                words.line(finding.name),
                finding.outcome.value,
                points(finding.points) if finding.passed is not None else "",
                points(finding.max_points),
                " ".join(diagnosis.id for diagnosis in finding.diagnoses),
                words.message(finding),
            )
            writer.writerow([inert(cell) for cell in row])
    return text.getvalue()
