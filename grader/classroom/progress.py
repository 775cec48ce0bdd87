"""
Shows the progress of a class on stderr: a live bar on a terminal, otherwise a line now and then.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

__all__ = ["Tally", "show_progress"]

LINE_EVERY_S = 10.0


class Tally:
    """
    Counts the submissions that are finished.

    Attributes:
        done: How many are finished; the other counts are parts of it.
        known: Results that the gradebook had already.
        judged: Results of judging an earlier execution again.
        failed: Files that could not be read, and failures of the grader.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = self.known = self.judged = self.failed = 0
        self._started = time.monotonic()

    def add(self, *, is_new: bool, has_failed: bool, was_executed: bool = True) -> None:
        """Count a submission."""
        self.done += 1
        if has_failed:
            self.failed += 1
        if not is_new:
            self.known += 1
        elif not was_executed and not has_failed:
            self.judged += 1

    @property
    def rate(self) -> float:
        """Submissions graded per second."""
        return (self.done - self.known) / max(time.monotonic() - self._started, 1e-9)

    def __str__(self) -> str:
        known = f", {self.known} known already" if self.known else ""
        judged = f", {self.judged} judged again without execution" if self.judged else ""
        speed = f"{self.rate:.1f} per second" if self.rate >= 1 else f"{60 * self.rate:.0f} per minute"
        rate = f", {speed}" if self.done > self.known else ""
        return f"{self.done} of {self.total} done{known}{judged}, {self.failed} not graded{rate}"

    @property
    def left(self) -> str:
        """How long the rest will take; empty if that is unknown."""
        if not self.rate or self.done == self.total:
            return ""
        seconds = round((self.total - self.done) / self.rate)
        return f", {seconds // 60} min {seconds % 60} s left" if seconds >= 60 else f", {seconds} s left"


@contextmanager
def show_progress(total: int, *, assignment_id: str, is_quiet: bool = False) -> Iterator[Tally]:
    """Count submissions on this tally; it is shown until the context is left."""
    console = Console(stderr=True, highlight=False, quiet=is_quiet)
    tally = _Bar(total, assignment_id, console) if console.is_terminal else _Lines(total, assignment_id, console)
    with tally:
        yield tally


class _Lines(Tally):
    def __init__(self, total: int, assignment_id: str, console: Console) -> None:
        super().__init__(total)
        self._assignment_id = assignment_id
        self._console = console
        self._said = time.monotonic()

    def __enter__(self) -> None:
        what = "one submission" if self.total == 1 else f"{self.total} submissions"
        self._console.print(f"Grading {what} of {self._assignment_id}.", soft_wrap=True)

    def __exit__(self, *_: object) -> None:
        self._console.print(f"{self}.", soft_wrap=True)

    def add(self, *, is_new: bool, has_failed: bool, was_executed: bool = True) -> None:
        super().add(is_new=is_new, has_failed=has_failed, was_executed=was_executed)
        if time.monotonic() - self._said >= LINE_EVERY_S and self.done < self.total:
            self._said = time.monotonic()
            self._console.print(f"{self}{self.left}", soft_wrap=True)


class _Bar(Tally):
    def __init__(self, total: int, assignment_id: str, console: Console) -> None:
        super().__init__(total)
        self._progress = Progress(
            TextColumn(f"Grading {assignment_id}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[more]}"),
            TimeRemainingColumn(),
            console=console,
        )
        self._task = self._progress.add_task("", total=total, more="")

    def __enter__(self) -> None:
        self._progress.start()

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def add(self, *, is_new: bool, has_failed: bool, was_executed: bool = True) -> None:
        super().add(is_new=is_new, has_failed=has_failed, was_executed=was_executed)
        more = f"{self.rate:.1f}/s" + (f" · {self.failed} not graded" if self.failed else "")
        self._progress.update(self._task, completed=self.done, more=more)
