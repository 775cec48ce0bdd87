"""
Puts a freshly forked process into its sandbox, layer by layer, and probes what came of it.

The order matters: namespaces first (they need no powers, and give some), then the view of files, then everything that
takes powers away, and the system call filter last. A layer that the platform refuses is left out, and not reported.

    supervisor (outside)        enter_namespaces, then forks
    └── kernel (process 1)      build_root, give_up_powers, probe; then student code
"""

# Between two roots, plain strings say best which path is meant.
# ruff: noqa: PTH102, PTH103, PTH110, PTH112, PTH116, PTH120, PTH211, S108

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path

from grader.sandbox import linux
from grader.sandbox.installation import View, allowed_trees
from grader.sandbox.landlock import restrict_files
from grader.sandbox.seccomp import install_filter

__all__ = [
    "SCRATCH",
    "Bounds",
    "Identity",
    "build_root",
    "enter_namespaces",
    "give_up_powers",
    "namespace_ids",
    "probe",
]

SCRATCH = Path("/scratch")
"""Home, working folder and temporary folder of a kernel with a private root."""

_DEVICES = tuple(Path("/dev") / name for name in ("null", "zero", "full", "random", "urandom"))
_INNER_ID = 1000  # whom a kernel believes to be
_NAMESPACES = {
    "user_namespace": ("user", linux.CLONE_NEWUSER),
    "mount_namespace": ("mnt", linux.CLONE_NEWNS),
    "pid_namespace": ("pid", linux.CLONE_NEWPID),
    "network_namespace": ("net", linux.CLONE_NEWNET),
    "ipc_namespace": ("ipc", linux.CLONE_NEWIPC),
    "uts_namespace": ("uts", linux.CLONE_NEWUTS),
}
_MIB = 1 << 20
_PR_SET_PDEATHSIG, _PR_GET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 2, 4
_PR_GET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _PR_GET_NO_NEW_PRIVS = 21, 38, 39
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_RDONLY, _MS_REMOUNT = 2, 4, 8, 1, 32
_MS_REC_PRIVATE = 0x4000 | 0x40000
_MNT_DETACH = 2
_UNLISTED = "/outside-of-the-rules"  # in the root, but not among what Landlock allows: for the probe

_PASSWD = f"student:x:{_INNER_ID}:{_INNER_ID}:student:{SCRATCH}:/bin/sh\n"
_GROUP = f"student:x:{_INNER_ID}:\n"
_HOSTS = "127.0.0.1 localhost\n"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """
    What a kernel may use: each of its processes, and memory and CPU time also all of them together.

    The memory is on top of what the warm process already has.
    """

    memory_mib: int
    processes: int
    cpu_s: int
    file_size_mib: int
    scratch_mib: int


@dataclasses.dataclass(frozen=True, slots=True)
class Identity:
    """Whom a kernel is outside of its user namespace: an otherwise unused id for root, else the grader's own user."""

    user: int
    group: int


def namespace_ids() -> dict[str, int]:
    """Which namespaces this process is in, by layer. Needs a `/proc`."""
    ids = {}
    for layer, (name, _) in _NAMESPACES.items():
        with contextlib.suppress(OSError):
            ids[layer] = os.stat(f"/proc/self/ns/{name}").st_ino
    return ids


def enter_namespaces(identity: Identity, *, write_maps: Callable[[], bool] | None) -> bool:
    """
    Leave every namespace for a new one; processes forked from now on are in a new PID namespace.

    Args:
        identity: Whom to be outside.
        write_maps: Has a process with powers outside say who we are: true if it did. None where we say it ourselves.

    Returns:
        bool: Whether it was granted. Nothing has changed if not.
    """
    flags = linux.CLONE_NEWCGROUP
    for _, flag in _NAMESPACES.values():
        flags |= flag
    try:
        linux.unshare(flags)
    except OSError:
        return False
    if write_maps is None:
        Path("/proc/self/setgroups").write_text("deny")
        write_maps_of("self", identity)
    elif not write_maps():
        raise OSError("the user namespace got no user")
    return True


def write_maps_of(process: int | str, identity: Identity) -> None:
    """Say who a process in a new user namespace is."""
    Path(f"/proc/{process}/gid_map").write_text(f"{_INNER_ID} {identity.group} 1")
    Path(f"/proc/{process}/uid_map").write_text(f"{_INNER_ID} {identity.user} 1")


