"""
Knows what grading needs and a check in a notebook does not: the packages of the extra `grading`.
"""

from __future__ import annotations

import importlib.util

from grader.errors import UsageError

__all__ = ["GRADING", "missing_for_grading", "require_for_grading"]

GRADING = ("ipykernel", "jupyter_client", "msgspec", "nbclient", "psutil", "rich", "sqlalchemy")
"""The modules of that extra, besides IPython, which a check needs, too."""


def missing_for_grading() -> list[str]:
    """Those of them that are not installed. None of them is imported to find out."""
    return [name for name in GRADING if importlib.util.find_spec(name) is None]


def require_for_grading(what: str) -> None:
    """
    Go on only if nothing is missing.

    Args:
        what: What needs it, as the subject of a sentence.

    Raises:
        UsageError: Something is missing; the message says what, and how to install it.
    """
    if missing := missing_for_grading():
        raise UsageError(
            f"{what} needs more than a check in a notebook, and {', '.join(missing)} cannot be found here.",
            "Install the grader with its extra for grading. In a clone: pip install '.[grading]'.",
        )
