"""
Classroom 50's `result.json`: each exercise is a test, with its points, its verdict, and the reason.

Classroom 50 takes only whole numbers. So if an assignment has fractions of points, all of its points are in hundredths.
What Classroom 50 overwrites (who handed in, and when) is left out. Variables, with which it runs an autograder, say
whose result it expects.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from typing import Any

from grader.errors import UsageError
from grader.exports import words
from grader.exports.words import Harmless
from grader.reports.reading import Finding

__all__ = ["render_classroom50"]

SCHEMA = "classroom50/result/v1"
VARIABLES = {
    "classroom": "CLASSROOM",
    "assignment": "ASSIGNMENT",
    "submission": "SUBMISSION_TAG",
    "commit": "COMMIT_URL",
    "release": "RELEASE_URL",
    "review": "REVIEW_URL",
}
"""The field for each variable."""

TAG = "submit/"
HUNDREDTHS = 100
STATUS = {True: "pass", False: "fail", None: "error"}


def render_classroom50(report: Harmless, variables: Mapping[str, str] | None = None) -> str:
    """
    Render one report.

    Each test has a `status`, too: `error` means that the exercise could not be graded. Then the result must not count,
    and whoever writes it has to report `status=error` to Classroom 50.

    Args:
        variables: Those that say whose result it is. [default: the environment]

    Raises:
        UsageError: One of the variables is missing, or Classroom 50 would not take its value.
    """
    identity = _identity(os.environ if variables is None else variables)
    factor = _factor(report)
    tests = [_test(finding, factor) for finding in report.findings]
    most = _whole(sum(finding.max_points for finding in report.findings), factor)
    content = {
        "schema": SCHEMA,
        **identity,
        "score": min(_whole(report.score, factor), most),
        "max-score": most,
        "tests": tests,
    }
    return json.dumps(content, indent=1, ensure_ascii=True, allow_nan=False) + "\n"


def _identity(variables: Mapping[str, str]) -> dict[str, str]:
    missing = [name for name in VARIABLES.values() if not variables.get(name)]
    if missing:
        raise UsageError(
            f"classroom50 takes whose result it is from variables, and there is no {', '.join(missing)}.",
            "Run it where Classroom 50 runs autograders: ci/classroom50/autograder.py does so.",
        )
    identity = {field: variables[name] for field, name in VARIABLES.items()}
    if not identity["submission"].startswith(TAG):
        raise UsageError(
            f"SUBMISSION_TAG is {identity['submission']!r}, which is no tag of a submission.",
            f"Classroom 50's tags begin with {TAG}.",
        )
    return identity


def _factor(report: Harmless) -> int:
    """What points are multiplied by: it depends on the assignment alone, so it is the same for all of its students."""
    points = [each for finding in report.findings for each in finding.shares or (finding.max_points,)]
    return 1 if all(each == int(each) for each in points) else HUNDREDTHS


def _test(finding: Finding, factor: int) -> dict[str, Any]:
    most = _whole(finding.max_points, factor)
    return {
        "test-name": words.line(finding.name),
        "passed": finding.passed is True,
        "score": min(_whole(finding.points, factor), most) if finding.passed is not None else 0,
        "max-score": most,
        "status": STATUS[finding.passed],
        "message": words.full_text(finding),
    }


def _whole(points: float, factor: int) -> int:
    """
    Points as a whole number, rounded half up, without the error of binary fractions.

    >>> _whole(2.675, 100), _whole(7.0, 1)
    (268, 7)
    """
    return math.floor(round(points * factor, 6) + 0.5)
