"""
Learning platforms: their registrations, logins and scores, and who their people are here.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from grader.portal.tables import Moment

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "portal_contexts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("platform", sa.Integer(), nullable=False),
        sa.Column("context", sa.String(length=255), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("roster_address", sa.Text(), nullable=False),
        sa.Column("is_allowed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("platform", "context"),
    )
    op.create_table(
        "portal_columns",
        sa.Column("item", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("person", sa.Integer(), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("assignment", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["person"],
            ["portal_people.id"],
        ),
        sa.PrimaryKeyConstraint("item", "subject"),
    )
    op.create_index(op.f("ix_portal_columns_person"), "portal_columns", ["person"], unique=False)
    op.create_table(
        "portal_members",
        sa.Column("platform", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("person", sa.Integer(), nullable=False),
        sa.Column("is_ours", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["person"],
            ["portal_people.id"],
        ),
        sa.PrimaryKeyConstraint("platform", "subject"),
    )
    op.create_index(op.f("ix_portal_members_person"), "portal_members", ["person"], unique=False)
    op.create_table(
        "portal_lti_invitations",
        sa.Column("code_sha256", sa.String(length=64), nullable=False),
        sa.Column("expires_at", Moment(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("used_at", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("code_sha256"),
    )
    op.create_table(
        "portal_lti_keys",
        sa.Column("kid", sa.String(length=64), nullable=False),
        sa.Column("private_key", sa.Text(), nullable=False),
        sa.Column("signs_from", Moment(), nullable=False),
        sa.Column("made_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("kid"),
    )
    op.create_table(
        "portal_lti_platforms",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("issuer", sa.String(length=500), nullable=False),
        sa.Column("client_id", sa.String(length=255), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("authorization_address", sa.Text(), nullable=False),
        sa.Column("token_address", sa.Text(), nullable=False),
        sa.Column("token_audience", sa.Text(), nullable=False),
        sa.Column("keys_address", sa.Text(), nullable=False),
        sa.Column("is_registered_by_itself", sa.Boolean(), nullable=False),
        sa.Column("expects_deployment", sa.Boolean(), nullable=False),
        sa.Column("keys", sa.Text(), nullable=True),
        sa.Column("keys_fetched_at", Moment(), nullable=True),
        sa.Column("keys_tried_at", Moment(), nullable=True),
        sa.Column("added_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("issuer", "client_id"),
    )
    op.create_table(
        "portal_lti_deployments",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("platform", sa.Integer(), nullable=False),
        sa.Column("deployment_id", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(
            ["platform"],
            ["portal_lti_platforms.number"],
        ),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("platform", "deployment_id"),
    )
    op.create_table(
        "portal_lti_items",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("platform", sa.Integer(), nullable=False),
        sa.Column("place", sa.String(length=64), nullable=False),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("reserved_until", Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["platform"],
            ["portal_lti_platforms.number"],
        ),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("platform", "place"),
    )
    op.create_table(
        "portal_lti_logins",
        sa.Column("state_sha256", sa.String(length=64), nullable=False),
        sa.Column("nonce", sa.String(length=64), nullable=False),
        sa.Column("binding_sha256", sa.String(length=64), nullable=False),
        sa.Column("stored_sha256", sa.String(length=64), nullable=False),
        sa.Column("platform", sa.Integer(), nullable=False),
        sa.Column("target_link_uri", sa.Text(), nullable=False),
        sa.Column("login_hint", sa.Text(), nullable=False),
        sa.Column("message_hint", sa.Text(), nullable=True),
        sa.Column("storage_target", sa.String(length=100), nullable=True),
        sa.Column("started_at", Moment(), nullable=False),
        sa.Column("expires_at", Moment(), nullable=False),
        sa.Column("used_at", Moment(), nullable=True),
        sa.ForeignKeyConstraint(
            ["platform"],
            ["portal_lti_platforms.number"],
        ),
        sa.PrimaryKeyConstraint("state_sha256"),
    )
    op.create_index(op.f("ix_portal_lti_logins_expires_at"), "portal_lti_logins", ["expires_at"], unique=False)
    op.create_table(
        "portal_lti_people",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("platform", sa.Integer(), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("seen_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["platform"],
            ["portal_lti_platforms.number"],
        ),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("platform", "subject"),
    )
    op.create_table(
        "portal_lti_tickets",
        sa.Column("ticket_sha256", sa.String(length=64), nullable=False),
        sa.Column("platform", sa.Integer(), nullable=False),
        sa.Column("deployment_id", sa.String(length=255), nullable=False),
        sa.Column("return_address", sa.Text(), nullable=False),
        sa.Column("data", sa.Text(), nullable=True),
        sa.Column("accepts_several", sa.Boolean(), nullable=False),
        sa.Column("expires_at", Moment(), nullable=False),
        sa.Column("used_at", Moment(), nullable=True),
        sa.ForeignKeyConstraint(
            ["platform"],
            ["portal_lti_platforms.number"],
        ),
        sa.PrimaryKeyConstraint("ticket_sha256"),
    )
    op.create_index(op.f("ix_portal_lti_tickets_expires_at"), "portal_lti_tickets", ["expires_at"], unique=False)
    op.create_table(
        "portal_lti_cells",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("item", sa.Integer(), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("latest_score", sa.Integer(), nullable=True),
        sa.Column("score_on_its_way", sa.Integer(), nullable=True),
        sa.Column("latest_timestamp", Moment(), nullable=True),
        sa.ForeignKeyConstraint(
            ["item"],
            ["portal_lti_items.number"],
        ),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("item", "subject"),
    )
    op.create_table(
        "portal_lti_scores",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("cell", sa.Integer(), nullable=False),
        sa.Column("mark", sa.String(length=200), nullable=False),
        sa.Column("given", sa.Float(), nullable=False),
        sa.Column("maximum", sa.Float(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("submitted_at", Moment(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("timestamp", Moment(), nullable=True),
        sa.Column("due_at", Moment(), nullable=False),
        sa.Column("offered_at", Moment(), nullable=False),
        sa.Column("delivered_at", Moment(), nullable=True),
        sa.ForeignKeyConstraint(
            ["cell"],
            ["portal_lti_cells.number"],
        ),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index("portal_lti_scores_due", "portal_lti_scores", ["state", "due_at"], unique=False)
