"""
GitHub: annotations at the student's lines, as workflow commands on stdout.

Of each kind GitHub keeps ten a step and drops the others without a word: so there is one for each exercise, and the
last one that fits says how many more there are. Student text stands in escaped messages only: no line of it is a line
of its own, where it could be a command.
"""

from __future__ import annotations

from collections.abc import Sequence

from grader.model import Outcome
from grader.reports.reading import Finding, Result

__all__ = ["LIMIT", "render_annotations"]

LIMIT = 10
OPEN = (Outcome.BLANK, Outcome.MISSING)


def render_annotations(results: Sequence[Result]) -> str:
    """Wrong exercises as errors, undecided ones and those still to do as warnings, and each total as a notice."""
    kinds: dict[str, list[str]] = {"error": [], "warning": [], "notice": []}
    for result in results:
        for finding in result.findings:
            if finding.passed is not True:
                is_wrong = finding.passed is False and finding.outcome not in OPEN
                kinds["error" if is_wrong else "warning"].append(_command(result, finding))
        told = "Some could not be graded: nothing was deducted for them. " if result.is_undecided else ""
        told += result.problem or result.marks
        kinds["notice"].append(f"title={_property(f'{result.assignment}, {result.student}')}::{_data(told)}")
    lines = []
    for kind, commands in kinds.items():
        shown = commands if len(commands) <= LIMIT else commands[: LIMIT - 1]
        lines += [f"::{kind} {command}" for command in shown]
        if len(commands) > LIMIT:
            lines.append(f"::{kind} title=And more::{len(commands) - len(shown)} more of these: see the summary.")
    return "".join(f"{line}\n" for line in lines)


def _command(result: Result, finding: Finding) -> str:
    properties = {"title": finding.title}
    if finding.place:
        properties = {"file": finding.place.file, "line": str(finding.place.line), **properties}
    else:
        properties["title"] = f"{result.submission}, {finding.title}"
    return ",".join(f"{key}={_property(value)}" for key, value in properties.items()) + f"::{_data(finding.text)}"


def _data(text: str) -> str:
    r"""
    A message. The older form of a command, `##[...]`, is one anywhere in a line.

    >>> _data("100%\n::error::x ##[error]y")
    '100%25%0A::error::x ## [error]y'
    """
    escaped = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return escaped.replace("##[", "## [")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
