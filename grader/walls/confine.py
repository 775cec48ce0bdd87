"""
Puts the walls of `grader.walls.layers` around the calling process, in the one order that works.

    private root → another user → user namespace (as root) → no capabilities → no_new_privs → Landlock → limits → seccomp

Each wall is optional: where the platform refuses one, the ones that remain are built, and `Confined.probe` tells which are
there by trying them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import socket
from pathlib import Path
from typing import Any

from grader.model import Limits
from grader.walls import layers

__all__ = ["Confined", "confine", "namespaces"]

NOBODY = 65534
_OLD = "/old"
_SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin")
_SYSTEM_FILES = (
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/fonts",
    "/etc/mime.types",
    "/etc/alternatives",
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
)


@dataclasses.dataclass(frozen=True, slots=True)
class Confined:
    """
    A process within its walls.

    Attributes:
        scratch: Its own folder: home, temporary files, working directory.
        sockets: Where the kernel's sockets are made.
        built: The walls that the platform granted.
    """

    scratch: str
    sockets: str
    built: tuple[str, ...]
    outside: dict[str, str]

    def probe(self) -> list[str]:
        """Those of the walls that are really there."""
        status = dict(line.split(":\t", 1) for line in _read("/proc/self/status").splitlines() if ":\t" in line)
        really = {
            "no_new_privs": status.get("NoNewPrivs") == "1",
            "no_capabilities": int(status.get("CapEff", "1"), 16) == 0 and int(status.get("CapBnd", "1"), 16) == 0,
            "seccomp": status.get("Seccomp") == "2",
            "landlock": _is_refused(lambda: os.listdir("/")),
            "private_root": not os.path.exists("/etc/shadow"),
            "pid_namespace": os.getpid() == 1,
            "network_namespace": _is_refused(_reach_network),
        }
        for name, inside in namespaces().items():
            really.setdefault(name, inside != self.outside.get(name))
        return [name for name in self.built if really.get(name, True)]


def confine(request: dict[str, Any], entered: list[str]) -> Confined:
    """
    Confine this process for good.

    Args:
        request: `limits`, `readable` (folders of the Python installation), `hidden` (folders in those to mask),
            `folder` (on disk, for the case that there is no private root), `outside` (identities of the machine's
            namespaces).
        entered: The namespaces that it is in already.
    """
    limits = Limits(**request["limits"])
    built = list(entered)
    scratch, sockets = f"{request['folder']}/scratch", f"{request['folder']}/k"
    base = _data_bytes()
    if "mount_namespace" in entered:
        scratch, sockets = _private_root(request, limits)
        built.append("private_root")
    if os.geteuid() == 0:
        _become_nobody([scratch, sockets])
        if "private_root" in built:
            with contextlib.suppress(OSError):
                layers.enter_namespaces(layers.NAMESPACES["user_namespace"])
                layers.map_user(NOBODY, NOBODY, NOBODY)
                built.append("user_namespace")
    os.chdir(scratch)

    def build(name: str, wall: Any, *arguments: Any, **named: Any) -> None:
        with contextlib.suppress(OSError):
            wall(*arguments, **named)
            built.append(name)

    build("no_capabilities", layers.drop_capabilities)
    build("no_new_privs", layers.no_new_privileges)
    readable = [*_SYSTEM, *_SYSTEM_FILES, *request["readable"], "/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/sys"]
    if "private_root" not in built:
        readable = [path for path in readable if path not in request["hidden"]]
    build(
        "landlock",
        layers.restrict_files,
        readable=[*readable, "/proc"] if "pid_namespace" in built else readable,
        writable=[scratch, "/dev/null", "/dev/shm", "/dev/full", "/dev/zero"],
        sockets=[sockets],
    )
    build("rlimits", layers.limit_resources, limits, base)
    layers.die_with_parent()
    built.append("die_with_parent")
    build("seccomp", layers.filter_system_calls)
    return Confined(scratch, sockets, tuple(built), request["outside"])


def _private_root(request: dict[str, Any], limits: Limits) -> tuple[str, str]:
    """A root folder in memory, with the Python installation in it to read, and two folders to write into."""
    layers.detach_from_parent()
    layers.mount_tmpfs("/tmp", size=4 << 20, inodes=4096)
    os.mkdir(f"/tmp{_OLD}")
    layers.pivot("/tmp", f"/tmp{_OLD}")
    for path in (*_SYSTEM, *_SYSTEM_FILES, *request["readable"]):
        _show(path)
    for path in request["hidden"]:
        if os.path.isdir(path):
            layers.mount_tmpfs(path, size=4096, inodes=2, mode="0000", read_only=True)
    with contextlib.suppress(OSError):
        layers.mount_proc()
    layers.detach(_OLD)
    os.rmdir(_OLD)
    Path("/etc").mkdir(exist_ok=True)
    Path("/etc/passwd").write_text(f"student:x:{NOBODY}:{NOBODY}::/scratch:/bin/false\n")
    Path("/etc/group").write_text(f"student:x:{NOBODY}:\n")
    with contextlib.suppress(OSError):
        socket.sethostname("grader")
    layers.mount_tmpfs("/scratch", size=limits.scratch_mib << 20, inodes=16_384, mode="0700")
    layers.mount_tmpfs("/dev/shm", size=16 << 20, inodes=256, mode="1777")
    # The host reaches the kernel's sockets through this folder: it has room for them and for nothing else.
    layers.mount_tmpfs("/k", size=64 << 10, inodes=16, mode="0700")
    os.symlink("/scratch", "/tmp")
    with contextlib.suppress(OSError):
        layers.make_read_only("/")  # belt and braces: it is a few megabytes of memory that die with the sandbox
    return "/scratch", "/k"


def _show(path: str) -> None:
    source = _OLD + path
    if os.path.islink(source):
        target = os.readlink(source)
        if not os.path.lexists(path):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            os.symlink(target, path)
    elif os.path.exists(source) and not os.path.exists(path):
        layers.bind_read_only(source, path)


def _become_nobody(own: list[str]) -> None:
    for folder in own:
        os.chown(folder, NOBODY, NOBODY)
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    layers.be_dumpable()


def _data_bytes() -> int:
    """What this process inherited already counts against its limit."""
    for line in _read("/proc/self/status").splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) << 10
    return 0


def namespaces() -> dict[str, str]:
    """The identity of each namespace that this process is in, by layer."""
    found = {}
    for name, kind in (("user", "user"), ("mount", "mnt"), ("pid", "pid"), ("network", "net"), ("ipc", "ipc"), ("uts", "uts")):
        with contextlib.suppress(OSError):
            found[f"{name}_namespace"] = os.readlink(f"/proc/self/ns/{kind}")
    return found


def _is_refused(action: Any) -> bool:
    try:
        action()
    except OSError:
        return True
    return False


def _reach_network() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("127.0.0.1", 9))


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
