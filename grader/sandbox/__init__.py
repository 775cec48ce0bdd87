"""
Runs strangers' notebooks: kernels that are forked from a warm process, each in a sandbox of its own.

    with ForkServer(hide=[bundled]) as server:
        async with start_forked_kernel(server, limits, require=Level.ISOLATED) as kernel:
            NotebookClient(notebook, km=kernel.manager, ...)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from grader.sandbox.levels import Level, level_of, missing_layers, refusal
from grader.sandbox.server import DEFAULT_PRELOAD, ForkServer

if TYPE_CHECKING:
    from grader.sandbox.provisioner import ForkServerProvisioner, RunningKernel, start_forked_kernel

__all__ = [
    "DEFAULT_PRELOAD",
    "ForkServer",
    "ForkServerProvisioner",
    "Level",
    "RunningKernel",
    "level_of",
    "missing_layers",
    "refusal",
    "start_forked_kernel",
]


def __getattr__(name: str) -> Any:
    # Jupyter's client is for the grader's end: the warm process, which others wait for, has no use for it.
    if name in ("ForkServerProvisioner", "RunningKernel", "start_forked_kernel"):
        from grader.sandbox import provisioner

        return getattr(provisioner, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
