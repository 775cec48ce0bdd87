"""
Results as students and instructors may see them.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Iterator

import sqlalchemy as sa

from grader.classroom.gradebook import Gradebook
from grader.portal.arrangements import held
from grader.portal.attempts import Attempt
from grader.portal.people import Person
from grader.reports.reading import Finding, ReadReport, parse_report
from grader.reports.words import VERDICTS, Verdict, clip

__all__ = ["Change", "Result", "changes_since", "is_held", "result_for"]

LINE_LIMIT = 300


@dataclasses.dataclass(frozen=True, slots=True)
class Result:
    """
    The result of an attempt, as one person may see it.

    Attributes:
        page: The report's HTML.
        text: The report's JSON.
    """

    report: ReadReport
    page: bytes = dataclasses.field(repr=False)
    text: str = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """
    An exercise in two attempts.

    Attributes:
        before: The verdict of the earlier attempt; None if there is none.
        kind: `better`, `worse` or `same`.
        message: Points that were given by hand, and what was observed this time if the gradient is not right.
    """

    name: str
    before: Verdict | None
    now: Verdict
    kind: str
    points: float
    max_points: float
    message: str


def is_held(connection: sa.Connection, attempt: Attempt) -> bool:
    """Whether an instructor withholds the result from the student."""
    from_whom = held(connection, attempt.assignment)
    return None in from_whom or attempt.person in from_whom


def result_for(
    gradebook: Gradebook, attempt: Attempt, person: Person, *, withheld: bool, is_released: bool
) -> Result | None:
    """
    The result of an attempt, for its student or for an instructor; None if there is none for them to see.

    Args:
        is_released: Whether students may see everything by now. If the release date was moved into the future, what was
            judged before has no student's copy; until it is judged again, they see none.
    """
    if attempt.result is None or (withheld and not person.is_staff):
        return None
    graded = gradebook.find(attempt.result)
    if graded is None or not (graded.shown_report or person.is_staff or is_released):
        return None
    is_cut = bool(graded.shown_report) and not person.is_staff
    text, page = (graded.shown_report, graded.shown_page) if is_cut else (graded.report, graded.page)
    return Result(parse_report(text), zlib.decompress(page), text)


def changes_since(before: ReadReport | None, now: ReadReport) -> list[Change]:
    """What each exercise of an attempt shows, and how that differs from the attempt before it."""
    earlier = {finding.name: finding for finding in before.findings} if before is not None else {}
    return [_change(earlier.get(finding.name), finding) for finding in now.findings]


def _change(before: Finding | None, now: Finding) -> Change:
    kind = "same"
    if before is not None and bool(before.passed) != bool(now.passed):
        kind = "better" if now.passed else "worse"
    return Change(
        name=now.name,
        before=None if before is None else VERDICTS[before.outcome],
        now=VERDICTS[now.outcome],
        kind=kind,
        points=now.points,
        max_points=now.max_points,
        message=clip(" ".join(_sentences(now)), LINE_LIMIT),
    )


def _sentences(now: Finding) -> Iterator[str]:
    if now.is_adjusted:
        yield f"{now.points:g} of {now.max_points:g} points were given by hand."
    if not now.passed:
        yield now.diagnoses[0].message if now.diagnoses else now.message
