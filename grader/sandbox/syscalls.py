"""
Tables of system calls: which ones are refused, only seem to work, name other processes, or start them.
"""

from __future__ import annotations

import enum
import errno
import platform

__all__ = [
    "ARCHITECTURES",
    "DENIED",
    "LAST_KNOWN",
    "NAMING",
    "PRETENDED",
    "STARTING",
    "UNCONFINED",
    "Naming",
    "native_number",
]

ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""The column of each architecture in these tables, and its number for Linux's audit."""

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
    # namespaces; clone is examined
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
    "semop": (65, 193),  # whoever guesses the number of an object needs no other call before this one
    "semctl": (66, 191),
    "semtimedop": (220, 192),
    "msgget": (68, 186),
    "msgsnd": (69, 189),
    "msgrcv": (70, 188),
    "msgctl": (71, 187),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
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


# Calls that do nothing, and seem to have worked: they would have all disks of the machine wait.
PRETENDED: dict[str, tuple[int, int]] = {"sync": (162, 81), "syncfs": (306, 267)}

# Calls on files that Landlock does not confine, and their errors; 0 if they seem to work, since honest code makes them
# in its own folder. They matter where there is no private root: they could change all files of the same user, and watch
# folders.
UNCONFINED: dict[str, tuple[int | None, int | None, int]] = {
    "chmod": (90, None, 0),
    "fchmod": (91, 52, 0),
    "fchmodat": (268, 53, 0),
    "fchmodat2": (452, 452, 0),
    "utime": (132, None, 0),
    "utimes": (235, None, 0),
    "futimesat": (261, None, 0),
    "utimensat": (280, 88, 0),
    "chown": (92, None, errno.EPERM),
    "lchown": (94, None, errno.EPERM),
    "fchown": (93, 55, errno.EPERM),
    "fchownat": (260, 54, errno.EPERM),
    "setxattr": (188, 5, errno.ENOTSUP),
    "lsetxattr": (189, 6, errno.ENOTSUP),
    "fsetxattr": (190, 7, errno.ENOTSUP),
    "setxattrat": (463, 463, errno.ENOTSUP),
    "removexattr": (197, 14, errno.ENOTSUP),
    "lremovexattr": (198, 15, errno.ENOTSUP),
    "fremovexattr": (199, 16, errno.ENOTSUP),
    "removexattrat": (466, 466, errno.ENOTSUP),
    "truncate": (76, 45, errno.EPERM),  # Landlock confines it since Linux 6.2
    "openat2": (437, 437, errno.ENOSYS),  # its flags are behind a pointer
    "inotify_add_watch": (254, 27, errno.EPERM),
}


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

# Calls that start a process or a thread.
STARTING: dict[str, tuple[int | None, int | None]] = {"clone": (56, 220), "fork": (57, None), "vfork": (58, None)}


def native_number(numbers: tuple[int | None, int | None]) -> int | None:
    """The number of a call on this machine; None if it has no such call, or its architecture is not in the table."""
    known = ARCHITECTURES.get(platform.machine())
    return numbers[known[0]] if known is not None else None
