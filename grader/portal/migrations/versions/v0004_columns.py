"""
Columns in platforms' gradebooks: what to look for, so that it can be found after a failure.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

TEXTS = ("list_address", "resource_link", "assignment", "title", "reason")


def upgrade() -> None:
    """Add what is known of a column. A column without an address is looked for when somebody uses its link again."""
    for name in TEXTS:
        op.add_column("portal_lti_items", sa.Column(name, sa.Text(), nullable=False, server_default=""))
    op.add_column("portal_lti_items", sa.Column("maximum", sa.Float(), nullable=False, server_default="0"))
    op.add_column("portal_lti_items", sa.Column("tries", sa.Integer(), nullable=False, server_default="0"))