def become_inner_user() -> None:
    """Be, in a new user namespace, the only user there is. Keeps the powers within."""
    with contextlib.suppress(OSError):
        os.setgroups([])
    os.setresgid(_INNER_ID, _INNER_ID, _INNER_ID)
    os.setresuid(_INNER_ID, _INNER_ID, _INNER_ID)


def build_root(view: View, bounds: Bounds) -> bool:
    """
    Make a root that has the view's trees, a scratch folder and a few devices, enter it, and let go of the old one.

    Called by process 1 of the PID namespace, still as the user it was outside: that one may reach the sources.

    Returns:
        bool: Whether it was granted.

    Raises:
        OSError: It failed half-way: the process must not go on.
    """
    attributes = linux.MOUNT_RDONLY | linux.MOUNT_NOSUID
    try:
        linux.libc.mount(b"none", b"/", None, _MS_REC_PRIVATE, None)
        trees = [(path, linux.open_tree(path, attributes | linux.MOUNT_NODEV)) for path in view.trees]
        trees += [(path, linux.open_tree(path, attributes)) for path in _DEVICES if path.exists()]
        kinds = {path: path.is_dir() for path, _ in trees}
        become_inner_user()
        base = "/tmp"  # only a place to mount on, in a namespace of our own
        linux.mount("tmpfs", base, "mode=755,size=1m,nr_inodes=2k", _MS_NOSUID | _MS_NODEV)
    except OSError:
        return False
    os.chdir(base)
    for path, tree in trees:
        target = f"{base}{path}"
        _make_place(target, is_folder=kinds[path])
        linux.move_tree(tree, target)
    for path, destination in view.links:
        os.symlink(destination, f"{base}{path}")
    for path in view.hidden:
        if not os.path.exists(f"{base}{path}"):
            continue
        if os.path.isdir(f"{base}{path}"):  # not `path` itself, which `base` may cover by now
            linux.mount("tmpfs", f"{base}{path}", "mode=555,size=4k,nr_inodes=1", _MS_NOSUID | _MS_NODEV | _MS_RDONLY)
        else:
            linux.move_tree(linux.open_tree("/dev/null", attributes), f"{base}{path}")
    os.mkdir(f"{base}{SCRATCH}")
    linux.mount(
        "tmpfs",
        f"{base}{SCRATCH}",
        f"mode=700,size={bounds.scratch_mib}m,nr_inodes=16k",
        _MS_NOSUID | _MS_NODEV | _MS_NOEXEC,
    )
    os.makedirs(f"{base}/etc", exist_ok=True)
    for name, content in (("passwd", _PASSWD), ("group", _GROUP), ("hosts", _HOSTS)):
        Path(f"{base}/etc/{name}").write_text(content)
    if not os.path.lexists(f"{base}/tmp"):  # there is one where Python itself is installed below
        os.symlink(str(SCRATCH), f"{base}/tmp")
    os.symlink(str(SCRATCH), f"{base}/dev/shm")
    os.symlink("/proc/self/fd", f"{base}/dev/fd")
    Path(f"{base}{_UNLISTED}").touch(0o644)
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


def _make_place(target: str, *, is_folder: bool) -> None:
    if is_folder:
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        Path(target).touch()


def _mount_proc(target: str) -> None:
    """Only processes, only our own. Containers that mask parts of `/proc` refuse it: then there is none."""
    for options in ("subset=pid,hidepid=invisible", "hidepid=2", ""):
        with contextlib.suppress(OSError):
            linux.mount("proc", target, options, _MS_NOSUID | _MS_NODEV | _MS_NOEXEC | _MS_RDONLY)
            return


