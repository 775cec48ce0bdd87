"""
What all pages of instructors share: who may see them, how their forms are sent, and what is said afterwards.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import quote

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from grader.errors import GraderError, SourceError
from grader.portal.people import Person, find_person
from grader.portal.served import Served
from grader.portal.web.visit import Visit, visit_of

__all__ = ["attached", "done", "field", "offered", "pages", "person_for", "posts", "said", "told"]

MOST_FIELDS = 40
TEXT_LIMIT = 10_000
DONE = {
    "hold": "The results are withheld from all students.",
    "release": "The results are released.",
    "hold-one": "The results are withheld from this student.",
    "release-one": "The results are released to this student.",
    "again": "{n} will be judged again.",
    "unchanged": "The source notebooks have not changed.",
    "reloaded": "The source notebooks were read again. {n} will be judged again.",
    "named": "The mistake has a name now. {n} will be judged again.",
    "extended": "The extension is saved.",
    "unextended": "There is no extension any more.",
    "adjusted": "The adjustment is saved. {n} will be judged again.",
    "withdrawn": "The adjustment is withdrawn. {n} will be judged again.",
    "revoked": "All sessions, links and keys of this person are ended.",
    "imported": "The roster is imported.",
    "added": "The person is added. Now make a personal link below, and send it to them.",
    "removed": "The person can no longer sign in. What they handed in is kept.",
    "staff": "The person is staff now, and has to sign in again with a new link.",
    "student": "The person is a student now, and has to sign in again with a new link.",
}
"""What pages say after something was done, by the word in their address."""


def pages(handle: Callable[[Visit], Response]) -> Callable[[Request], Response]:
    """An endpoint that shows a page to instructors."""

    def endpoint(request: Request) -> Response:
        visit = visit_of(request)
        assert visit.staff
        return handle(visit)

    return endpoint


def posts(
    handle: Callable[[Visit, FormData], Response], *, files: int = 0, fields: int = MOST_FIELDS
) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint that takes a form from instructors."""

    async def endpoint(request: Request) -> Response:
        visit = await asyncio.to_thread(visit_of, request)
        assert visit.staff  # before the body is read
        async with request.form(max_files=files, max_fields=fields) as form:
            return await asyncio.to_thread(taken, visit, form)

    def taken(visit: Visit, form: FormData) -> Response:
        visit.check_form(form)
        return handle(visit, form)

    return endpoint


def offered(visit: Visit) -> Served:
    """
    The assignment that the address names.

    Raises:
        HTTPException: There is none.
    """
    served = visit.portal.served.get(visit.request.path_params["assignment"])
    if served is None:
        raise HTTPException(404)
    return served


def person_for(visit: Visit) -> Person:
    """
    The person that the address names.

    Raises:
        HTTPException: There is none, or they have left.
    """
    with visit.portal.begin() as connection:
        found = find_person(connection, visit.request.path_params["person"])
    if found is None:
        raise HTTPException(404)
    return found


def field(form: FormData, name: str) -> str:
    """The text of a field without spaces around it; empty if it was not sent."""
    value = form.get(name, "")
    text = value.strip() if isinstance(value, str) else ""
    if len(text) > TEXT_LIMIT:
        raise HTTPException(413, "A text is too long.")
    return text


def done(where: str, what: str, number: int = 0) -> Response:
    """Go to a page that says what was done."""
    return RedirectResponse(f"{where}?done={what}&n={number}", 303)


def said(visit: Visit) -> str:
    """What the page has to say about the form that was sent before; empty if nothing."""
    query = visit.request.query_params
    number = query.get("n", "0")
    if not (number.isascii() and number.isdigit() and len(number) < 7):
        return ""
    attempts = "1 attempt" if int(number) == 1 else f"{int(number):,} attempts"
    return DONE.get(query.get("done", ""), "").format(n=attempts)


def told(error: GraderError) -> str:
    """An error in the words of a page. The hints of most errors are about commands, and are left out."""
    return str(error) if isinstance(error, SourceError) else error.message


def attached(name: str, media_type: str) -> dict[str, str]:
    """The headers of a file to download."""
    return {"content-disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}", "content-type": media_type}
