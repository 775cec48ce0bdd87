"""
Tells a page that something on it has changed, by server-sent events.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from grader.portal.people import Person
from grader.portal.portal import EVERYTHING, topic_of
from grader.portal.web.visit import Visit, visit_of

__all__ = ["routes"]

PING_S = 20
MOST_STREAMS = 20
"""How many pages one person may have open that are told of changes. Others look by themselves, once a minute."""
STUDENT_PAUSE_S, STAFF_PAUSE_S = 0.1, 1.0


async def events(request: Request) -> Response:
    """A stream of events without content: the page then loads itself again, and shows what is new."""
    visit = await asyncio.to_thread(visit_of, request)
    streams: Counter[int] = request.app.state.streams
    if streams[visit.person.id] >= MOST_STREAMS:
        raise HTTPException(429, "Too many pages are open.")
    answer = _Counted(_changes(visit, visit.person), ping=PING_S, headers={"x-accel-buffering": "no"})
    answer.count(streams, visit.person.id)
    return answer


class _Counted(EventSourceResponse):
    """A stream that is counted from the moment at which it was allowed: many may be asked for at the same time."""

    def count(self, streams: Counter[int], person: int) -> None:
        """Count it until it ends."""
        self._streams, self._person = streams, person
        streams[person] += 1

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._streams[self._person] -= 1


async def _changes(visit: Visit, person: Person) -> AsyncIterator[ServerSentEvent]:
    topic, pause = (EVERYTHING, STAFF_PAUSE_S) if person.is_staff else (topic_of(person.id), STUDENT_PAUSE_S)
    async for _ in visit.portal.changes.subscribe(topic, pause_s=pause):
        yield ServerSentEvent(event="changed", data="")


routes = [Route("/events", events)]
