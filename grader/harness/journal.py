"""
What is seen while a student's function runs.

It is sent at once, because what has left the process cannot be taken back, and because a process that the function
forks can send, too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from grader.harness.wire import pack

__all__ = ["NOTES", "Journal", "Write"]

NOTES = ("autograd", "did")
"""The words that a note can have: the use of autograd, and what else an instructor may want to look at."""

_MOST_NOTES = 5

Write = Callable[[bytes], None]
"""Sends the bytes of a message."""


class Journal:
    """
    Sends a message for each thing that is seen, with the case that a function is being called on.

    Threads that were started in one call may work in a later one, so there is one journal for all calls.

    Attributes:
        is_alone: Whether nothing but the calls runs in this process. In a student's own check, the notebook runs, too.
        is_open: Whether a function is being called.
        passes: The number of the last backward pass that is accounted for; None if it is not known.
    """

    def __init__(self, *, is_alone: bool = False) -> None:
        self.is_alone = is_alone
        self.is_open = False
        self.passes: int | None = None
        self._case: str | None = None
        self._write: Write = _to_nobody
        self._noted: set[tuple[str, str]] = set()

    def turn_to(self, case: str, write: Write) -> None:
        """Begin the page of a case. What is seen from now on belongs to it, until the next one begins."""
        self._case, self._write, self._noted = case, write, set()

    def note(self, word: str, what: str) -> None:
        """
        Send a note, unless it was sent before.

        Args:
            word: One of `NOTES`.
            what: What the function did: "started a thread".
        """
        is_new = (word, what) not in self._noted and sum(noted[0] == word for noted in self._noted) < _MOST_NOTES
        if self._case is None or not is_new:
            return
        self._noted.add((word, what))
        with contextlib.suppress(OSError):  # a process that the function has forked may have closed the channel
            self._write(pack({"case": self._case, word: [what]}))


def _to_nobody(_: bytes) -> None:
    """No case has been turned to yet."""
