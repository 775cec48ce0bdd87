"""
The walls around a student's process, one function each, for a process that is about to become a kernel.

Everything is asked of Linux directly: `ctypes` reaches the calls that the standard library has no names for. Each
function raises `OSError` where the platform refuses; whoever composes them decides what to do without.
See `docs/decisions/0001-sandbox.md` for why this is not a library's.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import stat
import struct
from collections.abc import Iterable
from pathlib import Path

from grader.model import Limits

__all__ = [
    "NAMESPACES",
    "be_dumpable",
    "bind_read_only",
    "detach",
    "detach_from_parent",
    "die_with_parent",
    "drop_capabilities",
    "enter_namespaces",
    "filter_system_calls",
    "limit_resources",
    "make_read_only",
    "map_user",
    "mount_proc",
    "mount_tmpfs",
    "no_new_privileges",
    "pivot",
    "restrict_files",
]

_libc = ctypes.CDLL(None, use_errno=True)
_MACHINE = platform.machine()

NAMESPACES = {
    "user_namespace": 0x10000000,
    "mount_namespace": 0x00020000,
    "pid_namespace": 0x20000000,
    "network_namespace": 0x40000000,
    "ipc_namespace": 0x08000000,
    "uts_namespace": 0x04000000,
}
"""CLONE_NEW… flags by the name of their layer."""

_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 1, 2, 4, 8
_MS_BIND, _MS_REC, _MS_PRIVATE, _MS_SLAVE = 4096, 16384, 1 << 18, 1 << 19
_MNT_DETACH = 2
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 1, 4, 24, 38, 47


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def _system_call(name: str, *arguments: object) -> int:
    number = _NUMBERS[name][0 if _MACHINE == "x86_64" else 1]
    return _check(_libc.syscall(ctypes.c_long(number), *arguments), name)


# -------------------------------------------------------------------------------------------- namespaces, mounts


def enter_namespaces(flags: int) -> None:
    """Leave the machine's namespaces for new ones; those of processes hold for children only."""
    _check(_libc.unshare(ctypes.c_int(flags)), "unshare")


def map_user(inside: int, outside: int, outside_group: int) -> None:
    """In a new user namespace: be the user `inside`, who is `outside` to everyone else, and nobody besides."""
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{inside} {outside} 1")
    Path("/proc/self/gid_map").write_text(f"{inside} {outside_group} 1")


def detach_from_parent() -> None:
    """In a new mount namespace: nothing that is mounted here is seen outside."""
    _mount("none", "/", None, _MS_REC | _MS_PRIVATE)


def mount_tmpfs(target: str, *, size: int, inodes: int, mode: str = "0755", read_only: bool = False) -> None:
    """A folder in memory, with a bound on bytes and on files."""
    os.makedirs(target, exist_ok=True)
    flags = _MS_NOSUID | _MS_NODEV | (_MS_RDONLY if read_only else 0)
    _mount("tmpfs", target, "tmpfs", flags, f"size={size},nr_inodes={inodes},mode={mode}")


def bind_read_only(source: str, target: str) -> None:
    """Show a file or folder at another place too: to read, not to write, without set-uid bits, devices only if it is one."""
    device = stat.S_ISCHR(os.stat(source).st_mode)
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
    _mount(source, target, None, _MS_BIND | _MS_REC)
    _set_attributes(target, _MS_NOSUID if device else _MS_RDONLY | _MS_NOSUID | _MS_NODEV, recursive=True)


def mount_proc(root: str = "") -> None:
    """The processes of this PID namespace, and no others."""
    os.makedirs(root + "/proc", exist_ok=True)
    _mount("proc", root + "/proc", "proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)


def pivot(root: str, old: str) -> None:
    """Make `root` the root folder, and put the one before it at `old`, a folder in `root`."""
    _system_call("pivot_root", root.encode(), old.encode())
    os.chdir("/")


def detach(target: str) -> None:
    """Let go of everything that is mounted below a folder."""
    _check(_libc.umount2(target.encode(), _MNT_DETACH), "umount2")


def make_read_only(target: str) -> None:
    """No more changes in a mount."""
    _set_attributes(target, _MS_RDONLY, recursive=False)


def _set_attributes(target: str, attributes: int, *, recursive: bool) -> None:
    # Unlike a remount, this adds to what a mount has already, and so never asks for less than is allowed.
    structure = struct.pack("QQQQ", attributes, 0, 0, 0)
    flags = ctypes.c_uint(0x8000 if recursive else 0)
    _system_call("mount_setattr", -100, target.encode(), flags, structure, ctypes.c_size_t(32))


def _mount(source: str, target: str, kind: str | None, flags: int, options: str = "") -> None:
    result = _libc.mount(
        source.encode(), target.encode(), kind.encode() if kind else None, ctypes.c_ulong(flags), options.encode() or None
    )
    _check(result, f"mount {target}")


# ------------------------------------------------------------------------------------------------- privileges


def die_with_parent(signal_number: int = 9) -> None:
    """Be killed when the parent ends."""
    _check(_libc.prctl(_PR_SET_PDEATHSIG, signal_number, 0, 0, 0), "prctl")


def be_dumpable() -> None:
    """Own one's files in /proc again, which a change of user has taken away."""
    _check(_libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0), "prctl")


