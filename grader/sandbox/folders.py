"""
Temporary folders that do not outlast their process, even if it is killed: the next one that starts removes them.

A process holds a lock on each of its folders. The system lets go of it when the process has ended, however it ended. So
a folder without a lock is nobody's.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import shutil
import stat
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from grader.sandbox.bounds import KERNEL_USERS
from grader.sandbox.installation import OWN_PACKAGE

fcntl: Any = importlib.import_module("fcntl") if os.name == "posix" else None
"""Windows has no such locks: nothing is swept there."""

__all__ = ["sweep", "temporary_folder"]

PREFIX = f".{OWN_PACKAGE}-"
OURS = re.compile(re.escape(PREFIX) + r"[a-z0-9_]{8}")
_FOLDER = getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
YOUNG_S = 60.0
"""A folder that is younger may belong to a process that has not locked it yet."""


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder that only this user can enter. It is removed when the context ends, or by another process's `sweep`."""
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    lock = None
    try:
        lock = _locked(folder)
        yield folder
    finally:
        _remove(folder)
        if lock is not None:
            os.close(lock)


def sweep() -> None:
    """Remove this user's folders whose processes have ended. It follows no links, and raises nothing."""
    if fcntl is None:
        return
    with contextlib.suppress(OSError), os.scandir(tempfile.gettempdir()) as entries:
        for entry in entries:
            if OURS.fullmatch(entry.name):
                with contextlib.suppress(OSError):
                    _remove_if_abandoned(Path(entry.path))


def _remove_if_abandoned(folder: Path) -> None:
    # Nobody else can put another folder in its place: it is ours, and others cannot rename it in a sticky folder.
    status = folder.lstat()
    user = os.geteuid()
    is_ours = status.st_uid == user or (user == 0 and status.st_uid in KERNEL_USERS)  # a kernel's, which root gave away
    if not (is_ours and stat.S_ISDIR(status.st_mode)) or time.time() - status.st_ctime < YOUNG_S:
        return
    lock = _locked(folder)
    if lock is not None:
        try:
            _remove(folder)
        finally:
            os.close(lock)


def _remove(folder: Path) -> None:
    """
    Remove a folder in which a student's process may have made anything: folders in folders by the thousand, too.

    Nothing recurses, no path is longer than two names, and it follows no links. A folder in a folder is moved up before
    it is emptied.
    """
    if sys.platform != "linux":  # nothing is confined there
        shutil.rmtree(folder, ignore_errors=True)
        return
    with contextlib.suppress(OSError), _opened(folder) as top:
        names = os.listdir(top)  # noqa: PTH208 - there is no path
        while names:
            _remove_entry(names.pop(), top, names)
    with contextlib.suppress(OSError):
        folder.rmdir()


def _remove_entry(name: str, top: int, names: list[str]) -> None:
    """Remove a file, or a folder with its files. Its folders are moved to the top; `names` gets their names there."""
    if _unlinked(name, top):
        return
    with contextlib.suppress(OSError), _opened(name, top) as folder:
        for inner in os.listdir(folder):  # noqa: PTH208 - likewise
            if not _unlinked(inner, folder):
                _allow_all(inner, folder)  # without which it could not be moved
                moved = f"{PREFIX}{uuid.uuid4().hex}"
                os.rename(inner, moved, src_dir_fd=folder, dst_dir_fd=top)
                names.append(moved)
        os.rmdir(name, dir_fd=top)


def _unlinked(name: str, folder: int) -> bool:
    try:
        os.unlink(name, dir_fd=folder)
    except OSError:
        return False
    return True


@contextlib.contextmanager
def _opened(name: str | Path, top: int | None = None) -> Iterator[int]:
    """A descriptor of a folder, which its owner may read and change from now on."""
    _allow_all(name, top)
    descriptor = os.open(name, _FOLDER | os.O_RDONLY, dir_fd=top)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _allow_all(name: str | Path, top: int | None) -> None:
    """Give the owner of a folder all rights to it. A link is left alone, and so is what it leads to."""
    with contextlib.suppress(OSError):
        descriptor = os.open(name, _FOLDER | os.O_PATH, dir_fd=top)
        try:
            os.chmod(f"/proc/self/fd/{descriptor}", stat.S_IRWXU)  # noqa: PTH101 - it is no path
        finally:
            os.close(descriptor)


def _locked(folder: Path) -> int | None:
    """A descriptor with a lock on the folder, which no child inherits; None if another process has the lock."""
    if fcntl is None:
        return None
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
