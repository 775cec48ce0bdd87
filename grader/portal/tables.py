"""
The tables of the portal. They stand in the gradebook's database, beside the results, and Alembic migrates them.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import sqlalchemy as sa

__all__ = [
    "ATTEMPTS",
    "AUDIT",
    "COLUMNS",
    "CONTEXTS",
    "EXTENSIONS",
    "HOLDS",
    "KEYS",
    "LINKS",
    "MEMBERS",
    "METADATA",
    "PEOPLE",
    "SECRETS",
    "SESSIONS",
    "UPLOADS",
    "Moment",
]

METADATA = sa.MetaData()


class Moment(sa.types.TypeDecorator[dt.datetime]):
    """A moment with a time zone. It is kept in UTC, since not every database keeps the zone."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: sa.Dialect) -> dt.datetime | None:  # noqa: ARG002
        """The moment in UTC, without a zone. One that has no zone is refused, since nobody knows what it means."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time needs its zone")
        return value.astimezone(dt.timezone.utc).replace(tzinfo=None)

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> dt.datetime | None:  # noqa: ARG002
        """The same moment, with its zone."""
        return None if value is None else value.replace(tzinfo=dt.timezone.utc)


def _person(nullable: bool = False) -> sa.Column[int]:
    return sa.Column("person", sa.ForeignKey("portal_people.id"), nullable=nullable, index=True)


PEOPLE = sa.Table(
    "portal_people",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("student", sa.Text, nullable=False, unique=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("email", sa.Text, nullable=False),
    sa.Column("is_staff", sa.Boolean, nullable=False),
    sa.Column("is_active", sa.Boolean, nullable=False),
    sa.Column("added_at", Moment, nullable=False),
)
"""`student` is the id in the roster and in the gradebook; staff have one, too."""

LINKS = sa.Table(
    "portal_links",
    METADATA,
    sa.Column("digest", sa.String(64), primary_key=True),
    _person(),
    sa.Column("made_at", Moment, nullable=False),
    sa.Column("expires_at", Moment, nullable=False),
    sa.Column("used_at", Moment),
    sa.Column("revoked_at", Moment),
)
"""Personal links for signing in, by the SHA-256 of their secret."""

SESSIONS = sa.Table(
    "portal_sessions",
    METADATA,
    sa.Column("digest", sa.String(64), primary_key=True),
    _person(),
    sa.Column("form_secret", sa.String(64), nullable=False),
    sa.Column("is_framed", sa.Boolean, nullable=False),
    sa.Column("framed_by", sa.Text, nullable=False),  # since version 3
    sa.Column("made_at", Moment, nullable=False),
    sa.Column("expires_at", Moment, nullable=False),
)

KEYS = sa.Table(
    "portal_keys",
    METADATA,
    sa.Column("digest", sa.String(64), primary_key=True),
    _person(),
    sa.Column("made_at", Moment, nullable=False),
    sa.Column("revoked_at", Moment),
)
"""Keys with which programs hand in for a person, by their SHA-256."""

ATTEMPTS = sa.Table(
    "portal_attempts",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    _person(),
    sa.Column("assignment", sa.Text, nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("file", sa.Text, nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("received_at", Moment, nullable=False),
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("holder", sa.String(32)),
    sa.Column("held_until", Moment),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("started_at", Moment),
    sa.Column("finished_at", Moment),
    sa.Column("result", sa.String(64)),
    sa.Column("status", sa.String(20), nullable=False),
    sa.Column("score", sa.Float),
    sa.Column("max_score", sa.Float),
    sa.UniqueConstraint("person", "assignment", "number"),
    sa.Index("portal_attempts_queue", "state", "id"),
)
"""
What was handed in, and the queue: `state` is queued, running or done. `holder` grades it until `held_until`.

`result` is the key of the newest result in the gradebook. It stays while the attempt is judged again. `status` is empty
before the first result, and then graded, unreadable or grader_error.
"""

UPLOADS = sa.Table(
    "portal_uploads",
    METADATA,
    sa.Column("attempt", sa.ForeignKey("portal_attempts.id"), primary_key=True),
    sa.Column("content", sa.LargeBinary, nullable=False),
)

EXTENSIONS = sa.Table(
    "portal_extensions",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    _person(),
    sa.Column("assignment", sa.Text, nullable=False),
    sa.Column("due", Moment),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("made_at", Moment, nullable=False),
)
"""A later due date, and more attempts, for one student; the newest one counts."""

HOLDS = sa.Table(
    "portal_holds",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    _person(nullable=True),
    sa.Column("assignment", sa.Text, nullable=False),
    sa.Column("made_at", Moment, nullable=False),
    sa.Column("released_at", Moment),
)
"""Marks and reports that an instructor withholds, from one student or, without a person, from all."""

SECRETS = sa.Table(
    "portal_secrets",
    METADATA,
    sa.Column("name", sa.String(40), primary_key=True),
    sa.Column("value", sa.LargeBinary, nullable=False),
)
"""The key that signs receipts, and the digest of the roster's file that was read last."""

AUDIT = sa.Table(
    "portal_audit",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at", Moment, nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("what", sa.String(40), nullable=False),
    sa.Column("about", sa.Text, nullable=False),
)
"""Who did what, in the order in which it happened. Rows are only added."""

# Since version 2: learning platforms, whose own tables are those of `grader.portal.lti.tables`.
MEMBERS = sa.Table(
    "portal_members",
    METADATA,
    sa.Column("platform", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("subject", sa.String(255), primary_key=True),
    _person(),
    sa.Column("is_ours", sa.Boolean, nullable=False),
)
"""Who somebody of a platform is. `is_ours` if the platform brought them, and not the roster."""

COLUMNS = sa.Table(
    "portal_columns",
    METADATA,
    sa.Column("item", sa.Integer, primary_key=True, autoincrement=False),
    _person(),
    sa.Column("subject", sa.String(255), primary_key=True),
    sa.Column("assignment", sa.Text, nullable=False),
)
"""Into which column of a platform's gradebook the mark of a person goes."""

CONTEXTS = sa.Table(
    "portal_contexts",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("platform", sa.Integer, nullable=False),
    sa.Column("context", sa.String(255), nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("roster_address", sa.Text, nullable=False),
    sa.Column("is_allowed", sa.Boolean, nullable=False),
    sa.UniqueConstraint("platform", "context"),
)
"""The courses of platforms from which somebody came. From those that are not allowed, nobody gets in."""
