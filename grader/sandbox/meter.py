"""
What all the processes of one kernel use together. The limits that Linux sets for a process cannot bound that.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable

from grader.sandbox.hidden import hidden_mib, most_hidden_mib
from grader.sandbox.processes import memory_mib, read

__all__ = ["Meter"]

_TICKS = os.sysconf("SC_CLK_TCK")


class Meter:
    """
    Reads memory and CPU time from `/proc`.

    The time of a process that ended and that no other process waited for is not counted; limits on wall time bound it.

    Args:
        processes: Returns the processes to count, as `/proc` names them.
    """

    def __init__(self, processes: Callable[[], Iterable[str]]) -> None:
        self._processes = processes

    def sees_memory(self) -> bool:
        """Whether there is a `/proc` that shows what the processes have, also what they hide."""
        processes = list(self._processes())
        return bool(processes) and all(
            memory_mib(process, exact=False) and most_hidden_mib(process, len(processes)) for process in processes
        )

    def has_more_memory(self, limit_mib: float) -> bool:
        """
        Whether the processes have more than `limit_mib` in memory, without pages of files.

        The quick sums count a page once for each process that shares it, and all that processes may hide. Only if such
        a sum is above the limit is one computed that is closer.
        """
        processes = list(self._processes())
        seen = sum(memory_mib(process, exact=False) for process in processes)
        if seen + sum(most_hidden_mib(process, len(processes)) for process in processes) <= limit_mib:
            return False
        hidden = hidden_mib(processes)
        if seen + hidden <= limit_mib:
            return False
        return sum(memory_mib(process, exact=True) for process in processes) + hidden > limit_mib

    def cpu_s(self) -> float:
        """Seconds of CPU time so far, in user mode and in the kernel."""
        ticks = 0
        for process in self._processes():
            with contextlib.suppress(OSError, ValueError, IndexError):
                stat = read("/proc", process, "stat")
                # The fields after the name, which is in parentheses and may contain anything: user and system time of
                # the process itself, and of its children that it waited for.
                ticks += sum(map(int, stat.rpartition(")")[2].split()[11:15]))
        return ticks / _TICKS
