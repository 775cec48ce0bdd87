"""
GitLab: the Code Quality report, which a merge request shows at the lines that it changes.

Severities say what to look at first. GitLab requires a path and a line, so an exercise without a place is at line 1.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from grader.exports import words
from grader.exports.words import Harmless
from grader.model import Outcome
from grader.reports.reading import Finding

__all__ = ["render_code_quality"]

SEVERITIES = {Outcome.BLANK: "info", Outcome.MISSING: "info", Outcome.GRADER_ERROR: "info", Outcome.SKIPPED: "info"}


def render_code_quality(reports: Sequence[Harmless]) -> str:
    """Render a list of the exercises that are not right yet."""
    issues = [
        _issue(report, finding) for report in reports for finding in report.findings if finding.passed is not True
    ]
    return json.dumps(issues, indent=1, ensure_ascii=True) + "\n"


def _issue(report: Harmless, finding: Finding) -> dict[str, Any]:
    name = words.line(finding.name)
    # A mistake keeps its fingerprint when lines move, so GitLab does not report it as new.
    identity = f"{report.assignment_id}/{words.line(report.student)}/{name}/{finding.outcome.value}"
    return {
        "type": "issue",
        "check_name": finding.outcome.value,
        "description": f"{name}: {' '.join(words.full_text(finding).split())}",
        "categories": ["Bug Risk"],
        "severity": SEVERITIES.get(finding.outcome, "major"),
        "fingerprint": hashlib.sha256(identity.encode()).hexdigest(),
        "location": {
            "path": finding.place.file if finding.place else words.line(report.submission),
            "lines": {"begin": finding.place.line if finding.place else 1},
        },
    }
