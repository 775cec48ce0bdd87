"""
Memory that no process seems to have: untouched pages of shared mappings, buffers of sockets, descriptions of mappings.

Linux counts a page for a process only while it is in the process's page table, and a message that nobody has read for
none at all. So shared mappings count by their size, and sockets by what they may hold. The filter on system calls sees
to it that they cannot hold more, and that all threads of a process have the same descriptors. A process may have 65,530
mappings, whose descriptions are copied by each fork, and linked to those of all processes before.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable
from pathlib import Path

from grader.sandbox.processes import living, read

__all__ = ["hidden_mib", "most_hidden_mib"]

_MIB = 1 << 20
_SHARED = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) ..-s \S+ \S+ (\d+) +/dev/zero \(deleted\)$", re.MULTILINE)


def _most_in_a_socket() -> int:
    with contextlib.suppress(OSError, ValueError):
        return 2 * int(read("/proc/sys/net/core/wmem_default"))
    return 2 * 212_992


_SOCKET_MIB = _most_in_a_socket() / _MIB
_PIPE_MIB = 64 * 1024 / _MIB
_ORDINARY_MAPPINGS = 4096  # more than any library has made: these are not counted
_MAPPING_MIB, _LINK_MIB = 256 / _MIB, 32 / _MIB  # a link is 64 bytes, and processes have half of all before them


def most_hidden_mib(process: str) -> float:
    """What one process hides at most in MiB, quickly: as if all that is not its own data were shared."""
    sizes = {"VmSize": 0, "VmData": 0, "VmStk": 0}
    with contextlib.suppress(OSError, ValueError):
        for line in read("/proc", living(process), "status").splitlines():
            name, _, value = line.partition(":")
            if name in sizes:
                sizes[name] = int(value.split()[0])
        descriptors = os.listdir(Path("/proc", living(process), "fd"))  # noqa: PTH208 - names are enough
        return (sizes["VmSize"] - sizes["VmData"] - sizes["VmStk"]) / 1024 + len(descriptors) * _SOCKET_MIB
    return 0.0


def hidden_mib(processes: Iterable[str]) -> float:
    """What these processes hide together in MiB. What several of them share counts once."""
    mappings: dict[str, int] = {}
    buffers: dict[str, float] = {}
    described = 0
    members = [living(process) for process in processes]
    for process in members:
        with contextlib.suppress(OSError, ValueError):
            sizes: dict[str, int] = {}
            spare = _ORDINARY_MAPPINGS
            # Line by line: there may be 65,530, and a process can have paths of 4,096 characters in them.
            with Path("/proc", process, "maps").open(errors="replace") as lines:
                for line in lines:
                    spare -= 1
                    for start, end, inode in _SHARED.findall(line):
                        sizes[inode] = sizes.get(inode, 0) + int(end, 16) - int(start, 16)
            described += max(0, -spare)
            for inode, size in sizes.items():
                mappings[inode] = max(mappings.get(inode, 0), size)
            for entry in Path("/proc", process, "fd").iterdir():
                with contextlib.suppress(OSError):
                    name = os.readlink(entry)  # noqa: PTH115 - it is no path
                    if name.startswith(("socket:", "pipe:")):
                        buffers[name] = _SOCKET_MIB if name.startswith("socket:") else _PIPE_MIB
    descriptions = described * (_MAPPING_MIB + _LINK_MIB * len(members))
    return sum(mappings.values()) / _MIB + sum(buffers.values()) + descriptions
