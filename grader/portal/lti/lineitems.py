"""
Line items: columns in a platform's gradebook (Assignment and Grade Services).

A link may have one, which its launch names. Otherwise we look for the one that we made before, by tag and resource, and
make it if there is none. A row of ours is reserved first, so that two launches at once do not make two columns.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from grader.portal.lti.launch import Launch, is_service_address
from grader.portal.lti.platforms import Platform, find_platform
from grader.portal.lti.refusals import PlatformFailure
from grader.portal.lti.services import call, pages, with_query
from grader.portal.lti.tables import ITEMS, insert_if_new
from grader.portal.lti.tool import ITEM_READ_SCOPE, ITEM_SCOPE, SCORE_SCOPE, Tool, digest
from grader.portal.lti.web import origin_of

__all__ = ["TAG", "find_item", "whole_maximum"]

TAG = "grade"
ONE = "application/vnd.ims.lis.v2.lineitem+json"
LIST = "application/vnd.ims.lis.v2.lineitemcontainer+json"
RESERVED_FOR = timedelta(minutes=5)
MOST_PAGES = 50
PAGE_LIMIT = 1024 * 1024
LONGEST_LABEL = 100
PERCENT = 100
"""The maximum of a column if that of the assignment is not whole; each score brings its own maximum."""


def whole_maximum(maximum: float) -> int:
    """The maximum of a column for an assignment with this maximum: some platforms take only whole ones."""
    return int(maximum) if maximum == int(maximum) > 0 else PERCENT


def find_item(tool: Tool, launch: Launch, *, assignment: str, title: str, maximum: float) -> int:
    """
    The column for an assignment in the gradebook of the platform, made if there is none.

    Args:
        tool: This portal.
        launch: Somebody opened the assignment.
        assignment: Its name, which never changes.
        title: What teachers read above the column.
        maximum: Its points.

    Returns:
        The number of the column, for the outbox.

    Raises:
        PlatformFailure: The platform does not allow it, or does not answer.
    """
    if SCORE_SCOPE not in launch.grade_scopes or not (launch.item_address or launch.items_address):
        raise PlatformFailure("The learning platform does not let the portal send scores for this link.")
    if launch.item_address:
        place, address = digest("link", launch.item_address), launch.item_address
    else:
        place, address = digest("made", launch.items_address, launch.resource_link, assignment), ""
    number, known, is_ours = _reserve(tool, launch, place, address)
    if known:
        return number
    if not is_ours:
        raise PlatformFailure("The column in the gradebook is being made. Try again in a minute.")
    platform = find_platform(tool, launch.platform)
    try:
        address = _search(tool, platform, launch, assignment)
        address = address or _make(tool, platform, launch, assignment, title, maximum)
    finally:
        with tool.database.begin() as connection:
            values: dict[str, Any] = {"address": address} if address else {"reserved_until": tool.clock()}
            connection.execute(sa.update(ITEMS).where(ITEMS.c.number == number).values(**values))
    return number


def _reserve(tool: Tool, launch: Launch, place: str, address: str) -> tuple[int, bool, bool]:
    """The row for a column, whether its address is known, and whether it is ours to find out."""
    now = tool.clock()
    scopes = " ".join(launch.grade_scopes)
    values = {"address": address or None, "scopes": scopes, "reserved_until": now + RESERVED_FOR}
    chosen = sa.and_(ITEMS.c.platform == launch.platform, ITEMS.c.place == place)
    with tool.database.begin() as connection:
        is_new = insert_if_new(
            connection, ITEMS, ["platform", "place"], platform=launch.platform, place=place, **values
        )
        connection.execute(sa.update(ITEMS).where(chosen).values(scopes=scopes))
        row = connection.execute(sa.select(ITEMS).where(chosen)).one()
        if is_new or row.address:
            return row.number, bool(row.address), is_new
        free = sa.and_(chosen, ITEMS.c.address.is_(None), ITEMS.c.reserved_until <= now)
        taken = sa.update(ITEMS).where(free).values(reserved_until=now + RESERVED_FOR)
        return row.number, False, connection.execute(taken).rowcount == 1


def _search(tool: Tool, platform: Platform, launch: Launch, assignment: str) -> str:
    scopes = [scope for scope in (ITEM_SCOPE, ITEM_READ_SCOPE) if scope in launch.grade_scopes][:1]
    if not scopes:
        raise PlatformFailure("The learning platform does not let the portal look into its gradebook.")
    first = with_query(launch.items_address, tag=TAG, resource_id=assignment)
    for page in pages(tool, platform, scopes, first, accept=LIST, most=MOST_PAGES, limit=PAGE_LIMIT):
        entries = page.json()
        if not isinstance(entries, list):
            raise PlatformFailure("The platform's list of columns is none.", status=page.status)
        for each in entries:
            if not isinstance(each, dict) or each.get("tag") != TAG or each.get("resourceId") != assignment:
                continue
            if each.get("resourceLinkId") in (None, "", launch.resource_link):
                return _checked(launch, each.get("id"))
    return ""


def _make(tool: Tool, platform: Platform, launch: Launch, assignment: str, title: str, maximum: float) -> str:
    if ITEM_SCOPE not in launch.grade_scopes:
        raise PlatformFailure("The learning platform does not let the portal make a column in its gradebook.")
    item: dict[str, Any] = {
        "scoreMaximum": whole_maximum(maximum),
        "label": title[:LONGEST_LABEL],
        "resourceId": assignment,
        "tag": TAG,
    }
    if launch.resource_link:
        item["resourceLinkId"] = launch.resource_link
    answer = call(
        tool,
        platform,
        [ITEM_SCOPE],
        "POST",
        launch.items_address,
        accept=ONE,
        content_type=ONE,
        content=json.dumps(item).encode(),
    )
    if not 200 <= answer.status < 300:
        raise PlatformFailure(f"The platform made no column: status {answer.status}.", status=answer.status)
    return _checked(launch, answer.object().get("id"))


def _checked(launch: Launch, address: Any) -> str:
    """The address of a column, which must be at the host of the list: the token goes there."""
    if not isinstance(address, str) or not is_service_address(address):
        raise PlatformFailure("The platform's column has no address.")
    if origin_of(address) != origin_of(launch.items_address):
        raise PlatformFailure("The platform's column is at another host.")
    return address
