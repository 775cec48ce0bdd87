"""
Deep linking: a teacher makes a link in a platform and chooses which assignment it opens.

Between the platform's request and the teacher's choice, a ticket stands for what the answer needs. It is used once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from grader.portal.lti.keys import sign
from grader.portal.lti.launch import Launch
from grader.portal.lti.lineitems import TAG, whole_maximum
from grader.portal.lti.platforms import find_platform
from grader.portal.lti.refusals import Refused
from grader.portal.lti.tables import TICKETS
from grader.portal.lti.tool import CLAIM, DEEP_LINKING, Tool, digest, make_secret

__all__ = ["Choice", "FormPost", "answer_deep_link", "keep_deep_link"]

LIFETIME = timedelta(hours=1)


@dataclass(frozen=True)
class Choice:
    """An assignment that a link may open."""

    name: str
    """Never changes."""
    title: str
    maximum: float


@dataclass(frozen=True)
class FormPost:
    """A signed answer, and where the browser posts it to."""

    address: str
    jwt: str


def keep_deep_link(tool: Tool, launch: Launch) -> str:
    """
    Keep a teacher's request until the choice is made.

    Returns:
        The ticket for `answer_deep_link`.

    Raises:
        Refused: It is no such request, or not a teacher's.
    """
    if launch.deep_link is None:
        raise Refused("No link is being made here.")
    if not launch.is_staff:
        raise Refused("Only teachers of the course can make a link to an assignment.", status=403)
    ticket = make_secret()
    now = tool.clock()
    with tool.database.begin() as connection:
        connection.execute(sa.delete(TICKETS).where(TICKETS.c.expires_at < now))
        connection.execute(
            sa.insert(TICKETS).values(
                ticket_sha256=digest(ticket),
                platform=launch.platform,
                deployment_id=launch.deployment,
                return_address=launch.deep_link.return_address,
                data=launch.deep_link.data,
                accepts_several=launch.deep_link.accepts_several,
                expires_at=now + LIFETIME,
            )
        )
    return ticket


def answer_deep_link(tool: Tool, ticket: str, names: Sequence[str], offered: Iterable[Choice]) -> FormPost:
    """
    Turn a teacher's choice into links, and use the ticket up.

    Args:
        tool: This portal.
        ticket: From `keep_deep_link`.
        names: The chosen assignments.
        offered: All that may be chosen.

    Raises:
        Refused: The ticket is not valid any more, or the choice is none that was offered.
    """
    known = {each.name: each for each in offered}
    if not names or not all(name in known for name in names):
        raise Refused("Choose an assignment from the list.")
    now = tool.clock()
    valid = sa.and_(TICKETS.c.ticket_sha256 == digest(ticket), TICKETS.c.used_at.is_(None), TICKETS.c.expires_at > now)
    with tool.database.begin() as connection:
        if connection.execute(sa.update(TICKETS).where(valid).values(used_at=now)).rowcount != 1:
            raise Refused("This choice has expired, or it was made already. Start again in your learning platform.")
        row = connection.execute(sa.select(TICKETS).where(TICKETS.c.ticket_sha256 == digest(ticket))).one()
    chosen = [known[name] for name in dict.fromkeys(names)]
    if len(chosen) > 1 and not row.accepts_several:
        raise Refused("Your learning platform takes one assignment at a time. Start again there.")
    platform = find_platform(tool, row.platform)
    claims: dict[str, Any] = {
        "iss": platform.client_id,
        "aud": platform.issuer,
        "nonce": make_secret(),
        f"{CLAIM}message_type": "LtiDeepLinkingResponse",
        f"{CLAIM}version": "1.3.0",
        f"{CLAIM}deployment_id": row.deployment_id,
        f"{DEEP_LINKING}content_items": [_link(tool, each) for each in chosen],
    }
    if row.data is not None:
        claims[f"{DEEP_LINKING}data"] = row.data
    return FormPost(address=row.return_address, jwt=sign(tool, claims))


def _link(tool: Tool, choice: Choice) -> dict[str, Any]:
    return {
        "type": "ltiResourceLink",
        "title": choice.title,
        "url": tool.launch_address,
        "custom": {"assignment": choice.name},
        "lineItem": {
            "label": choice.title,
            "scoreMaximum": whole_maximum(choice.maximum),
            "resourceId": choice.name,
            "tag": TAG,
        },
    }
