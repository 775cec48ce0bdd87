"""
CSV, a row per exercise: for spreadsheets and data frames.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from grader.reports.cells import inert, points
from grader.reports.reading import Result

__all__ = ["render_csv"]

HEADING = ("student", "submission", "assignment", "exercise", "outcome", "points", "max_points", "diagnosis", "message")


def render_csv(results: Sequence[Result]) -> str:
    """Points with two decimals, and none where nothing could be decided. No cell is a formula."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADING)
    for result in results:
        for finding in result.findings:
            row = (
                result.student,
                result.submission,
                result.assignment,
                finding.name,
                finding.outcome.value,
                points(finding.points) if finding.passed is not None else "",
                points(finding.max_points),
                " ".join(finding.diagnoses),
                finding.message,
            )
            writer.writerow([inert(cell) for cell in row])
    return text.getvalue()
