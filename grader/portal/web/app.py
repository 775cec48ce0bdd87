"""
Assembles the portal's pages into one application.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from grader.errors import GraderError
from grader.portal.lti.tool import Tool
from grader.portal.passback import Passback
from grader.portal.web import health, live, programs, signin, student
from grader.portal.web.guard import Guard
from grader.portal.web.platform import platform_routes
from grader.portal.web.staff.routes import routes as staff_routes
from grader.portal.web.visit import SignInNeeded, Site, visit_of
from grader.reports.html import STYLE

__all__ = ["build_app"]

STATIC = Path(__file__).parent / "static"
TITLES = {404: "There is no such page", 429: "Too often"}
MESSAGES = {404: "Go back to the start, and choose from there.", 405: "This page cannot do that."}


def build_app(site: Site, tool: Tool, passback: Passback) -> Starlette:
    """The application for a server."""
    app = Starlette(
        routes=[
            *signin.routes,
            *student.routes,
            *staff_routes,
            *live.routes,
            *programs.routes,
            *health.routes,
            *platform_routes(lambda: site, tool, passback.wake),
            Route("/static/report.css", _style),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        middleware=[Middleware(Guard, hosts=site.hosts)],
        exception_handlers={SignInNeeded: _sign_in, HTTPException: _refused, GraderError: _failed, 500: _failed},
    )
    app.state.site = site
    app.state.streams = Counter[int]()
    return app


def _style(_: Request) -> Response:
    """The colours and tables of reports, which the portal's pages share."""
    return FileResponse(STYLE, media_type="text/css; charset=utf-8")


def _sign_in(request: Request, _: Exception) -> Response:
    if request.url.path.startswith("/api/"):
        return JSONResponse({"error": "Sign in first."}, 401)
    return RedirectResponse("/sign-in", 303)


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    is_ours = error.detail and error.status_code not in MESSAGES
    message = error.detail if is_ours else MESSAGES.get(error.status_code, "This does not work.")
    if request.url.path.startswith("/api/"):
        return JSONResponse({"error": message}, error.status_code, error.headers)
    title = TITLES.get(error.status_code, "This did not work")
    answer = visit_of(request).render("message.html.jinja", status=error.status_code, title=title, message=message)
    answer.headers.update(error.headers or {})
    return answer


def _failed(request: Request, _: Exception) -> Response:
    message = "The portal failed. What has been handed in is kept. Try again in a minute."
    if request.url.path.startswith("/api/"):
        return JSONResponse({"error": message}, 500)
    return Response(f"{message}\n", 500, media_type="text/plain; charset=utf-8")