def give_up_powers(
    view: View, bounds: Bounds, *, filter_program: bytes | None, scratch: Path, warm: tuple[int, int]
) -> None:
    """
    Everything that takes away: limits, capabilities, privileges, files, system calls; and die with the parent.

    Args:
        view: What may be read.
        bounds: The limits.
        filter_program: From `grader.sandbox.seccomp.build_filter`, if there is one for this architecture.
        scratch: Where may be written.
        warm: Bytes of address space and of data that the forked process had to begin with.
    """
    linux.prctl(_PR_SET_DUMPABLE, 1)  # the supervisor may measure it; a change of user has taken that away
    address_space, data = warm
    memory = bounds.memory_mib * _MIB
    for kind, value in (
        (resource.RLIMIT_AS, address_space + memory + 512 * _MIB),  # room for stacks and reserved, unused arenas
        (resource.RLIMIT_DATA, data + memory),
        (resource.RLIMIT_NPROC, bounds.processes),
        (resource.RLIMIT_FSIZE, bounds.file_size_mib * _MIB),
        (resource.RLIMIT_CPU, bounds.cpu_s + 1),  # the supervisor, which counts them all, comes first
        (resource.RLIMIT_NOFILE, 512),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
        (resource.RLIMIT_NICE, 0),
        (resource.RLIMIT_RTPRIO, 0),
    ):
        _, hard = resource.getrlimit(kind)
        granted = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (granted, granted))
    with contextlib.suppress(OSError):
        linux.drop_capabilities()
    linux.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # after the last change of user or powers, which would clear it
    linux.prctl(_PR_SET_NO_NEW_PRIVS, 1)
    with contextlib.suppress(OSError):
        has_root = scratch == SCRATCH
        restrict_files(
            read=view.trees + tuple(map(Path, ("/etc", "/proc"))) if has_root else allowed_trees(view),
            listed=view.trees,
            write=[scratch],
            devices=_DEVICES,
        )
    if filter_program is not None:
        with contextlib.suppress(OSError):
            install_filter(filter_program)


def probe(
    outside: dict[str, int], inside: dict[str, int], bounds: Bounds, *, has_root: bool, root_device: int
) -> tuple[str, ...]:
    """
    The layers that hold, each found out by trying.

    Args:
        outside: `namespace_ids` of the process that forked the supervisor.
        inside: Those of this process, read while there was a `/proc` to read them from.
        bounds: The limits that were asked for.
        has_root: Whether `build_root` said so.
        root_device: The device of the old root.
    """
    layers = [layer for layer in _NAMESPACES if layer in inside and inside[layer] != outside.get(layer)]
    if has_root and os.stat("/").st_dev != root_device and not os.access("/", os.W_OK):
        layers.append("private_root")
    probes: dict[str, Callable[[], bool]] = {
        "landlock": lambda: _is_denied(_UNLISTED if has_root else "/"),
        "seccomp": lambda: linux.prctl(_PR_GET_SECCOMP) == 2 and _is_filtered(),
        "no_new_privs": lambda: linux.prctl(_PR_GET_NO_NEW_PRIVS) == 1,
        "no_capabilities": lambda: not linux.has_capabilities() and not _bounding_set(),
        "rlimits": lambda: _has_limits(bounds),
        "die_with_parent": _dies_with_parent,
    }
    for layer, holds in probes.items():
        with contextlib.suppress(OSError):
            if holds():
                layers.append(layer)
    return tuple(layers)


def _is_denied(path: str) -> bool:
    try:
        os.close(os.open(path, os.O_RDONLY))
    except PermissionError:
        return True
    return False


def _is_filtered() -> bool:
    try:
        linux.unshare(0)  # changes nothing, and would be granted to anybody
    except PermissionError:
        return True
    return False


def _bounding_set() -> bool:
    try:
        return any(linux.prctl(23, capability) == 1 for capability in range(64))
    except OSError:  # past the last one
        return False


def _has_limits(bounds: Bounds) -> bool:
    return (
        resource.getrlimit(resource.RLIMIT_DATA)[1] != resource.RLIM_INFINITY
        and resource.getrlimit(resource.RLIMIT_AS)[1] != resource.RLIM_INFINITY
        and resource.getrlimit(resource.RLIMIT_NPROC)[1] <= bounds.processes
        and resource.getrlimit(resource.RLIMIT_CPU)[1] <= bounds.cpu_s + 1
        and resource.getrlimit(resource.RLIMIT_FSIZE)[1] <= bounds.file_size_mib * _MIB
        and resource.getrlimit(resource.RLIMIT_CORE)[1] == 0
    )


def _dies_with_parent() -> bool:
    value = ctypes.c_int()
    linux.check(linux.libc.prctl(_PR_GET_PDEATHSIG, ctypes.byref(value), 0, 0, 0), "prctl")
    return bool(value.value == signal.SIGKILL)
