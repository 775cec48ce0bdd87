"""
Signing in by a personal link, and signing out.
"""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from grader.portal.access import end_session, look_at_link, start_session, use_link
from grader.portal.web.limits import allow
from grader.portal.web.visit import Visit, set_session, visit_of

__all__ = ["routes"]

NO_LINK = "This link was used already, has expired, or was replaced. Ask your instructor for a new one."


def sign_in(request: Request) -> Response:
    """Say how to get in."""
    visit = visit_of(request)
    if visit.session is not None:
        return RedirectResponse("/", 303)
    return visit.render("sign_in.html.jinja")


def link(request: Request) -> Response:
    """Show the button that uses a link up; opening the link itself does nothing."""
    visit = visit_of(request)
    secret = request.path_params["secret"]
    with visit.portal.begin() as connection:
        person = look_at_link(connection, secret, visit.now)
    if person is None:
        return _no_link(visit)
    return visit.render("link.html.jinja", person=person, secret=secret)


async def use(request: Request) -> Response:
    """Use a link up."""
    form = await request.form(max_files=0, max_fields=5)
    return await asyncio.to_thread(_use, request, str(form.get("secret", "")))


def _use(request: Request, secret: str) -> Response:
    visit = visit_of(request)
    with visit.portal.begin() as connection:
        person = use_link(connection, secret, visit.now)
        if person is None:
            return _no_link(visit)
        if visit.session is not None:
            end_session(connection, visit.session)
        made, session = start_session(connection, person, visit.now)
    answer = RedirectResponse("/", 303)
    set_session(answer, visit.site, made, session, visit.now)
    return answer


def _no_link(visit: Visit) -> Response:
    """Whoever tries links by chance has to stop soon. A link that works always does: a class may share an address."""
    allow(visit.request, "sign in")
    return visit.render("message.html.jinja", status=404, title="This link does not work", message=NO_LINK)


async def sign_out(request: Request) -> Response:
    """End the session."""
    form = await request.form(max_files=0, max_fields=5)
    return await asyncio.to_thread(_sign_out, request, form)


def _sign_out(request: Request, form: object) -> Response:
    visit = visit_of(request)
    if visit.session is None:
        return RedirectResponse("/sign-in", 303)
    visit.check_form(form)  # type: ignore[arg-type]
    with visit.portal.begin() as connection:
        end_session(connection, visit.session)
    answer = RedirectResponse("/sign-in", 303)
    answer.delete_cookie(visit.site.cookie, secure=visit.site.hosts.is_secure, httponly=True)
    return answer


routes = [
    Route("/sign-in", sign_in),
    Route("/sign-in", use, methods=["POST"]),
    Route("/sign-in/{secret}", link),
    Route("/sign-out", sign_out, methods=["POST"]),
]
