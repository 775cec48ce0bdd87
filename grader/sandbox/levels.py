"""
The names of the sandbox's layers, and which level a set of layers reaches.

A layer is named only if a probe inside the kernel's own process found that it holds.
"""

from __future__ import annotations

import enum
import sys
from collections.abc import Iterable

from grader.sandbox.errors import SandboxUnavailable

__all__ = ["Level", "level_of", "missing_layers", "refusal", "unbounded"]


class Level(enum.IntEnum):
    """
    How well a kernel is kept away from the machine. Each level includes the one before it.

    NONE: nothing to rely on. PROCESS: limits, no way to gain powers, and an end with the caller. FILTERED: also a
    filter on system calls and on files. ISOLATED: also its own users, processes, network and view of the file system.

    >>> Level["isolated".upper()] > Level.FILTERED
    True
    """

    NONE = 0
    PROCESS = 1
    FILTERED = 2
    ISOLATED = 3

    @property
    def label(self) -> str:
        """The level's name in lower case, as on a command line: `isolated`."""
        return self.name.lower()


_NEEDS: dict[Level, frozenset[str]] = {
    Level.NONE: frozenset(),
    Level.PROCESS: frozenset({"rlimits", "no_new_privs", "die_with_parent"}),
    Level.FILTERED: frozenset({"seccomp", "landlock", "no_capabilities"}),
    Level.ISOLATED: frozenset(
        {
            "user_namespace",
            "mount_namespace",
            "pid_namespace",
            "network_namespace",
            "ipc_namespace",
            "uts_namespace",
            "private_root",
        }
    ),
}

_HINT_LINUX = (
    "Namespaces were refused. In a container, allow them (docker run --security-opt seccomp=unconfined "
    "--security-opt apparmor=unconfined --security-opt systempaths=unconfined, or --privileged on a machine of your "
    "own); on a GitHub runner or Ubuntu 24.04, run `sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0` "
    "first; or ask for a lower level."
)
_HINT_FILTER = "Seccomp and Landlock need Linux 5.13 or later, with Landlock among its security modules."
_HINT_ELSEWHERE = "The sandbox needs Linux: use a Linux machine or a Linux container, or ask for level none."


def missing_layers(layers: Iterable[str], level: Level) -> tuple[str, ...]:
    """The names of the layers that `level` needs and that are not among `layers`."""
    needed = frozenset().union(*(names for step, names in _NEEDS.items() if step <= level))
    return tuple(sorted(needed - set(layers)))


def level_of(layers: Iterable[str]) -> Level:
    """
    The highest level that needs none but these layers.

    >>> level_of(["rlimits", "no_new_privs", "die_with_parent", "cgroup"]).label
    'process'
    """
    present = set(layers)
    return max(level for level in Level if not missing_layers(present, level))


def unbounded(layers: Iterable[str]) -> tuple[str, ...]:
    """
    What all processes of a kernel together may use without a limit of the sandbox, in words.

    >>> unbounded(["cgroup", "joint_limits", "private_root", "own_processes", "rlimits"])
    ()
    """
    present = set(layers)
    if "rlimits" not in present:
        return ("time", "memory", "processes", "files")
    missing = []
    if not present & {"joint_limits", "cgroup"}:
        missing += ["memory and CPU time of all processes together"]
    if "cgroup" not in present:
        missing += ["what Linux itself keeps for them (locks of files, watches, directories)"]
    if not present & {"private_root", "joint_limits"}:
        missing += ["files in the scratch folder together"]
    if "own_processes" not in present:
        missing += ["signals to other processes of the same user"]
    return tuple(missing)


def refusal(layers: Iterable[str], required: Level) -> SandboxUnavailable:
    """The exception to raise if a kernel would have only `layers`, which do not reach the level that is required."""
    present = tuple(layers)
    reached, missing = level_of(present), missing_layers(present, required)
    if sys.platform != "linux":
        hint = _HINT_ELSEWHERE
    elif missing_layers(present, min(required, Level.FILTERED)):
        hint = _HINT_FILTER
    else:
        hint = _HINT_LINUX
    return SandboxUnavailable(
        f"The sandbox reaches level {reached.label}, but {required.label} is asked for; missing: {', '.join(missing)}.",
        hint,
    )
