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
import tempfile
import time
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
        shutil.rmtree(folder, ignore_errors=True)
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
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)


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
