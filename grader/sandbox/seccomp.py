"""
The filter on system calls: a classic BPF program that is built once and installed in every kernel.

A refused call returns an error that programs know, and does not kill the process: libraries try calls out. A call of a
foreign architecture kills the process. A call that is newer than this table returns ENOSYS, as if it did not exist.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import socket
import struct

from grader.sandbox.linux import check, libc

__all__ = ["DENIED", "LAST_KNOWN", "build_filter", "install_filter", "native_number"]

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

_CLONE = (56, 220)
_CLONE3 = (435, 435)
_SOCKET = (41, 198)
_SOCKETPAIR = (53, 199)
_PRCTL = (157, 167)
_IOCTL = (16, 29)
_NEW_NAMESPACES = 0x7E020080  # CLONE_NEW{NS,CGROUP,UTS,IPC,USER,PID,NET} and NEWTIME
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_X32_BIT = 0x40000000

_ALLOW = 0x7FFF0000
_KILL_PROCESS = 0x80000000
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


def build_filter(machine: str | None = None, *, unix_sockets: bool) -> bytes:
    """
    The program, for `seccomp(2)`.

    Args:
        machine: `x86_64` or `aarch64`; that of this machine if None.
        unix_sockets: Whether unix sockets may be made. Only sensible if none of the machine's sockets can be reached.

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

    def returning(value: int) -> list[tuple[int, int, int, int]]:
        return [(_RETURN, 0, 0, value)]

    code.append((_LOAD, 0, 0, _ARCHITECTURE))
    when(_JUMP_EQUAL, audit, returning(_KILL_PROCESS), negate=True)
    code.append((_LOAD, 0, 0, _NUMBER))
    if column == 0:
        when(_JUMP_SET, _X32_BIT, returning(_KILL_PROCESS))
    when(_JUMP_GREATER, LAST_KNOWN, returning(_error(errno.ENOSYS)))
    when(_JUMP_EQUAL, _CLONE3[column], returning(_error(errno.ENOSYS)))  # its flags are behind a pointer
    for numbers in DENIED.values():
        number = numbers[column]
        if number is not None:
            when(_JUMP_EQUAL, number, returning(_error(errno.EPERM)))

    def refuse_values(index: int, values: tuple[int, ...], error: int) -> list[tuple[int, int, int, int]]:
        block = [(_LOAD, 0, 0, _argument(index))]
        for value in values:
            block += [(_JUMP_EQUAL, 0, 1, value), (_RETURN, 0, 0, _error(error))]
        return block + returning(_ALLOW)

    def allow_value(index: int, value: int, error: int) -> list[tuple[int, int, int, int]]:
        return [
            (_LOAD, 0, 0, _argument(index)),
            (_JUMP_EQUAL, 0, 1, value),
            (_RETURN, 0, 0, _ALLOW),
            (_RETURN, 0, 0, _error(error)),
        ]

    when(
        _JUMP_EQUAL,
        _CLONE[column],
        [
            (_LOAD, 0, 0, _argument(0)),
            (_JUMP_SET, 0, 1, _NEW_NAMESPACES),
            (_RETURN, 0, 0, _error(errno.EPERM)),
            (_RETURN, 0, 0, _ALLOW),
        ],
    )
    no_family = errno.EAFNOSUPPORT
    when(
        _JUMP_EQUAL,
        _SOCKET[column],
        allow_value(0, socket.AF_UNIX, no_family) if unix_sockets else returning(_error(no_family)),
    )
    when(_JUMP_EQUAL, _SOCKETPAIR[column], allow_value(0, socket.AF_UNIX, no_family))
    when(_JUMP_EQUAL, _PRCTL[column], refuse_values(0, (_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE), errno.EPERM))
    when(_JUMP_EQUAL, _IOCTL[column], refuse_values(1, (_TIOCSTI, _TIOCLINUX), errno.EPERM))
    code.extend(returning(_ALLOW))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)


def install_filter(program: bytes) -> None:
    """
    Install the program in this thread, for good. Needs no_new_privs.

    Raises:
        OSError: The kernel refused it.
    """
    buffer = ctypes.create_string_buffer(program, len(program))

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]

    description = Program(len(program) // 8, ctypes.cast(buffer, ctypes.c_void_p))
    # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
    check(libc.prctl(22, 2, ctypes.byref(description), 0, 0), f"seccomp of process {os.getpid()}")
