"""
The filter on system calls: a classic BPF program that is built once and installed in every kernel.

A refused call returns an error that programs know, and does not kill the process: libraries try calls out. A call of a
foreign architecture kills the process. A call that is newer than this table returns ENOSYS, as if it did not exist.

Where processes have no namespace of their own, calls that take another process's id are not decided here, since a
filter knows no families: they wait until the supervisor has said whether that process is one of the kernel's own
(`grader.sandbox.gate`). It is also asked whether one more process may be started.
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

__all__ = [
    "DENIED",
    "LAST_KNOWN",
    "NAMING",
    "STARTING",
    "Naming",
    "Outsiders",
    "build_filter",
    "install_filter",
    "listen_with_filter",
    "native_number",
]

# The number of each call on x86_64 and on aarch64; None if there is none. A test compares them with libseccomp's.
DENIED: dict[str, tuple[int | None, int | None]] = {
    # other processes' memory and handles
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    # the view of the file system
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "open_tree": (428, 428),
    "open_tree_attr": (467, 467),
    "move_mount": (429, 429),
    "mount_setattr": (442, 442),
    "statmount": (457, 457),
    "listmount": (458, 458),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "fanotify_init": (300, 262),
    "fanotify_mark": (301, 263),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "mknod": (133, None),
    "mknodat": (259, 33),
    # namespaces; clone is examined below
    "unshare": (272, 97),
    "setns": (308, 268),
    # objects that Linux keeps: keys, programs, events, shared memory without a file
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_setup": (206, 0),
    "io_submit": (209, 2),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    "vmsplice": (278, 75),
    "remap_file_pages": (216, 234),
    "lookup_dcookie": (212, 18),
    "seccomp": (317, 277),
    # the machine
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "reboot": (169, 142),
    "acct": (163, 89),
    "syslog": (103, 116),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "adjtimex": (159, 171),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "vhangup": (153, 58),
    "personality": (135, 92),
    "iopl": (172, None),
    "ioperm": (173, None),
    "modify_ldt": (154, None),
    "uselib": (134, None),
    "ustat": (136, None),
    "sysfs": (139, None),
    "_sysctl": (156, None),
    "nfsservctl": (180, 42),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    "mbind": (237, 235),
    "set_mempolicy": (238, 237),
    "mlockall": (151, 230),
}
LAST_KNOWN = 467
"""A call with a greater number is newer than this table."""


class Naming(enum.Enum):
    """How a call names other processes: the argument with the id, and what the id may stand for."""

    FIRST = "the first argument is a process or a thread"
    SIGNAL = "the first argument is a process; a group if it is negative; -1 for all"
    KIND = "the first argument says if the second is a process, a group or a user, from 0 on"
    KIND_FROM_ONE = "the same, from 1 on"
    OWNER = "the third argument is a process or, if it is negative, a group; only if the second is F_SETOWN"


# Every call that names a process by its id and that is not in `DENIED`. `wait4`, `waitid` and `setpgid` are not here:
# they reach children only.
NAMING: dict[str, tuple[int, int, Naming]] = {
    "kill": (62, 129, Naming.SIGNAL),
    "tkill": (200, 130, Naming.FIRST),
    "tgkill": (234, 131, Naming.FIRST),
    "rt_sigqueueinfo": (129, 138, Naming.FIRST),
    "rt_tgsigqueueinfo": (297, 240, Naming.FIRST),
    "pidfd_open": (434, 434, Naming.FIRST),
    "prlimit64": (302, 261, Naming.FIRST),
    "sched_setaffinity": (203, 122, Naming.FIRST),
    "sched_getaffinity": (204, 123, Naming.FIRST),
    "sched_setscheduler": (144, 119, Naming.FIRST),
    "sched_getscheduler": (145, 120, Naming.FIRST),
    "sched_setparam": (142, 118, Naming.FIRST),
    "sched_getparam": (143, 121, Naming.FIRST),
    "sched_setattr": (314, 274, Naming.FIRST),
    "sched_getattr": (315, 275, Naming.FIRST),
    "sched_rr_get_interval": (148, 127, Naming.FIRST),
    "get_robust_list": (274, 100, Naming.FIRST),
    "getpgid": (121, 155, Naming.FIRST),
    "getsid": (124, 156, Naming.FIRST),
    "setpriority": (141, 140, Naming.KIND),
    "getpriority": (140, 141, Naming.KIND),
    "ioprio_set": (251, 30, Naming.KIND_FROM_ONE),
    "ioprio_get": (252, 31, Naming.KIND_FROM_ONE),
    "fcntl": (72, 25, Naming.OWNER),
}
_PIDFD_SEND_SIGNAL = (424, 424)


class Outsiders(enum.Enum):
    """What becomes of a call that names another process by its id."""

    ALLOWED = "allowed: there is a namespace of processes"
    ASKED = "the supervisor is asked; it also counts processes"
    REFUSED = "refused, except for signals, without which nothing can end its children"


# Calls that start a process or a thread.
STARTING: dict[str, tuple[int | None, int | None]] = {"clone": (56, 220), "fork": (57, None), "vfork": (58, None)}
_CLONE = (56, 220)
_CLONE3 = (435, 435)
_SOCKET = (41, 198)
_SOCKETPAIR = (53, 199)
_PRCTL = (157, 167)
_IOCTL = (16, 29)
_SECCOMP = (317, 277)
_SETSOCKOPT, _SO_SNDBUFFORCE = (54, 208), 32
_CLOSE_RANGE = 436
_CLONE_FILES, _CLONE_THREAD = 0x400, 0x10000
_NEW_NAMESPACES = 0x7E020080  # CLONE_NEW{NS,CGROUP,UTS,IPC,USER,PID,NET} and NEWTIME
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4
_PR_SCHED_CORE = 62
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_FIOSETOWN, _SIOCSPGRP = 0x8901, 0x8902
_F_SETOWN, _F_SETOWN_EX = 8, 15
_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_X32_BIT = 0x40000000

_ALLOW = 0x7FFF0000
_KILL_PROCESS = 0x80000000
_ASK = 0x7FC00000  # SECCOMP_RET_USER_NOTIF
_LOAD, _JUMP_EQUAL, _JUMP_GREATER, _JUMP_SET, _RETURN = 0x20, 0x15, 0x25, 0x45, 0x06
_NUMBER, _ARCHITECTURE = 0, 4


def native_number(numbers: tuple[int | None, int | None]) -> int | None:
    """The number of a call on this machine; None if it has no such call, or its architecture is not in the table."""
    known = _ARCHITECTURES.get(platform.machine())
    return numbers[known[0]] if known is not None else None


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
        outsiders: What becomes of calls that name other processes.

    Raises:
        OSError: The architecture is not in the table (ENOTSUP).
    """
    try:
        column, audit = _ARCHITECTURES[machine or platform.machine()]
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
    for numbers in DENIED.values():
        number = numbers[column]
        if number is not None:
            when(_JUMP_EQUAL, number, _returning(_error(errno.EPERM)))
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
    for number, block in _bounded(column):
        when(_JUMP_EQUAL, number, block)
    for number, block in _other_processes(column, outsiders):
        when(_JUMP_EQUAL, number, block)
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
    """What keeps buffers that no process seems to have at their usual sizes, and their descriptors in sight."""
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
    yield _CLOSE_RANGE, _refuse_values(2, (2, 6), errno.EPERM)  # CLOSE_RANGE_UNSHARE, with and without CLOEXEC


def _other_processes(column: int, outsiders: Outsiders) -> Iterator[tuple[int, list[tuple[int, int, int, int]]]]:
    """What to do on each call that starts or names another process, by its number."""
    if outsiders is Outsiders.ALLOWED:
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
