"""
GitHub: annotations at the student's lines, as workflow commands for stdout.

GitHub keeps ten annotations of each kind per step, and drops the others silently. So there is one for each exercise,
and the last one that fits says how many more there are. Text of a student's appears only in escaped messages, never on
a line of its own, where it could be a command.
"""

from __future__ import annotations

from collections.abc import Sequence

from grader.exports import words
from grader.exports.words import Harmless
from grader.model import Outcome
from grader.reports.reading import Finding

__all__ = ["LIMIT", "render_annotations"]

LIMIT = 10
OPEN = (Outcome.BLANK, Outcome.MISSING)


def render_annotations(reports: Sequence[Harmless]) -> str:
    """Render wrong exercises as errors, blank and undecided ones as warnings, and the totals as notices."""
    kinds: dict[str, list[str]] = {"error": [], "warning": [], "notice": []}
    for report in reports:
        for finding in report.findings:
            if finding.passed is not True:
                is_wrong = finding.passed is False and finding.outcome not in OPEN
                kinds["error" if is_wrong else "warning"].append(_command(report, finding))
        undecided = "Some exercises could not be graded, which costs no points. " if report.is_undecided else ""
        total = _data(undecided + (words.problem(report) or words.marks(report)))
        kinds["notice"].append(f"title={_property(f'{report.assignment_id}, {words.line(report.student)}')}::{total}")
    lines = []
    for kind, commands in kinds.items():
        shown = commands if len(commands) <= LIMIT else commands[: LIMIT - 1]
        lines += [f"::{kind} {command}" for command in shown]
        if len(commands) > LIMIT:
            lines.append(f"::{kind} title=And more::{len(commands) - len(shown)} more of these are in the summary.")
    return "".join(f"{line}\n" for line in lines)


def _command(report: Harmless, finding: Finding) -> str:
    properties = {"title": words.title(finding)}
    if finding.place:
        properties = {"file": finding.place.file, "line": str(finding.place.line), **properties}
    else:
        properties["title"] = f"{words.line(report.submission)}, {words.title(finding)}"
    return (
        ",".join(f"{key}={_property(value)}" for key, value in properties.items())
        + f"::{_data(words.full_text(finding))}"
    )


def _data(text: str) -> str:
    r"""
    Escape a message. The older form of a command, `##[...]`, works anywhere in a line, so it is broken up.

    >>> _data("100%\n::error::x ##[error]y")
    '100%25%0A::error::x ## [error]y'
    """
    escaped = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return escaped.replace("##[", "## [")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
