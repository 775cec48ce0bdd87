"""
GitHub Classroom: a runner for each exercise, for Classroom's grading reporter.

The reporter's table shows how many tests of a runner pass; the points that it sends are the sum of the tests' points.
If each runner has one test, the two agree. The reporter reads `<RUNNER>_RESULTS` from the environment, so the result is
lines for `GITHUB_ENV`.
"""

from __future__ import annotations

import base64
import json

from grader.errors import UsageError
from grader.exports import words
from grader.exports.words import Harmless
from grader.reports.cells import amount
from grader.reports.reading import Finding

__all__ = ["render_classroom"]

STATUS = {True: "pass", False: "fail", None: "error"}


def render_classroom(report: Harmless) -> str:
    """
    Render `GRADER_RUNNERS=…`, for the reporter's input `runners`, and a line for each exercise.

    An exercise that could not be graded has no points, so the reporter leaves it out of the totals.

    Raises:
        UsageError: Two exercises would share an environment variable, or a name cannot be part of one.
    """
    names = [words.line(finding.name).upper() for finding in report.findings]
    if len(set(names)) < len(names) or not all(name.isascii() and name.isidentifier() for name in names):
        raise UsageError(
            f"The exercises of {report.assignment_id} cannot be runners: {', '.join(names)}.",
            "Use names of letters, digits and underscores that differ by more than upper and lower case.",
        )
    lines = [f"GRADER_RUNNERS={','.join(words.line(finding.name) for finding in report.findings)}"]
    lines += [
        f"{name}_RESULTS={_encoded(finding, report)}" for name, finding in zip(names, report.findings, strict=True)
    ]
    return "".join(f"{line}\n" for line in lines)


def _encoded(finding: Finding, report: Harmless) -> str:
    worth = amount(finding.max_points) if finding.passed is not None else 0
    status = STATUS[finding.passed]
    test = {
        "name": words.line(finding.name),
        "status": status,
        "score": amount(finding.points) if finding.passed is not None else 0,
        "message": "" if finding.passed else words.full_text(finding),
        "test_code": "",
        "filename": finding.place.file if finding.place else "",
        "line_no": finding.place.line if finding.place else 0,
        "duration": round(report.seconds * 1000 / max(1, len(report.findings))),
    }
    content = {"version": 1, "status": status, "max_score": worth, "tests": [test]}
    return base64.b64encode(json.dumps(content, ensure_ascii=True).encode()).decode()
