"""
Knows what the portal needs besides grading: the packages of the extra `portal`.
"""

from __future__ import annotations

import importlib.util

from grader.errors import UsageError
from grader.execution.installed import require_for_grading

__all__ = ["require_for_portal"]

PORTAL = (
    "alembic",
    "httpx",
    "joserfc",
    "limits",
    "multipart",
    "prometheus_client",
    "sse_starlette",
    "starlette",
    "uvicorn",
)
"""The modules of that extra."""


def require_for_portal(what: str) -> None:
    """
    Go on only if nothing is missing.

    Args:
        what: What needs it, as the subject of a sentence.

    Raises:
        UsageError: Something is missing; the message says what, and how to install it.
    """
    require_for_grading(what)
    if missing := [name for name in PORTAL if importlib.util.find_spec(name) is None]:
        raise UsageError(
            f"{what} needs more than grading, and {', '.join(missing)} cannot be found here.",
            "Install the grader with its extra for the portal. In a clone: pip install '.[portal]'.",
        )
