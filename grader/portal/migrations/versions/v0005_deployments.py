"""
Deployments of platforms: who named each, and whether it was closed.

Before, one that somebody named by hand left it open that the first launch adds another one. A launch that had added one
would have ended that. So where a deployment is expected although there is one, all were named by hand, and none is.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

PLATFORMS = sa.table(
    "portal_lti_platforms", sa.column("number"), sa.column("expects_deployment", sa.Boolean), sa.column("client_id")
)
DEPLOYMENTS = sa.table(
    "portal_lti_deployments",
    *map(sa.column, ("number", "platform", "deployment_id")),
    sa.column("named_by", sa.String),
)
AUDIT = sa.table("portal_audit", *map(sa.column, ("id", "by", "what", "about")))


def upgrade() -> None:
    """Add what is known of a deployment, and let none be added by a launch where somebody has named one."""
    op.add_column("portal_lti_deployments", sa.Column("named_by", sa.String(20), nullable=False, server_default=""))
    op.add_column("portal_lti_deployments", sa.Column("closed_at", sa.DateTime()))
    connection = op.get_bind()
    expecting = sa.select(PLATFORMS.c.number).where(PLATFORMS.c.expects_deployment)
    for row in connection.execute(sa.select(DEPLOYMENTS)).all():
        is_it, named_by = DEPLOYMENTS.c.number == row.number, _named_by(connection, row)
        if row.platform in connection.execute(expecting).scalars().all():
            named_by = "hand"
        connection.execute(sa.update(DEPLOYMENTS).where(is_it).values(named_by=named_by))
    has_one = PLATFORMS.c.number.in_(sa.select(DEPLOYMENTS.c.platform))
    connection.execute(sa.update(PLATFORMS).where(has_one).values(expects_deployment=False))


def _named_by(connection: sa.Connection, row: sa.Row[tuple[object, ...]]) -> str:
    """Who named a deployment, as the audit trail says; empty if it does not."""
    is_it = AUDIT.c.about == f"deployment {row.deployment_id} of platform {row.platform}"
    allowed = sa.select(AUDIT.c.id, AUDIT.c.by).where(AUDIT.c.what == "deployment allowed", is_it)
    found = connection.execute(allowed.order_by(AUDIT.c.id.desc()).limit(1)).one_or_none()
    if found is None:
        return ""
    if found.by == f"platform {row.platform}":
        return "launch"
    before = sa.select(AUDIT.c.what, AUDIT.c.about).where(AUDIT.c.id == found.id - 1)
    previous = connection.execute(before).one_or_none()  # a platform that registers itself says both at once
    if previous is None or previous.what != "platform registered":
        return "hand"
    return "registration" if previous.about.startswith(f"platform {row.platform}:") else "hand"
