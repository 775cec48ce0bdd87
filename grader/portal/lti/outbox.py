"""
The outbox: scores on their way to platforms.

A mark is offered once, and sent when it is due. Before it is sent, its timestamp is saved, so that a repetition after a
crash has the same one: the platform refuses that if the first arrived, and then the result that it shows decides. A
platform that has something newer is a conflict. People see and settle it; a newer mark waits until they did.

    waiting      to be sent when it is due
    sending      on its way; if nothing is heard of it for some minutes, it is sent again
    delivered    the platform has it
    conflict     the platform has another score that is newer
    refused      the platform does not want it
    superseded   a newer mark took its place
"""

from __future__ import annotations

import enum
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from grader.portal.audit import note
from grader.portal.lti.tables import CELLS, ITEMS, SCORES, insert_if_new
from grader.portal.lti.tool import Tool, is_writable

__all__ = ["Entry", "Offer", "State", "entries", "offer", "resend"]

LONGEST_MARK = 200
LONGEST_COMMENT = 2000
LONGEST_SUBJECT = 255
MOST_SHOWN = 10_000


class State(str, enum.Enum):
    """Where a score is."""

    WAITING = "waiting"
    SENDING = "sending"
    DELIVERED = "delivered"
    CONFLICT = "conflict"
    REFUSED = "refused"
    SUPERSEDED = "superseded"


@dataclass(frozen=True)
class Offer:
    """
    A mark to be sent. A mark that is withheld, or that a fault of the grader kept from being given, is not offered.

    Raises:
        ValueError: It is not a score that a platform could take.
    """

    item: int
    """The column, from `reserve_item`."""
    subject: str
    """The student, as the platform calls them."""
    mark: str
    """What the mark is called here."""
    given: float
    maximum: float
    submitted_at: datetime
    comment: str = ""

    def __post_init__(self) -> None:
        numbers = (self.given, self.maximum)
        if not all(isinstance(each, (int, float)) and math.isfinite(each) for each in numbers):
            raise ValueError("a score needs its points and its maximum")
        if self.given < 0 or self.maximum <= 0:
            raise ValueError("a score has no negative points, and its maximum is more than 0")
        if self.submitted_at.tzinfo is None:
            raise ValueError("a time needs its zone")
        if not 0 < len(self.subject) <= LONGEST_SUBJECT or not 0 < len(self.mark) <= LONGEST_MARK:
            raise ValueError("a score needs a student and a name, neither of them too long")
        if not all(is_writable(text) for text in (self.subject, self.mark, self.comment)):
            raise ValueError("a score's texts have characters that are no text")


@dataclass(frozen=True)
class Entry:
    """A score in the outbox."""

    number: int
    item: int
    subject: str
    mark: str
    given: float
    maximum: float
    state: State
    reason: str
    """Why it is not delivered, in one sentence; empty if there is nothing to say."""
    tries: int
    offered_at: datetime
    delivered_at: datetime | None


def offer(tool: Tool, offered: Offer) -> int:
    """
    Put a mark into the outbox, unless it is the one that was offered last for this student and column.

    That one may be offered as often as one likes: it is only looked at.

    Returns:
        The number of the score.

    Raises:
        ValueError: There is no such column.
    """
    now = tool.clock()
    key = sa.and_(CELLS.c.item == offered.item, CELLS.c.subject == offered.subject)
    values = {
        "mark": offered.mark,
        "given": float(offered.given),
        "maximum": float(offered.maximum),
        "comment": offered.comment[:LONGEST_COMMENT],
        "submitted_at": offered.submitted_at,
    }
    with tool.database.begin() as connection:
        latest = _latest(connection, key)
        if _is_same(latest, values):
            return int(latest.number)
        if connection.execute(sa.select(ITEMS.c.number).where(ITEMS.c.number == offered.item)).one_or_none() is None:
            raise ValueError(f"there is no column number {offered.item}")
    with tool.database.begin() as connection:
        insert_if_new(connection, CELLS, ["item", "subject"], item=offered.item, subject=offered.subject)
        connection.execute(sa.update(CELLS).where(key).values(subject=offered.subject))  # from here on it is locked
        cell = connection.execute(sa.select(CELLS).where(key)).one()
        latest = _latest(connection, key)
        if _is_same(latest, values):
            return int(latest.number)
        state, reason = State.WAITING, ""
        if latest is not None and latest.state == State.CONFLICT:
            state, reason = State.CONFLICT, latest.reason
        left = sa.and_(SCORES.c.cell == cell.number, SCORES.c.state.in_([State.WAITING.value, State.CONFLICT.value]))
        connection.execute(sa.update(SCORES).where(left).values(state=State.SUPERSEDED.value))
        number = connection.execute(
            sa.insert(SCORES)
            .values(
                **values,
                cell=cell.number,
                state=state.value,
                reason=reason,
                tries=0,
                due_at=now,
                offered_at=now,
            )
            .returning(SCORES.c.number)
        ).scalar_one()
        connection.execute(sa.update(CELLS).where(key).values(latest_score=number))
    return int(number)


