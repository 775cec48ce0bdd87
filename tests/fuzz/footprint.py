"""What a process takes from the machine, and whether it takes more after many runs than after the first ones."""

from __future__ import annotations

import ctypes
import dataclasses
import gc
import os
import resource
import sys
import tempfile
from pathlib import Path

__all__ = ["Footprint", "bind_allocator", "footprint", "growth", "open_files"]

MEMORY_KIB = 32 << 10
"""How much more memory is no growth: caches of a bounded size fill up after the first runs, too."""
PEAK_KIB = 768 << 10
"""How much more memory a process may have had for a moment: it is busy with a submission and its report."""
BLOCKS = 200_000
"""How many more of Python's blocks of memory are none."""
FILES = 5
"""How many more descriptors are none: libraries keep some."""

_ARENA_MAX, _MMAP_THRESHOLD, _TRIM_THRESHOLD = -8, -3, -1  # glibc's malloc.h
_LARGE_BYTES = 128 << 10


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """
    What a process has at some time.

    Attributes:
        memory: KiB that are resident, after a collection.
        peak: KiB that were resident at most, at any time.
        blocks: Python's blocks of memory.
        files, threads, children: How many descriptors, threads and child processes there are.
        left_behind: The names of what is in the folder for temporary files and in `/dev/shm`.
    """

    memory: int = 0
    peak: int = 0
    blocks: int = 0
    files: int = 0
    threads: int = 0
    children: int = 0
    left_behind: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return (
            f"{self.memory:,} KiB, {self.peak:,} KiB at most, {self.blocks:,} blocks, "
            f"{self.files} descriptors, {self.threads} threads, {self.children} children"
        )


def growth(before: Footprint, after: Footprint) -> list[str]:
    """What there is more of than chance explains, a few words for each."""
    allowed = {"memory": MEMORY_KIB, "blocks": BLOCKS, "files": FILES, "threads": 0, "children": 0}
    grown = [
        f"{name}: {getattr(before, name):,} and then {getattr(after, name):,}"
        for name, bound in allowed.items()
        if getattr(after, name) > getattr(before, name) + bound
    ]
    if after.peak > before.memory + PEAK_KIB:
        grown.append(f"peak: {before.memory:,} and then {after.peak:,}")
    left = sorted(after.left_behind - before.left_behind)
    return grown + ([f"left behind: {', '.join(left[:9])}"] if left else [])


def footprint() -> Footprint:
    """What this process has now. What nothing refers to any longer is given back before."""
    gc.collect()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if sys.platform != "linux":
        return Footprint(memory=peak, peak=peak, files=open_files())
    _call("malloc_trim", 0)
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    tasks = list(Path("/proc/self/task").iterdir())
    return Footprint(
        memory=pages * (resource.getpagesize() // 1024),
        peak=peak,
        blocks=sys.getallocatedblocks(),
        files=open_files(),
        threads=len(tasks),
        children=sum(len((task / "children").read_text("ascii").split()) for task in tasks if _has_children(task)),
        left_behind=frozenset(map(str, (*Path(tempfile.gettempdir()).iterdir(), *Path("/dev/shm").glob("*")))),
    )


def _has_children(task: Path) -> bool:
    return (task / "children").exists()


def open_files() -> int:
    """How many descriptors this process has."""
    return len(os.listdir("/dev/fd"))  # noqa: PTH208 - no folder of ours


def bind_allocator() -> None:
    """
    Have glibc give large blocks back, and keep one heap, so that this process's memory is what it uses.

    By itself, glibc makes several heaps for processes with threads, and after it has freed a block of some megabytes,
    it takes others of that size from these heaps: they come to consist of gaps. That looks like growth.
    """
    for parameter, value in ((_ARENA_MAX, 1), (_MMAP_THRESHOLD, _LARGE_BYTES), (_TRIM_THRESHOLD, _LARGE_BYTES)):
        _call("mallopt", parameter, value)


def _call(name: str, *arguments: int) -> None:
    """Call a function of the C library if it has it."""
    function = getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
    if function is not None:
        function(*arguments)
