"""
Runs strangers' notebooks: kernels that are forked from a warm process, each in a sandbox of its own.

    with ForkServer(hide=[bundled]) as server:
        async with start_forked_kernel(server, limits, require=Level.ISOLATED) as kernel:
            NotebookClient(notebook, km=kernel.manager, ...)
"""

from grader.sandbox.levels import Level, level_of, missing_layers, refusal
from grader.sandbox.provisioner import ForkServerProvisioner, RunningKernel, start_forked_kernel
from grader.sandbox.server import DEFAULT_PRELOAD, ForkServer

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
