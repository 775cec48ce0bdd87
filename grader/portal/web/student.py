"""
A student's pages: the assignments, an assignment with its attempts, an attempt with its report.
"""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
from pathlib import PurePosixPath
from urllib.parse import quote

import sqlalchemy as sa
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from grader.notebook.read import NOTEBOOK_SUFFIXES, USED_LIMIT_BYTES, notebook_suffix
from grader.portal.access import make_key
from grader.portal.arrangements import Extension, extension_of, held
from grader.portal.attempts import (
    DONE,
    Attempt,
    Refusal,
    accept,
    attempts_of,
    content_of,
    find_attempt,
    places_in_queue,
    why_not,
)
from grader.portal.course import Offer
from grader.portal.marks import Mark, due_for, lateness, mark_of, points_of
from grader.portal.people import Person
from grader.portal.receipts import receipt
from grader.portal.results import Result, changes_since, is_held, result_for
from grader.portal.served import Served
from grader.portal.web.limits import allow
from grader.portal.web.paths import register_paths
from grader.portal.web.visit import Visit, visit_of
from grader.visibility import is_released, release_ahead

__all__ = [
    "Standing",
    "attempt_for",
    "extension_for",
    "hand_in",
    "is_visible",
    "mark_for",
    "offered",
    "result_of",
    "routes",
    "standing",
]

