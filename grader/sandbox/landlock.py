"""
Landlock: a process gives up access to all files but those it names, for itself and for all that it starts.

It also works where namespaces are refused. Inside of namespaces it is a second, independent barrier.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable
from pathlib import Path

from grader.sandbox.linux import syscall

__all__ = ["landlock_version", "restrict_files"]

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_PATH_BENEATH = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_TRUNCATE, _IOCTL_DEVICE = 1 << 14, 1 << 15
_FILE_RIGHTS = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEVICE
_MAKE_CHAR, _MAKE_SOCK, _MAKE_FIFO, _MAKE_BLOCK = 1 << 6, 1 << 9, 1 << 10, 1 << 11
_ALL_BY_VERSION = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
_READ = _EXECUTE | _READ_FILE | _READ_DIR


class _Ruleset(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("files", "network", "scopes")]


class _PathRule(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = [("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32)]


def landlock_version() -> int:
    """The version of Landlock's interface that this Linux has; 0 if it has none."""
    try:
        return syscall(_CREATE_RULESET, None, 0, 1)
    except OSError:
        return 0


def restrict_files(
    *, read: Iterable[Path | str], listed: Iterable[Path | str], write: Iterable[Path], devices: Iterable[Path]
) -> None:
    """
    Allow this process to use these files and no others, for good. Needs no_new_privs.

    If this Linux is new enough, TCP is refused too, and so are connections to abstract unix sockets of processes
    outside, and signals to them.

    Args:
        read: Folders and files that may be read and executed.
        listed: Folders that may be listed, with all folders in them.
        write: Folders in which everything is allowed except making devices.
        devices: Files that may be read and written.

    Raises:
        OSError: This Linux has no Landlock, or refused.
    """
    version = syscall(_CREATE_RULESET, None, 0, 1)
    every = next(rights for known, rights in reversed(_ALL_BY_VERSION.items()) if known <= version)
    rules = _Ruleset(every, 3 if version >= 4 else 0, 3 if version >= 6 else 0)
    size = 8 if version < 4 else 16 if version < 6 else 24
    ruleset = syscall(_CREATE_RULESET, ctypes.byref(rules), size, 0)
    try:
        for paths, rights in (
            (read, _READ),
            (listed, _READ_DIR),
            (write, ~(_MAKE_CHAR | _MAKE_BLOCK)),
            (devices, _READ_FILE | _WRITE_FILE | _IOCTL_DEVICE),
        ):
            for path in paths:
                _allow(ruleset, path, rights & every)
        syscall(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: Path | str, rights: int) -> None:
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:  # it does not exist, or this user may not open it: there is nothing to allow
        return
    try:
        if not os.path.isdir(path):  # noqa: PTH112
            rights &= _FILE_RIGHTS
        if not rights:
            return
        rule = _PathRule(rights, handle)
        syscall(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(handle)
