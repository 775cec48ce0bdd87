"""
What processes hold in memory, read from /proc (Linux).
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

_LOOK_S = 0.01


class Footprint(NamedTuple):
    """
    Memory of one submission in the making, in MiB.

    Attributes:
        own: PSS of the processes that were started for it; what they share with others counts in parts.
        added: How much the PSS of everything, the grader and its helpers included, went up.
    """

    own: float
    added: float


def descendants(process: int) -> set[int]:
    """The processes that descend from one."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):  # noqa: PTH208 - names are all that is needed, many times a second
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
    """The proportional set size of a process; 0 if it is gone, or not ours to look at."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0


class MemorySampler:
    """Looks, from a thread, at the processes that appear while the context is open; `footprint` is the largest seen."""

    def __init__(self) -> None:
        self.footprint = Footprint(0.0, 0.0)
        self._known = {os.getpid(), *descendants(os.getpid())}
        self._before = sum(map(pss_mib, self._known))
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def _look(self) -> None:
        while not self._is_over.wait(_LOOK_S):
            new = descendants(os.getpid()) - self._known
            own, others = sum(map(pss_mib, new)), sum(map(pss_mib, self._known))
            # Shares change with each process that comes or goes: what was added up meanwhile would be no sum.
            if own > self.footprint.own and descendants(os.getpid()) - self._known == new:
                self.footprint = Footprint(own, own + others - self._before)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._thread.join()
