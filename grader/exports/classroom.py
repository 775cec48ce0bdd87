"""
GitHub Classroom: one runner per exercise, for its grading reporter.

The reporter's table scores a runner by how many of its tests pass, the points it sends by the sum of theirs. With one
test to a runner the two agree. It reads `<RUNNER>_RESULTS` from the environment: so this is lines for `GITHUB_ENV`.
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
    `GRADER_RUNNERS=…`, the input `runners` of the reporter, and for each exercise what it is to report.

    A runner without points is left out of the totals: that is what becomes of an exercise that could not be graded.

    Raises:
        UsageError: Two exercises would share a variable, or one's name cannot be part of one.
    """
    names = [words.line(finding.name).upper() for finding in report.findings]
    if len(set(names)) < len(names) or not all(name.isascii() and name.isidentifier() for name in names):
        raise UsageError(
            f"The exercises of {report.assignment_id} cannot be runners: {', '.join(names)}.",
            "Give them names of letters, digits and underscores that differ in more than upper and lower case.",
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
