"""
Line items: columns in a platform's gradebook (Assignment and Grade Services).

A link may have one, which its launch names. Otherwise we look for the one that we made before, by tag and resource, and
make it if there is none. A launch only notes what to look for, so that nothing is lost if the platform or the portal
fails; whoever looks says so first, so that two of them do not make two columns. A platform names a column that we made
in later launches of its link: that is the same one.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from grader.portal.lti.launch import Launch
from grader.portal.lti.platforms import Platform, find_platform
from grader.portal.lti.refusals import PlatformFailure
from grader.portal.lti.services import call, pages, with_query
from grader.portal.lti.tables import ITEMS, insert_if_new
from grader.portal.lti.tool import ITEM_READ_SCOPE, ITEM_SCOPE, SCORE_SCOPE, Tool, digest, is_writable
from grader.portal.lti.web import is_service_address, origin_of, pause_after

__all__ = ["TAG", "find_items", "forget_item", "reserve_item", "whole_maximum"]

TAG = "grade"
ONE = "application/vnd.ims.lis.v2.lineitem+json"
LIST = "application/vnd.ims.lis.v2.lineitemcontainer+json"
RESERVED_FOR = timedelta(minutes=5)
"""After this time, whoever was looking for a column has crashed."""
FIRST_PAUSE = timedelta(seconds=15)
LONGEST_PAUSE = timedelta(minutes=15)
MOST_PAGES = 50
PAGE_LIMIT = 1024 * 1024
LONGEST_LABEL = 100
LONGEST_ADDRESS = 2000
PERCENT = 100
"""The maximum of a column if that of the assignment is not whole; each score brings its own maximum."""

_log = logging.getLogger("grader.portal")


def whole_maximum(maximum: float) -> int:
    """The maximum of a column for an assignment with this maximum: some platforms take only whole ones."""
    return int(maximum) if maximum == int(maximum) > 0 else PERCENT


def reserve_item(tool: Tool, launch: Launch, *, assignment: str, title: str, maximum: float) -> int:
    """
    The column for an assignment in the gradebook of the platform. `find_items` asks the platform for it later.

    Args:
        tool: This portal.
        launch: Somebody opened the assignment.
        assignment: Its name, which never changes.
        title: What teachers read above the column.
        maximum: Its points.

    Returns:
        The number of the column, for the outbox.

    Raises:
        PlatformFailure: The platform does not allow it.
    """
    if SCORE_SCOPE not in launch.grade_scopes or not (launch.item_address or launch.items_address):
        raise PlatformFailure("The learning platform does not let the portal send scores for this link.")
    made = digest("made", launch.items_address, launch.resource_link, assignment)
    place = digest("link", launch.item_address) if launch.item_address else made
    values: dict[str, Any] = {
        "scopes": " ".join(launch.grade_scopes),
        "list_address": launch.items_address,
        "resource_link": launch.resource_link,
        "assignment": assignment,
        "title": title,
        "maximum": maximum,
    }
    if launch.item_address:
        values |= {"address": launch.item_address, "reason": ""}
    fresh = {"reserved_until": tool.clock(), "tries": 0, "reason": ""}
    with tool.database.begin() as connection:
        number = _named(connection, launch, made)
        if number is None:
            chosen = sa.and_(ITEMS.c.platform == launch.platform, ITEMS.c.place == place)
            row = {"platform": launch.platform, "place": place, **fresh, **values}
            insert_if_new(connection, ITEMS, ["platform", "place"], **row)
            number = int(connection.execute(sa.select(ITEMS.c.number).where(chosen)).scalar_one())
        connection.execute(sa.update(ITEMS).where(ITEMS.c.number == number).values(**values))
    return number


def _named(connection: sa.Connection, launch: Launch, made: str) -> int | None:
    """The column that a launch names, if it is known already, or if one is still looked for in this place."""
    if not launch.item_address:
        return None
    is_awaited = sa.and_(ITEMS.c.place == made, ITEMS.c.address.is_(None))
    known = sa.select(ITEMS.c.number).where(
        ITEMS.c.platform == launch.platform, sa.or_(ITEMS.c.address == launch.item_address, is_awaited)
    )
    return connection.execute(known.order_by(ITEMS.c.address.is_(None), ITEMS.c.number).limit(1)).scalar_one_or_none()


def forget_item(tool: Tool, number: int, address: str) -> bool:
    """
    A column is no longer at its address: `find_items` looks for it again, and has it made if it is gone.

    Returns:
        Whether it is looked for. One that its link brought is the platform's own affair.
    """
    ours = sa.and_(ITEMS.c.number == number, ITEMS.c.address == address, ITEMS.c.place != digest("link", address))
    lost = {"address": None, "reserved_until": tool.clock(), "reason": "The one that it had is gone."}
    with tool.database.begin() as connection:
        return connection.execute(sa.update(ITEMS).where(ours, ITEMS.c.list_address != "").values(**lost)).rowcount == 1


def find_items(tool: Tool, *, is_over: Callable[[], bool] = lambda: False) -> int:
    """
    Ask platforms for the columns that have no address yet, and have them made. Several processes may do this at once.

    What fails is tried again after a pause that grows, and its reason stands beside the scores that wait for it. A
    platform that fails is left alone until the next time, so that its time-outs do not add up.

    Args:
        tool: This portal.
        is_over: Asked before each column. If so, it and those after it stay for the next time.

    Returns:
        How many columns were found or made.
    """
    free = sa.select(ITEMS.c.number, ITEMS.c.platform).where(_is_free(tool.clock()))
    with tool.database.begin() as connection:
        rows = connection.execute(free.order_by(ITEMS.c.reserved_until, ITEMS.c.number)).all()
    found = 0
    failing: set[int] = set()
    for row in rows:
        item = None if row.platform in failing or is_over() else _claim(tool, row.number)
        if item is None:
            continue
        try:
            found += _find(tool, find_platform(tool, item.platform), item)
        except PlatformFailure as failure:
            _log.warning("No column was found for marks of %s: %s", item.assignment, failure)
            pause = pause_after(item.tries, first=FIRST_PAUSE, longest=LONGEST_PAUSE)
            _save(tool, item, reserved_until=tool.clock() + pause, reason=failure.sentence)
            if not isinstance(failure, _NotAllowedError):
                failing.add(row.platform)
        except Exception:  # whatever a platform answers, it keeps no other one back
            _log.exception("No column was found for marks of %s.", item.assignment)
            failing.add(row.platform)
    return found


class _NotAllowedError(PlatformFailure):
    """The launch did not allow it, so that the platform was not asked."""


def _is_free(now: datetime) -> sa.ColumnElement[bool]:
    """Whether a column has no address, it is known where to look for one, and nobody is looking or pausing."""
    until = ITEMS.c.reserved_until  # nobody pauses for longer than the longest pause: then the clock was far ahead
    is_over = sa.or_(until <= now, until > now + LONGEST_PAUSE + RESERVED_FOR)
    return sa.and_(ITEMS.c.address.is_(None), ITEMS.c.list_address != "", is_over)


def _claim(tool: Tool, number: int) -> sa.Row[Any] | None:
    """Say that we are looking for a column; nothing if somebody else is, or has found it."""
    now = tool.clock()
    claim = sa.update(ITEMS).where(ITEMS.c.number == number, _is_free(now))
    claim = claim.values(reserved_until=now + RESERVED_FOR, tries=ITEMS.c.tries + 1)
    with tool.database.begin() as connection:
        return connection.execute(claim.returning(*ITEMS.c)).one_or_none()


def _save(tool: Tool, item: sa.Row[Any], **values: Any) -> bool:
    """Change a column that we are looking for; false if we were so slow that somebody else looks, or has found it."""
    ours = sa.and_(ITEMS.c.number == item.number, ITEMS.c.tries == item.tries, ITEMS.c.address.is_(None))
    with tool.database.begin() as connection:
        return connection.execute(sa.update(ITEMS).where(ours).values(**values)).rowcount == 1


def _find(tool: Tool, platform: Platform, item: sa.Row[Any]) -> bool:
    address = _search(tool, platform, item)
    if not address:
        if not _save(tool, item, reserved_until=tool.clock() + RESERVED_FOR):
            return False
        address = _make(tool, platform, item)
    return _save(tool, item, address=address, reason="")


def _search(tool: Tool, platform: Platform, item: sa.Row[Any]) -> str:
    scopes = [scope for scope in (ITEM_SCOPE, ITEM_READ_SCOPE) if scope in item.scopes.split()][:1]
    if not scopes:
        raise _NotAllowedError("The learning platform does not let the portal look into its gradebook.")
    first = with_query(item.list_address, tag=TAG, resource_id=item.assignment)
    for page in pages(tool, platform, scopes, first, accept=LIST, most=MOST_PAGES, limit=PAGE_LIMIT):
        entries = page.json()
        if not isinstance(entries, list):
            raise PlatformFailure("The platform's list of columns is none.", status=page.status)
        for each in entries:
            if not isinstance(each, dict) or each.get("tag") != TAG or each.get("resourceId") != item.assignment:
                continue
            if each.get("resourceLinkId") in (None, "", item.resource_link):
                return _checked(item, each.get("id"))
    return ""


def _make(tool: Tool, platform: Platform, item: sa.Row[Any]) -> str:
    if ITEM_SCOPE not in item.scopes.split():
        raise _NotAllowedError("The learning platform does not let the portal make a column in its gradebook.")
    made: dict[str, Any] = {
        "scoreMaximum": whole_maximum(item.maximum),
        "label": item.title[:LONGEST_LABEL],
        "resourceId": item.assignment,
        "tag": TAG,
    }
    if item.resource_link:
        made["resourceLinkId"] = item.resource_link
    answer = call(
        tool,
        platform,
        [ITEM_SCOPE],
        "POST",
        item.list_address,
        accept=ONE,
        content_type=ONE,
        content=json.dumps(made).encode(),
    )
    if not 200 <= answer.status < 300:
        raise PlatformFailure(f"The platform made no column: status {answer.status}.", status=answer.status)
    return _checked(item, answer.object().get("id"))


def _checked(item: sa.Row[Any], address: Any) -> str:
    """The address of a column, which must be at the host of the list: the token goes there."""
    if not isinstance(address, str) or not is_service_address(address):
        raise PlatformFailure("The platform's column has no address.")
    if len(address) > LONGEST_ADDRESS or not is_writable(address):
        raise PlatformFailure("The platform's column has an address that cannot be saved.")
    if origin_of(address) != origin_of(item.list_address):
        raise PlatformFailure("The platform's column is at another host.")
    return address
