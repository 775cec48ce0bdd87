"""
For those who run the server: whether it is well, and its figures.
"""

from __future__ import annotations

import sqlalchemy as sa
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from grader.errors import GraderError
from grader.portal.tables import ATTEMPTS, SESSIONS
from grader.portal.web.visit import Site

__all__ = ["routes"]

LOOPBACK = ("127.0.0.1", "::1")


def health(request: Request) -> Response:
    """`ok`, or in a word what is broken; the reason is only in the log and on loopback."""
    site: Site = request.app.state.site
    try:
        with site.portal.begin() as connection:
            connection.execute(sa.select(1))
    except GraderError:
        return JSONResponse({"status": "database"}, 503)
    if not site.dispatcher.is_alive or site.dispatcher.fault:
        return JSONResponse({"status": "grading"}, 503)
    return JSONResponse({"status": "ok" if site.dispatcher.is_ready.is_set() else "starting"})


def metrics(request: Request) -> Response:
    """The figures in Prometheus's text format; only for programs on this machine."""
    if request.client is None or request.client.host not in LOOPBACK or "x-forwarded-for" in request.headers:
        raise HTTPException(404)
    site: Site = request.app.state.site
    registry = CollectorRegistry()
    attempts = Gauge("grader_attempts", "Attempts by state and status.", ["state", "status"], registry=registry)
    sessions = Gauge("grader_sessions", "Sessions that have begun and not ended.", registry=registry)
    ready = Gauge("grader_workers_ready", "1 if the workers grade, else 0.", registry=registry)
    with site.portal.begin() as connection:
        counted = sa.select(ATTEMPTS.c.state, ATTEMPTS.c.status, sa.func.count()).group_by("state", "status")
        for state, status, number in connection.execute(counted):
            attempts.labels(state=state, status=status or "none").set(number)
        sessions.set(connection.execute(sa.select(sa.func.count()).select_from(SESSIONS)).scalar_one())
    ready.set(site.dispatcher.is_ready.is_set() and not site.dispatcher.fault)
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


routes = [Route("/health", health), Route("/metrics", metrics)]
