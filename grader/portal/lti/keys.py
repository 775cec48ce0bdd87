"""
Our signing keys. To change them: publish a new one beside the old, sign with it later, remove the old one last.

Platforms keep our public keys for some time. So a new key is published a day before it signs anything, and an old one
stays for two days after its successor began to sign.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from joserfc import jwt
from joserfc.jwk import RSAKey

from grader.portal.audit import note
from grader.portal.lti.tables import KEYS, insert_if_new
from grader.portal.lti.tool import Tool

__all__ = ["KEPT_FOR", "PUBLISHED_BEFORE", "key_dates", "make_key", "public_keys", "remove_old_keys", "sign"]

PUBLISHED_BEFORE = timedelta(days=1)
KEPT_FOR = timedelta(days=2)
BITS = 2048
PORTAL = "portal"
"""Who makes the first key, in the audit trail."""
VALID_FOR_S = 300
CLOCKS_DIFFER_S = 30
"""Some platforms refuse what their own clock thinks of as made in the future."""


def make_key(tool: Tool, *, by: str) -> str:
    """
    Add a key: the first one signs at once, and each later one after a day.

    Args:
        tool: This portal.
        by: Who makes it, for the audit trail.

    Returns:
        Its name, the thumbprint.
    """
    key = RSAKey.generate_key(BITS)
    kid, now = key.thumbprint(), tool.clock()
    with tool.database.begin() as connection:
        is_first = connection.execute(sa.select(sa.func.count()).select_from(KEYS)).scalar_one() == 0
        insert_if_new(
            connection,
            KEYS,
            ["kid"],
            kid=kid,
            private_key=key.as_pem(private=True).decode(),
            signs_from=now if is_first else now + PUBLISHED_BEFORE,
            made_at=now,
        )
        note(connection, by=by, what="signing key made", about=kid, now=now)
    return kid


def remove_old_keys(tool: Tool, *, by: str) -> list[str]:
    """
    Remove the keys whose successors have signed for two days.

    Args:
        tool: This portal.
        by: Who removes them, for the audit trail.

    Returns:
        The names of the removed keys.
    """
    now = tool.clock()
    with tool.database.begin() as connection:
        settled = sa.select(sa.func.max(KEYS.c.signs_from)).where(KEYS.c.signs_from <= now - KEPT_FOR)
        newest = connection.execute(settled).scalar_one()
        if newest is None:
            return []
        old = sa.delete(KEYS).where(KEYS.c.signs_from < newest).returning(KEYS.c.kid)
        removed = list(connection.execute(old).scalars())
        for kid in removed:
            note(connection, by=by, what="signing key removed", about=kid, now=now)
    return removed


def key_dates(tool: Tool) -> list[tuple[str, datetime]]:
    """The names of the keys, and from when on each signs."""
    with tool.database.begin() as connection:
        rows = connection.execute(sa.select(KEYS.c.kid, KEYS.c.signs_from).order_by(KEYS.c.signs_from)).all()
    return [(row.kid, row.signs_from) for row in rows]


def public_keys(tool: Tool) -> dict[str, Any]:
    """The JSON Web Key Set that platforms fetch."""
    with tool.database.begin() as connection:
        rows = connection.execute(sa.select(KEYS.c.private_key).order_by(KEYS.c.signs_from, KEYS.c.kid)).scalars().all()
    if not rows:
        make_key(tool, by=PORTAL)
        return public_keys(tool)
    return {"keys": [_published(RSAKey.import_key(row)) for row in rows]}


def _published(key: RSAKey) -> dict[str, Any]:
    return {**key.as_dict(private=False), "kid": key.thumbprint(), "use": "sig", "alg": "RS256"}


def sign(tool: Tool, claims: Mapping[str, Any]) -> str:
    """A JWT with these claims, signed now by the key whose turn it is, and valid for five minutes."""
    now = tool.clock()
    with tool.database.begin() as connection:
        rows = connection.execute(sa.select(KEYS).order_by(KEYS.c.signs_from, KEYS.c.kid)).all()
    if not rows:
        make_key(tool, by=PORTAL)
        return sign(tool, claims)
    row = next((row for row in reversed(rows) if row.signs_from <= now), rows[0])
    seconds = int(now.timestamp())
    times = {"iat": seconds - CLOCKS_DIFFER_S, "exp": seconds + VALID_FOR_S}
    header = {"alg": "RS256", "typ": "JWT", "kid": row.kid}
    return jwt.encode(header, {**times, **claims}, RSAKey.import_key(row.private_key), algorithms=["RS256"])
