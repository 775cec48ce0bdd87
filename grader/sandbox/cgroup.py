"""
One control group for each kernel, if a part of the cgroup v2 tree is ours: its limits hold for all processes together.

Sources: https://docs.kernel.org/admin-guide/cgroup-v2.html ("Delegation", "No Internal Process Constraint") and
https://systemd.io/CGROUP_DELEGATION (the extended attribute).
"""

from __future__ import annotations

import contextlib
import itertools
import os
from pathlib import Path

from grader.sandbox.bounds import RESERVED_MIB, RESERVED_PROCESSES, Bounds
from grader.sandbox.installation import OWN_PACKAGE

__all__ = ["Group", "Tree"]

_MAIN = f"{OWN_PACKAGE}-main"  # takes the processes of the tree: a group has either processes or groups with limits
_CONTROLLERS = ("memory", "pids")
_MIB = 1 << 20


class Tree:
    """
    The control group in which this process may make a group for each kernel. Use `find` to get it.

    Attributes:
        folder: Its folder in the cgroup file system.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._numbers = itertools.count()
        self._made: list[Group] = []
        for controller in _CONTROLLERS:
            self._enable(controller)
        for path in folder.glob(f"{OWN_PACKAGE}-*-*"):  # those of warm processes that were killed
            if not Path("/proc", path.name.split("-")[1]).exists():
                with contextlib.suppress(OSError):
                    path.rmdir()

    @classmethod
    def find(cls) -> Tree | None:
        """The tree around this process; None if there is none, or if it was not delegated to us."""
        with contextlib.suppress(OSError, ValueError, StopIteration):
            folder = _own_folder()
            if folder.name == _MAIN:  # another warm process has moved us there
                folder = folder.parent
            if _is_ours(folder):
                return cls(folder)
        return None

    def make(self, bounds: Bounds, *, warm_mib: float) -> Group | None:
        """
        A new group, with as many of the limits as can be set here; None if no group can be made.

        Args:
            bounds: The limits on processes and on memory, in which files in the scratch folder count too.
            warm_mib: The memory in MiB that a kernel has from the warm process.
        """
        self.remove_empty()
        path = self.folder / f"{OWN_PACKAGE}-{os.getpid()}-{next(self._numbers)}"
        try:
            path.mkdir()
        except OSError:
            return None
        memory = str((bounds.memory_mib + RESERVED_MIB + bounds.scratch_mib + int(warm_mib)) * _MIB)
        limits = {
            "memory.max": memory,
            "memory.swap.max": "0",
            "memory.oom.group": "1",
            "pids.max": str(bounds.processes + RESERVED_PROCESSES),
        }
        for name, value in limits.items():
            with contextlib.suppress(OSError):
                (path / name).write_text(value)
        try:
            group = Group(path, holds=all(_has(path / name, limits[name]) for name in ("memory.max", "pids.max")))
        except OSError:
            path.rmdir()
            return None
        self._made.append(group)
        return group

    def remove_empty(self) -> bool:
        """Remove the groups whose kernels have ended. Returns whether no group is left."""
        for group in self._made[:]:
            # As long as its supervisor lives, an empty group may still get its kernel.
            if not Path("/proc", str(group.supervisor)).exists():
                with contextlib.suppress(OSError):
                    group.path.rmdir()
                    self._made.remove(group)
        return not self._made

    def _enable(self, controller: str) -> None:
        control = self.folder / "cgroup.subtree_control"
        with contextlib.suppress(OSError):
            if controller not in (self.folder / "cgroup.controllers").read_text().split():
                return
            try:
                control.write_text(f"+{controller}")
            except OSError:
                (self.folder / _MAIN).mkdir(exist_ok=True)
                for process in (self.folder / "cgroup.procs").read_text().split():
                    with contextlib.suppress(OSError):
                        (self.folder / _MAIN / "cgroup.procs").write_text(process)
                control.write_text(f"+{controller}")


class Group:
    """
    The control group of one kernel.

    Its files are kept open, since a descriptor also works for another user, and after a change of the root.

    Attributes:
        path: Its folder in the cgroup file system.
        holds: Whether the limits on memory and on processes are in force.
        supervisor: The process that will move the kernel into the group.
    """

    def __init__(self, path: Path, *, holds: bool) -> None:
        self.path = path
        self.supervisor = os.getpid()
        self.holds = holds
        self._processes = os.open(path / "cgroup.procs", os.O_WRONLY)
        self._cpu = os.open(path / "cpu.stat", os.O_RDONLY)
        self._kill = _open_if_there(path / "cgroup.kill", os.O_WRONLY)  # since Linux 5.14
        self._events = _open_if_there(path / "memory.events", os.O_RDONLY)

    @property
    def descriptors(self) -> set[int]:
        """The descriptors of the files that are open."""
        files = (self._processes, self._cpu, self._kill, self._events)
        return {descriptor for descriptor in files if descriptor is not None}

    def add(self, process: int) -> bool:
        """Move a process into the group, and with it all that it will start. Returns False if that is refused."""
        try:
            os.write(self._processes, str(process).encode())
        except OSError:
            return False
        return True

    def cpu_s(self) -> float:
        """Seconds of CPU time that the processes in the group have used, including those that have ended."""
        return _field(self._cpu, "usage_usec") / 1e6

    def kill(self) -> None:
        """Kill every process in the group."""
        if self._kill is not None:
            os.write(self._kill, b"1")

    def ran_out_of_memory(self) -> bool:
        """Whether Linux has killed a process because of the limit on memory."""
        return self._events is not None and _field(self._events, "oom_kill") > 0

    def close(self) -> None:
        """Close the descriptors; the group itself remains."""
        for descriptor in self.descriptors:
            os.close(descriptor)


def _own_folder() -> Path:
    path = next(line[3:] for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::"))
    if ".." in path:
        raise OSError("our control group lies outside of the part of the tree that we can see")
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _, kind = line.partition(" - ")
        root, mounted_at = fields.split()[3:5]
        if kind.startswith("cgroup2 "):
            return Path(mounted_at) / Path(path).relative_to(root)
    raise OSError("there is no cgroup2 file system")


def _is_ours(folder: Path) -> bool:
    """Whether we can write to it, and systemd has delegated it or it is the root of a container or machine."""
    if not (os.access(folder, os.W_OK) and os.access(folder / "cgroup.procs", os.W_OK)):
        return False
    is_root = not (folder.parent / "cgroup.procs").exists()
    return is_root or any(_attribute(folder, name) == b"1" for name in ("user.delegate", "trusted.delegate"))


def _attribute(folder: Path, name: str) -> bytes:
    try:
        return os.getxattr(folder, name)
    except OSError:
        return b""


def _open_if_there(path: Path, flags: int) -> int | None:
    try:
        return os.open(path, flags)
    except OSError:
        return None


def _has(path: Path, value: str) -> bool:
    try:
        return path.read_text().strip() == value
    except OSError:
        return False


def _field(descriptor: int, name: str) -> int:
    for line in os.pread(descriptor, 4096, 0).decode().splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return int(value)
    return 0
