"""
The filter on system calls: a classic BPF program that is built once and installed in every kernel.

A refused call returns an error that programs know, and does not kill the process: libraries try calls out. A call of a
foreign architecture kills the process. A call that is newer than this table returns ENOSYS, as if it did not exist.

Where processes have no namespace of their own, calls that take another process's id are not decided here, since a
filter knows no families: they wait until the supervisor has said whether that process is one of the kernel's own
(see `gate`). It is also asked whether one more process may be started. There, the files of the machine are in sight,
too: so what Landlock does not confine is closed here.
"""

from __future__ import annotations

import ctypes
import enum
import errno
import os
import platform
import socket
import struct
from collections.abc import Iterator

from grader.sandbox.linux import check, libc, syscall
from grader.sandbox.syscalls import (
    ARCHITECTURES,
    DENIED,
    LAST_KNOWN,
    NAMING,
    PRETENDED,
    STARTING,
    UNCONFINED,
    Naming,
    native_number,
)

__all__ = ["Outsiders", "build_filter", "install_filter", "listen_with_filter"]

_PIDFD_SEND_SIGNAL = (424, 424)


class Outsiders(enum.Enum):
    """What becomes of a call that names another process by its id."""

    ALLOWED = "allowed: there is a namespace of processes, and a private root"
    ASKED = "the supervisor is asked; it also counts processes"
    REFUSED = "refused, except for signals, without which nothing can end its children"


_CLONE = (56, 220)
_CLONE3 = (435, 435)
_SOCKET = (41, 198)
_SOCKETPAIR = (53, 199)
_PRCTL = (157, 167)
_IOCTL = (16, 29)
_SECCOMP = (317, 277)
_SETSOCKOPT, _SO_SNDBUFFORCE = (54, 208), 32
_MMAP, _MAP_SHARED, _MAP_ANONYMOUS = (9, 222), 0x01, 0x20  # the other kind of sharing, MAP_SHARED_VALIDATE, is 0x03
_CLOSE_RANGE = 436
_CLONE_FILES, _CLONE_THREAD = 0x400, 0x10000
_NEW_NAMESPACES = 0x7E020080  # CLONE_NEW{NS,CGROUP,UTS,IPC,USER,PID,NET} and NEWTIME
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4
_PR_SCHED_CORE = 62
_OPENING = {(2, None): 1, (257, 56): 2}  # the argument with the flags
_WRITES, _TRUNCATES = os.O_WRONLY | os.O_RDWR, os.O_TRUNC
_KIND_OF_SOCKET = 0xF
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_FIOSETOWN, _SIOCSPGRP = 0x8901, 0x8902
_FCNTL, _F_SETOWN, _F_SETOWN_EX, _F_SETPIPE_SZ = (72, 25), 8, 15, 1031
_X32_BIT = 0x40000000

_ALLOW = 0x7FFF0000
_KILL_PROCESS = 0x80000000
_ASK = 0x7FC00000  # SECCOMP_RET_USER_NOTIF
_LOAD, _AND, _JUMP_EQUAL, _JUMP_GREATER, _JUMP_SET, _RETURN = 0x20, 0x54, 0x15, 0x25, 0x45, 0x06
_NUMBER, _ARCHITECTURE = 0, 4


def _error(number: int) -> int:
    return 0x00050000 | number


def _argument(index: int, *, high: bool = False) -> int:
    return 16 + 8 * index + (4 if high else 0)  # both architectures are little-endian


