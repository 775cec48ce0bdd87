"""
The names of the sandbox's layers, and what sets of them amount to.

A layer is named only where it was probed from within the kernel's own process, after it was put in place.
"""

from __future__ import annotations

import enum
import sys
from collections.abc import Iterable

from grader.errors import SandboxError

__all__ = ["Level", "level_of", "missing_layers", "refusal"]


class Level(enum.IntEnum):
    """
    How well a kernel is kept from the machine; each level has all of the one before it.

    NONE: nothing to rely on. PROCESS: limits, no way to gain powers, ends with the grader. FILTERED: also a filter on
    system calls and on files. ISOLATED: also its own users, processes, network and view of the file system.

    >>> Level["isolated".upper()] > Level.FILTERED
    True
    """

    NONE = 0
    PROCESS = 1
    FILTERED = 2
    ISOLATED = 3

    @property
    def label(self) -> str:
        """The word for it on the command line: `isolated`."""
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
    "first; or ask for less with --require-sandbox."
)
_HINT_FILTER = "Seccomp and Landlock need Linux 5.13 or later, with Landlock among its security modules."
_HINT_ELSEWHERE = "The sandbox needs Linux: use a Linux machine or a Linux container, or --require-sandbox none."


def missing_layers(layers: Iterable[str], level: Level) -> tuple[str, ...]:
    """The layers that `level` needs and that are not among `layers`, by name."""
    needed = frozenset().union(*(names for step, names in _NEEDS.items() if step <= level))
    return tuple(sorted(needed - set(layers)))


def level_of(layers: Iterable[str]) -> Level:
    """
    The highest level all of whose layers are there.

    >>> level_of(["rlimits", "no_new_privs", "die_with_parent", "cgroup"]).label
    'process'
    """
    present = set(layers)
    return max(level for level in Level if not missing_layers(present, level))


def refusal(layers: Iterable[str], required: Level) -> SandboxError:
    """The error to raise where a kernel would have less than was asked for."""
    present = tuple(layers)
    got, missing = level_of(present), missing_layers(present, required)
    if sys.platform != "linux":
        hint = _HINT_ELSEWHERE
    elif missing_layers(present, min(required, Level.FILTERED)):
        hint = _HINT_FILTER
    else:
        hint = _HINT_LINUX
    return SandboxError(
        f"The sandbox reaches level {got.label}, but {required.label} is asked for: no {', '.join(missing)}.", hint
    )
