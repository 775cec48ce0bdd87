"""
The audit trail: who did what, and when.
"""

from __future__ import annotations

import dataclasses
import datetime as dt

import sqlalchemy as sa

from grader.portal.tables import AUDIT

__all__ = ["Act", "acts", "note"]

TEXT_LIMIT = 2_000


@dataclasses.dataclass(frozen=True, slots=True)
class Act:
    """Something that somebody did."""

    at: dt.datetime
    by: str
    what: str
    about: str


def note(connection: sa.Connection, *, by: str, what: str, about: str, now: dt.datetime) -> None:
    """Add a line to the trail, in the transaction of what it is about."""
    connection.execute(sa.insert(AUDIT).values(at=now, by=by, what=what, about=about[:TEXT_LIMIT]))


def acts(connection: sa.Connection, *, most: int, before: int | None = None) -> list[tuple[int, Act]]:
    """
    The newest lines of the trail, the newest first, with their numbers.

    Args:
        before: Only lines with smaller numbers.
    """
    found = sa.select(AUDIT).order_by(AUDIT.c.id.desc()).limit(most)
    if before is not None:
        found = found.where(AUDIT.c.id < before)
    return [(row.id, Act(row.at, row.by, row.what, row.about)) for row in connection.execute(found)]
