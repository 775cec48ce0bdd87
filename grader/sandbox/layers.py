"""
Puts a process that was just forked into its sandbox, layer by layer.

The order matters: namespaces first (they need no powers, and give some), then the view of the file system, then all
that takes powers away, and the filter on system calls last. A layer that the platform refuses is left out, and is not
reported.

    supervisor (outside)        enter_namespaces, then forks
    └── kernel (process 1)      build_root, give_up_powers, probe; then untrusted code
"""

# While the root changes, a plain string shows best which path is meant.
# ruff: noqa: PTH102, PTH103, PTH112, PTH114, PTH116, PTH120, PTH208, PTH211, S108

from __future__ import annotations

import contextlib
import dataclasses
import os
import resource
import signal
import stat
from collections.abc import Callable
from pathlib import Path

from grader.sandbox import linux
from grader.sandbox.bounds import RESERVED_FILES, RESERVED_MIB, RESERVED_PROCESSES, Bounds
from grader.sandbox.landlock import restrict_files
from grader.sandbox.seccomp import install_filter, listen_with_filter
from grader.sandbox.view import View

__all__ = [
    "FORBIDDEN",
    "NAMESPACES",
    "OWN_PLACES",
    "SCRATCH",
    "Identity",
    "become_inner_user",
    "build_root",
    "change_user",
    "enter_namespaces",
    "give_up_powers",
    "namespace_ids",
    "write_id_maps",
]

SCRATCH = Path("/scratch")
"""The home folder of a kernel with a private root. Its working and temporary folders are in it."""

# Not /dev/zero: whoever maps it shares memory that has no file, as the filter on system calls refuses.
_DEVICES = tuple(Path("/dev") / name for name in ("null", "full", "random", "urandom"))
_INNER_ID = 1000  # the user and group that a kernel has inside its user namespace
NAMESPACES = {
    "user_namespace": ("user", linux.CLONE_NEWUSER),
    "mount_namespace": ("mnt", linux.CLONE_NEWNS),
    "pid_namespace": ("pid", linux.CLONE_NEWPID),
    "network_namespace": ("net", linux.CLONE_NEWNET),
    "ipc_namespace": ("ipc", linux.CLONE_NEWIPC),
    "uts_namespace": ("uts", linux.CLONE_NEWUTS),
}
"""The name in `/proc` and the flag of the namespace of each layer."""

_PROC_SHOWN = ("cpuinfo", "filesystems", "loadavg", "meminfo", "stat", "uptime", "version", "vmstat")
_MIB = 1 << 20
_MANY = 1 << 22  # more processes than Linux can have
_OWN_KIB = 256  # room in the scratch folder for what the kernel makes itself
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_RDONLY, _MS_REMOUNT = 2, 4, 8, 1, 32
_MS_REC_PRIVATE = 0x4000 | 0x40000
_MNT_DETACH = 2
_NOTHING = "/nothing"  # an empty folder, which is mounted over what must not be seen
FORBIDDEN = "/outside-of-the-rules"
"""A file in the private root that Landlock's rules do not allow: for the probe."""

OWN_PLACES = ("/dev", "/etc", "/proc", str(SCRATCH), "/tmp", _NOTHING, FORBIDDEN)
"""What `build_root` puts into a private root that is not the machine's."""

_PASSWD = f"student:x:{_INNER_ID}:{_INNER_ID}:student:{SCRATCH}:/bin/sh\n"
_GROUP = f"student:x:{_INNER_ID}:\n"
_HOSTS = "127.0.0.1 localhost\n"


@dataclasses.dataclass(frozen=True, slots=True)
class Identity:
    """
    The user and group that a kernel has outside of its user namespace.

    If the caller is root, they are ids that nothing else uses; otherwise those of the caller.
    """

    user: int
    group: int


def namespace_ids() -> dict[str, int]:
    """The namespaces of this process: an id for each layer. Needs `/proc`."""
    ids = {}
    for layer, (name, _) in NAMESPACES.items():
        with contextlib.suppress(OSError):
            ids[layer] = os.stat(f"/proc/self/ns/{name}").st_ino
    return ids


def enter_namespaces(identity: Identity, *, write_maps: Callable[[], bool] | None) -> bool:
    """
    Move to new namespaces of every kind. Processes that are forked from now on are in a new PID namespace.

    Args:
        identity: The user and group that this process has outside the namespace.
        write_maps: Asks a process with powers outside to call `write_id_maps` for us; returns whether it did. None if
            this process may call it itself.

    Returns:
        bool: Whether Linux allowed it. If not, nothing has changed.

    Raises:
        OSError: No user and group were written for the new user namespace: the process must not go on.
    """
    flags = linux.CLONE_NEWCGROUP
    for _, flag in NAMESPACES.values():
        flags |= flag
    try:
        linux.unshare(flags)
    except OSError:
        return False
    if write_maps is None:
        Path("/proc/self/setgroups").write_text("deny")
        write_id_maps("self", identity)
    elif not write_maps():
        raise OSError("the user namespace has no user")
    return True


