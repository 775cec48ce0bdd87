"""
Those who come from a learning platform, and what instructors see of the marks that go there.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

import sqlalchemy as sa
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from grader.portal.access import start_session
from grader.portal.lti.deeplinks import Choice
from grader.portal.lti.deployments import NamedBy, deployments
from grader.portal.lti.launch import Launch
from grader.portal.lti.lineitems import reserve_item
from grader.portal.lti.outbox import State, entries, resend
from grader.portal.lti.platforms import find_platform, platforms
from grader.portal.lti.refusals import PlatformFailure
from grader.portal.lti.roster import read_roster
from grader.portal.lti.routes import lti_routes
from grader.portal.lti.tool import Tool
from grader.portal.members import (
    Context,
    Vouched,
    allow_context,
    contexts,
    has_roster,
    is_allowed,
    number_of_contexts,
    person_for,
    take_over,
)
from grader.portal.passback import connect_column
from grader.portal.people import Person
from grader.portal.served import Served
from grader.portal.tables import COLUMNS, PEOPLE
from grader.portal.web.limits import allow
from grader.portal.web.staff.forms import pages, posts
from grader.portal.web.visit import Site, Visit, set_session, visit_of

__all__ = ["platform_routes"]

MOST_SHOWN, MOST_COURSES, LONGEST_FIND = 500, 50, 200
SHOWN = (
    (State.CONFLICT, State.REFUSED),
    (State.WAITING, State.SENDING),
    (State.DELIVERED, State.SUPERSEDED),
)
"""What is shown first, second and last, so that what needs somebody is not lost among what does not."""
MOST_FIELDS = 5
AT_ONCE = 50
"""How many people of a platform's roster are added in one transaction."""
BEING_READ = "The rosters of the learning platforms are being read already. Look at the page Roster in a minute."
NAMING = {
    NamedBy.HAND: ", named by hand",
    NamedBy.REGISTRATION: ", named when the platform registered",
    NamedBy.LAUNCH: ", named by the first launch",
    NamedBy.UNKNOWN: "",
}
"""What the page says of an open deployment."""
NOT_ALLOWED = (
    "This course of your learning platform is not connected to the portal yet. An instructor who is signed in by a "
    "personal link allows it on the page Platforms."
)

_log = logging.getLogger("grader.portal")


def platform_routes(site: Callable[[], Site], tool: Tool, wake: Callable[[], None]) -> list[Route]:
    """
    The routes of the protocol, and those of instructors.

    Args:
        wake: Called when there may be a mark to send.
    """
    own = _Pages(site, tool, wake)
    protocol = lti_routes(tool, own.keep_out, own.launched, own.offered)
    return [
        *(_counted(route) if route.path == "/lti/login" else route for route in protocol),
        Route("/platforms", pages(own.overview)),
        Route("/platforms/scores", posts(own.send_again, fields=MOST_FIELDS), methods=["POST"]),
        Route("/platforms/courses", posts(own.allow, fields=MOST_FIELDS), methods=["POST"]),
        Route("/platforms/roster", posts(own.roster, fields=MOST_FIELDS), methods=["POST"]),
    ]


def _counted(route: Route) -> Route:
    """A route at which each request is saved. A network address, perhaps of a whole school, may do so only so often."""

    async def counted(request: Request) -> Response:
        allow(request, "launch")
        answer: Response = await route.endpoint(request)
        return answer

    return Route(route.path, counted, methods=list(route.methods or ()))


