"""
Access tokens that platforms gave us, kept in this process until shortly before they expire.
"""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import NamedTuple

__all__ = ["TokenCache", "TokenKey"]

SPARE = timedelta(seconds=60)
"""A token is not used in its last minute, so that it does not expire on its way."""


class TokenKey(NamedTuple):
    """What a token is for. Two clients of one platform never share one."""

    platform: int
    client_id: str
    scopes: tuple[str, ...]


class TokenCache:
    """Tokens by platform, client and scopes; safe in several threads."""

    def __init__(self) -> None:
        self._tokens: dict[TokenKey, tuple[str, datetime]] = {}
        self._lock = threading.Lock()

    def find(self, key: TokenKey, now: datetime) -> str:
        """The token for this, or nothing if there is none that is valid for long enough."""
        with self._lock:
            token, expires_at = self._tokens.get(key, ("", now))
        return token if now < expires_at - SPARE else ""

    def keep(self, key: TokenKey, token: str, expires_at: datetime) -> None:
        """Keep a token until then."""
        with self._lock:
            self._tokens[key] = (token, expires_at)

    def drop(self, key: TokenKey, token: str) -> None:
        """Forget this token, unless a newer one took its place."""
        with self._lock:
            if self._tokens.get(key, ("",))[0] == token:
                del self._tokens[key]
