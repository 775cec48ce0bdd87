"""
Sessions: on whose pages a framed one may be shown.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column. It is empty for sessions that have begun: of them it is not known."""
    op.add_column("portal_sessions", sa.Column("framed_by", sa.Text(), nullable=False, server_default=""))