def write_id_maps(process: int | str, identity: Identity) -> None:
    """Write which user and group a process in a new user namespace has inside and outside of it."""
    Path(f"/proc/{process}/gid_map").write_text(f"{_INNER_ID} {identity.group} 1")
    Path(f"/proc/{process}/uid_map").write_text(f"{_INNER_ID} {identity.user} 1")


def become_inner_user() -> None:
    """Become the only user of a new user namespace. Keeps the powers inside of it."""
    with contextlib.suppress(OSError):
        os.setgroups([])
    os.setresgid(_INNER_ID, _INNER_ID, _INNER_ID)
    os.setresuid(_INNER_ID, _INNER_ID, _INNER_ID)


def change_user(identity: Identity, *, isolated: bool, has_own_user: bool) -> None:
    """Without a private root: stop being root, unless the kernel's own user cannot read Python's own files."""
    if isolated:
        become_inner_user()
    elif has_own_user:
        with contextlib.suppress(OSError):
            os.setgroups([])
            os.setegid(identity.group)
            os.seteuid(identity.user)
            can_read = os.access(os.__file__, os.R_OK, effective_ids=True)
            os.seteuid(0)
            os.setegid(0)
            if can_read:
                os.setresgid(identity.group, identity.group, identity.group)
                os.setresuid(identity.user, identity.user, identity.user)


def build_root(view: View, bounds: Bounds) -> bool:
    """
    Make a root with the view's trees, a scratch folder and a few devices, enter it, and unmount the old one.

    To be called by process 1 of the PID namespace while it still has its user from outside, who may read the trees.

    Returns:
        bool: Whether Linux allowed it.

    Raises:
        OSError: It failed halfway: the process must not go on.
    """
    attributes = linux.MOUNT_RDONLY | linux.MOUNT_NOSUID
    try:
        linux.libc.mount(b"none", b"/", None, _MS_REC_PRIVATE, None)
        trees = [(path, linux.open_tree(path, attributes | linux.MOUNT_NODEV)) for path in view.trees]
        trees += [(path, linux.open_tree(path, attributes)) for path in _DEVICES if path.exists()]
        kinds = {path: path.is_dir() for path, _ in trees}
        become_inner_user()
        base = "/tmp"  # a folder to mount on: what is in it is hidden in our namespace only
        linux.mount("tmpfs", base, "mode=755,size=1m,nr_inodes=8k", _MS_NOSUID | _MS_NODEV)
    except OSError:
        return False
    os.chdir(base)
    made = {base}
    for path, tree in trees:
        target = f"{base}{path}"
        _make_mount_point(target, made, is_folder=kinds[path])
        linux.move_tree(tree, target)
    for path, destination in view.links:
        _make_folder(os.path.dirname(f"{base}{path}"), made)
        os.symlink(destination, f"{base}{path}")
    os.mkdir(f"{base}{_NOTHING}", 0o555)
    for path in view.hidden:
        try:  # `path` itself may be hidden by the mount on `base`
            is_folder = stat.S_ISDIR(os.stat(f"{base}{path}").st_mode)
        except OSError:
            continue
        mask = f"{base}{_NOTHING}" if is_folder else "/dev/null"
        linux.move_tree(linux.open_tree(mask, attributes), f"{base}{path}")
    os.mkdir(f"{base}{SCRATCH}")
    linux.mount(
        "tmpfs",
        f"{base}{SCRATCH}",
        f"mode=700,size={bounds.scratch_mib * 1024 + _OWN_KIB}k,nr_inodes=16k",
        _MS_NOSUID | _MS_NODEV | _MS_NOEXEC,
    )
    os.makedirs(f"{base}/etc", exist_ok=True)
    for name, content in (("passwd", _PASSWD), ("group", _GROUP), ("hosts", _HOSTS)):
        Path(f"{base}/etc/{name}").write_text(content)
    if not os.path.lexists(f"{base}/tmp"):  # it exists if Python itself is installed below it
        os.symlink(f"{SCRATCH}/tmp", f"{base}/tmp")
    os.symlink(f"{SCRATCH}/tmp", f"{base}/dev/shm")
    os.symlink("/proc/self/fd", f"{base}/dev/fd")
    Path(f"{base}{FORBIDDEN}").touch(0o644)
    os.mkdir(f"{base}/proc")
    _mount_proc(f"{base}/proc")
    linux.pivot_root(".", ".")
    linux.umount(".", _MNT_DETACH)
    os.chdir("/")
    linux.check(
        linux.libc.mount(b"none", b"/", None, _MS_REMOUNT | 0x1000 | _MS_RDONLY | _MS_NOSUID | _MS_NODEV, None),
        "remount of the root",
    )
    return True