class _Pages:
    def __init__(self, site: Callable[[], Site], tool: Tool, wake: Callable[[], None]) -> None:
        self._site = site
        self._tool = tool
        self._wake = wake
        self._reading = threading.Lock()

    def offered(self) -> Sequence[Choice]:
        """The assignments that a link may open."""
        served = self._site().portal.served.values()
        return [Choice(each.id, each.title, each.max_points) for each in served]

    def keep_out(self, request: Request, launch: Launch) -> Response | None:
        """A page for those who come from a course that no instructor has allowed; the course is noted."""
        visit = visit_of(request)
        with visit.portal.begin() as connection:
            is_known = is_allowed(
                connection,
                launch.platform,
                launch.context,
                title=launch.context_title,
                roster_address=launch.roster_address,
            )
        if is_known:
            return None
        return visit.render("message.html.jinja", status=403, title="Not connected yet", message=NOT_ALLOWED)

    def launched(self, request: Request, launch: Launch) -> Response:
        """Sign in whom a platform vouches for, and show what the link opens."""
        visit = visit_of(request)
        portal, by = visit.portal, f"platform {launch.platform}"
        vouched = Vouched(
            platform=launch.platform,
            subject=launch.subject,
            name=launch.name,
            email=launch.email,
            is_staff=launch.is_staff,
        )
        with portal.begin() as connection:
            person = person_for(connection, vouched, by=by, now=visit.now)
            if person is None:
                message = "You are no longer in this course. Ask your instructor."
                return visit.render("message.html.jinja", status=403, title="You cannot sign in", message=message)
            is_framed = request.headers.get("sec-fetch-dest") in ("iframe", "frame")
            framed_by = launch.framed_by if is_framed else ()
            secret, session = start_session(connection, person, visit.now, is_framed=is_framed, framed_by=framed_by)
        served = portal.served.get(launch.assignment)
        if served is not None and not person.is_staff and launch.grade_scopes:
            self._connect(launch, served, person)
        path = "/" if served is None else f"/{'class' if person.is_staff else 'assignments'}/{served.id}"
        answer = RedirectResponse(path, 303)
        set_session(answer, visit.site, secret, session, visit.now)
        return answer

    def _connect(self, launch: Launch, served: Served, person: Person) -> None:
        """Note in which column of the platform's gradebook the mark belongs; the platform is asked later."""
        try:
            item = reserve_item(self._tool, launch, assignment=served.id, title=served.title, maximum=served.max_points)
        except PlatformFailure as failure:
            _log.warning("No marks of %s are sent: %s", served.id, failure)
            return
        with self._site().portal.begin() as connection:
            connect_column(connection, item=item, subject=launch.subject, person=person.id, assignment=served.id)
        self._wake()

    def overview(self, visit: Visit) -> Response:
        """The platforms, their courses, and what became of marks that were sent to them."""
        with visit.portal.begin() as connection:
            joined = sa.select(COLUMNS, PEOPLE.c.student, PEOPLE.c.name).join(PEOPLE, PEOPLE.c.id == COLUMNS.c.person)
            owners = {(row.item, row.subject): row for row in connection.execute(joined)}
            courses, hidden = _courses(connection, find := _find(visit))
            can_read = has_roster(connection)
        connected = platforms(self._tool)
        titles = {each.number: each.title for each in connected}
        shown = [each for states in SHOWN for each in entries(self._tool, states, most=MOST_SHOWN)]
        scores = [(each, owners.get((each.item, each.subject))) for each in shown]
        return visit.render(
            "platforms.html.jinja",
            platforms=connected,
            deployments=deployments(self._tool),
            naming=NAMING,
            scores=scores,
            courses=courses,
            hidden=hidden,
            find=find,
            can_read=can_read,
            titles=titles,
            states=State,
        )

    def allow(self, visit: Visit, form: FormData) -> Response:
        """Let those in who come from a course of a platform, or no longer."""
        with visit.portal.begin() as connection:
            allowed = form.get("allowed") == "yes"
            allow_context(connection, _number(form), allowed, by=visit.staff.student, now=visit.now)
        return RedirectResponse("/platforms", 303)

    def send_again(self, visit: Visit, form: FormData) -> Response:
        """Send a mark although the platform has another one: somebody looked at it."""
        if resend(self._tool, _number(form), by=visit.staff.student):
            self._wake()
        return RedirectResponse("/platforms", 303)

    def roster(self, visit: Visit, _: FormData) -> Response:
        """Read the rosters of the platforms from which an instructor came; one page at a time may wait for them."""
        if not self._reading.acquire(blocking=False):
            return visit.render("message.html.jinja", status=409, title="One moment", message=BEING_READ)
        try:
            return self._roster(visit)
        finally:
            self._reading.release()

    def _roster(self, visit: Visit) -> Response:
        with visit.portal.begin() as connection:
            rosters = [each for each in contexts(connection, allowed=True) if each.roster_address]
        try:
            members = [
                (row.platform, member)
                for row in rosters
                for member in read_roster(self._tool, find_platform(self._tool, row.platform), row.roster_address)
            ]
        except PlatformFailure as failure:
            return visit.render("message.html.jinja", status=502, title="The roster was not read", message=str(failure))
        everybody = [
            Vouched(
                platform=platform,
                subject=member.subject,
                name=member.name,
                email=member.email,
                is_staff=member.is_staff,
            )
            for platform, member in members
            if member.is_active and (member.is_staff or member.is_learner)
        ]
        for start in range(0, len(everybody), AT_ONCE):  # in between, others may hand in
            with visit.portal.begin() as connection:
                take_over(connection, everybody[start : start + AT_ONCE], by=visit.staff.student, now=visit.now)
        return RedirectResponse("/roster", 303)


def _find(visit: Visit) -> str:
    """What somebody looks for among the courses, as far as it can be found."""
    text = visit.request.query_params.get("find", "")[:LONGEST_FIND]
    return "".join(character for character in text if character.isprintable()).strip()


def _courses(connection: sa.Connection, find: str) -> tuple[list[Context], int]:
    """
    The courses to show, and how many more there are.

    Those that somebody may have to allow come first. Anybody on a platform can make there be more of them, so they take
    no room from those that are allowed.
    """
    kinds = (False, True)
    shown = [each for kind in kinds for each in contexts(connection, allowed=kind, find=find, most=MOST_COURSES)]
    return shown, sum(number_of_contexts(connection, allowed=kind, find=find) for kind in kinds) - len(shown)


def _number(form: FormData) -> int:
    """The number in a form, or one that nothing has."""
    sent = str(form.get("number", ""))
    return int(sent) if sent.isascii() and sent.isdigit() and len(sent) < 10 else -1