def build_filter(machine: str | None = None, *, unix_sockets: bool, outsiders: Outsiders = Outsiders.ALLOWED) -> bytes:
    """
    The program, for `seccomp(2)`.

    Args:
        machine: `x86_64` or `aarch64`; that of this machine if None.
        unix_sockets: Whether unix sockets may be made. Only sensible if none of the machine's sockets can be reached.
        outsiders: What becomes of calls that name other processes. If there is no namespace that keeps them away, there
            is no private root either.

    Raises:
        OSError: The architecture is not in the table (ENOTSUP).
    """
    try:
        column, audit = ARCHITECTURES[machine or platform.machine()]
    except KeyError:
        raise OSError(errno.ENOTSUP, "no system call filter for this architecture") from None
    code: list[tuple[int, int, int, int]] = []

    def when(jump: int, operand: int, block: list[tuple[int, int, int, int]], *, negate: bool = False) -> None:
        """Run `block`, which ends in a return, only if the comparison holds (if negated: only if it does not hold)."""
        skip = len(block)
        code.append((jump, skip, 0, operand) if negate else (jump, 0, skip, operand))
        code.extend(block)

    code.append((_LOAD, 0, 0, _ARCHITECTURE))
    when(_JUMP_EQUAL, audit, _returning(_KILL_PROCESS), negate=True)
    code.append((_LOAD, 0, 0, _NUMBER))
    if column == 0:
        when(_JUMP_SET, _X32_BIT, _returning(_KILL_PROCESS))
    when(_JUMP_GREATER, LAST_KNOWN, _returning(_error(errno.ENOSYS)))
    when(_JUMP_EQUAL, _CLONE3[column], _returning(_error(errno.ENOSYS)))  # its flags are behind a pointer
    for refused in (numbers[column] for numbers in DENIED.values()):
        if refused is not None:
            when(_JUMP_EQUAL, refused, _returning(_error(errno.EPERM)))
    when(
        _JUMP_EQUAL,
        _CLONE[column],
        [
            (_LOAD, 0, 0, _argument(0)),
            (_JUMP_SET, 0, 1, _NEW_NAMESPACES),
            (_RETURN, 0, 0, _error(errno.EPERM)),
            (_JUMP_SET, 0, 2, _CLONE_THREAD),  # threads have the same descriptors: the supervisor counts them once
            (_JUMP_SET, 1, 0, _CLONE_FILES),
            (_RETURN, 0, 0, _error(errno.EPERM)),
            (_RETURN, 0, 0, _ASK if outsiders is Outsiders.ASKED else _ALLOW),
        ],
    )
    for number, block in (*_bounded(column), *_unconfined(column, outsiders), *_other_processes(column, outsiders)):
        when(_JUMP_EQUAL, number, block)
    no_family = errno.EAFNOSUPPORT
    when(
        _JUMP_EQUAL,
        _SOCKET[column],
        _allow_value(0, socket.AF_UNIX, no_family) if unix_sockets else _returning(_error(no_family)),
    )
    when(_JUMP_EQUAL, _SOCKETPAIR[column], _allow_value(0, socket.AF_UNIX, no_family))
    forbidden = (_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SCHED_CORE)
    when(_JUMP_EQUAL, _PRCTL[column], _refuse_values(0, forbidden, errno.EPERM))
    # Who gets the signals of a descriptor is behind a pointer in these, but not in F_SETOWN.
    commands = (_TIOCSTI, _TIOCLINUX, _FIOSETOWN, _SIOCSPGRP)
    when(_JUMP_EQUAL, _IOCTL[column], _refuse_values(1, commands, errno.EPERM))
    code.extend(_returning(_ALLOW))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)


def _returning(value: int) -> list[tuple[int, int, int, int]]:
    return [(_RETURN, 0, 0, value)]


def _refuse_values(index: int, values: tuple[int, ...], error: int) -> list[tuple[int, int, int, int]]:
    block = [(_LOAD, 0, 0, _argument(index))]
    for value in values:
        block += [(_JUMP_EQUAL, 0, 1, value), (_RETURN, 0, 0, _error(error))]
    return block + _returning(_ALLOW)


def _allow_value(index: int, value: int, error: int) -> list[tuple[int, int, int, int]]:
    return [
        (_LOAD, 0, 0, _argument(index)),
        (_JUMP_EQUAL, 0, 1, value),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _error(error)),
    ]


def _bounded(column: int) -> Iterator[tuple[int, list[tuple[int, int, int, int]]]]:
    """What keeps hidden buffers at their usual sizes, their descriptors and all memory in sight, and disks calm."""
    for numbers in PRETENDED.values():
        yield numbers[column], _returning(_error(0))
    # As if the machine allowed no more, of which Linux does not tell either.
    size_of_buffer = [
        (_LOAD, 0, 0, _argument(1)),
        (_JUMP_EQUAL, 1, 0, socket.SOL_SOCKET),
        (_RETURN, 0, 0, _ALLOW),
        (_LOAD, 0, 0, _argument(2)),
        (_JUMP_EQUAL, 1, 0, socket.SO_SNDBUF),
        (_JUMP_EQUAL, 0, 1, _SO_SNDBUFFORCE),
        (_RETURN, 0, 0, _error(0)),
        (_RETURN, 0, 0, _ALLOW),
    ]
    yield _SETSOCKOPT[column], size_of_buffer
    # Pages of such a mapping stay as long as any part of it is mapped, and nothing tells how many these are.
    shared_without_a_file = [
        (_LOAD, 0, 0, _argument(3)),
        (_AND, 0, 0, _MAP_SHARED | _MAP_ANONYMOUS),
        (_JUMP_EQUAL, 0, 1, _MAP_SHARED | _MAP_ANONYMOUS),
        (_RETURN, 0, 0, _error(errno.EPERM)),
        (_RETURN, 0, 0, _ALLOW),
    ]
    yield _MMAP[column], shared_without_a_file
    yield _CLOSE_RANGE, _refuse_values(2, (2, 6), errno.EPERM)  # CLOSE_RANGE_UNSHARE, with and without CLOEXEC


