"""
What `/proc` says about processes: how large they are, and which process started which.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

__all__ = ["descendants", "memory_mib", "size_of_self"]


def size_of_self() -> tuple[int, int]:
    """The size of this process's address space and of its data, in bytes."""
    fields = [int(field) for field in Path("/proc/self/statm").read_text().split()]
    page = os.sysconf("SC_PAGE_SIZE")
    return fields[0] * page, fields[5] * page


def memory_mib(process: str, *, exact: bool) -> float:
    """
    A process's memory in MiB, without pages of files; 0 if the process has ended.

    Args:
        process: The process as `/proc` names it.
        exact: Whether a page that n processes share counts as 1/n of a page. Otherwise it counts as a whole one, which
            is quicker to find out.
    """
    names = ("Pss_Anon:", "Pss_Shmem:", "SwapPss:") if exact else ("RssAnon:", "RssShmem:", "VmSwap:")
    total = 0
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc", process, "smaps_rollup" if exact else "status").read_text().splitlines():
            if line.startswith(names):
                total += int(line.split()[1])
    return total / 1024


def descendants(process: int) -> set[int]:
    """Every process that this process started, and every one that those started, and so on."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                stat = (entry / "stat").read_text()
                parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    found: set[int] = set()
    while True:
        more = {child for child, parent in parents.items() if parent == process or parent in found} - found
        if not more:
            return found
        found |= more