def _make_mount_point(target: str, made: set[str], *, is_folder: bool) -> None:
    if is_folder:
        _make_folder(target, made)
    else:
        _make_folder(os.path.dirname(target), made)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))


def _make_folder(path: str, made: set[str]) -> None:
    """Make a folder and those around it, but for those that were `made`: deep paths share most of them."""
    if path not in made:
        _make_folder(os.path.dirname(path), made)
        os.mkdir(path)
        made.add(path)


def _mount_proc(target: str) -> None:
    """
    Mount a `/proc` with our own processes, and a few figures of the machine that libraries read.

    If a container masks parts of its own, Linux refuses: then there are our own processes alone.
    """
    flags = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC | _MS_RDONLY
    for options in ("hidepid=invisible", "hidepid=2"):
        with contextlib.suppress(OSError):
            linux.mount("proc", target, options, flags)
            _mask_proc(target)
            return
    for options in ("subset=pid,hidepid=invisible", ""):
        with contextlib.suppress(OSError):
            linux.mount("proc", target, options, flags)
            return


def _mask_proc(target: str) -> None:
    """Hide what a `/proc` says about the machine, but for `_PROC_SHOWN`."""
    for name in os.listdir(target):
        path = f"{target}/{name}"
        if name.isdigit() or name in _PROC_SHOWN or os.path.islink(path):
            continue
        mask = f"{os.path.dirname(target)}{_NOTHING}" if os.path.isdir(path) else "/dev/null"
        linux.move_tree(linux.open_tree(mask, linux.MOUNT_RDONLY | linux.MOUNT_NOSUID), path)


def give_up_powers(
    view: View,
    bounds: Bounds,
    *,
    filter_program: bytes | None,
    asking_program: bytes | None,
    scratch: Path,
    initial_size: tuple[int, int],
) -> int | None:
    """
    Do all that takes something away: limits, capabilities, privileges, files, system calls. Also die with the parent.

    Args:
        view: What the process may read.
        bounds: The limits.
        filter_program: From `seccomp.build_filter`; None if there is none for this architecture.
        asking_program: The same, but asking about other processes, where they have no namespace. It is preferred.
        scratch: The folder in which the process may write.
        initial_size: Bytes of address space and of data that the process has from the fork.

    Returns:
        The descriptor at which somebody has to answer the asking program, if it is in force.
    """
    linux.prctl(_PR_SET_DUMPABLE, 1)  # lets the supervisor measure it, which a change of user has ended
    address_space, data = initial_size
    memory = bounds.memory_mib * _MIB
    spare = RESERVED_MIB * _MIB
    for kind, value, reserved in (
        (resource.RLIMIT_AS, address_space + memory + 512 * _MIB, spare),  # room for stacks and arenas that are unused
        (resource.RLIMIT_DATA, data + memory, spare),
        (resource.RLIMIT_NOFILE, 512, RESERVED_FILES),
        (resource.RLIMIT_FSIZE, bounds.file_size_mib * _MIB, 0),
        (resource.RLIMIT_CPU, bounds.cpu_s + 1, 0),  # the supervisor, which counts all processes, should act first
        (resource.RLIMIT_SIGPENDING, 1024, 0),  # timers count, too
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_MEMLOCK, 0, 0),
        (resource.RLIMIT_MSGQUEUE, 0, 0),
        (resource.RLIMIT_NICE, 0, 0),
        (resource.RLIMIT_RTPRIO, 0, 0),
    ):
        _set_limit(kind, value, reserved)
    with contextlib.suppress(OSError):
        linux.drop_capabilities()
    linux.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # a change of user or powers would clear it
    linux.prctl(_PR_SET_NO_NEW_PRIVS, 1)
    with contextlib.suppress(OSError):
        has_root = scratch == SCRATCH
        restrict_files(
            read=view.trees + tuple(map(Path, ("/etc", "/proc"))) if has_root else view.allowed,
            listed=[Path("/")] if has_root else view.listed,  # nothing else is in a private root
            write=[scratch],
            devices=_DEVICES,
        )
    if asking_program is not None:
        with contextlib.suppress(OSError):
            gate = listen_with_filter(asking_program)
            _set_limit(resource.RLIMIT_NPROC, _MANY, RESERVED_PROCESSES)  # for all of the user's; the gate counts ours
            return gate
    _set_limit(resource.RLIMIT_NPROC, bounds.processes, RESERVED_PROCESSES)
    if filter_program is not None:
        with contextlib.suppress(OSError):
            install_filter(filter_program)
    return None


def _set_limit(kind: int, value: int, reserved: int) -> None:
    _, limit = resource.getrlimit(kind)
    hard = value + reserved if limit == resource.RLIM_INFINITY else min(value + reserved, limit)
    resource.setrlimit(kind, (min(value, hard - min(reserved, hard // 4)), hard))