NAME_LIMIT = 200
MIN_LOOK_S, MAX_LOOK_S = 3, 15
"""
How often a page looks for its place in the queue, in seconds: the further back, the less often, so that a class that
waits does not keep the server busy. A result is told at once in any case.
"""
REPORT_POLICY = (
    "sandbox allow-same-origin; default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors "
)
"""A report runs no script, even if one got into it."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """
    How a student stands with an assignment.

    Attributes:
        allowed: How many attempts the student has, with an extension; 0 for any number.
        why_not: Why the student cannot hand in now; empty if nothing keeps them from it.
        is_withheld: Whether the student may not see marks yet.
        shown_from: When the student sees them, if that is a moment in the future; None if an instructor withholds them.
        places: Places in the queue, by attempt.
    """

    served: Served
    due: dt.datetime | None
    attempts: list[Attempt]
    allowed: int
    mark: Mark | None
    why_not: str
    is_withheld: bool
    shown_from: dt.datetime | None
    places: dict[int, int]

    @property
    def offer(self) -> Offer:
        """The rules."""
        return self.served.offer

    def late(self, attempt: Attempt) -> dt.timedelta:
        """By how much an attempt is late."""
        return dt.timedelta(0) if self.due is None else max(dt.timedelta(0), attempt.received_at - self.due)


def home(request: Request) -> Response:
    """All assignments that are open, or the class for an instructor."""
    visit = visit_of(request)
    if visit.person.is_staff:
        return RedirectResponse("/class", 303)
    with visit.portal.begin() as connection:
        standings = [
            standing(connection, visit, served)
            for served in visit.portal.served.values()
            if is_visible(served.offer, visit)
        ]
    return visit.render("home.html.jinja", standings=standings)


def assignment(request: Request) -> Response:
    """An assignment: the notebook to download, the form, and the attempts."""
    visit = visit_of(request)
    return _assignment(visit, offered(visit))


def _assignment(visit: Visit, served: Served, *, refusal: str = "", status: int = 200) -> Response:
    with visit.portal.begin() as connection:
        found = standing(connection, visit, served)
    return visit.render("assignment.html.jinja", status=status, standing=found, refusal=refusal)


async def upload(request: Request) -> Response:
    """Hand in a file by the form."""
    visit = await asyncio.to_thread(visit_of, request)
    allow(request, "hand in", str(visit.person.id))  # before the body is read
    async with request.form(max_files=1, max_fields=5) as form:
        return await asyncio.to_thread(_upload, visit, form)


def _upload(visit: Visit, form: FormData) -> Response:
    visit.check_form(form)
    served = offered(visit)
    file = form.get("file")
    if not isinstance(file, UploadFile) or not file.filename:
        return _assignment(visit, served, refusal="Choose a file first.", status=400)
    taken = hand_in(visit, visit.person, served, file.filename, file.file.read(USED_LIMIT_BYTES + 1))
    if isinstance(taken, Refusal):
        return _assignment(visit, served, refusal=taken.reason, status=409)
    return RedirectResponse(f"/attempts/{taken.id}", 303)


def hand_in(visit: Visit, person: Person, served: Served, filename: str, content: bytes) -> Attempt | Refusal:
    """Accept a file, and put it into the queue."""
    name = PurePosixPath(filename.replace("\\", "/")).name[-NAME_LIMIT:]
    if notebook_suffix(name) not in NOTEBOOK_SUFFIXES or not name.isprintable():
        return Refusal("This is not a notebook. Hand in a file that ends in .ipynb, .md or .py.")
    if len(content) > USED_LIMIT_BYTES:
        return Refusal(f"The file has more than {USED_LIMIT_BYTES >> 20} MiB. Clear the outputs, and hand it in again.")
    if not content:
        return Refusal("The file is empty. Save the notebook, and hand it in again.")
    portal = visit.portal
    with portal.begin() as connection:
        taken = accept(
            connection, person, served.offer, file=name, content=content, now=portal.clock(), served=portal.served
        )
    if isinstance(taken, Attempt):
        visit.portal.tell(person.id)
        visit.site.dispatcher.wake()
    return taken


def attempt(request: Request) -> Response:
    """An attempt: where it is in the queue, or its report."""
    visit = visit_of(request)
    found, withheld = attempt_for(visit)
    served = visit.portal.served.get(found.assignment)
    with visit.portal.begin() as connection:
        earlier = [
            each
            for each in attempts_of(connection, assignment=found.assignment, person=found.person)
            if each.id < found.id and each.status == "graded"
        ]
        place = places_in_queue(connection, visit.portal.served).get(found.id)
        extension = extension_for(connection, found)
    result = result_of(visit, found, withheld=withheld)
    before = result_of(visit, earlier[-1], withheld=withheld) if earlier else None
    changes = changes_since(before.report if before else None, result.report) if result else []
    named = visit.portal.served.get(result.report.notebook_of) if result else None
    return visit.render(
        "attempt.html.jinja",
        attempt=found,
        served=served,
        result=result,
        changes=[] if result and result.report.problem else changes,
        owner=named if named and is_visible(named.offer, visit) else None,
        before=earlier[-1] if before else None,
        place=place,
        look_s=0 if found.state == DONE else min(max(place or 0, MIN_LOOK_S), MAX_LOOK_S),
        late=dt.timedelta(0) if served is None else lateness(found, served.offer, extension),
        mark=mark_for(visit, found, extension),
        is_withheld=withheld and not visit.person.is_staff,
        shown_from=None if visit.person.is_staff or not served else release_ahead(served.visibility, visit.now),
    )


def report(request: Request) -> Response:
    """The report itself, which `grader grade` would write."""
    visit = visit_of(request)
    found, withheld = attempt_for(visit)
    result = result_of(visit, found, withheld=withheld)
    if result is None:
        raise HTTPException(404)
    if request.url.path.endswith(".json"):
        return _download(result.text.encode("utf-8"), f"{found.assignment}-{found.number}.json", "application/json")
    ancestors = visit.ancestors if visit.ancestors != "'none'" else "'self'"
    headers = {"content-security-policy": REPORT_POLICY + ancestors}
    return Response(result.page, media_type="text/html; charset=utf-8", headers=headers)


def file(request: Request) -> Response:
    """The file that was handed in, as data."""
    visit = visit_of(request)
    found, _ = attempt_for(visit)
    with visit.portal.begin() as connection:
        content = content_of(connection, found)
    return _download(content, found.file, "application/octet-stream")


def proof(request: Request) -> Response:
    """The receipt of an attempt."""
    visit = visit_of(request)
    found, _ = attempt_for(visit)
    text = receipt(found, visit.portal.secret)
    return _download(text.encode("utf-8"), f"receipt-{found.assignment}-{found.number}.txt", "text/plain")


def handout(request: Request) -> Response:
    """The notebook to fill in."""
    visit = visit_of(request)
    served = offered(visit)
    found = served.handouts.get(request.path_params["kind"])
    if found is None:
        raise HTTPException(404)
    return _download(found.content, found.name, found.media_type)


async def key(request: Request) -> Response:
    """Make a key for handing in from a notebook or a terminal, and show it once."""
    visit = await asyncio.to_thread(visit_of, request)
    form = await request.form(max_files=0, max_fields=5)
    return await asyncio.to_thread(_key, visit, form)


def _key(visit: Visit, form: FormData) -> Response:
    visit.check_form(form)
    with visit.portal.begin() as connection:
        made = make_key(connection, visit.person, visit.now)
    return visit.render("key.html.jinja", key=made, address=visit.address)


def offered(visit: Visit) -> Served:
    """
    The assignment that the address names.

    Raises:
        HTTPException: There is none, or it is not open yet.
    """
    served = visit.portal.served.get(visit.request.path_params["assignment"])
    if served is None or not is_visible(served.offer, visit):
        raise HTTPException(404)
    return served


def attempt_for(visit: Visit) -> tuple[Attempt, bool]:
    """
    The attempt that the address names, and whether its result is withheld from its student.

    Raises:
        HTTPException: There is none, or it is somebody else's: both look the same.
    """
    person = visit.person
    with visit.portal.begin() as connection:
        found = find_attempt(connection, visit.request.path_params["attempt"])
        if found is None or not (person.is_staff or found.person == person.id):
            raise HTTPException(404)
        return found, is_held(connection, found)


def result_of(visit: Visit, attempt: Attempt, *, withheld: bool) -> Result | None:
    """The result of an attempt, as who visits may see it now."""
    served = visit.portal.served.get(attempt.assignment)
    is_open = served is None or is_released(served.visibility, visit.now)
    return result_for(visit.portal.gradebook, attempt, visit.person, withheld=withheld, is_released=is_open)


def mark_for(visit: Visit, attempt: Attempt, extension: Extension) -> float | None:
    """The points of an attempt after what lateness costs; None if it has none."""
    served = visit.portal.served.get(attempt.assignment)
    if served is None or not attempt.is_graded:
        return attempt.score
    return points_of(attempt, served.offer, extension)


def extension_for(connection: sa.Connection, attempt: Attempt) -> Extension:
    """The extension of whoever handed an attempt in."""
    owner = Person(attempt.person, attempt.student, attempt.name, "", is_staff=False, is_active=True)
    return extension_of(connection, owner, attempt.assignment)


def standing(connection: sa.Connection, visit: Visit, served: Served) -> Standing:
    """How the student who visits stands with an assignment."""
    person, now = visit.person, visit.now
    attempts = attempts_of(connection, assignment=served.id, person=person.id)
    extension = extension_of(connection, person, served.id)
    from_whom = held(connection, served.id)
    is_held = None in from_whom or person.id in from_whom
    shown_from = None if is_held else release_ahead(served.visibility, now)
    return Standing(
        served=served,
        due=due_for(served.offer, extension),
        attempts=attempts,
        allowed=served.offer.attempts and served.offer.attempts + extension.attempts,
        mark=mark_of(attempts, served.offer, extension),
        why_not=why_not(connection, person, served.offer, attempts, now),
        is_withheld=is_held or shown_from is not None,
        shown_from=shown_from,
        places=places_in_queue(connection, visit.portal.served),
    )


def is_visible(offer: Offer, visit: Visit) -> bool:
    """Whether the assignment is open for who asks, or they may see it before it is."""
    return offer.opens is None or offer.opens <= visit.now or visit.person.is_staff


def _download(content: bytes, name: str, media_type: str) -> Response:
    disposition = f"attachment; filename*=UTF-8''{quote(name, safe='')}"
    return Response(content, media_type=media_type, headers={"content-disposition": disposition})


register_paths()
routes = [
    Route("/", home),
    Route("/assignments/{assignment}", assignment),
    Route("/assignments/{assignment}", upload, methods=["POST"]),
    Route("/assignments/{assignment}/notebook.{kind}", handout),
    Route("/attempts/{attempt:number}", attempt),
    Route("/attempts/{attempt:number}/file", file),
    Route("/attempts/{attempt:number}/receipt", proof),
    Route("/attempts/{attempt:number}/report.html", report),
    Route("/attempts/{attempt:number}/report.json", report),
    Route("/key", key, methods=["POST"]),
]
