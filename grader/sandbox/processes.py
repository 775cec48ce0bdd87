"""
What `/proc` says about processes: how large they are, and which process started which.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

__all__ = [
    "count_tasks",
    "descendants",
    "group_of",
    "has_raised_its_limit",
    "living",
    "memory_mib",
    "parent_of",
    "read",
    "size_of_self",
]

_QUICK = ("RssAnon:", "RssShmem:", "VmSwap:", "VmPTE:")
_EXACT = ("Pss_Anon:", "Pss_Shmem:", "SwapPss:")


def read(*parts: str) -> str:
    """A file of `/proc`. A process chooses its own name, which need not be text."""
    return Path(*parts).read_text(errors="replace")


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
    path = living(process)
    quick = _sum_of_fields(path, "status", _QUICK)
    if not exact:
        return quick
    # A process whose program it may not read itself cannot be looked into. Then all its pages count.
    return _sum_of_fields(path, "smaps_rollup", _EXACT) or quick


def _sum_of_fields(path: str, file: str, names: tuple[str, ...]) -> float:
    total = 0
    with contextlib.suppress(OSError, ValueError):
        for line in read("/proc", path, file).splitlines():
            if line.startswith(names):
                total += int(line.split()[1])
    return total / 1024


def living(process: str) -> str:
    """Where in `/proc` the process is, or a thread of it, if its first thread has ended and others have not."""
    with contextlib.suppress(OSError):
        if "VmSize:" not in read("/proc", process, "status"):
            for task in Path("/proc", process, "task").iterdir():
                if "VmSize:" in read(str(task), "status"):
                    return f"{process}/task/{task.name}"
    return process


def parent_of(process: int) -> int:
    """The process that started a process or a thread; 0 if there is none, or if the process has ended."""
    return _field_after_name(process, 1)


def group_of(process: int) -> int:
    """The group of a process; 0 if the process has ended."""
    return _field_after_name(process, 2)


def _field_after_name(process: int, index: int) -> int:
    """A field of `/proc/PID/stat` after the name, which is in parentheses and may contain anything; 0 if none."""
    with contextlib.suppress(OSError, IndexError, ValueError):
        return int(read("/proc", str(process), "stat").rpartition(")")[2].split()[index])
    return 0


def descendants(process: int) -> set[int]:
    """Every process that this process started, and every one that those started, and so on."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            parents[int(entry.name)] = parent_of(int(entry.name))
    found: set[int] = set()
    while True:
        more = {child for child, parent in parents.items() if parent == process or parent in found} - found
        if not more:
            return found
        found |= more


def count_tasks(process: int) -> int:
    """How many threads this process has and all that it started, and that those started, and so on."""
    count, left = 0, [str(process)]
    try:
        while left:
            current = left.pop()
            with contextlib.suppress(ProcessLookupError):
                for task in Path("/proc", current, "task").iterdir():
                    count += 1
                    left += read(str(task), "children").split()
    except FileNotFoundError:  # it has just ended, or this Linux keeps no lists of children
        return sum(_threads(member) for member in (process, *descendants(process)))
    return count


def _threads(process: int) -> int:
    try:
        return sum(1 for _ in Path("/proc", str(process), "task").iterdir())
    except OSError:
        return 0


def has_raised_its_limit(process: int) -> bool:
    """Whether its soft limit on processes is as high as its hard one."""
    with contextlib.suppress(OSError, ValueError):
        for line in read("/proc", str(process), "limits").splitlines():
            if line.startswith("Max processes"):
                soft, hard, _ = line.removeprefix("Max processes").split()
                return soft == hard
    return False
