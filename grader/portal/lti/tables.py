"""
The tables: platforms, keys, started logins, people, columns in their gradebooks, and the outbox of scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from grader.portal.tables import Moment

__all__ = [
    "CELLS",
    "DEPLOYMENTS",
    "INVITATIONS",
    "ITEMS",
    "KEYS",
    "LOGINS",
    "METADATA",
    "PEOPLE",
    "PLATFORMS",
    "SCORES",
    "TICKETS",
    "Database",
    "insert_if_new",
]


class Database(Protocol):
    """An engine of SQLAlchemy, or what opens transactions as one does."""

    def begin(self) -> AbstractContextManager[sa.Connection]:
        """A transaction, committed unless its context is left by an exception."""


METADATA = sa.MetaData()


def _number() -> sa.Column[int]:
    return sa.Column("number", sa.Integer, primary_key=True)


def _belongs_to(name: str, table: sa.Table) -> sa.Column[int]:
    return sa.Column(name, sa.ForeignKey(table.c.number), nullable=False)


PLATFORMS = sa.Table(
    "portal_lti_platforms",
    METADATA,
    _number(),
    sa.Column("issuer", sa.String(500), nullable=False),
    sa.Column("client_id", sa.String(255), nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("authorization_address", sa.Text, nullable=False),
    sa.Column("token_address", sa.Text, nullable=False),
    sa.Column("token_audience", sa.Text, nullable=False),
    sa.Column("keys_address", sa.Text, nullable=False),
    sa.Column("is_registered_by_itself", sa.Boolean, nullable=False),
    sa.Column("expects_deployment", sa.Boolean, nullable=False),
    sa.Column("keys", sa.Text),
    sa.Column("keys_fetched_at", Moment),
    sa.Column("keys_tried_at", Moment),
    sa.Column("added_at", Moment, nullable=False),
    sa.UniqueConstraint("issuer", "client_id"),
)
DEPLOYMENTS = sa.Table(
    "portal_lti_deployments",
    METADATA,
    _number(),
    _belongs_to("platform", PLATFORMS),
    sa.Column("deployment_id", sa.String(255), nullable=False),
    sa.Column("named_by", sa.String(20), nullable=False),  # this and what follows: since version 5
    sa.Column("closed_at", Moment),
    sa.UniqueConstraint("platform", "deployment_id"),
)
KEYS = sa.Table(
    "portal_lti_keys",
    METADATA,
    sa.Column("kid", sa.String(64), primary_key=True),
    sa.Column("private_key", sa.Text, nullable=False),
    sa.Column("signs_from", Moment, nullable=False),
    sa.Column("made_at", Moment, nullable=False),
)
LOGINS = sa.Table(
    "portal_lti_logins",
    METADATA,
    sa.Column("state_sha256", sa.String(64), primary_key=True),
    sa.Column("nonce", sa.String(64), nullable=False),
    sa.Column("binding_sha256", sa.String(64), nullable=False),
    sa.Column("stored_sha256", sa.String(64), nullable=False),
    _belongs_to("platform", PLATFORMS),
    sa.Column("target_link_uri", sa.Text, nullable=False),
    sa.Column("login_hint", sa.Text, nullable=False),
    sa.Column("message_hint", sa.Text),
    sa.Column("storage_target", sa.String(100)),
    sa.Column("started_at", Moment, nullable=False),
    sa.Column("expires_at", Moment, nullable=False, index=True),
    sa.Column("used_at", Moment),
)
PEOPLE = sa.Table(
    "portal_lti_people",
    METADATA,
    _number(),
    _belongs_to("platform", PLATFORMS),
    sa.Column("subject", sa.String(255), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("email", sa.Text, nullable=False),
    sa.Column("seen_at", Moment, nullable=False),
    sa.UniqueConstraint("platform", "subject"),
)
INVITATIONS = sa.Table(
    "portal_lti_invitations",
    METADATA,
    sa.Column("code_sha256", sa.String(64), primary_key=True),
    sa.Column("expires_at", Moment, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("used_at", Moment),
)
TICKETS = sa.Table(
    "portal_lti_tickets",
    METADATA,
    sa.Column("ticket_sha256", sa.String(64), primary_key=True),
    _belongs_to("platform", PLATFORMS),
    sa.Column("deployment_id", sa.String(255), nullable=False),
    sa.Column("return_address", sa.Text, nullable=False),
    sa.Column("data", sa.Text),
    sa.Column("accepts_several", sa.Boolean, nullable=False),
    sa.Column("expires_at", Moment, nullable=False, index=True),
    sa.Column("used_at", Moment),
)
ITEMS = sa.Table(
    "portal_lti_items",
    METADATA,
    _number(),
    _belongs_to("platform", PLATFORMS),
    sa.Column("place", sa.String(64), nullable=False),
    sa.Column("address", sa.Text),
    sa.Column("scopes", sa.Text, nullable=False),
    sa.Column("reserved_until", Moment, nullable=False),
    sa.Column("list_address", sa.Text, nullable=False),
    sa.Column("resource_link", sa.Text, nullable=False),
    sa.Column("assignment", sa.Text, nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("maximum", sa.Float, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.UniqueConstraint("platform", "place"),
)
"""
A line item is a column in a platform's gradebook. Its place is a hash of what it belongs to. Until it has an address,
the other values say where to look for it, or what to make; nobody looks before `reserved_until`.
"""
CELLS = sa.Table(
    "portal_lti_cells",
    METADATA,
    _number(),
    _belongs_to("item", ITEMS),
    sa.Column("subject", sa.String(255), nullable=False),
    sa.Column("latest_score", sa.Integer),
    sa.Column("score_on_its_way", sa.Integer),
    sa.Column("latest_timestamp", Moment),
    sa.UniqueConstraint("item", "subject"),
)
"""One student's cell in such a column. At most one score is on its way to it."""
SCORES = sa.Table(
    "portal_lti_scores",
    METADATA,
    _number(),
    _belongs_to("cell", CELLS),
    sa.Column("mark", sa.String(200), nullable=False),
    sa.Column("given", sa.Float, nullable=False),
    sa.Column("maximum", sa.Float, nullable=False),
    sa.Column("comment", sa.Text, nullable=False),
    sa.Column("submitted_at", Moment, nullable=False),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("timestamp", Moment),
    sa.Column("due_at", Moment, nullable=False),
    sa.Column("offered_at", Moment, nullable=False),
    sa.Column("delivered_at", Moment),
    sa.Index("portal_lti_scores_due", "state", "due_at"),
)


def insert_if_new(connection: sa.Connection, table: sa.Table, unique: Sequence[str], **values: Any) -> bool:
    """
    Insert a row unless there is one with the same values in the `unique` columns.

    Returns:
        Whether it was inserted.
    """
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    added = insert(table).values(**values).on_conflict_do_nothing(index_elements=unique)
    return connection.execute(added.returning(sa.literal(1))).first() is not None
