"""
One student at one assignment: attempts, adjustments, an extension, and whether the result is withheld.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping

import sqlalchemy as sa
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.responses import Response

from grader.classroom.decisions import Proposal, decide_in, decisions_of, withdraw_in
from grader.classroom.records import Owner
from grader.errors import UsageError
from grader.model import Adjustment
from grader.portal.access import Access, accesses
from grader.portal.arrangements import Extension, extend, held, hold, let_go
from grader.portal.attempts import places_in_queue
from grader.portal.audit import note
from grader.portal.classbook import Place, places_of
from grader.portal.marks import due_for, lateness, points_of
from grader.portal.people import PLATFORM, Person
from grader.portal.served import Served
from grader.portal.web.staff.forms import done, field, offered, person_for, said, told
from grader.portal.web.visit import Visit
from grader.visibility import read_moment

__all__ = ["act", "student"]

MOST_EXTRA = 1_000


def student(visit: Visit, *, problem: str = "", status: int = 200, filled: Mapping[str, str] | None = None) -> Response:
    """Everything about a student at an assignment."""
    served, person = offered(visit), person_for(visit)
    with visit.portal.begin() as connection:
        place = _place(connection, served, person)
        readings = visit.portal.readings.of(connection, [place.shown.result] if place.shown else [])
        decisions = decisions_of(connection, Owner(PLATFORM, person.student), served.id)
        from_whom = held(connection, served.id)
        queue = places_in_queue(connection, visit.portal.served)
        access = accesses(connection, visit.now).get(person.id, Access())
    reading = readings.get(place.shown.result or "") if place.shown else None
    return visit.render(
        "staff/student.html.jinja",
        status=status,
        served=served,
        person=person,
        place=place,
        findings=reading.report.findings if reading else (),
        verdicts=dict(place.verdicts(readings)),
        decisions=decisions,
        is_held_from_all=None in from_whom,
        due=due_for(served.offer, place.extension),
        late={attempt.id: lateness(attempt, served.offer, place.extension) for attempt in place.attempts},
        marks={a.id: points_of(a, served.offer, place.extension) for a in place.attempts if a.is_graded},
        granted=_in_zone_of_course(place.extension.due, served),
        offset=_offset(served.offer.due or visit.now),
        queue=queue,
        access=access,
        filled=filled or {},
        said=said(visit),
        problem=problem,
    )


def act(visit: Visit, form: FormData) -> Response:
    """Do what one of the forms of the page says."""
    served, person = offered(visit), person_for(visit)
    actions: dict[str, Callable[[Visit, Served, Person, FormData], tuple[str, int]]] = {
        "extend": _extend,
        "adjust": _adjust,
        "withdraw": _withdraw,
        "hold": _hold,
        "release": _release,
        "again": _again,
    }
    action = actions.get(field(form, "do"))
    if action is None:
        raise HTTPException(400, "The form does not say what to do.")
    try:
        what, number = action(visit, served, person, form)
    except UsageError as error:
        filled = {name: value for name, value in form.items() if isinstance(value, str)}
        return student(visit, problem=told(error), status=409, filled=filled)
    visit.portal.tell(person.id)
    return done(f"/class/{served.id}/{person.id}", what, number)


def _extend(visit: Visit, served: Served, person: Person, form: FormData) -> tuple[str, int]:
    day, offset, more = field(form, "due"), field(form, "offset"), field(form, "attempts") or "0"
    due = read_moment(f"{day}{offset or 'Z'}") if day else None
    if due is not None and served.offer.due is not None and due <= served.offer.due:
        raise UsageError("That is not later than the due date of the class.")
    if not (more.isascii() and more.isdigit() and int(more) <= MOST_EXTRA):
        raise UsageError(f"The number of more attempts must be between 0 and {MOST_EXTRA:,}.")
    extension = Extension(due, int(more))
    with visit.portal.begin() as connection:
        extend(connection, person, served.id, extension, by=visit.staff.student, now=visit.now)
    return ("unextended" if extension == Extension() else "extended"), 0


def _adjust(visit: Visit, served: Served, person: Person, form: FormData) -> tuple[str, int]:
    text, reason = field(form, "points").replace(",", "."), field(form, "reason")
    try:
        points = float(text) if text else None
    except ValueError as error:
        raise UsageError(f"{text!r} is not a number of points.") from error
    if not reason:
        raise UsageError("Give a reason: the student reads it.")
    adjustment = Adjustment(
        exercise=field(form, "exercise"), points=points, comment=field(form, "comment"), reason=reason
    )
    proposal = Proposal(student=person.student, adjustment=adjustment, by=visit.staff.student, platform=PLATFORM)
    with visit.portal.begin() as connection:
        if all(attempt.result is None for attempt in _place(connection, served, person).attempts):
            raise UsageError("There is no result yet that could be adjusted.")
        made = decide_in(connection, [proposal], assignment_id=served.id)[0]
        given = "a comment" if points is None else f"{points:g} points"
        about = f"{person.student}, {served.id}, {adjustment.exercise or 'total'}: {given} (number {made.number})"
        note(connection, by=visit.staff.student, what="adjustment", about=about, now=visit.now)
    return "adjusted", visit.site.dispatcher.refresh(served)


def _withdraw(visit: Visit, served: Served, person: Person, form: FormData) -> tuple[str, int]:
    number, reason = field(form, "number"), field(form, "reason")
    if not reason:
        raise UsageError("Give a reason: the gradebook keeps it.")
    with visit.portal.begin() as connection:
        theirs = decisions_of(connection, Owner(PLATFORM, person.student), served.id)
        if number not in {str(each.number) for each in theirs if not each.withdrawn}:
            raise UsageError("This adjustment does not count any more.")
        withdraw_in(connection, int(number), by=visit.staff.student, reason=reason)
        about = f"{person.student}, {served.id}: number {number}"
        note(connection, by=visit.staff.student, what="withdrawal", about=about, now=visit.now)
    return "withdrawn", visit.site.dispatcher.refresh(served)


def _hold(visit: Visit, served: Served, person: Person, _: FormData) -> tuple[str, int]:
    with visit.portal.begin() as connection:
        hold(connection, served.id, person, by=visit.staff.student, now=visit.now)
    return "hold-one", 0


def _release(visit: Visit, served: Served, person: Person, _: FormData) -> tuple[str, int]:
    with visit.portal.begin() as connection:
        let_go(connection, served.id, person, by=visit.staff.student, now=visit.now)
    return "release-one", 0


def _again(visit: Visit, served: Served, person: Person, _: FormData) -> tuple[str, int]:
    with visit.portal.begin() as connection:
        failed = _place(connection, served, person).failed
        number = visit.site.dispatcher.execute_again(connection, served, failed)
        about = f"{served.id}, {person.student}: {number} attempts at which the grader failed"
        note(connection, by=visit.staff.student, what="judge again", about=about, now=visit.now)
    visit.site.dispatcher.wake()
    return "again", number


def _place(connection: sa.Connection, served: Served, person: Person) -> Place:
    """
    Where a student stands.

    Raises:
        HTTPException: The person is staff.
    """
    found = places_of(connection, served, [person])
    if not found:
        raise HTTPException(404)
    return found[0]


def _in_zone_of_course(moment: dt.datetime | None, served: Served) -> str:
    """A moment as an input for moments has it, with the offset that the course uses."""
    if moment is None:
        return ""
    zone = served.offer.due.tzinfo if served.offer.due is not None else dt.timezone.utc
    return moment.astimezone(zone).strftime("%Y-%m-%dT%H:%M")


def _offset(moment: dt.datetime) -> str:
    """The offset from UTC of a moment, such as `+01:00`."""
    text = moment.isoformat()
    return text[-6:] if re.fullmatch(r"[+-]\d\d:\d\d", text[-6:]) else "+00:00"
