"""
How a class stands with an assignment: each student's attempts and mark, and who is stuck on which mistake.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import sqlalchemy as sa

from grader.portal.arrangements import Extension, extensions, held
from grader.portal.attempts import Attempt, attempts_of
from grader.portal.marks import Mark, mark_of
from grader.portal.people import Person, people
from grader.portal.readings import Reading
from grader.portal.served import Served
from grader.reports.reading import Finding
from grader.reports.words import VERDICTS, Verdict, clip

__all__ = ["Place", "Stuck", "StuckOn", "Totals", "places_of", "stuck_on", "totals_of"]

NOTHING = Extension()
MAX_MESSAGE = 300


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """
    How a student stands with an assignment.

    Attributes:
        attempts: In the order in which they arrived.
        is_held: Whether the result is withheld from this student; that it is withheld from all does not count.
    """

    person: Person
    attempts: Sequence[Attempt]
    mark: Mark | None
    extension: Extension
    is_held: bool

    @property
    def newest(self) -> Attempt | None:
        """The newest attempt."""
        return self.attempts[-1] if self.attempts else None

    @property
    def shown(self) -> Attempt | None:
        """The attempt that counts; if none does, the newest one that has a result."""
        if self.mark is not None:
            return self.mark.attempt
        return next((attempt for attempt in reversed(self.attempts) if attempt.result is not None), None)

    @property
    def failed(self) -> list[Attempt]:
        """The attempts at which the grader failed, and that do not wait to be graded again."""
        return [each for each in self.attempts if each.status == "grader_error" and each.state == "done"]

    def verdicts(self, readings: Mapping[str, Reading]) -> list[tuple[str, Verdict]]:
        """Each exercise of the shown attempt, with its verdict."""
        reading = readings.get(self.shown.result or "") if self.shown is not None else None
        return [] if reading is None else [(each.name, VERDICTS[each.outcome]) for each in reading.report.findings]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Stuck:
    """
    A student whose newest graded attempt has a mistake that the one before it had, too.

    Attributes:
        attempt: The newest graded one.
        since: When the first attempt of the unbroken run with this mistake arrived.
        tries: How many attempts the run has.
    """

    person: Person
    attempt: Attempt
    since: dt.datetime
    tries: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StuckOn:
    """A mistake, and who is stuck on it, the longest first."""

    exercise: str
    title: str
    message: str
    students: tuple[Stuck, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """A class in figures: `failed` is at how many attempts the grader failed; `mean` is None without marks."""

    students: int
    handed_in: int
    attempts: int
    waiting: int
    failed: int
    mean: float | None
    full: int


def places_of(connection: sa.Connection, served: Served, everybody: Iterable[Person] | None = None) -> list[Place]:
    """
    How each student of the course stands with an assignment, by name.

    Args:
        everybody: The active people, if they are known; or some of them.
    """
    chosen = [
        person
        for person in (people(connection, only_active=True) if everybody is None else everybody)
        if not person.is_staff
    ]
    alone = chosen[0].id if len(chosen) == 1 else None
    by_person = defaultdict[int, list[Attempt]](list)
    for attempt in attempts_of(connection, assignment=served.id, person=alone):
        by_person[attempt.person].append(attempt)
    granted = extensions(connection, served.id, alone)
    from_whom = held(connection, served.id)
    places = []
    for person in chosen:
        attempts, extension = by_person[person.id], granted.get(person.id, NOTHING)
        mark = mark_of(attempts, served.offer, extension)
        is_held = person.id in from_whom
        places.append(Place(person=person, attempts=attempts, mark=mark, extension=extension, is_held=is_held))
    return places


def totals_of(places: Sequence[Place]) -> Totals:
    """The figures of a class."""
    attempts = [attempt for place in places for attempt in place.attempts]
    marks = [place.mark for place in places if place.mark is not None]
    return Totals(
        students=len(places),
        handed_in=sum(bool(place.attempts) for place in places),
        attempts=len(attempts),
        waiting=sum(attempt.state != "done" for attempt in attempts),
        failed=sum(len(place.failed) for place in places),
        mean=statistics.fmean(mark.points for mark in marks) if marks else None,
        full=sum(mark.points >= mark.max_points for mark in marks),
    )


def stuck_on(places: Iterable[Place], readings: Mapping[str, Reading]) -> list[StuckOn]:
    """
    Who is stuck on which mistake, the mistake of most students first.

    Args:
        readings: The results of all attempts.
    """
    groups = defaultdict[tuple[str, str], list[tuple[Stuck, str]]](list)
    for place in places:
        graded = [attempt for attempt in place.attempts if attempt.is_graded and attempt.result in readings]
        for finding in readings[graded[-1].result or ""].report.findings if len(graded) > 1 else ():
            for diagnosis, message in _mistakes(finding).items():
                run = 0
                for attempt in reversed(graded):
                    if not _has(readings[attempt.result or ""], finding.name, diagnosis):
                        break
                    run += 1
                if run > 1:
                    stuck = Stuck(person=place.person, attempt=graded[-1], since=graded[-run].received_at, tries=run)
                    groups[finding.name, diagnosis].append((stuck, message))
    found = [
        StuckOn(
            exercise=exercise,
            title=diagnosis.replace("_", " ").capitalize(),
            message=clip(members[0][1], MAX_MESSAGE),
            students=tuple(sorted((stuck for stuck, _ in members), key=lambda stuck: (stuck.since, stuck.person.id))),
        )
        for (exercise, diagnosis), members in groups.items()
    ]
    return sorted(found, key=lambda each: (-len(each.students), each.exercise, each.title))


def _mistakes(finding: Finding) -> dict[str, str]:
    """The diagnoses of a wrong answer, with what was observed; the first one is what it most likely is."""
    if finding.passed is not False:
        return {}
    counting = finding.diagnoses if finding.parts else finding.diagnoses[:1]
    return {diagnosis.id: diagnosis.message for diagnosis in counting}


def _has(reading: Reading, exercise: str, diagnosis: str) -> bool:
    return any(each.name == exercise and diagnosis in _mistakes(each) for each in reading.report.findings)
