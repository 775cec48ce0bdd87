"""
Tells a page that something on it has changed, by server-sent events.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from grader.portal.people import Person
from grader.portal.portal import EVERYTHING, topic_of
from grader.portal.web.visit import Visit, visit_of

__all__ = ["routes"]

PING_S = 20
STUDENT_PAUSE_S, STAFF_PAUSE_S = 0.1, 1.0


async def events(request: Request) -> Response:
    """A stream of events without content: the page then loads itself again, and shows what is new."""
    visit = await asyncio.to_thread(visit_of, request)
    return EventSourceResponse(_changes(visit, visit.person), ping=PING_S, headers={"x-accel-buffering": "no"})


async def _changes(visit: Visit, person: Person) -> AsyncIterator[ServerSentEvent]:
    topic, pause = (EVERYTHING, STAFF_PAUSE_S) if person.is_staff else (topic_of(person.id), STUDENT_PAUSE_S)
    async for _ in visit.portal.changes.subscribe(topic, pause_s=pause):
        yield ServerSentEvent(event="changed", data="")


routes = [Route("/events", events)]
