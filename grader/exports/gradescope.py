"""
Gradescope's `results.json`: each exercise is a test, with its points, its verdict, and the reason.

The total is at the top level, where Gradescope reads it. Text is sent as plain text, so nothing in it is markup. What
only the instructor may see is in `extra_data`, which students do not see. A hidden test would also hide the total, so
there is one only if the grader failed.

Gradescope has no release dates: what a report withholds appears when grades are published there. Until then, students
see what their copy of the report says, in tests without points.
"""

from __future__ import annotations

import json
from typing import Any

from grader.exports import words
from grader.exports.words import Harmless
from grader.reports.cells import amount
from grader.reports.json import SCHEMA
from grader.reports.reading import Finding
from grader.version import __version__

__all__ = ["render_failure", "render_gradescope"]

UNDECIDED = "This could not be graded. It is not your fault, and it costs you no points. Please tell your instructor."


def render_gradescope(report: Harmless, *, shown: Harmless | None = None) -> str:
    """
    Render one report.

    Args:
        report: The complete report.
        shown: The student's copy, if something is withheld until grades are published.
    """
    visibility = "after_published" if report.release else "visible"
    tests = [_test(number, finding, visibility) for number, finding in enumerate(report.findings, start=1)]
    if shown is not None:
        tests = [_line(number, finding) for number, finding in enumerate(shown.findings, start=1)] + tests
    if report.is_undecided:
        tests.append(_for_instructor("\n".join(words.notes(report)) or "The report does not say why."))
    verdicts = [finding.passed for finding in report.findings]
    summary = f"{verdicts.count(True)} of {len(verdicts)} exercises are right."
    if report.problem:
        summary = words.problem(report)
    elif report.is_undecided and all(verdict is None for verdict in verdicts):
        summary = UNDECIDED
    elif report.release:
        summary = "You will see your marks when they are published."
    if report.total is not None and not report.release:
        summary = f"{summary}\n{words.by_hand(report.total)}"
    return _written(
        {
            "score": amount(report.score),
            "execution_time": round((shown or report).seconds, 3),
            "output": summary,
            "output_format": "text",
            "test_output_format": "text",
            "test_name_format": "text",
            "visibility": "visible",
            "stdout_visibility": "hidden",
            "extra_data": {
                "schema": SCHEMA,
                "grader_version": __version__,
                "assignment": report.assignment_id,
                "assignment_version": report.version,
                "sha256": report.sha256,
                "outcomes": {words.line(finding.name): finding.outcome.value for finding in report.findings},
                "diagnoses": {words.line(finding.name): _ids(finding) for finding in report.findings},
                "flags": words.flags(report),
                "notes": words.notes(report),
                "sandbox": list(report.layers),
            },
            "tests": tests,
        }
    )


def render_failure(message: str) -> str:
    """
    Render a valid `results.json` for when there is no report.

    Args:
        message: What happened, for instructors only.
    """
    could_not = {"name": "Grading", "status": "failed", "output": UNDECIDED, "visibility": "visible"}
    return _written(
        {
            "score": 0,
            "output": UNDECIDED,
            "output_format": "text",
            "visibility": "visible",
            "stdout_visibility": "hidden",
            "extra_data": {"grader_version": __version__},
            "tests": [could_not, _for_instructor(message)],
        }
    )


def _line(number: int, finding: Finding) -> dict[str, Any]:
    """A test that shows what a student may know about an exercise before there are marks."""
    status = "failed" if finding.passed is False else "passed"
    output = UNDECIDED if finding.passed is None else words.full_text(finding)
    name = f"{words.title(finding)}, so far"
    return {"name": name, "number": f"0.{number}", "visibility": "visible", "status": status, "output": output}


def _test(number: int, finding: Finding, visibility: str) -> dict[str, Any]:
    test: dict[str, Any] = {"name": words.title(finding), "number": str(number), "visibility": visibility}
    if finding.passed is None:  # a test without points: it is shown, and changes no total
        return test | {"status": "failed", "output": UNDECIDED}
    return test | {
        "score": amount(finding.points),
        "max_score": amount(finding.max_points),
        "status": "passed" if finding.passed else "failed",
        "output": words.full_text(finding),
        "tags": [finding.outcome.value, *_ids(finding)],
    }


def _ids(finding: Finding) -> list[str]:
    return [diagnosis.id for diagnosis in finding.diagnoses]


def _for_instructor(message: str) -> dict[str, Any]:
    return {"name": "For the instructor", "status": "failed", "output": message, "visibility": "hidden"}


def _written(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=1, ensure_ascii=True, allow_nan=False) + "\n"
