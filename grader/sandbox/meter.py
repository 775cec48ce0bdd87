"""
What all the processes of one kernel use together, which no limit on one process tells.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from grader.sandbox.processes import memory_mib

__all__ = ["Meter"]

_TICKS = os.sysconf("SC_CLK_TCK")


class Meter:
    """
    Reads memory and CPU time from `/proc`.

    What ended without being waited for is not seen any more; the clock on the wall bounds that.

    Args:
        processes: The processes to be counted, as `/proc` names them.
    """

    def __init__(self, processes: Callable[[], Iterable[str]]) -> None:
        self._processes = processes

    def has_more_memory(self, limit_mib: float) -> bool:
        """
        Whether there is more in memory than the limit, files apart.

        At first, since that is cheap, pages that a fork shares are counted for each process; in case of doubt, once.
        """
        return all(
            sum(memory_mib(process, exact=exact) for process in self._processes()) > limit_mib
            for exact in (False, True)
        )

    def cpu_s(self) -> float:
        """Seconds of CPU time, of user and system, so far."""
        ticks = 0
        for process in self._processes():
            with contextlib.suppress(OSError, ValueError, IndexError):
                stat = Path("/proc", process, "stat").read_text()
                # The name, in parentheses, may have any characters; of itself and of children that were waited for.
                ticks += sum(map(int, stat.rpartition(")")[2].split()[11:15]))
        return ticks / _TICKS
