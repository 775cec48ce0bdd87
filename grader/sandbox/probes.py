"""
Probes from inside which layers of the sandbox hold.
"""

# ruff: noqa: PTH116

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
from collections.abc import Callable

from grader.sandbox import linux
from grader.sandbox.bounds import RESERVED_PROCESSES, Bounds
from grader.sandbox.layers import FORBIDDEN, NAMESPACES

__all__ = ["probe"]

_MIB = 1 << 20
_PR_GET_PDEATHSIG, _PR_GET_SECCOMP, _PR_GET_NO_NEW_PRIVS = 2, 21, 39


def probe(
    outside: dict[str, int], inside: dict[str, int], bounds: Bounds, *, has_root: bool, has_gate: bool, root_device: int
) -> tuple[str, ...]:
    """
    The names of the layers that hold. Each one is tried.

    Args:
        outside: `namespace_ids` of the process that forked the supervisor.
        inside: `namespace_ids` of this process, read while there was still a `/proc`.
        bounds: The limits that should be in force.
        has_root: The result of `build_root`.
        has_gate: Whether the supervisor counts processes.
        root_device: The device of the old root.
    """
    layers = [layer for layer in NAMESPACES if layer in inside and inside[layer] != outside.get(layer)]
    if has_root and os.stat("/").st_dev != root_device and not os.access("/", os.W_OK):
        layers.append("private_root")
    probes: dict[str, Callable[[], bool]] = {
        "landlock": lambda: _is_denied(FORBIDDEN if has_root else "/"),
        "seccomp": lambda: linux.prctl(_PR_GET_SECCOMP) == 2 and _is_filtered(),
        "no_new_privs": lambda: linux.prctl(_PR_GET_NO_NEW_PRIVS) == 1,
        "no_capabilities": lambda: not linux.has_capabilities() and not _bounding_set(),
        "rlimits": lambda: _has_limits(bounds, is_counted=has_gate),
        "die_with_parent": _dies_with_parent,
        "own_processes": lambda: _reaches_no_process(os.getppid()),
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
        linux.unshare(0)  # changes nothing, and is allowed without a filter
    except PermissionError:
        return True
    return False


def _reaches_no_process(parent: int) -> bool:
    """Whether neither signals nor other calls reach the supervisor. In a namespace of processes it has no number."""
    if parent == 0:
        return True
    reached = 0
    with contextlib.suppress(PermissionError, ProcessLookupError):
        os.kill(parent, 0)
        reached += 1
    with contextlib.suppress(PermissionError, ProcessLookupError):
        os.sched_setaffinity(parent, os.sched_getaffinity(0))
        reached += 1
    return reached == 0


def _bounding_set() -> bool:
    try:
        return any(linux.prctl(23, capability) == 1 for capability in range(64))
    except OSError:  # there are no more capabilities
        return False


def _has_limits(bounds: Bounds, *, is_counted: bool) -> bool:
    return (
        resource.getrlimit(resource.RLIMIT_DATA)[1] != resource.RLIM_INFINITY
        and resource.getrlimit(resource.RLIMIT_AS)[1] != resource.RLIM_INFINITY
        and (is_counted or resource.getrlimit(resource.RLIMIT_NPROC)[1] <= bounds.processes + RESERVED_PROCESSES)
        and resource.getrlimit(resource.RLIMIT_CPU)[1] <= bounds.cpu_s + 1
        and resource.getrlimit(resource.RLIMIT_FSIZE)[1] <= bounds.file_size_mib * _MIB
        and resource.getrlimit(resource.RLIMIT_CORE)[1] == 0
    )


def _dies_with_parent() -> bool:
    value = ctypes.c_int()
    linux.check(linux.libc.prctl(_PR_GET_PDEATHSIG, ctypes.byref(value), 0, 0, 0), "prctl")
    return bool(value.value == signal.SIGKILL)
