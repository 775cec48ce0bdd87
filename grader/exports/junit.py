"""
JUnit XML, as GitLab, Jenkins and the readers on GitHub understand it: an exercise is a test case.

GitLab shows the text within `failure`, others its `message`, so both say it. Of two cases with the same class and name
it would drop the second: the student is part of the class. What the grader failed at is an `error`, not a `failure`.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET  # only writes: nothing foreign is parsed
from collections.abc import Sequence

from grader.model import Outcome
from grader.reports.reading import Finding, Result

__all__ = ["render_junit"]

_ILLEGAL = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render_junit(results: Sequence[Result]) -> str:
    """A suite per report. Characters that XML 1.0 does not know are left out."""
    root = ET.Element("testsuites")
    for result in results:
        root.append(_suite(result))
    ET.indent(root)
    text = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'


def _suite(result: Result) -> ET.Element:
    outcomes = [finding.outcome for finding in result.findings]
    suite = ET.Element(
        "testsuite",
        name=_legal(f"{result.assignment}.{result.student}"),
        tests=str(len(outcomes)),
        failures=str(sum(outcome.passed is False for outcome in outcomes)),
        errors=str(outcomes.count(Outcome.GRADER_ERROR)),
        skipped=str(outcomes.count(Outcome.SKIPPED)),
        time=f"{result.seconds:.3f}",
    )
    for finding in result.findings:
        suite.append(_case(result, finding))
    return suite


def _case(result: Result, finding: Finding) -> ET.Element:
    case = ET.Element("testcase", classname=_legal(f"{result.assignment}.{result.student}"), name=_legal(finding.name))
    case.set("file", _legal(finding.place.file if finding.place else result.submission))
    if finding.place:
        case.set("line", str(finding.place.line))
    if finding.passed is not True:
        kinds = {Outcome.GRADER_ERROR: "error", Outcome.SKIPPED: "skipped"}
        verdict = ET.SubElement(case, kinds.get(finding.outcome, "failure"), message=_legal(finding.message))
        if verdict.tag != "skipped":
            verdict.set("type", finding.outcome.value)
        verdict.text = _legal(finding.text)
    return case


def _legal(text: str) -> str:
    return _ILLEGAL.sub("", text)
