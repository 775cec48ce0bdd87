"""
GitLab: the Code Quality report, which a merge request shows at the lines that it changes.

Severities say what to look at first; GitLab wants a path and a line for each, so what has no place is at line 1.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from grader.model import Outcome
from grader.reports.reading import Finding, Result

__all__ = ["render_code_quality"]

SEVERITIES = {Outcome.BLANK: "info", Outcome.MISSING: "info", Outcome.GRADER_ERROR: "info", Outcome.SKIPPED: "info"}


def render_code_quality(results: Sequence[Result]) -> str:
    """What is not right yet, as a list."""
    issues = [
        _issue(result, finding) for result in results for finding in result.findings if finding.passed is not True
    ]
    return json.dumps(issues, indent=1, ensure_ascii=True) + "\n"


def _issue(result: Result, finding: Finding) -> dict[str, Any]:
    # The same mistake keeps its fingerprint when lines move, and so is told as old.
    identity = f"{result.assignment}/{result.student}/{finding.name}/{finding.outcome.value}"
    return {
        "type": "issue",
        "check_name": finding.outcome.value,
        "description": f"{finding.name}: {' '.join(finding.text.split())}",
        "categories": ["Bug Risk"],
        "severity": SEVERITIES.get(finding.outcome, "major"),
        "fingerprint": hashlib.sha256(identity.encode()).hexdigest(),
        "location": {
            "path": finding.place.file if finding.place else result.submission,
            "lines": {"begin": finding.place.line if finding.place else 1},
        },
    }
