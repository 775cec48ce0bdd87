"""
How often something may be tried.
"""

from __future__ import annotations

import functools

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.exceptions import HTTPException
from starlette.requests import Request

__all__ = ["allow"]

RATES = {
    "sign in": parse("30 per minute"),
    "hand in": parse("20 per minute"),
    "launch": parse("600 per minute"),
    "program": parse("60 per minute"),
}


def allow(request: Request, what: str, who: str = "") -> None:
    """
    Count this attempt.

    Args:
        what: A key of `RATES`.
        who: Whose attempts are counted together; by default, those of one network address.

    Raises:
        HTTPException: There were too many.
    """
    key = who or (request.client.host if request.client else "")
    if not _limiter(request.app).hit(_rate(what), what, key):
        raise HTTPException(429, "That was too often. Wait a minute, and try again.", {"Retry-After": "60"})


def _rate(what: str) -> RateLimitItem:
    return RATES[what]


@functools.lru_cache(maxsize=8)
def _limiter(_: object) -> MovingWindowRateLimiter:
    return MovingWindowRateLimiter(MemoryStorage())
