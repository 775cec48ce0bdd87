"""
How an execution goes, as the judge learns it message by message from a conductor, which it does not trust.
"""

from __future__ import annotations

import dataclasses
import time

import msgspec

from grader.execution.border import safe_text
from grader.execution.channel import Reply, Request, Requests, combine
from grader.execution.messages import CellsRan
from grader.execution.record import Execution
from grader.model import CallError

__all__ = ["Course", "safe_error"]

_TEXT = 2_000
MOST_KEPT_BYTES = 1 << 30
"""What the replies to all requests may have together. Right ones have some megabytes."""


class Course:
    """
    What is known of an execution so far.

    How the notebook ran is what was known before the first hidden numbers were sent: nothing that is said of it can
    depend on them.
    """

    def __init__(self, requests: Requests) -> None:
        self.current: Request | None = None
        self.is_doubtful = False
        self.has_ended = False
        self._started = time.monotonic()
        self._ran = CellsRan()
        self._seconds: float | None = None
        self._replies: dict[str, Reply] = {}
        self._kept_bytes = 0
        self._pending = iter(requests(self._replies))

    def next(self) -> Request | None:
        """The next request; None if there are no more."""
        self.current = next(self._pending, None)
        if self.current is not None and self.current.is_hidden:
            self._settle()
        return self.current

    def ran(self, cells: CellsRan) -> None:
        """Note how the cells ran."""
        if self._seconds is None:
            self._ran = cells

    def _settle(self) -> None:
        if self._seconds is None:
            self._seconds = time.monotonic() - self._started

    def note(self, reply: Reply) -> None:
        """Note the reply to the current request."""
        assert self.current is not None
        self._kept_bytes += sum(len(payload) for _, payload in reply.records.values())
        if self._kept_bytes > MOST_KEPT_BYTES:
            reply = dataclasses.replace(reply, status="too_large", records={})
        self._replies[self.current.key] = combine(self._replies.get(self.current.key), reply, self.current)
        self.current = None

    def break_off(self, why: str) -> None:
        """Note that nothing more is known."""
        self.is_doubtful = True
        self.ran(msgspec.structs.replace(self._ran, stopped=why))

    def execution(self, layers: tuple[str, ...]) -> Execution:
        """All of it. What was not answered was not reached."""
        while self.current is not None or self.next() is not None:
            self.note(Reply(status="unreachable"))
        self._settle()
        stopped = self._ran.stopped
        return Execution(
            executed=self._ran.executed,
            errors={number: safe_error(error) for number, error in self._ran.errors.items()},
            stopped=safe_text(stopped, _TEXT) if stopped is not None else None,
            replies=self._replies,
            layers=layers,
            seconds=self._seconds or 0.0,
            is_doubtful=self.is_doubtful,
        )


def safe_error(error: CallError) -> CallError:
    """The error as it is shown: its texts are valid and short."""
    return dataclasses.replace(
        error,
        type=safe_text(error.type, _TEXT),
        message=safe_text(error.message, _TEXT),
        traceback=safe_text(error.traceback, _TEXT),
    )
