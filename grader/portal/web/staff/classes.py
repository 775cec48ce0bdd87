"""
The class: all assignments, and one assignment with who is stuck and where everybody stands.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from urllib.parse import quote

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.responses import Response

from grader.classroom.groups import Group, Tags, clusters
from grader.errors import GraderError, UsageError
from grader.portal.arrangements import held, hold, let_go
from grader.portal.attempts import places_in_queue
from grader.portal.audit import note
from grader.portal.bundle import entries_of
from grader.portal.classbook import Place, Totals, places_of, stuck_on, totals_of
from grader.portal.naming import Naming, name_mistake, source_to_write
from grader.portal.people import people
from grader.portal.readings import Reading
from grader.portal.served import Served
from grader.portal.web.staff.forms import done, field, offered, said, told
from grader.portal.web.visit import Visit
from grader.visibility import release_ahead

__all__ = ["act", "act_on_mistake", "act_on_sources", "classes", "mistake", "one_class"]


FILTERS = {
    "": "everybody",
    "nothing": "who have handed in nothing",
    "stuck": "who are stuck",
    "waiting": "who wait for a result",
    "late": "whose mark is late",
    "arranged": "with an extension, or withheld",
    "failed": "at whose attempts the grader failed",
}
"""Which students the table can show."""


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    """A line of the table of all assignments."""

    served: Served
    totals: Totals
    is_held: bool


def classes(visit: Visit, *, problem: str = "", status: int = 200) -> Response:
    """All assignments, with their figures."""
    with visit.portal.begin() as connection:
        everybody = people(connection, only_active=True)
        lines = [
            Line(served, totals_of(places_of(connection, served, everybody)), None in held(connection, served.id))
            for served in visit.portal.served.values()
        ]
    return visit.render("staff/classes.html.jinja", status=status, lines=lines, said=said(visit), problem=problem)


def act_on_sources(visit: Visit, _: FormData) -> Response:
    """Read the source notebooks again, and judge again what depends on them."""
    try:
        changed, number = _reload(visit)
    except GraderError as error:
        return classes(visit, problem=f"Nothing was changed. {told(error)}", status=409)
    return done("/class", "reloaded" if changed else "unchanged", number)


def one_class(visit: Visit, *, problem: str = "", status: int = 200) -> Response:
    """An assignment: who is stuck, which wrong answers are shared, and where everybody stands."""
    served = offered(visit)
    with visit.portal.begin() as connection:
        places = places_of(connection, served)
        attempts = [attempt for place in places for attempt in place.attempts]
        readings = visit.portal.readings.of(connection, (attempt.result for attempt in attempts))
        is_held = None in held(connection, served.id)
        queue = places_in_queue(connection, visit.portal.served)
    stuck = stuck_on(places, readings)
    show = visit.request.query_params.get("show", "")
    ids = {each.person.id for group in stuck for each in group.students}
    return visit.render(
        "staff/class.html.jinja",
        status=status,
        served=served,
        listed=[place for place in places if _is_listed(place, show, ids)],
        filters=FILTERS.items(),
        show=show,
        totals=totals_of(places),
        stuck=stuck,
        shared=_shared(served, places, readings),
        readings=readings,
        exercises=[exercise.name for exercise in served.assignment.exercises],
        is_held=is_held,
        shown_from=release_ahead(served.visibility, visit.now),
        queue=queue,
        said=said(visit),
        problem=problem,
    )


def act(visit: Visit, form: FormData) -> Response:
    """Withhold or release the results of the class; or execute again what the grader failed at."""
    served, by, what = offered(visit), visit.staff.student, field(form, "do")
    where = f"/class/{served.id}"
    if what == "again":
        with visit.portal.begin() as connection:
            failed = [attempt for place in places_of(connection, served) for attempt in place.failed]
            number = visit.site.dispatcher.execute_again(connection, served, failed)
            about = f"{served.id}, everybody: {number} attempts at which the grader failed"
            note(connection, by=by, what="judge again", about=about, now=visit.now)
        visit.site.dispatcher.wake()
        visit.portal.tell(*{attempt.person for attempt in failed})
        return done(where, "again", number)
    if what not in ("hold", "release"):
        raise HTTPException(400, "The form does not say what to do.")
    with visit.portal.begin() as connection:
        arrange = hold if what == "hold" else let_go
        arrange(connection, served.id, None, by=by, now=visit.now)
        everybody = people(connection, only_active=True)
    visit.portal.tell(*(person.id for person in everybody))
    return done(where, what)


def mistake(visit: Visit, *, problem: str = "", status: int = 200, filled: Mapping[str, str] | None = None) -> Response:
    """A wrong answer that students share, and how to name the mistake in it."""
    served = offered(visit)
    group, names = _group(visit, served)
    path = source_to_write(visit.portal, served)
    return visit.render(
        "staff/mistake.html.jinja",
        status=status,
        served=served,
        group=group,
        names=names,
        file=path.name if path else "",
        filled=filled or {},
        said=said(visit),
        problem=problem,
    )


def act_on_mistake(visit: Visit, form: FormData) -> Response:
    """Name the mistake in the source notebook, or read the notebook again after it was named there."""
    served = offered(visit)
    exercise, fingerprint = visit.request.path_params["exercise"], visit.request.path_params["fingerprint"]
    texts = {name: field(form, name) for name in ("id", "observation", "hint1", "hint2", "hint3")}
    is_named = field(form, "do") == "name"
    try:
        if is_named:
            _group(visit, served)  # or there is no such answer
            hints = tuple(filter(None, (texts["hint1"], texts["hint2"], texts["hint3"])))
            naming = Naming(
                exercise=exercise,
                fingerprint=fingerprint,
                id=texts["id"],
                observation=texts["observation"],
                hints=hints,
            )
            name_mistake(visit.portal, served, naming)
            with visit.portal.begin() as connection:
                about = f"{served.id}, {exercise}: {naming.id}"
                note(connection, by=visit.staff.student, what="mistake", about=about, now=visit.now)
    except UsageError as error:
        return mistake(visit, problem=f"Nothing was changed. {told(error)}", status=409, filled=texts)
    try:
        changed, number = _reload(visit)
    except GraderError as error:
        before = "The cell is in the source notebook, but nothing" if is_named else "Nothing"
        return mistake(visit, problem=f"{before} was read again. {told(error)}", status=409, filled=texts)
    what = "unchanged" if not changed else "named" if is_named else "reloaded"
    return done(f"/class/{served.id}", what, number)


def _is_listed(place: Place, show: str, stuck: Collection[int]) -> bool:
    """Whether the table of students shows this one."""
    shown = {
        "nothing": not place.attempts,
        "stuck": place.person.id in stuck,
        "waiting": any(attempt.state != "done" for attempt in place.attempts),
        "late": place.mark is not None and bool(place.mark.late),
        "arranged": place.is_held or place.extension.due is not None or place.extension.attempts > 0,
        "failed": bool(place.failed),
    }
    return shown.get(show, True)


def _reload(visit: Visit) -> tuple[list[Served], int]:
    """Read the source notebooks again. Returns what changed, and how many attempts are judged again."""
    changed = visit.portal.reload()
    number = sum(visit.site.dispatcher.refresh(served) for served in changed)
    if changed:
        about = f"{', '.join(served.source.name for served in changed)}: {number} attempts are judged again"
        with visit.portal.begin() as connection:
            note(connection, by=visit.staff.student, what="reload", about=about, now=visit.now)
            everybody = people(connection, only_active=True)
        visit.portal.tell(*(person.id for person in everybody))
    return changed, number


def _group(visit: Visit, served: Served) -> tuple[Group, dict[str, str]]:
    """The shared answer that the address names, and the names of students by the addresses of their reports."""
    with visit.portal.begin() as connection:
        places = places_of(connection, served)
        keys = (place.shown.result for place in places if place.shown is not None)
        readings = visit.portal.readings.of(connection, keys)
    exercise, fingerprint = visit.request.path_params["exercise"], visit.request.path_params["fingerprint"]
    address = _address(served, exercise, fingerprint)
    found = next((group for where, group in _shared(served, places, readings) if where == address), None)
    if found is None:
        raise HTTPException(404)
    return found, {entry.file: place.person.display for place, entry in entries_of(places, readings, served)}


def _shared(served: Served, places: Sequence[Place], readings: Mapping[str, Reading]) -> list[tuple[str, Group]]:
    """The wrong answers that several students share and that nothing explains, with the addresses of their pages."""
    entries = [entry for _, entry in entries_of(places, readings, served)]
    return [(_address(served, group.exercise, group.fingerprint), group) for group in clusters(entries, Tags())]


def _address(served: Served, exercise: str, fingerprint: str) -> str:
    return f"/class/{served.id}/mistakes/{quote(exercise, safe='')}/{quote(fingerprint, safe='')}"
