"""
JUnit XML, as GitLab, Jenkins and readers on GitHub understand it: each exercise is a test case.

GitLab shows the text inside `failure`, others show its `message`, so both are there. GitLab drops the second of two
cases with the same class and name, so the student is part of the class. If the grader failed, that is an `error`, not a
`failure`.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET  # only writes: nothing foreign is parsed
from collections.abc import Sequence

from grader.exports import words
from grader.exports.words import Harmless
from grader.model import Outcome
from grader.reports.reading import Finding

__all__ = ["render_junit"]

_ILLEGAL = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render_junit(reports: Sequence[Harmless]) -> str:
    """Render a suite for each report. Characters that XML 1.0 does not allow are left out."""
    root = ET.Element("testsuites")
    for report in reports:
        root.append(_suite(report))
    ET.indent(root)
    text = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'


def _suite(report: Harmless) -> ET.Element:
    outcomes = [finding.outcome for finding in report.findings]
    verdicts = [outcome.passed for outcome in outcomes]
    suite = ET.Element(
        "testsuite",
        name=_legal(f"{report.assignment_id}.{words.line(report.student)}"),
        tests=str(len(outcomes)),
        failures=str(verdicts.count(False)),
        errors=str(outcomes.count(Outcome.GRADER_ERROR)),
        skipped=str(outcomes.count(Outcome.SKIPPED)),
        time=f"{report.seconds:.3f}",
    )
    for finding in report.findings:
        suite.append(_case(report, finding))
    return suite


def _case(report: Harmless, finding: Finding) -> ET.Element:
    case = ET.Element(
        "testcase",
        classname=_legal(f"{report.assignment_id}.{words.line(report.student)}"),
        name=_legal(words.line(finding.name)),
    )
    case.set("file", _legal(finding.place.file if finding.place else words.line(report.submission)))
    if finding.place:
        case.set("line", str(finding.place.line))
    if finding.passed is not True:
        kinds = {Outcome.GRADER_ERROR: "error", Outcome.SKIPPED: "skipped"}
        verdict = ET.SubElement(case, kinds.get(finding.outcome, "failure"), message=_legal(words.message(finding)))
        if verdict.tag != "skipped":
            verdict.set("type", finding.outcome.value)
        verdict.text = _legal(words.full_text(finding))
    return case


def _legal(text: str) -> str:
    return _ILLEGAL.sub("", text)
