"""
How much is in the files of a kernel that has no file system of its own to write to.

Counting them takes long, so it is done only if the disk has less room than can be explained.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from grader.sandbox.bounds import Bounds
from grader.sandbox.processes import read

__all__ = ["Scratch"]

_MOST_FILES = 16 << 10  # as many as there can be in a private root
_BLOCK = 512
_MAPPED = re.compile(r"^\S+ \S+ \S+ (\S+) ([1-9]\d*) +/.*\(deleted\)$", re.MULTILINE)


class Scratch:
    """
    A folder in which a kernel writes.

    Args:
        folder: The folder.
        bounds: How large it may become.
        processes: Returns the processes of the kernel, as `/proc` names them.
    """

    def __init__(self, folder: Path, bounds: Bounds, processes: Callable[[], Iterable[str]]) -> None:
        self._folder = folder
        self._bytes = bounds.scratch_mib << 20
        self._of_a_file = bounds.file_size_mib << 20
        self._processes = processes
        self._room = self._free()

    def is_too_large(self) -> bool:
        """Whether there is more in it than there may be, also in files that have no name any more."""
        free, files = self._free()
        if self._room[0] - free <= self._bytes and self._room[1] - files <= _MOST_FILES:
            return False
        try:
            size, count = self._counted()
        except OSError:  # a path is too long, or a folder cannot be listed, as no honest code makes them
            return True
        self._room = free + size, files + count  # somebody else has used the rest
        return size > self._bytes or count > _MOST_FILES

    def _free(self) -> tuple[int, int]:
        try:
            status = os.statvfs(self._folder)
        except FileNotFoundError:  # the caller has gone
            return 0, 0
        return status.f_bavail * status.f_frsize, status.f_favail

    def _counted(self) -> tuple[int, int]:
        sizes: dict[tuple[int, int], int] = {}
        pending = [str(self._folder)]
        while pending:
            try:
                with os.scandir(pending.pop()) as entries:
                    for entry in entries:
                        status = entry.stat(follow_symlinks=False)
                        sizes[status.st_dev, status.st_ino] = status.st_blocks * _BLOCK
                        if entry.is_dir(follow_symlinks=False):
                            pending.append(entry.path)
            except FileNotFoundError:  # it has just been removed
                continue
        for process in self._processes():
            sizes |= self._without_a_name(process)
        return sum(sizes.values()), len(sizes)

    def _without_a_name(self, process: str) -> dict[tuple[int, int], int]:
        sizes: dict[tuple[int, int], int] = {}
        try:
            for device, inode in _MAPPED.findall(read("/proc", process, "maps")):
                major, minor = (int(number, 16) for number in device.split(":"))
                sizes[os.makedev(major, minor), int(inode)] = self._of_a_file  # at most
            for entry in Path("/proc", process, "fd").iterdir():
                status = entry.stat()
                if status.st_nlink == 0:
                    sizes[status.st_dev, status.st_ino] = status.st_blocks * _BLOCK
        except FileNotFoundError:  # the process has ended, or has closed the file
            pass
        except ProcessLookupError:
            pass
        return sizes
