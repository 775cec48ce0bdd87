"""
The tool: what each step of the protocol needs, and the names that the protocol gives to things.
"""

from __future__ import annotations

import hashlib
import math
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlsplit

from grader.portal.lti.tables import Database
from grader.portal.lti.tokens import TokenCache
from grader.portal.lti.web import Web, is_loopback, origin_of

__all__ = [
    "CLAIM",
    "DEEP_LINKING",
    "ITEM_READ_SCOPE",
    "ITEM_SCOPE",
    "RESULT_SCOPE",
    "ROSTER_SCOPE",
    "SCORE_SCOPE",
    "Tool",
    "digest",
    "finite",
    "is_writable",
    "make_secret",
    "now_in_utc",
]

CLAIM = "https://purl.imsglobal.org/spec/lti/claim/"
DEEP_LINKING = "https://purl.imsglobal.org/spec/lti-dl/claim/"
_AGS = "https://purl.imsglobal.org/spec/lti-ags/scope/"
ITEM_SCOPE = f"{_AGS}lineitem"
ITEM_READ_SCOPE = f"{_AGS}lineitem.readonly"
RESULT_SCOPE = f"{_AGS}result.readonly"
SCORE_SCOPE = f"{_AGS}score"
ROSTER_SCOPE = "https://purl.imsglobal.org/spec/lti-nrps/scope/contextmembership.readonly"


def now_in_utc() -> datetime:
    """The time, with its zone."""
    return datetime.now(timezone.utc)


def is_writable(text: str) -> bool:
    """Whether a database and UTF-8 can keep a text."""
    return "\x00" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def finite(value: Any) -> float | None:
    """A number that somebody sent as JSON; None for what is none, not finite, or too large."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:  # JSON has whole numbers of any length
        return None
    return number if math.isfinite(number) else None


def make_secret() -> str:
    """A name that nobody can guess, for an address, a cookie or a form."""
    return secrets.token_urlsafe(32)


def digest(*parts: str) -> str:
    """The SHA-256 of some texts. A secret is saved only like this."""
    whole = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        whole.update(len(data).to_bytes(8, "big") + data)
    return whole.hexdigest()


@dataclass(frozen=True)
class Tool:
    """
    This portal, as a tool of learning platforms.

    Raises:
        ValueError: The base is not an https address without a path.
    """

    base: str
    """Scheme and host under which browsers and platforms reach the portal: `https://grader.example.org`."""
    title: str
    """What platforms call the tool."""
    database: Database
    web: Web
    clock: Callable[[], datetime] = now_in_utc
    tokens: TokenCache = field(default_factory=TokenCache)

    def __post_init__(self) -> None:
        parts = urlsplit(self.base)
        if origin_of(self.base) != self.base or (parts.scheme != "https" and not is_loopback(parts.hostname or "")):
            raise ValueError(f"{self.base!r} is not an address like https://grader.example.org")

    @property
    def launch_address(self) -> str:
        """Where platforms send a launch, and what their links lead to."""
        return f"{self.base}/lti/launch"
