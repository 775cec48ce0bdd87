"""
The deployments of a platform: which of them may open the portal, and who named them.

A platform may use the portal in several deployments. If nobody names one, the first launch does, and no later one.
"""

from __future__ import annotations

import enum
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from grader.errors import UsageError
from grader.portal.audit import note
from grader.portal.lti.tables import DEPLOYMENTS, PLATFORMS, insert_if_new
from grader.portal.lti.tool import Tool

__all__ = [
    "Deployment",
    "NamedBy",
    "add_deployment",
    "allow_deployment",
    "close_platform",
    "deployments",
    "deployments_of",
    "knows_deployment",
]


class NamedBy(str, enum.Enum):
    """Who said that a deployment may open the portal."""

    HAND = "hand"
    REGISTRATION = "registration"
    LAUNCH = "launch"
    UNKNOWN = ""
    """It was named before version 5 of the tables, and the audit trail does not say by whom."""


@dataclass(frozen=True)
class Deployment:
    """A deployment that may open the portal, or might until it was closed."""

    deployment_id: str
    named_by: NamedBy
    closed_at: datetime | None


def add_deployment(tool: Tool, platform: int, deployment_id: str, *, by: str) -> None:
    """
    Allow a deployment of a platform to open the portal. The platform's first launch then adds no other one.

    Args:
        tool: This portal.
        platform: The platform's number.
        deployment_id: What the platform calls the deployment.
        by: Who allows it, for the audit trail.
    """
    with tool.database.begin() as connection:
        allow_deployment(connection, platform, deployment_id, NamedBy.HAND, by=by, now=tool.clock())


def allow_deployment(
    connection: sa.Connection, platform: int, deployment_id: str, named_by: NamedBy, *, by: str, now: datetime
) -> None:
    """Allow a deployment, also one that was closed. From now on, no launch adds one."""
    connection.execute(sa.update(PLATFORMS).where(PLATFORMS.c.number == platform).values(expects_deployment=False))
    values = {"platform": platform, "deployment_id": deployment_id, "named_by": named_by.value}
    is_opened = insert_if_new(connection, DEPLOYMENTS, ["platform", "deployment_id"], **values)
    if not is_opened:
        closed = sa.and_(_is_it(platform, deployment_id), DEPLOYMENTS.c.closed_at.is_not(None))
        again = sa.update(DEPLOYMENTS).where(closed).values(named_by=named_by.value, closed_at=None)
        is_opened = connection.execute(again).rowcount == 1
    if is_opened:
        about = f"deployment {deployment_id} of platform {platform}"
        note(connection, by=by, what="deployment allowed", about=about, now=now)


def close_platform(tool: Tool, platform: int, deployment_id: str | None = None, *, by: str) -> None:
    """
    Let no launch from a platform open the portal any more, or none from one of its deployments.

    Args:
        tool: This portal.
        platform: The platform's number.
        deployment_id: What the platform calls the deployment; None for all of them, and those to come.
        by: Who decides it, for the audit trail.

    Raises:
        UsageError: The deployment is not one of those that may open it.
    """
    is_open = sa.and_(DEPLOYMENTS.c.platform == platform, DEPLOYMENTS.c.closed_at.is_(None))
    about, now = f"platform {platform}", tool.clock()
    if deployment_id is not None:
        is_open = sa.and_(is_open, DEPLOYMENTS.c.deployment_id == deployment_id)
        about = f"deployment {deployment_id} of {about}"
    waits = sa.update(PLATFORMS).where(PLATFORMS.c.number == platform).values(expects_deployment=False)
    with tool.database.begin() as connection:
        closed = connection.execute(sa.update(DEPLOYMENTS).where(is_open).values(closed_at=now)).rowcount
        if closed == 0 and deployment_id is not None:
            raise UsageError(
                f"Platform number {platform} has no deployment {deployment_id!r} that may open the portal.",
                "Look at the list of platforms.",
            )
        connection.execute(waits)
        note(connection, by=by, what="closed", about=about, now=now)


def deployments(tool: Tool) -> Mapping[int, Sequence[Deployment]]:
    """All deployments by the numbers of their platforms, also closed ones, in the order in which they were added."""
    found = defaultdict[int, list[Deployment]](list)
    with tool.database.begin() as connection:
        for row in connection.execute(sa.select(DEPLOYMENTS).order_by(DEPLOYMENTS.c.number)):
            found[row.platform].append(Deployment(row.deployment_id, NamedBy(row.named_by), row.closed_at))
    return found


def deployments_of(tool: Tool, platform: int) -> list[str]:
    """The deployments of a platform that may open the portal, in the order in which they were added."""
    known = deployments(tool).get(platform, ())
    return [each.deployment_id for each in known if each.closed_at is None]


def knows_deployment(tool: Tool, platform: int, deployment_id: str) -> bool:
    """Whether a deployment may open the portal. The first one is remembered if the platform expects one."""
    is_open = sa.and_(_is_it(platform, deployment_id), DEPLOYMENTS.c.closed_at.is_(None))
    with tool.database.begin() as connection:
        if connection.execute(sa.select(DEPLOYMENTS.c.number).where(is_open)).one_or_none() is not None:
            return True
        expecting = sa.and_(PLATFORMS.c.number == platform, PLATFORMS.c.expects_deployment)
        if connection.execute(sa.update(PLATFORMS).where(expecting).values(expects_deployment=False)).rowcount != 1:
            return False
        by, now = f"platform {platform}", tool.clock()
        allow_deployment(connection, platform, deployment_id, NamedBy.LAUNCH, by=by, now=now)
        return True


def _is_it(platform: int, deployment_id: str) -> sa.ColumnElement[bool]:
    return sa.and_(DEPLOYMENTS.c.platform == platform, DEPLOYMENTS.c.deployment_id == deployment_id)
