"""
A visit: who asks for a page, and how pages are rendered for them.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import hmac
from pathlib import Path
from typing import Any

import jinja2
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from grader.portal.access import Session, session_of
from grader.portal.dispatcher import Dispatcher
from grader.portal.people import Person
from grader.portal.portal import Portal
from grader.portal.web.guard import Hosts, policy
from grader.reports.cells import amount
from grader.reports.html import open_templates

__all__ = ["TEMPLATES", "SignInNeeded", "Site", "Visit", "set_session", "visit_of"]

TEMPLATES = Path(__file__).parent / "templates"
FORM_FIELD = "form_secret"


class SignInNeeded(Exception):  # noqa: N818 -- it is not an error, but leads to another page
    """The page is only for those who are signed in."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What all pages share."""

    portal: Portal
    dispatcher: Dispatcher
    hosts: Hosts

    @property
    def cookie(self) -> str:
        """The name of the session's cookie; browsers accept the prefix only over https."""
        return "__Host-grader" if self.hosts.is_secure else "grader"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """
    A request, and who made it.

    Attributes:
        session: That of a browser.
        by_key: For whom a program with a key asks; such a visit has no session.
    """

    request: Request
    site: Site
    session: Session | None
    now: dt.datetime
    by_key: Person | None = None

    @property
    def portal(self) -> Portal:
        """The course."""
        return self.site.portal

    @property
    def person(self) -> Person:
        """
        Who is signed in, or whose key a program has.

        Raises:
            SignInNeeded: Nobody.
        """
        if self.by_key is not None:
            return self.by_key
        if self.session is None:
            raise SignInNeeded
        return self.session.person

    @property
    def staff(self) -> Person:
        """
        The instructor who is signed in.

        Raises:
            SignInNeeded: Nobody is signed in.
            HTTPException: A student is: for them there is no such page.
        """
        if not self.person.is_staff:
            raise HTTPException(404)
        return self.person

    @property
    def address(self) -> str:
        """The portal's address, for links that leave it: the course's, since a proxy may not say how it was reached."""
        return self.portal.course.address or str(self.request.base_url).rstrip("/")

    @property
    def ancestors(self) -> str:
        """
        Which pages may show ours in a frame, for a Content-Security-Policy.

        The cookie of a session that began in a frame is sent nowhere but below the page that the frame is in. If it is
        not known where the platform's pages are, all pages by https may.
        """
        if self.session is None or not self.session.is_framed:
            return "'none'"
        return " ".join(("'self'", *(self.session.framed_by or ("https:",))))

    def check_form(self, form: FormData) -> None:
        """
        Make sure that a form comes from one of our pages, and from this session.

        Raises:
            SignInNeeded: Nobody is signed in.
            HTTPException: It does not.
        """
        if self.session is None:
            raise SignInNeeded
        sent = form.get(FORM_FIELD)
        if not isinstance(sent, str) or not hmac.compare_digest(sent.encode(), self.session.form_secret.encode()):
            raise HTTPException(403, "This form is out of date. Load the page again, and send it once more.")

    def render(self, template: str, *, status: int = 200, **values: Any) -> Response:
        """A page."""
        text = _templates().get_template(template)
        answer = HTMLResponse(text.render(visit=self, course=self.portal.course, **values), status)
        answer.headers["content-security-policy"] = policy(frame_ancestors=self.ancestors)
        return answer


def visit_of(request: Request) -> Visit:
    """Find out who asks."""
    site: Site = request.app.state.site
    secret, now = request.cookies.get(site.cookie), site.portal.clock()
    session = None
    if secret:
        with site.portal.begin() as connection:
            session = session_of(connection, secret, now)
    return Visit(request=request, site=site, session=session, now=now)


def set_session(response: Response, site: Site, secret: str, session: Session, now: dt.datetime) -> None:
    """Give the browser the cookie of a session. In a frame of another site it needs weaker rules, and https."""
    age = int((session.expires_at - now).total_seconds())
    rules = "SameSite=None; Partitioned" if session.is_framed and site.hosts.is_secure else "SameSite=Lax"
    secure = "; Secure" if site.hosts.is_secure else ""
    response.headers.append("set-cookie", f"{site.cookie}={secret}; Path=/; Max-Age={age}; HttpOnly; {rules}{secure}")


@functools.cache
def _templates() -> jinja2.Environment:
    templates = open_templates(TEMPLATES).overlay()
    templates.filters |= {"points": _points, "moment": _moment, "iso": dt.datetime.isoformat, "lateness": _lateness}
    return templates


def _points(number: float) -> str:
    return f"{amount(round(number, 2))}"


def _moment(moment: dt.datetime) -> str:
    """A moment as people write it. Browsers with JavaScript show it in their own time zone."""
    return f"{moment.astimezone(dt.timezone.utc):%d %b %Y, %H:%M} UTC"


def _duration(duration: dt.timedelta) -> str:
    """
    A duration in its largest unit.

    >>> _duration(dt.timedelta(hours=30))
    '1 day'
    """
    seconds = int(duration.total_seconds())
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= size:
            number = seconds // size
            return f"{number} {unit}" + ("s" if number != 1 else "")
    return f"{seconds} s"


def _lateness(late: dt.timedelta) -> str:
    """
    By how much something is late: from a day on with the hours, because each day that has begun costs points.

    >>> _lateness(dt.timedelta(hours=26, minutes=10))
    '1 day 3 hours'
    """
    if late < dt.timedelta(days=1):
        return _duration(late)
    days, hours = divmod(-(-late // dt.timedelta(hours=1)), 24)
    return " ".join(_duration(part) for part in (dt.timedelta(days=days), dt.timedelta(hours=hours)) if part)
