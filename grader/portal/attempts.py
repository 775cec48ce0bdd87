"""
Attempts, and the queue that they wait in.

An upload is acknowledged when it has been committed. A server that grades an attempt holds it for a while, and prolongs
that while it lives. If it is killed, the attempt is given to the next one; only who holds an attempt may finish it.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from grader.portal.arrangements import extension_of
from grader.portal.course import Offer
from grader.portal.people import Person, lock_person
from grader.portal.tables import ATTEMPTS, PEOPLE, UPLOADS

__all__ = [
    "DONE",
    "FAULT",
    "UNREADABLE",
    "Attempt",
    "Refusal",
    "accept",
    "attempts_of",
    "claim",
    "content_of",
    "find_attempt",
    "finish",
    "give_back",
    "judge_again",
    "places_in_queue",
    "prolong",
]

QUEUED, RUNNING, DONE = "queued", "running", "done"
FAULT = "grader_error"
UNREADABLE = "unreadable"
MOST_WAITING = 3
"""How many attempts of one student may wait at the same time, so that nobody keeps the others waiting."""
MOST_BYTES = 256 << 20
"""How much of one student's files is kept."""
LEASE = dt.timedelta(seconds=15)
"""How long a server that does not say that it lives keeps what it grades."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """
    Something that a student handed in.

    Attributes:
        number: Counts the attempts of this student at this assignment, from 1.
        state: `queued`, `running` or `done`.
        status: `graded`, `unreadable` or `grader_error`; empty before the first result.
        result: The key of its newest result in the gradebook.
        tries: How often somebody began to grade it.
    """

    id: int
    person: int
    student: str
    name: str
    assignment: str
    number: int
    file: str
    sha256: str
    received_at: dt.datetime
    state: str
    status: str
    tries: int
    started_at: dt.datetime | None
    finished_at: dt.datetime | None
    result: str | None
    score: float | None
    max_score: float | None

    @property
    def is_graded(self) -> bool:
        """Whether it has a score."""
        return self.status == "graded" and self.score is not None

    @property
    def is_used(self) -> bool:
        """Whether it is one of the attempts that the student has."""
        return self.status not in (FAULT, UNREADABLE)


@dataclasses.dataclass(frozen=True, slots=True)
class Refusal:
    """Why something was not accepted, in a sentence for the student."""

    reason: str


def accept(
    connection: sa.Connection,
    person: Person,
    offer: Offer,
    *,
    file: str,
    content: bytes,
    now: dt.datetime,
    served: Iterable[str] = (),
) -> Attempt | Refusal:
    """
    Put an upload into the queue. When the transaction is committed, nothing can lose it any more.

    The same file again is the same attempt, so a form that is sent twice does no harm.

    Args:
        served: The ids of all assignments that this server has, for what of this person waits. What waits at others may
            wait for ever.
    """
    lock_person(connection, person)
    earlier = attempts_of(connection, assignment=offer.id, person=person.id)
    digest = hashlib.sha256(content).hexdigest()
    if earlier and earlier[-1].sha256 == digest and earlier[-1].file == file and earlier[-1].status != FAULT:
        return earlier[-1]
    reason = why_not(connection, person, offer, earlier, now) or _too_much(
        connection, person, content, {offer.id, *served}
    )
    if reason:
        return Refusal(reason)
    values = {
        "person": person.id,
        "assignment": offer.id,
        "number": len(earlier) + 1,
        "file": file,
        "sha256": digest,
        "received_at": now,
        "state": QUEUED,
        "tries": 0,
        "status": "",
    }
    number = connection.execute(sa.insert(ATTEMPTS).values(values).returning(ATTEMPTS.c.id)).scalar_one()
    connection.execute(sa.insert(UPLOADS).values(attempt=number, content=content))
    found = find_attempt(connection, number)
    assert found is not None
    return found


def why_not(
    connection: sa.Connection, person: Person, offer: Offer, earlier: Iterable[Attempt], now: dt.datetime
) -> str:
    """Why the person cannot hand in now, in a sentence; empty if nothing keeps them from it."""
    extension = extension_of(connection, person, offer.id)
    closes = offer.closes
    if closes is not None and extension.due is not None:
        closes = max(closes, extension.due)
    if offer.opens is not None and now < offer.opens:
        return "This assignment is not open yet."
    if closes is not None and now > closes:
        return "This assignment is closed."
    counted = [attempt for attempt in earlier if attempt.is_used]
    if offer.attempts and len(counted) >= offer.attempts + extension.attempts:
        return f"All {offer.attempts + extension.attempts} attempts have been used."
    wait = dt.timedelta(minutes=offer.cool_down_minutes)
    if counted and abs(now - counted[-1].received_at) < wait:  # far ahead of us, the clock was wrong then
        left = counted[-1].received_at + wait - now
        return f"The next attempt is possible in {_minutes(left)}."
    return ""


def _too_much(connection: sa.Connection, person: Person, content: bytes, served: Iterable[str]) -> str:
    """Whether somebody fills the queue or the disk: why not, in a sentence, or nothing."""
    waits = (ATTEMPTS.c.person == person.id) & (ATTEMPTS.c.state != DONE) & ATTEMPTS.c.result.is_(None)
    waits &= ATTEMPTS.c.assignment.in_(list(served))
    waiting = connection.execute(sa.select(sa.func.count()).select_from(ATTEMPTS).where(waits)).scalar_one()
    if waiting >= MOST_WAITING:
        return f"{MOST_WAITING} of your attempts are still waiting. Hand in again when one of them is done."
    sizes = sa.select(sa.func.coalesce(sa.func.sum(sa.func.length(UPLOADS.c.content)), 0))
    kept = connection.execute(sizes.join(ATTEMPTS).where(ATTEMPTS.c.person == person.id)).scalar_one()
    if kept + len(content) > MOST_BYTES:
        return f"Your files have more than {MOST_BYTES >> 20} MiB in all. Clear the outputs of the notebook."
    return ""


def attempts_of(
    connection: sa.Connection, *, assignment: str | None = None, person: int | None = None
) -> list[Attempt]:
    """Attempts in the order in which they arrived: of an assignment, of a person, or all."""
    found = _select().order_by(ATTEMPTS.c.id)
    if assignment is not None:
        found = found.where(ATTEMPTS.c.assignment == assignment)
    if person is not None:
        found = found.where(ATTEMPTS.c.person == person)
    return [_attempt(row) for row in connection.execute(found)]


def find_attempt(connection: sa.Connection, number: int) -> Attempt | None:
    """The attempt with this number."""
    row = connection.execute(_select().where(ATTEMPTS.c.id == number)).one_or_none()
    return None if row is None else _attempt(row)


def content_of(connection: sa.Connection, attempt: Attempt) -> bytes:
    """The file that was handed in."""
    found = sa.select(UPLOADS.c.content).where(UPLOADS.c.attempt == attempt.id)
    return bytes(connection.execute(found).scalar_one())


def places_in_queue(connection: sa.Connection, assignments: Iterable[str]) -> dict[int, int]:
    """
    The place of each attempt that waits for its first result, from 1.

    Args:
        assignments: The ids of those that are served. Attempts at others wait until they are served again.
    """
    waits = (ATTEMPTS.c.state == QUEUED) & ATTEMPTS.c.result.is_(None) & ATTEMPTS.c.assignment.in_(list(assignments))
    waiting = connection.execute(sa.select(ATTEMPTS.c.id).where(waits).order_by(ATTEMPTS.c.id)).scalars()
    return {number: place for place, number in enumerate(waiting, 1)}


# ------------------------------------------------------------------------------------------------------------ queue


def claim(
    connection: sa.Connection, holder: str, assignments: Iterable[str], now: dt.datetime, *, busy: Iterable[int] = ()
) -> Attempt | None:
    """
    Take the next attempt to grade: those without a result first, then those to judge again, each in their order.

    Args:
        holder: A name that no other server ever had.
        assignments: The ids of those that this server has. Attempts at others stay in the queue.
        busy: The numbers of attempts that this server still grades, although it may have been too slow to keep them.
    """
    # Nobody holds one for so long: the clock was far ahead when it was taken.
    is_over = (ATTEMPTS.c.held_until < now) | (ATTEMPTS.c.held_until > now + 2 * LEASE)
    is_given_up = (ATTEMPTS.c.state == RUNNING) & is_over
    is_free = ((ATTEMPTS.c.state == QUEUED) | is_given_up) & ATTEMPTS.c.id.not_in(list(busy))
    is_free &= ATTEMPTS.c.assignment.in_(list(assignments))
    order = (ATTEMPTS.c.result.is_not(None), ATTEMPTS.c.id)
    first = sa.select(ATTEMPTS.c.id).where(is_free).order_by(*order).limit(1).with_for_update(skip_locked=True)
    taken = (
        sa.update(ATTEMPTS)
        .where(ATTEMPTS.c.id == first.scalar_subquery(), is_free)
        .values(state=RUNNING, holder=holder, held_until=now + LEASE, started_at=now, tries=ATTEMPTS.c.tries + 1)
        .returning(ATTEMPTS.c.id)
    )
    number = connection.execute(taken).scalar_one_or_none()
    return None if number is None else find_attempt(connection, number)


def prolong(connection: sa.Connection, holder: str, now: dt.datetime) -> None:
    """Keep all attempts that this server grades."""
    is_mine = (ATTEMPTS.c.state == RUNNING) & (ATTEMPTS.c.holder == holder)
    connection.execute(sa.update(ATTEMPTS).where(is_mine).values(held_until=now + LEASE))


def finish(
    connection: sa.Connection,
    attempt: Attempt,
    holder: str,
    *,
    result: str | None,
    status: str,
    score: float | None,
    max_score: float | None,
    now: dt.datetime,
) -> bool:
    """
    Give an attempt its result.

    Returns:
        bool: False if somebody else holds it by now; then nothing has changed.
    """
    is_mine = (ATTEMPTS.c.id == attempt.id) & (ATTEMPTS.c.state == RUNNING) & (ATTEMPTS.c.holder == holder)
    values = {"state": DONE, "holder": None, "held_until": None, "finished_at": now, "result": result}
    found = {"status": status, "score": score, "max_score": max_score}
    return connection.execute(sa.update(ATTEMPTS).where(is_mine).values(**values, **found)).rowcount == 1


def give_back(connection: sa.Connection, holder: str, attempt: Attempt | None = None) -> None:
    """Put back into the queue what this server has not finished: one attempt, or all."""
    is_mine = (ATTEMPTS.c.state == RUNNING) & (ATTEMPTS.c.holder == holder)
    if attempt is not None:
        is_mine &= ATTEMPTS.c.id == attempt.id
    connection.execute(sa.update(ATTEMPTS).where(is_mine).values(state=QUEUED, holder=None, held_until=None))


def judge_again(connection: sa.Connection, numbers: Iterable[int]) -> int:
    """
    Put finished attempts back into the queue. Their results stay until there are new ones.

    Returns:
        int: How many.
    """
    is_done = ATTEMPTS.c.id.in_(list(numbers)) & (ATTEMPTS.c.state == DONE)
    return connection.execute(sa.update(ATTEMPTS).where(is_done).values(state=QUEUED, tries=0)).rowcount


_FIELDS = tuple(field.name for field in dataclasses.fields(Attempt))


def _select() -> sa.Select[tuple[object, ...]]:
    columns = [PEOPLE.c[name] if name in ("student", "name") else ATTEMPTS.c[name] for name in _FIELDS]
    return sa.select(*columns).join_from(ATTEMPTS, PEOPLE, PEOPLE.c.id == ATTEMPTS.c.person)


def _attempt(row: sa.Row[tuple[object, ...]]) -> Attempt:
    values: dict[str, Any] = dict(zip(_FIELDS, row, strict=True))
    return Attempt(**values)


def _minutes(duration: dt.timedelta) -> str:
    minutes = -(-duration // dt.timedelta(minutes=1))
    return "a minute" if minutes == 1 else f"{minutes} minutes"
