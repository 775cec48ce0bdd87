"""
Measures the memory of processes by /proc (Linux).
"""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from typing_extensions import Self

__all__ = ["Footprint", "MemorySampler", "descendants", "pss_mib"]

_POLL_S = 0.01


class Footprint(NamedTuple):
    """
    The memory that grading one submission takes, in MiB.

    Attributes:
        started: PSS of the processes that were started for it. Pages shared with other processes count in parts.
        added: The increase of the PSS of everything, including the grader and its helpers.
    """

    started: float
    added: float


def descendants(process: int) -> set[int]:
    """The ids of all processes that descend from a process."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):  # noqa: PTH208 - only names are needed, many times a second
        if entry.isdigit():
            with contextlib.suppress(OSError, ValueError):
                stat = Path("/proc", entry, "stat").read_text(encoding="utf-8", errors="replace")
                children.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(entry))
    found: set[int] = set()
    waiting = [process]
    while waiting:
        more = children.get(waiting.pop(), [])
        found.update(more)
        waiting += more
    return found


def pss_mib(process: int) -> float:
    """The proportional set size of a process in MiB; 0 if the process has ended, or may not be read."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0


class MemorySampler:
    """Measures, in a thread, the processes that start while the context is open. `footprint` is the largest."""

    def __init__(self) -> None:
        self.footprint = Footprint(0.0, 0.0)
        self._known = {os.getpid(), *descendants(os.getpid())}
        self._before = sum(map(pss_mib, self._known))
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._measure)

    def _measure(self) -> None:
        while not self._is_over.wait(_POLL_S):
            new = descendants(os.getpid()) - self._known
            started, known = sum(map(pss_mib, new)), sum(map(pss_mib, self._known))
            # Shares change when a process starts or ends, and then the sum is wrong.
            if started > self.footprint.started and descendants(os.getpid()) - self._known == new:
                self.footprint = Footprint(started, started + known - self._before)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._thread.join()
