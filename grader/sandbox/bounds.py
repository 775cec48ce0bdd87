"""
What a kernel may use. Imports nothing of Linux: the caller has it on every platform.
"""

from __future__ import annotations

import dataclasses

__all__ = ["KERNEL_USERS", "RESERVED_FILES", "RESERVED_MIB", "RESERVED_PROCESSES", "Bounds"]

KERNEL_USERS = range(61184, 65520)
"""The users that kernels are under root: systemd keeps these ids for dynamic users, and nothing else uses them."""

RESERVED_PROCESSES, RESERVED_FILES, RESERVED_MIB = 16, 64, 64
"""
What a kernel may use on top, once its process has raised its own soft limits.

It does so when the notebook's cells have run: so cells that leave as many threads or open files as they may have do not
keep functions from being called.
"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """
    What a kernel may use.

    Attributes:
        memory_mib: Memory in MiB on top of what the warm process has: for each process, and for all of them together.
        processes: The number of processes.
        cpu_s: Seconds of CPU time: for each process, and for all of them together.
        file_size_mib: The size in MiB of one file.
        scratch_mib: The size in MiB of the scratch folder.
        output_bytes: Characters of standard output that are kept, and as many of standard error.
    """

    memory_mib: int = 2048
    processes: int = 64
    cpu_s: int = 120
    file_size_mib: int = 64
    scratch_mib: int = 128
    output_bytes: int = 1_000_000