def no_new_privileges() -> None:
    """No program gives more rights than its caller has (no_new_privs)."""
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")


def drop_capabilities() -> None:
    """Give up every capability, for this process and whatever it starts."""
    for number in range(64):
        if _libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0) < 0:
            break
    _libc.prctl(_PR_CAP_AMBIENT, 4, 0, 0, 0)  # PR_CAP_AMBIENT_CLEAR_ALL
    header = struct.pack("II", 0x20080522, 0)
    _check(_libc.capset(header, struct.pack("6I", *[0] * 6)), "capset")


def limit_resources(limits: Limits, inherited: int) -> None:
    """
    Processor time, memory, processes, the size of a file, open files; no core dumps.

    Args:
        inherited: Bytes of data that the process had from the start; they are not the student's.
    """
    mebibyte = 2**20
    bounds = {
        resource.RLIMIT_CPU: limits.cpu_s,
        resource.RLIMIT_DATA: inherited + limits.memory_mib * mebibyte,
        resource.RLIMIT_NPROC: limits.processes,
        resource.RLIMIT_FSIZE: limits.file_size_mib * mebibyte,
        resource.RLIMIT_NOFILE: 256,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_MSGQUEUE: 0,
    }
    for which, value in bounds.items():
        _, hard = resource.getrlimit(which)
        most = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(which, (most, most))


# ---------------------------------------------------------------------------------------------------- landlock

_READ_FILE, _READ_DIR, _EXECUTE, _WRITE_FILE = 1 << 2, 1 << 3, 1 << 0, 1 << 1
_MAKE_SOCK, _REMOVE_FILE = 1 << 9, 1 << 5
_ALL_BY_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}
_ALL_LATEST = (1 << 16) - 1
_IOCTL_DEV = 1 << 15


def landlock_version() -> int:
    """The version of the kernel's Landlock interface; 0 where there is none."""
    try:
        return _system_call("landlock_create_ruleset", None, ctypes.c_size_t(0), ctypes.c_uint(1))
    except OSError:
        return 0


def restrict_files(*, readable: Iterable[str], writable: Iterable[str], sockets: Iterable[str]) -> None:
    """
    Landlock: no file but these, whatever the mounts say; no TCP; no signals or abstract sockets beyond the sandbox.

    Args:
        readable: Files and folders to read and execute.
        writable: Folders to do anything in.
        sockets: Folders in which unix sockets may be made, and nothing else.
    """
    version = landlock_version()
    if version == 0:
        raise OSError(38, "Landlock is not available")
    handled = _ALL_BY_ABI.get(version, _ALL_LATEST)
    network = 3 if version >= 4 else 0
    scoped = 3 if version >= 6 else 0
    attributes = struct.pack("QQQ", handled, network, scoped)[: 8 if version < 4 else 16 if version < 6 else 24]
    ruleset = _system_call(
        "landlock_create_ruleset", attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint(0)
    )
    try:
        reading = _READ_FILE | _READ_DIR | _EXECUTE
        rules = [(path, reading) for path in readable]
        rules += [(path, handled & ~_IOCTL_DEV) for path in writable]
        rules += [(path, _MAKE_SOCK | _REMOVE_FILE | _READ_DIR) for path in sockets]
        for path, access in rules:
            _allow(ruleset, path, access & handled)
        _system_call("landlock_restrict_self", ctypes.c_int(ruleset), ctypes.c_uint(0))
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, access: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not os.path.isdir(path):  # noqa: PTH112 - a Path costs more, and this runs for each submission
            access &= _READ_FILE | _EXECUTE | _WRITE_FILE
        rule = struct.pack("=QI", access, descriptor)
        _system_call("landlock_add_rule", ctypes.c_int(ruleset), ctypes.c_int(1), rule, ctypes.c_uint(0))
    finally:
        os.close(descriptor)


