"""
The exception that this package raises.
"""

from __future__ import annotations

__all__ = ["SandboxUnavailable"]


class SandboxUnavailable(Exception):  # noqa: N818 - not every one is an error: a level that is asked for may be missing
    """
    No kernel can be started, or none in the sandbox that is asked for.

    Args:
        message: One sentence that says what happened.
        hint: One sentence that says what to do next; empty if there is no advice.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()
