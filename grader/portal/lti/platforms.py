"""
The platforms that may open the portal, known by issuer and client, and their public keys.

All of hosted Canvas has one issuer, so that the issuer alone says nothing. Each platform may use the portal in several
deployments.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey
from joserfc.util import urlsafe_b64decode

from grader.errors import UsageError
from grader.portal.audit import note
from grader.portal.lti.deployments import NamedBy, allow_deployment
from grader.portal.lti.refusals import PlatformFailure, Refused
from grader.portal.lti.tables import PLATFORMS, insert_if_new
from grader.portal.lti.tool import Tool
from grader.portal.lti.web import is_service_address

__all__ = [
    "Platform",
    "add_platform",
    "find_platform",
    "key_of",
    "platform_of_login",
    "platforms",
]

FETCHED_AGAIN_AFTER = timedelta(hours=1)
USED_WITHOUT_PLATFORM = timedelta(days=1)
"""How long keys are trusted while their platform does not answer."""
LEAST_PAUSE = timedelta(seconds=10)
LONGEST_WAIT_S = 2.0
POLL_S = 0.1
KEYS_LIMIT = 64 * 1024
NOT_PUBLISHED = "The learning platform signed with a key that it has not published."
FEWEST_BITS = 2048
MOST_BITS = 8192
LONGEST = 255


@dataclass(frozen=True)
class Platform:
    """A learning platform, as one client of it was registered."""

    number: int
    issuer: str
    client_id: str
    title: str
    authorization_address: str
    token_address: str
    token_audience: str
    keys_address: str
    is_registered_by_itself: bool
    """Then a stranger named its addresses, and they must be public ones."""
    expects_deployment: bool
    """Whether the first launch says which deployment it is, since nobody has named one."""


def add_platform(
    tool: Tool,
    *,
    issuer: str,
    client_id: str,
    authorization_address: str,
    token_address: str,
    keys_address: str,
    by: str,
    title: str = "",
    token_audience: str = "",
    deployments: Iterable[str] = (),
    is_registered_by_itself: bool = False,
    is_change: bool = False,
) -> Platform:
    """
    Add a platform, or change the addresses of one.

    Args:
        tool: This portal.
        issuer: What the platform calls itself.
        client_id: What it calls this registration of the portal.
        authorization_address: Where a login goes on.
        token_address: Where access tokens come from.
        keys_address: Where its public keys are.
        by: Who adds or changes it, for the audit trail; the host of a platform that registers itself.
        title: Its name for people; its host if empty.
        token_audience: Whom a request for a token addresses, if not the token's address.
        deployments: Those that may open the portal. Without any, the first launch decides.
        is_registered_by_itself: Whether the platform itself named its addresses.
        is_change: Whether it may be known already. Deployments that are known stay so.

    Raises:
        UsageError: An address is not https, something is too long, or the platform is known already.
    """
    for address in (authorization_address, token_address, keys_address):
        _check_address(address)
    found = list(deployments)
    if not all(0 < len(text) <= LONGEST for text in (issuer, client_id, *found)):
        raise UsageError(f"Issuer, client and deployment have 1 to {LONGEST} characters.", "Copy them once more.")
    values = {
        "issuer": issuer,
        "client_id": client_id,
        "title": title or urlsplit(authorization_address).hostname or issuer,
        "authorization_address": authorization_address,
        "token_address": token_address,
        "token_audience": token_audience or token_address,
        "keys_address": keys_address,
        "is_registered_by_itself": is_registered_by_itself,
        "expects_deployment": not found,
    }
    chosen = sa.and_(PLATFORMS.c.issuer == issuer, PLATFORMS.c.client_id == client_id)
    now, what = tool.clock(), "platform registered" if is_registered_by_itself else "platform added"
    with tool.database.begin() as connection:
        if not insert_if_new(connection, PLATFORMS, ["issuer", "client_id"], **values, added_at=now):
            if not is_change:
                raise UsageError(
                    f"The client {client_id} of {issuer} is known already.",
                    "Use `grader lti add --change` to enter other addresses for it.",
                )
            del values["expects_deployment"]
            fetched = {"keys": None, "keys_fetched_at": None, "keys_tried_at": None}
            connection.execute(sa.update(PLATFORMS).where(chosen).values(values | fetched))
            what = "platform changed"
        number = connection.execute(sa.select(PLATFORMS.c.number).where(chosen)).scalar_one()
        addresses = f"login {authorization_address}, token {token_address}, keys {keys_address}"
        about = f"platform {number}: client {client_id} of {issuer}; {addresses}"
        note(connection, by=by, what=what, about=about, now=now)
        named_by = NamedBy.REGISTRATION if is_registered_by_itself else NamedBy.HAND
        for deployment in found:
            allow_deployment(connection, number, deployment, named_by, by=by, now=now)
    return find_platform(tool, number)


def _check_address(address: str) -> None:
    if not is_service_address(address):
        raise UsageError(f"{address[:200]!r} is not an https address.", "Copy it from the platform once more.")


_FIELDS = [PLATFORMS.c[name] for name in Platform.__dataclass_fields__]


def platforms(tool: Tool) -> list[Platform]:
    """All platforms, in the order in which they were added."""
    with tool.database.begin() as connection:
        rows = connection.execute(sa.select(*_FIELDS).order_by(PLATFORMS.c.number)).mappings().all()
    return [Platform(**row) for row in rows]


def find_platform(tool: Tool, number: int) -> Platform:
    """
    The platform with this number.

    Raises:
        UsageError: There is none.
    """
    with tool.database.begin() as connection:
        row = connection.execute(sa.select(*_FIELDS).where(PLATFORMS.c.number == number)).mappings().one_or_none()
    if row is None:
        raise UsageError(f"There is no learning platform number {number}.", "Look at the list of platforms.")
    return Platform(**row)


def platform_of_login(tool: Tool, issuer: str, client_id: str) -> Platform:
    """
    The platform that starts a login. Without a client, the issuer must be that of one platform only.

    Raises:
        Refused: It is not known.
    """
    wanted = PLATFORMS.c.issuer == issuer
    if client_id:
        wanted = sa.and_(wanted, PLATFORMS.c.client_id == client_id)
    with tool.database.begin() as connection:
        rows = connection.execute(sa.select(*_FIELDS).where(wanted).limit(2)).mappings().all()
    if len(rows) != 1:
        raise Refused("This learning platform is not connected to the portal.", status=403)
    return Platform(**rows[0])


def key_of(tool: Tool, platform: Platform, kid: str) -> RSAKey:
    """
    The public key with which a platform signed. For an unknown one its keys are fetched, at most every 10 seconds.

    Raises:
        Refused: It has no such key.
        PlatformFailure: Its keys cannot be fetched.
    """
    now = tool.clock()
    chosen = PLATFORMS.c.number == platform.number
    with tool.database.begin() as connection:
        columns = (PLATFORMS.c["keys"], PLATFORMS.c.keys_fetched_at, PLATFORMS.c.keys_tried_at)
        row = connection.execute(sa.select(*columns).where(chosen)).one()
    age = now - row.keys_fetched_at if row.keys_fetched_at else None
    known = _read_key(row[0] or "", kid)
    if known and age is not None and age < FETCHED_AGAIN_AFTER:
        return known
    fallback = known if age is not None and age < USED_WITHOUT_PLATFORM else None
    with tool.database.begin() as connection:
        tried = PLATFORMS.c.keys_tried_at  # later than now, if the clock was set back
        long_ago = sa.or_(tried.is_(None), tried <= now - LEAST_PAUSE, tried > now + LEAST_PAUSE)
        turn = connection.execute(sa.update(PLATFORMS).where(chosen, long_ago).values(keys_tried_at=now)).rowcount == 1
    if not turn:
        found = fallback or _wait_for_key(tool, platform, kid)
        if found is None:
            raise Refused(NOT_PUBLISHED)
        return found
    try:
        answer = tool.web.expect(
            "GET", platform.keys_address, is_guarded=platform.is_registered_by_itself, limit=KEYS_LIMIT
        )
        text = json.dumps(answer.object())
    except PlatformFailure:
        if fallback:
            return fallback
        raise
    with tool.database.begin() as connection:
        connection.execute(sa.update(PLATFORMS).where(chosen).values(keys=text, keys_fetched_at=now))
    found = _read_key(text, kid)
    if found is None:
        raise Refused(NOT_PUBLISHED)
    return found


def _wait_for_key(tool: Tool, platform: Platform, kid: str) -> RSAKey | None:
    """The key that somebody else is fetching just now, for another launch."""
    columns = (PLATFORMS.c["keys"], PLATFORMS.c.keys_fetched_at, PLATFORMS.c.keys_tried_at)
    until = time.monotonic() + LONGEST_WAIT_S
    while True:
        with tool.database.begin() as connection:
            row = connection.execute(sa.select(*columns).where(PLATFORMS.c.number == platform.number)).one()
        found = _read_key(row[0] or "", kid)
        is_over = row.keys_fetched_at is not None and row.keys_fetched_at >= row.keys_tried_at
        if found or is_over or time.monotonic() > until:
            return found
        time.sleep(POLL_S)


def _read_key(text: str, kid: str) -> RSAKey | None:
    """The key of this name in a set, if it is usable: RSA, for RS256 and for signatures, and not too short."""
    try:
        entries: Any = json.loads(text)["keys"] if text else []
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    for entry in entries if isinstance(entries, list) else []:
        if not isinstance(entry, dict) or entry.get("kid") != kid or entry.get("kty") != "RSA":
            continue
        if entry.get("use", "sig") != "sig" or entry.get("alg", "RS256") != "RS256":
            continue
        try:
            if FEWEST_BITS <= int.from_bytes(urlsafe_b64decode(entry["n"].encode()), "big").bit_length() <= MOST_BITS:
                return RSAKey.import_key({name: entry[name] for name in ("kty", "n", "e")})
        except (JoseError, ValueError, TypeError, KeyError, AttributeError):
            continue
    return None
