"""
Memory that no process seems to have: buffers of sockets and pipes, and descriptions of mappings.

Linux counts a message that nobody has read for no process. So sockets count by what they may hold. The filter on system
calls sees to it that they cannot hold more, that all threads of a process have the same descriptors, and that no memory
is shared that has no file: what of it is not mapped any more could not be counted. A process may have 65,530 mappings,
whose descriptions are copied by each fork, and linked to those of all processes before.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from grader.sandbox.processes import living, read

__all__ = ["hidden_mib", "most_hidden_mib"]

_MIB = 1 << 20


def _setting(name: str, usual: int) -> int:
    with contextlib.suppress(OSError, ValueError):
        return int(read("/proc/sys", name))
    return usual


_SOCKET_MIB = 2 * _setting("net/core/wmem_default", 212_992) / _MIB
_PIPE_MIB = 64 * 1024 / _MIB
_MOST_MAPPINGS = _setting("vm/max_map_count", 65_530)
_ORDINARY_MAPPINGS = 4096  # more than any library has made: these are not counted
_MAPPING_MIB, _LINK_MIB = 256 / _MIB, 32 / _MIB  # a link is 64 bytes, and processes have half of all before them


def most_hidden_mib(process: str, members: int) -> float:
    """What one of so many processes hides at most in MiB, quickly; 0 if that cannot be found out."""
    with contextlib.suppress(OSError):
        descriptors = os.listdir(Path("/proc", living(process), "fd"))  # noqa: PTH208 - names are enough
        return len(descriptors) * _SOCKET_MIB + _MOST_MAPPINGS * _description_mib(members)
    return 0.0


def _description_mib(members: int) -> float:
    """What Linux keeps for a mapping if so many processes have been forked from each other."""
    return _MAPPING_MIB + _LINK_MIB * members


def hidden_mib(processes: Iterable[str]) -> float:
    """What these processes hide together in MiB. A socket that several of them have counts once."""
    buffers: dict[str, float] = {}
    described = 0
    members = [living(process) for process in processes]
    for process in members:
        with contextlib.suppress(OSError):
            # Line by line: there may be 65,530, and a process can have paths of 4,096 characters in them.
            with Path("/proc", process, "maps").open("rb") as lines:
                described += max(0, sum(1 for _ in lines) - _ORDINARY_MAPPINGS)
            for entry in Path("/proc", process, "fd").iterdir():
                with contextlib.suppress(OSError):
                    name = os.readlink(entry)  # noqa: PTH115 - it is no path
                    if name.startswith(("socket:", "pipe:")):
                        buffers[name] = _SOCKET_MIB if name.startswith("socket:") else _PIPE_MIB
    return sum(buffers.values()) + described * _description_mib(len(members))
