"""
Puts this process's memory into huge pages: what a fork copies, and what its end frees, is then much less.

A fork copies the table of pages, not the pages. A page that is written to afterwards is copied alone, as ever: Linux
splits the huge one for that.
"""

from __future__ import annotations

import ctypes
from pathlib import Path

from grader.sandbox import linux

__all__ = ["use_huge_pages"]

_MADV_COLLAPSE = 25  # Linux 6.1, madvise(2): now, and whatever /sys/kernel/mm/transparent_hugepage says
_HUGE = 2 << 20


def use_huge_pages() -> None:
    """Takes some hundred milliseconds. Does nothing where the kernel does not know how, or has no room for it."""
    for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
        span, access, _, _, inode, *name = line.split()
        if access != "rw-p" or inode != "0" or name not in ([], ["[heap]"]):
            continue
        first, last = (int(address, 16) for address in span.split("-"))
        first, last = -(-first // _HUGE) * _HUGE, last // _HUGE * _HUGE
        if first < last:
            linux.libc.madvise(ctypes.c_void_p(first), ctypes.c_size_t(last - first), _MADV_COLLAPSE)
