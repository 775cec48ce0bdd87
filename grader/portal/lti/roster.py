"""
Who is in a course, as its platform says (Names and Role Provisioning Services).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from grader.portal.lti.launch import roles_of
from grader.portal.lti.platforms import Platform
from grader.portal.lti.refusals import PlatformFailure
from grader.portal.lti.services import pages, with_query
from grader.portal.lti.tool import ROSTER_SCOPE, Tool, is_writable

__all__ = ["Member", "read_roster"]

MEDIA_TYPE = "application/vnd.ims.lti-nrps.v2.membershipcontainer+json"
MOST_PAGES = 200
MOST_MEMBERS = 50_000
PER_PAGE = 200
PAGE_LIMIT = 4 * 1024 * 1024
LONGEST = 255
LONGEST_TEXT = 1000


@dataclass(frozen=True)
class Member:
    """Somebody in a course."""

    subject: str
    """What the platform calls the person, the same as in a launch."""
    name: str
    """Empty, as the address is, if the platform does not share it."""
    email: str
    is_staff: bool
    is_learner: bool
    is_active: bool


def read_roster(tool: Tool, platform: Platform, address: str, *, per_page: int = PER_PAGE) -> tuple[Member, ...]:
    """
    Read the whole roster of a course.

    Args:
        tool: This portal.
        platform: Whose course it is.
        address: The `roster_address` of a launch.
        per_page: How many people a page should have.

    Raises:
        PlatformFailure: It cannot be read, or not completely.
    """
    found: dict[str, Member] = {}
    first = with_query(address, limit=str(per_page))
    for page in pages(tool, platform, [ROSTER_SCOPE], first, accept=MEDIA_TYPE, most=MOST_PAGES, limit=PAGE_LIMIT):
        members = page.object().get("members")
        if not isinstance(members, list):
            raise PlatformFailure("The platform's roster has no members.", status=page.status)
        for each in members:
            member = _read(each)
            if member is not None:
                found[member.subject] = member
        if len(found) > MOST_MEMBERS:
            raise PlatformFailure(f"The platform's roster has more than {MOST_MEMBERS} members.", status=page.status)
    return tuple(found.values())


def _read(entry: Any) -> Member | None:
    """A member; nothing for an entry without a usable name of the person on the platform."""
    subject = entry.get("user_id") if isinstance(entry, dict) else None
    if not isinstance(subject, str) or not 0 < len(subject) <= LONGEST or not is_writable(subject):
        return None
    is_staff, is_learner = _roles(entry.get("roles"))
    return Member(
        subject=subject,
        name=_text(entry.get("name")),
        email=_text(entry.get("email")),
        is_staff=is_staff,
        is_learner=is_learner,
        is_active=entry.get("status", "Active") == "Active",
    )


def _roles(roles: Any) -> tuple[bool, bool]:
    """As in a launch; but in a roster, the standard has short names of roles in a course, too."""
    short = set(roles) if isinstance(roles, list) and all(isinstance(each, str) for each in roles) else set()
    is_staff, is_learner = roles_of(roles)
    return is_staff or "Instructor" in short, is_learner or "Learner" in short


def _text(found: Any) -> str:
    return found[:LONGEST_TEXT] if isinstance(found, str) and is_writable(found) else ""