def _unconfined(column: int, outsiders: Outsiders) -> Iterator[tuple[int, list[tuple[int, int, int, int]]]]:
    """What could be done to files and sockets of the machine where there is no private root, in spite of Landlock."""
    if outsiders is Outsiders.ALLOWED:
        return
    for x86, arm, error in UNCONFINED.values():
        number = (x86, arm)[column]
        if number is not None:
            yield number, _returning(_error(error))
    for numbers, flags in _OPENING.items():
        number = numbers[column]
        if number is not None:  # to Landlock before Linux 6.2, a file that is opened for reading is not changed
            yield (
                number,
                [
                    (_LOAD, 0, 0, _argument(flags)),
                    (_JUMP_SET, 1, 0, _WRITES),
                    (_JUMP_SET, 1, 0, _TRUNCATES),
                    (_RETURN, 0, 0, _ALLOW),
                    (_RETURN, 0, 0, _error(errno.EPERM)),
                ],
            )
    # Sockets for datagrams are connected to each other, and can still send to any other one that they name.
    yield (
        _SOCKETPAIR[column],
        [
            (_LOAD, 0, 0, _argument(0)),
            (_JUMP_EQUAL, 1, 0, socket.AF_UNIX),
            (_RETURN, 0, 0, _error(errno.EAFNOSUPPORT)),
            (_LOAD, 0, 0, _argument(1)),
            (_AND, 0, 0, _KIND_OF_SOCKET),
            (_JUMP_EQUAL, 1, 0, socket.SOCK_STREAM),
            (_JUMP_EQUAL, 0, 1, socket.SOCK_SEQPACKET),
            (_RETURN, 0, 0, _ALLOW),
            (_RETURN, 0, 0, _error(errno.EPROTONOSUPPORT)),
        ],
    )


def _other_processes(column: int, outsiders: Outsiders) -> Iterator[tuple[int, list[tuple[int, int, int, int]]]]:
    """
    What to do on each call that starts or names another process, by its number.

    One of them also makes a pipe's buffer larger, which nothing counts.
    """
    if outsiders is Outsiders.ALLOWED:
        yield _FCNTL[column], _refuse_values(1, (_F_SETPIPE_SZ,), errno.EPERM)
        return
    yield _PIDFD_SEND_SIGNAL[column], _returning(_error(errno.ENOSYS))  # the filter sees no process
    for x86, arm, naming in NAMING.values():
        yield (x86, arm)[column], _decide_on_outsiders(naming, outsiders)
    for name in ("fork", "vfork"):
        number = STARTING[name][column]
        if outsiders is Outsiders.ASKED and number is not None:
            yield number, _returning(_ASK)


def _decide_on_outsiders(naming: Naming, outsiders: Outsiders) -> list[tuple[int, int, int, int]]:
    """Allow a call that names the caller itself, which has the number 0; otherwise do what `outsiders` says."""
    refuse = (_RETURN, 0, 0, _error(errno.EPERM))
    if outsiders is Outsiders.ASKED:
        decide = (_RETURN, 0, 0, _ASK)
    else:
        decide = (_RETURN, 0, 0, _ALLOW) if naming is Naming.SIGNAL else refuse
    block: list[tuple[int, int, int, int]] = []
    index = 0
    if naming is Naming.OWNER:
        index = 2
        block = [
            (_LOAD, 0, 0, _argument(1)),
            (_JUMP_EQUAL, 1, 0, _F_SETPIPE_SZ),
            (_JUMP_EQUAL, 0, 1, _F_SETOWN_EX),
            refuse,
            (_JUMP_EQUAL, 1, 0, _F_SETOWN),
            (_RETURN, 0, 0, _ALLOW),
        ]
    elif naming in (Naming.KIND, Naming.KIND_FROM_ONE):
        index = 1
        a_user = 2 if naming is Naming.KIND else 3
        block = [(_LOAD, 0, 0, _argument(0)), (_JUMP_EQUAL, 0, 1, a_user), refuse]
    return [*block, (_LOAD, 0, 0, _argument(index)), (_JUMP_EQUAL, 0, 1, 0), (_RETURN, 0, 0, _ALLOW), decide]


def install_filter(program: bytes) -> None:
    """
    Install the program in this thread, for good. Needs no_new_privs.

    Raises:
        OSError: The kernel refused it.
    """
    # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
    check(libc.prctl(22, 2, ctypes.byref(_described(program)), 0, 0), f"seccomp of process {os.getpid()}")


def listen_with_filter(program: bytes) -> int:
    """
    Install a program that asks, as `install_filter` does.

    Returns:
        The descriptor at which a process with powers is asked.

    Raises:
        OSError: The kernel refused it, or another filter asks somebody already.
    """
    number = native_number(_SECCOMP)
    if number is None:
        raise OSError(errno.ENOTSUP, "no system call filter for this architecture")
    # SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER
    return syscall(number, 1, 8, ctypes.byref(_described(program)))


def _described(program: bytes) -> ctypes.Structure:
    buffer = ctypes.create_string_buffer(program, len(program))

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]

    description = Program(len(program) // 8, ctypes.cast(buffer, ctypes.c_void_p))
    description.buffer = buffer  # held as long as the description
    return description
