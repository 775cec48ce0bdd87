"""
Handing in by a program: `grader submit`, `check.submit()` in a notebook, or a program of a student's own.

A program shows a key, and gets JSON. Cookies count for nothing here, and keys count for nothing on the pages.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import email.message
import tempfile
from typing import Any, BinaryIO

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from grader.notebook.read import USED_LIMIT_BYTES
from grader.portal.access import person_of_key
from grader.portal.attempts import DONE, Attempt, Refusal, places_in_queue
from grader.portal.portal import EVERYTHING, topic_of
from grader.portal.receipts import receipt
from grader.portal.results import changes_since
from grader.portal.web.limits import allow
from grader.portal.web.paths import register_paths
from grader.portal.web.student import (
    Standing,
    attempt_for,
    extension_for,
    hand_in,
    is_visible,
    mark_for,
    offered,
    result_of,
    standing,
)
from grader.portal.web.visit import Visit

__all__ = ["routes"]

BEARER = "bearer "
NO_KEY = "This key is unknown, or it was replaced or revoked. Make a new one on the portal's home page."
TOO_LARGE = f"The file has more than {USED_LIMIT_BYTES >> 20} MiB. Clear the outputs, and hand it in again."
IN_MEMORY_BYTES = 1 << 20
LONGEST_WAIT_S = 25.0
PAUSE_S = 0.1


def assignments(request: Request) -> Response:
    """The assignments that the student sees, and how they stand with each."""
    visit = _visit(request)
    with visit.portal.begin() as connection:
        standings = [
            standing(connection, visit, served)
            for served in visit.portal.served.values()
            if is_visible(served.offer, visit)
        ]
    about = {"course": visit.portal.course.title, "student": visit.person.student}
    return JSONResponse({**about, "assignments": [_standing(visit, each) for each in standings]})


async def submit(request: Request) -> Response:
    """Hand in the file that is the body of the request; a header gives its name."""
    visit = await asyncio.to_thread(_visit, request)
    allow(request, "hand in", str(visit.person.id))  # before the body is read
    served = offered(visit)
    name = _file_name(request)
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES) as file:
        await _receive(request, file)  # type: ignore[arg-type]  # it is one, but says so only from Python 3.11 on
        file.seek(0)
        taken = await asyncio.to_thread(lambda: hand_in(visit, visit.person, served, name, file.read()))
    if isinstance(taken, Refusal):
        return JSONResponse({"error": taken.reason}, 409)
    answer = await asyncio.to_thread(_accepted, visit, taken)
    return JSONResponse(answer, 201 if answer["is_new"] else 200, {"location": f"/api/submissions/{taken.id}"})


async def submission(request: Request) -> Response:
    """
    The state of an attempt, and its result.

    With `?wait=20` it waits for the result, at most so many seconds; with `&while=queued`, only as long as the attempt
    is in that state.
    """
    visit = await asyncio.to_thread(_visit, request)
    seconds, state = _wait(request), request.query_params.get("while", "")
    answer = await asyncio.to_thread(_found, visit)
    if seconds > 0 and _is_awaited(answer, state):
        with contextlib.suppress(asyncio.TimeoutError, TimeoutError):
            await asyncio.wait_for(_change(visit, state), seconds)
        answer = await asyncio.to_thread(_found, visit)
    return JSONResponse(answer)


async def _change(visit: Visit, state: str) -> None:
    """Wait until the attempt is no longer in a state, or the server stops."""
    topic = EVERYTHING if visit.person.is_staff else topic_of(visit.person.id)
    async with contextlib.aclosing(visit.portal.changes.subscribe(topic, pause_s=PAUSE_S)) as changes:
        async for _ in changes:
            if not _is_awaited(await asyncio.to_thread(_found, visit), state):
                break


def _is_awaited(answer: dict[str, Any], state: str) -> bool:
    return answer["state"] != DONE and state in ("", answer["state"])


def _wait(request: Request) -> float:
    text = request.query_params.get("wait", "0")
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise HTTPException(400, "`wait` is a number of seconds.")
    return min(float(text), LONGEST_WAIT_S)


async def _receive(request: Request, file: BinaryIO) -> None:
    """Write the body to a file, which is on the disk if it is large: many may be uploaded at the same time."""
    left = USED_LIMIT_BYTES
    try:
        async for chunk in request.stream():
            left -= len(chunk)
            if left < 0:
                raise HTTPException(413, TOO_LARGE, {"connection": "close"})
            file.write(chunk)
    except ClientDisconnect as error:
        raise HTTPException(400, "The file did not arrive completely.") from error


def _file_name(request: Request) -> str:
    """
    The name in `Content-Disposition`, in one of the forms of RFC 6266: `attachment; filename*=UTF-8''n%C3%B6.ipynb`.

    Raises:
        HTTPException: There is none.
    """
    header = email.message.Message()
    header["content-disposition"] = request.headers.get("content-disposition", "")
    name = header.get_filename()
    if not name:
        raise HTTPException(400, "Give the name of the file: Content-Disposition: attachment; filename*=UTF-8''a.ipynb")
    return name


# ------------------------------------------------------------------------------------------------------------ answers


def _visit(request: Request) -> Visit:
    """
    Whose key the program has.

    Raises:
        HTTPException: There is none, or it does not count; or there were too many requests.
    """
    site = request.app.state.site
    header = request.headers.get("authorization", "")
    key = header[len(BEARER) :].strip() if header[: len(BEARER)].lower() == BEARER else ""
    person = None
    if key:
        with site.portal.begin() as connection:
            person = person_of_key(connection, key)
    # A class behind one address has as many requests as it has students. Those with wrong keys are counted together.
    allow(request, "program", "" if person is None else str(person.id))
    if person is None:
        raise HTTPException(401, NO_KEY, {"www-authenticate": "Bearer"})
    return Visit(request=request, site=site, session=None, now=site.portal.clock(), by_key=person)


def _accepted(visit: Visit, attempt: Attempt) -> dict[str, Any]:
    with visit.portal.begin() as connection:
        place = places_in_queue(connection, visit.portal.served).get(attempt.id)
    is_new = attempt.received_at >= visit.now
    return {**_about(visit, attempt, place), "is_new": is_new, "receipt": receipt(attempt, visit.portal.secret)}


def _found(visit: Visit) -> dict[str, Any]:
    attempt, withheld = attempt_for(visit)
    with visit.portal.begin() as connection:
        place = places_in_queue(connection, visit.portal.served).get(attempt.id)
        extension = extension_for(connection, attempt)
    answer = _about(visit, attempt, place)
    result = result_of(visit, attempt, withheld=withheld)
    answer["is_withheld"] = withheld and not visit.person.is_staff
    if result is None:
        return answer
    if result.report.problem:
        answer["problem"] = result.report.problem
    if result.report.gives_marks and attempt.is_graded:
        answer["score"], answer["max_score"], answer["mark"] = (
            attempt.score,
            attempt.max_score,
            mark_for(visit, attempt, extension),
        )
    answer["exercises"] = [
        {
            "name": change.name,
            "passed": finding.passed,
            "kind": change.now.kind,
            "verdict": change.now.word,
            "message": change.message,
        }
        | ({"points": change.points, "max_points": change.max_points} if result.report.gives_marks else {})
        for change, finding in zip(changes_since(None, result.report), result.report.findings, strict=True)
    ]
    return answer


def _about(visit: Visit, attempt: Attempt, place: int | None) -> dict[str, Any]:
    return {
        "id": attempt.id,
        "assignment": attempt.assignment,
        "number": attempt.number,
        "page": f"{visit.address}/attempts/{attempt.id}",
        "file": attempt.file,
        "sha256": attempt.sha256,
        "received": attempt.received_at.isoformat(),
        "state": DONE if attempt.status else attempt.state,
        "status": attempt.status,
        "is_judged_again": bool(attempt.status) and attempt.state != DONE,
        "place": place,
    }


def _standing(visit: Visit, found: Standing) -> dict[str, Any]:
    moments: dict[str, dt.datetime | None] = {"due": found.due, "closes": found.offer.closes}
    return {
        "id": found.served.id,
        "title": found.served.title,
        "page": f"{visit.address}/assignments/{found.served.id}",
        "attempts": len(found.attempts),
        "why_not": found.why_not,
        **{name: moment and moment.isoformat() for name, moment in moments.items()},
    }


register_paths()
routes = [
    Route("/api/assignments", assignments),
    Route("/api/submissions/{assignment}", submit, methods=["POST"]),
    Route("/api/submissions/{attempt:number}", submission),
]
