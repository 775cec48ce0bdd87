"""
Sends what is in the outbox and due.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import sqlalchemy as sa

from grader.portal.lti.lineitems import forget_item
from grader.portal.lti.outbox import State
from grader.portal.lti.platforms import Platform, platforms
from grader.portal.lti.refusals import PlatformFailure
from grader.portal.lti.services import call, pages, under, with_query
from grader.portal.lti.tables import CELLS, ITEMS, SCORES
from grader.portal.lti.tool import RESULT_SCOPE, SCORE_SCOPE, Tool, finite
from grader.portal.lti.web import LONGEST_WAIT_S, Answer, pause_after, wait_of

__all__ = ["deliver_due"]

SCORE = "application/vnd.ims.lis.v1.score+json"
RESULTS = "application/vnd.ims.lis.v2.resultcontainer+json"
LEASE = timedelta(minutes=2)
"""
After this time, whoever was sending a score has crashed. Two requests, each with one for a token, may take as long. If
somebody is slower still, the score is sent twice with one timestamp, of which the platform refuses the second.
"""
TICK = timedelta(milliseconds=1)
FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(hours=6)
GIVEN_UP_AFTER = timedelta(days=14)
PASSING = frozenset({401, 408, 425, 429})
"""The statuses of refusals that pass, as all from 500 do."""
GONE = frozenset({404, 410})
"""The statuses with which a platform may mean the column, not the score."""
OUTDATED = frozenset({400, 409})
"""The statuses with which platforms refuse a timestamp that is not newer than theirs."""
MOST_PAGES = 20
PAGE_LIMIT = 1024 * 1024
SAME = 1e-5
"""Platforms round. Shares of the maximum that differ by less are the same score."""
QUOTED = 200

_log = logging.getLogger("grader.portal")


@dataclass(frozen=True)
class _Outcome:
    state: State
    reason: str = ""
    pause: timedelta = timedelta()


def deliver_due(tool: Tool, *, most: int = 100, is_over: Callable[[], bool] = lambda: False) -> int:
    """
    Send the scores that are due and whose column is known. Several processes may do this at once.

    A platform that fails is left alone until the next time, so that its time-outs do not add up, and keeps no other one
    back. What waits for longest comes first.

    Args:
        tool: This portal.
        most: How many to send to each platform.
        is_over: Asked before each score. If so, it and those after it stay for the next time.

    Returns:
        How many were handled.
    """
    return sum(_deliver_to(tool, platform, most, is_over) for platform in platforms(tool))


def _deliver_to(tool: Tool, platform: Platform, most: int, is_over: Callable[[], bool]) -> int:
    states = [State.WAITING.value, State.SENDING.value]
    now = tool.clock()  # nothing waits for longer than the longest pause: then the clock was far ahead
    is_due = sa.or_(SCORES.c.due_at <= now, SCORES.c.due_at > now + timedelta(seconds=LONGEST_WAIT_S) + LEASE)
    due = sa.and_(SCORES.c.state.in_(states), is_due, ITEMS.c.address.is_not(None))
    query = sa.select(SCORES).join(CELLS, CELLS.c.number == SCORES.c.cell).join(ITEMS, ITEMS.c.number == CELLS.c.item)
    is_new = SCORES.c.state == State.WAITING.value  # what somebody left on its way holds newer marks for its cell back
    query = query.where(due, ITEMS.c.platform == platform.number).order_by(is_new, SCORES.c.due_at, SCORES.c.number)
    with tool.database.begin() as connection:
        rows = connection.execute(query.limit(most)).all()
    handled = 0
    for row in rows:
        claimed = None if is_over() else _claim(tool, row)
        if claimed is None:
            continue
        outcome = _send(tool, platform, claimed)
        _settle(tool, claimed, outcome)
        handled += 1
        if outcome.state is State.WAITING:
            break
    return handled


class _TakenError(Exception):
    """Somebody else is sending this score, or another one to the same cell, or the column is looked for again."""


def _claim(tool: Tool, row: sa.Row[Any]) -> sa.Row[Any] | None:
    """Say that we are sending a score, and with which timestamp; nothing if somebody else is."""
    try:
        with tool.database.begin() as connection:
            return _claim_within(connection, row, tool.clock())
    except _TakenError:
        return None


def _claim_within(connection: sa.Connection, row: sa.Row[Any], now: datetime) -> sa.Row[Any]:
    free = sa.or_(CELLS.c.score_on_its_way.is_(None), CELLS.c.score_on_its_way == row.number)
    cell = sa.and_(CELLS.c.number == row.cell, free)
    if connection.execute(sa.update(CELLS).where(cell).values(score_on_its_way=row.number)).rowcount != 1:
        raise _TakenError
    chosen = sa.and_(SCORES.c.number == row.number, SCORES.c.state == row.state, SCORES.c.due_at == row.due_at)
    claim = {"state": State.SENDING.value, "tries": SCORES.c.tries + 1, "due_at": now + LEASE}
    if connection.execute(sa.update(SCORES).where(chosen).values(**claim)).rowcount != 1:
        raise _TakenError
    if row.timestamp is None:
        latest = connection.execute(sa.select(CELLS.c.latest_timestamp).where(cell)).scalar_one()
        timestamp = now.replace(microsecond=now.microsecond // 1000 * 1000)
        if latest is not None:
            timestamp = max(timestamp, latest + TICK)
        connection.execute(sa.update(CELLS).where(cell).values(latest_timestamp=timestamp))
        connection.execute(sa.update(SCORES).where(SCORES.c.number == row.number).values(timestamp=timestamp))
    whole = sa.select(SCORES, CELLS.c.subject, CELLS.c.item, ITEMS.c.address, ITEMS.c.scopes)
    joined = whole.join(CELLS, CELLS.c.number == SCORES.c.cell).join(ITEMS, ITEMS.c.number == CELLS.c.item)
    claimed = connection.execute(joined.where(SCORES.c.number == row.number)).one()
    if claimed.address is None:
        raise _TakenError
    return claimed


def _send(tool: Tool, platform: Platform, row: sa.Row[Any]) -> _Outcome:
    score = {
        "userId": row.subject,
        "scoreGiven": _number(row.given),
        "scoreMaximum": _number(row.maximum),
        "timestamp": _written(row.timestamp),
        "activityProgress": "Completed",
        "gradingProgress": "FullyGraded",
        "submission": {"submittedAt": _written(row.submitted_at)},
    }
    if row.comment:
        score["comment"] = row.comment
    try:
        answer = call(
            tool,
            platform,
            [SCORE_SCOPE],
            "POST",
            under(row.address, "scores"),
            content_type=SCORE,
            content=json.dumps(score).encode(),
        )
        if 200 <= answer.status < 300:
            return _Outcome(State.DELIVERED)
        if answer.status in OUTDATED:
            return _compare(tool, platform, row, answer)
    except PlatformFailure as failure:
        return _later(tool, row, failure.sentence)
    except Exception:  # whatever a platform answers, it keeps no other one back
        _log.exception("Score %d was not sent.", row.number)
        return _later(tool, row, "The portal failed at the platform's answer.")
    if answer.status in PASSING or answer.status >= 500:
        wait = wait_of(answer.retry_after, tool.clock())
        return _later(tool, row, f"The platform answered with status {answer.status}.", wait)
    if answer.status in GONE and row.tries == 1 and forget_item(tool, row.item, row.address):
        return _later(tool, row, _refusal(answer))
    return _Outcome(State.REFUSED, _refusal(answer))


def _later(tool: Tool, row: sa.Row[Any], reason: str, wait: float = 0) -> _Outcome:
    if tool.clock() - row.timestamp > GIVEN_UP_AFTER:
        return _Outcome(State.REFUSED, f"Given up after {GIVEN_UP_AFTER.days} days. {reason}")
    pause = pause_after(row.tries, first=FIRST_PAUSE, longest=LONGEST_PAUSE)
    return _Outcome(State.WAITING, reason, max(pause, timedelta(seconds=wait)))


def _compare(tool: Tool, platform: Platform, row: sa.Row[Any], answer: Answer) -> _Outcome:
    """
    What it means that a platform refuses a score as outdated: the result that it shows decides.

    Raises:
        PlatformFailure: It does not show its results now.
    """
    if RESULT_SCOPE not in row.scopes.split():
        return _Outcome(State.CONFLICT, "The platform has something newer, and does not let the portal see it.")
    first = with_query(under(row.address, "results"), user_id=row.subject)
    for page in pages(tool, platform, [RESULT_SCOPE], first, accept=RESULTS, most=MOST_PAGES, limit=PAGE_LIMIT):
        found = page.json()
        for each in found if isinstance(found, list) else []:
            if not isinstance(each, dict) or each.get("userId") != row.subject:
                continue
            given, maximum = finite(each.get("resultScore")), finite(each.get("resultMaximum", 1))
            if given is None or not maximum or maximum < 0:
                continue
            if abs(given / maximum - row.given / row.maximum) < SAME:
                return _Outcome(State.DELIVERED)
            there = f"{_number(round(given, 4))} of {_number(round(maximum, 4))}"
            return _Outcome(State.CONFLICT, f"The platform has another score that is newer: {there}.")
    if answer.status == 409:
        return _Outcome(State.CONFLICT, "The platform has something newer, but shows no score.")
    return _Outcome(State.REFUSED, _refusal(answer))


def _settle(tool: Tool, row: sa.Row[Any], outcome: _Outcome) -> None:
    """Save what became of a score, unless its lease ended and somebody else is sending it."""
    now = tool.clock()
    values: dict[str, Any] = {
        "state": outcome.state.value,
        "reason": outcome.reason,
        "due_at": now + outcome.pause,
        "delivered_at": now if outcome.state is State.DELIVERED else None,
    }
    ours = sa.and_(SCORES.c.number == row.number, SCORES.c.state == State.SENDING.value, SCORES.c.due_at == row.due_at)
    with tool.database.begin() as connection:
        cell = CELLS.c.number == row.cell
        connection.execute(sa.update(CELLS).where(cell).values(subject=row.subject))  # from here on it is locked
        latest = connection.execute(sa.select(CELLS.c.latest_score).where(cell)).scalar_one()
        is_outdated = latest != row.number
        if is_outdated and outcome.state in (State.WAITING, State.CONFLICT):
            values["state"] = State.SUPERSEDED.value
        if connection.execute(sa.update(SCORES).where(ours).values(**values)).rowcount != 1:
            return
        connection.execute(sa.update(CELLS).where(cell).values(score_on_its_way=None))
        if is_outdated and outcome.state is State.CONFLICT:
            newer = sa.and_(SCORES.c.number == latest, SCORES.c.state == State.WAITING.value)
            held = {"state": State.CONFLICT.value, "reason": outcome.reason}
            connection.execute(sa.update(SCORES).where(newer).values(**held))


def _refusal(answer: Answer) -> str:
    said = " ".join(answer.body[: 4 * QUOTED].decode("utf-8", "replace").split())[:QUOTED]
    shown = "".join(character for character in said if character.isprintable())
    return f"The platform refuses the score with status {answer.status}{f': {shown}' if shown else '.'}"


def _written(time: datetime) -> str:
    return time.astimezone(timezone.utc).isoformat(timespec="milliseconds")


def _number(value: float) -> float:
    return int(value) if value == int(value) else value
