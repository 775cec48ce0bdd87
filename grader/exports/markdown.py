"""
GitHub-flavoured Markdown, for the summary of a job: the table, the hints, and the training curve.

GitHub does not show embedded pictures, but it draws Mermaid charts, so the curve is one. Every character of foreign
text that could be markup is a character reference.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from grader.exports import words
from grader.exports.words import Harmless
from grader.reports.cells import amount
from grader.reports.reading import Finding
from grader.reports.words import VERDICTS

__all__ = ["MAX_BYTES", "render_markdown"]

MAX_BYTES = 900_000
"""If a summary has more than 1 MiB, GitHub shows none of it."""

_SIGNIFICANT = re.compile(r"[\\`*_{}\[\]()#+\-.!|~>$:@&<\"'=/^]")
MAX_POINTS = 60


def render_markdown(reports: Sequence[Harmless]) -> str:
    """Render a section for each report, for as many reports as there is room."""
    written: list[str] = []
    room = MAX_BYTES
    for number, report in enumerate(reports):
        section = _section(report)
        room -= len(section.encode("utf-8"))
        if room < 0:
            written.append(f"**There is no room for {len(reports) - number} more reports: see the files.**\n")
            break
        written.append(section)
    return "\n".join(written)


def _section(report: Harmless) -> str:
    heading = f"## {_plain(words.line(report.title) or report.assignment_id)}: {_plain(words.marks(report))}"
    lines = [heading, "", f"{_plain(words.line(report.submission))}", ""]
    if report.problem:
        return "\n".join([*lines, _plain(words.problem(report)), ""])
    if report.is_undecided:
        lines += ["**Not everything could be graded. That is not the student's fault, and costs no points.**", ""]
    lines += [_plain(words.by_hand(report.total)), ""] if report.total else []
    lines += ["| | exercise | points | |", "| --- | --- | ---: | --- |"]
    lines += [_row(finding, report) for finding in report.findings]
    hints = [line for finding in report.findings for line in _details(finding)]
    if hints:
        lines += ["", *hints]
    return "\n".join([*lines, "", *_curve(report)])


def _row(finding: Finding, report: Harmless) -> str:
    verdict = VERDICTS[finding.outcome]
    has_points = finding.passed is not None and report.gives_marks
    points = f"{amount(finding.points)} / {amount(finding.max_points)}" if has_points else "–"
    message = _plain(words.message(finding))
    if finding.place and not finding.passed:
        message += f" ({_plain(finding.place.file)}, line {finding.place.line})"
    return f"| {verdict.symbol} {verdict.word} | {_plain(words.line(finding.name))} | {points} | {message} |"


def _details(finding: Finding) -> list[str]:
    details = "<br>".join(map(_plain, words.details(finding)))
    if not details:
        return []
    return [
        f"<details><summary>{_plain(words.line(finding.name))}: a hint</summary>",
        "",
        details,
        "",
        "</details>",
        "",
    ]


def _curve(report: Harmless) -> list[str]:
    """A chart of the losses with autograd's gradients and with the student's, until one of them is not finite."""
    if report.losses is None:
        return []
    reference, student = ([*losses[:MAX_POINTS]] for losses in report.losses)
    pairs = []
    for right, theirs in zip(reference, student, strict=False):
        if right is None or theirs is None or not abs(theirs) < 1e6:
            break
        pairs.append((right, theirs))
    if len(pairs) < 2:
        return []
    values = [f"[{', '.join(f'{pair[side]:.6g}' for pair in pairs)}]" for side in (0, 1)]
    return [
        "Training a network with these gradients (green) and with autograd's (grey): the loss, step by step.",
        "",
        "```mermaid",
        '%%{init: {"themeVariables": {"xyChart": {"plotColorPalette": "#8a8a8a, #1a7f37"}}}}%%',
        "xychart-beta",
        f'  x-axis "step" 0 --> {len(pairs) - 1}',
        '  y-axis "loss"',
        f"  line {values[0]}",
        f"  line {values[1]}",
        "```",
        "",
    ]


def _plain(text: str) -> str:
    r"""
    Escape text so that nothing in it is markup, on one line.

    >>> _plain("a|b\n<b>")
    'a&#124;b<br>&#60;b&#62;'
    """
    escaped = _SIGNIFICANT.sub(lambda match: f"&#{ord(match[0])};", text)
    return escaped.replace("\n", "<br>")