def _latest(connection: sa.Connection, key: sa.ColumnElement[bool]) -> Any:
    """The row of the score that was offered last to a cell, or nothing."""
    joined = sa.select(SCORES).join(CELLS, CELLS.c.latest_score == SCORES.c.number)
    return connection.execute(joined.where(key)).one_or_none()


def _is_same(latest: Any, values: Mapping[str, Any]) -> bool:
    return latest is not None and all(getattr(latest, name) == value for name, value in values.items())


def resend(tool: Tool, number: int, *, by: str) -> bool:
    """
    Send a score although the platform has a newer one, or refused it: somebody looked at it and decided so.

    Args:
        tool: This portal.
        number: The score's.
        by: Who decided, for the audit trail.

    Returns:
        Whether it waits now. A score that is no longer the latest is not sent again.
    """
    now = tool.clock()
    is_latest = sa.exists().where(CELLS.c.number == SCORES.c.cell, CELLS.c.latest_score == SCORES.c.number)
    states = [State.CONFLICT.value, State.REFUSED.value]
    chosen = sa.and_(SCORES.c.number == number, SCORES.c.state.in_(states), is_latest)
    fresh = {
        "state": State.WAITING.value,
        "reason": "",
        "tries": 0,
        "timestamp": None,
        "due_at": now,
        "offered_at": now,
    }
    again = sa.update(SCORES).where(chosen).values(**fresh)
    with tool.database.begin() as connection:
        if connection.execute(again).rowcount != 1:
            return False
        note(connection, by=by, what="sent again", about=f"score {number}", now=now)
    return True


def entries(
    tool: Tool, states: Collection[State] = tuple(State), *, item: int | None = None, most: int = MOST_SHOWN
) -> list[Entry]:
    """The newest scores in these states, the newest first."""
    wanted: sa.ColumnElement[bool] = SCORES.c.state.in_([state.value for state in states])
    if item is not None:
        wanted = sa.and_(wanted, CELLS.c.item == item)
    about_column = [ITEMS.c.address, ITEMS.c.reason.label("why_no_column")]
    query = sa.select(SCORES, CELLS.c.item, CELLS.c.subject, *about_column)
    query = query.join(CELLS, CELLS.c.number == SCORES.c.cell).join(ITEMS, ITEMS.c.number == CELLS.c.item)
    with tool.database.begin() as connection:
        rows = connection.execute(query.where(wanted).order_by(SCORES.c.number.desc()).limit(most)).all()
    return [
        Entry(
            number=row.number,
            item=row.item,
            subject=row.subject,
            mark=row.mark,
            given=row.given,
            maximum=row.maximum,
            state=State(row.state),
            reason=_why_it_waits(row) if row.state == State.WAITING.value else row.reason,
            tries=row.tries,
            offered_at=row.offered_at,
            delivered_at=row.delivered_at,
        )
        for row in rows
    ]


def _why_it_waits(score: sa.Row[Any]) -> str:
    """Why a score was not sent yet: the last try's reason, or that its column is not known."""
    if score.address:
        return str(score.reason)
    return f"The gradebook has no column for it yet. {score.why_no_column}".rstrip()
