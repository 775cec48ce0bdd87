"""
The system calls that Python does not offer, by ctypes. Every function raises `OSError` if Linux refuses.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
from pathlib import Path

__all__ = [
    "CLONE_NEWCGROUP",
    "CLONE_NEWIPC",
    "CLONE_NEWNET",
    "CLONE_NEWNS",
    "CLONE_NEWPID",
    "CLONE_NEWUSER",
    "CLONE_NEWUTS",
    "MOUNT_NODEV",
    "MOUNT_NOSUID",
    "MOUNT_RDONLY",
    "check",
    "drop_capabilities",
    "has_capabilities",
    "libc",
    "mount",
    "move_tree",
    "open_tree",
    "pivot_root",
    "prctl",
    "syscall",
    "umount",
    "unshare",
]

libc = ctypes.CDLL(None, use_errno=True)

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MOUNT_RDONLY, MOUNT_NOSUID, MOUNT_NODEV = 0x1, 0x2, 0x4  # of mount_setattr(2)

_IS_ARM = platform.machine() == "aarch64"
_PIVOT_ROOT = 41 if _IS_ARM else 155
_CAPGET, _CAPSET = (90, 91) if _IS_ARM else (125, 126)
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442
_AT_EMPTY_PATH, _AT_RECURSIVE, _AT_FDCWD = 0x1000, 0x8000, -100
_OPEN_TREE_CLONE, _MOVE_MOUNT_F_EMPTY_PATH = 1, 0x4
_CAPABILITY_VERSION_3 = 0x20080522
_PR_CAPBSET_READ, _PR_CAPBSET_DROP, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 23, 24, 47, 4


def check(result: int, what: str) -> int:
    """The result of a call of `libc`; raises an `OSError` if it is -1."""
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def syscall(number: int, *arguments: object) -> int:
    """`syscall(2)`. Integers are passed as 64 bits."""
    converted = [ctypes.c_long(argument) if isinstance(argument, int) else argument for argument in arguments]
    return check(libc.syscall(ctypes.c_long(number), *converted), f"system call {number}")


def prctl(option: int, first: int = 0, second: int = 0) -> int:
    """`prctl(2)` of this thread."""
    values = [ctypes.c_ulong(value) for value in (first, second, 0, 0)]
    return check(libc.prctl(option, *values), f"prctl {option}")


def unshare(flags: int) -> None:
    """`unshare(2)`: leave the namespaces that `flags` name (`os.unshare` from Python 3.12 on)."""
    check(libc.unshare(flags), "unshare")


def mount(kind: str, target: str, options: str = "", flags: int = 0) -> None:
    """Mount a new file system of this kind, such as `tmpfs`."""
    name = kind.encode()
    check(
        libc.mount(name, target.encode(), name, ctypes.c_ulong(flags), options.encode() or None),
        f"mount of {kind} on {target}",
    )


def umount(target: str, flags: int) -> None:
    """`umount2(2)`."""
    check(libc.umount2(target.encode(), flags), f"umount of {target}")


class _MountAttributes(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "user_namespace")]


def open_tree(source: Path | str, attributes: int) -> int:
    """A descriptor of a copy of the mounts at and below `source`, with attributes, and not yet attached anywhere."""
    flags = _OPEN_TREE_CLONE | _AT_RECURSIVE | os.O_CLOEXEC
    tree = syscall(_OPEN_TREE, _AT_FDCWD, os.fsencode(source), flags)
    wanted = _MountAttributes(attributes, 0, 0, 0)
    try:
        syscall(_MOUNT_SETATTR, tree, b"", _AT_EMPTY_PATH | _AT_RECURSIVE, ctypes.byref(wanted), ctypes.sizeof(wanted))
    except OSError:
        os.close(tree)
        raise
    return tree


def move_tree(tree: int, target: str) -> None:
    """Attach a tree from `open_tree` at `target`, and close its descriptor."""
    syscall(_MOVE_MOUNT, tree, b"", _AT_FDCWD, target.encode(), _MOVE_MOUNT_F_EMPTY_PATH)
    os.close(tree)


def pivot_root(new: str, old: str) -> None:
    """`pivot_root(2)`."""
    syscall(_PIVOT_ROOT, new.encode(), old.encode())


class _CapabilityHeader(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


_CapabilityData = ctypes.c_uint32 * 6


def drop_capabilities() -> None:
    """Give up all capabilities of this thread, in all five sets, for good."""
    for capability in range(64):
        try:
            prctl(_PR_CAPBSET_DROP, capability)
        except OSError:  # there are no more capabilities, or we may not drop this one
            break
    with contextlib.suppress(OSError):
        prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    header = _CapabilityHeader(_CAPABILITY_VERSION_3, 0)
    syscall(_CAPSET, ctypes.byref(header), ctypes.byref(_CapabilityData()))


def has_capabilities() -> bool:
    """Whether this thread has any capability, or could get one if no_new_privs did not prevent it."""
    data = _CapabilityData()
    syscall(_CAPGET, ctypes.byref(_CapabilityHeader(_CAPABILITY_VERSION_3, 0)), ctypes.byref(data))
    return any(data)
