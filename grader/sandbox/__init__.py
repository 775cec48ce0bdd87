"""
Runs untrusted notebooks: each kernel is forked from a warm process, and has a sandbox of its own.

    with ForkServer(preload="my.imports", secrets=[marks]) as server:
        async with start_forked_kernel(server, Bounds(), require=Level.ISOLATED) as kernel:
            NotebookClient(notebook, km=kernel.manager, ...)

The process that does this is the *caller*. The *warm process* is the one from which kernels are forked; `preload` names
the module with all that it imports. The package needs typing_extensions, ipykernel, jupyter_client and zmq, and nothing
else of the package that it is in.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grader.sandbox.bounds import Bounds
    from grader.sandbox.companion import Companion
    from grader.sandbox.confined import ConfinedProcess, start_confined
    from grader.sandbox.environment import clean_environment, make_scratch
    from grader.sandbox.errors import SandboxUnavailable
    from grader.sandbox.folders import temporary_folder
    from grader.sandbox.kernels import CHANNELS, KernelEnds, fork_kernel, give_seed, layers_in, listen
    from grader.sandbox.levels import Level, level_of, missing_layers, refusal, unbounded
    from grader.sandbox.provisioner import ForkServerProvisioner
    from grader.sandbox.running import RunningKernel, adopt_kernel, start_forked_kernel
    from grader.sandbox.server import ForkServer

__all__ = [
    "CHANNELS",
    "Bounds",
    "Companion",
    "ConfinedProcess",
    "ForkServer",
    "ForkServerProvisioner",
    "KernelEnds",
    "Level",
    "RunningKernel",
    "SandboxUnavailable",
    "adopt_kernel",
    "clean_environment",
    "fork_kernel",
    "give_seed",
    "layers_in",
    "level_of",
    "listen",
    "make_scratch",
    "missing_layers",
    "refusal",
    "start_confined",
    "start_forked_kernel",
    "temporary_folder",
    "unbounded",
]

_MODULES = {
    "bounds": ("Bounds",),
    "companion": ("Companion",),
    "confined": ("ConfinedProcess", "start_confined"),
    "environment": ("clean_environment", "make_scratch"),
    "errors": ("SandboxUnavailable",),
    "folders": ("temporary_folder",),
    "kernels": ("CHANNELS", "KernelEnds", "fork_kernel", "give_seed", "layers_in", "listen"),
    "levels": ("Level", "level_of", "missing_layers", "refusal", "unbounded"),
    "provisioner": ("ForkServerProvisioner",),
    "running": ("RunningKernel", "adopt_kernel", "start_forked_kernel"),
    "server": ("ForkServer",),
}


def __getattr__(name: str) -> Any:
    # Only what is asked for is imported: a command line may need the levels alone, and must not wait for Jupyter's
    # client; the warm process, for which others wait, needs neither.
    for module, names in _MODULES.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