# ----------------------------------------------------------------------------------------------------- seccomp

_NUMBERS: dict[str, tuple[int, int]] = {
    # name: number on x86_64, number on aarch64 (-1: not there)
    "pivot_root": (155, 41),
    "mount_setattr": (442, 442),
    "landlock_create_ruleset": (444, 444),
    "landlock_add_rule": (445, 445),
    "landlock_restrict_self": (446, 446),
    "seccomp": (317, 277),
    "socket": (41, 198),
    "socketpair": (53, 199),
    "clone": (56, 220),
    "clone3": (435, 435),
}

_DENIED: dict[str, tuple[int, int]] = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "move_mount": (429, 429),
    "open_tree": (428, 428),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "unshare": (272, 97),
    "setns": (308, 268),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "adjtimex": (159, 171),
    "clock_adjtime": (305, 266),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "syslog": (103, 116),
    "vhangup": (153, 58),
    "personality": (135, 92),
    "lookup_dcookie": (212, 18),
    "fanotify_init": (300, 262),
    "memfd_secret": (447, 447),
    "mbind": (237, 235),
    "move_pages": (279, 239),
    "migrate_pages": (256, 238),
    "ioperm": (173, -1),
    "iopl": (172, -1),
    "modify_ldt": (154, -1),
    "mknod": (133, -1),
    "mknodat": (259, 33),
}
"""System calls that no notebook needs: answered with EPERM."""

_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_LOAD, _JUMP_EQUAL, _JUMP_ANY_BIT, _JUMP_ABOVE, _RETURN = 0x20, 0x15, 0x45, 0x35, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_EPERM, _ENOSYS, _EOPNOTSUPP = 1, 38, 95  # ZeroMQ aborts if a socket fails in another way
_AF_UNIX = 1


def filter_system_calls() -> None:
    """
    Seccomp: deny what no notebook needs, sockets that are not unix ones, and new namespaces; for good.

    A call in another architecture's convention (32 bit, x32) kills the process: it would be counted otherwise.
    """
    program = _filter()
    instructions = ctypes.create_string_buffer(program, len(program))
    described = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(instructions))
    _system_call("seccomp", ctypes.c_uint(1), ctypes.c_uint(0), described)


def _filter() -> bytes:
    if _MACHINE not in _ARCHITECTURES:
        raise OSError(38, f"no system call table for {_MACHINE}")
    column = 0 if _MACHINE == "x86_64" else 1

    def number(name: str) -> int:
        return _NUMBERS[name][column]

    def instruction(code: int, if_true: int, if_false: int, operand: int) -> bytes:
        return struct.pack("HBBI", code, if_true, if_false, operand)

    def deny(operand: int, error: int, code: int = _JUMP_EQUAL) -> list[bytes]:
        return [instruction(code, 0, 1, operand), instruction(_RETURN, 0, 0, _ERRNO | error)]

    program = [
        instruction(_LOAD, 0, 0, 4),  # the architecture
        instruction(_JUMP_EQUAL, 1, 0, _ARCHITECTURES[_MACHINE]),
        instruction(_RETURN, 0, 0, _KILL),
        instruction(_LOAD, 0, 0, 0),  # the number of the call
    ]
    if _MACHINE == "x86_64":
        program += [instruction(_JUMP_ABOVE, 0, 1, 0x40000000), instruction(_RETURN, 0, 0, _KILL)]
    for numbers in _DENIED.values():
        if numbers[column] >= 0:
            program += deny(numbers[column], _EPERM)
    program += deny(number("clone3"), _ENOSYS)  # its flags stand in memory, where no filter can look; libc uses clone then
    for name in ("socket", "socketpair"):
        program += [
            instruction(_JUMP_EQUAL, 0, 4, number(name)),
            instruction(_LOAD, 0, 0, 16),  # the first argument: the family
            instruction(_JUMP_EQUAL, 1, 0, _AF_UNIX),
            instruction(_RETURN, 0, 0, _ERRNO | _EOPNOTSUPP),
            instruction(_RETURN, 0, 0, _ALLOW),
        ]
    namespaces = 0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000
    program += [
        instruction(_JUMP_EQUAL, 0, 3, number("clone")),
        instruction(_LOAD, 0, 0, 16),
        instruction(_JUMP_ANY_BIT, 0, 1, namespaces),
        instruction(_RETURN, 0, 0, _ERRNO | _EPERM),
        instruction(_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(program)
