"""
The warm process from which this process's kernels are forked. It starts early, so that it warms up while we import.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
from collections.abc import Iterator
from typing import TYPE_CHECKING

from grader import shipped
from grader.harness.wire import CHANNEL_VARIABLE
from grader.sandbox import ForkServer, SandboxUnavailable

if TYPE_CHECKING:
    from grader.sandbox import Companion

__all__ = [
    "CONDUCT",
    "CONDUCTOR",
    "OWN",
    "PACKAGES",
    "PRELOAD",
    "SHARED",
    "begin",
    "forkserver",
    "reading_forkserver",
    "warming_up",
]

PRELOAD = "grader.execution.preload"
"""The module that the warm process imports. It is named here and not imported, since it is for that process only."""

SHARED = "grader.execution.shared"
"""The module that it imports before it forks the judge."""

CONDUCTOR = "grader.execution.conductor"
"""The module that a process imports from which only conductors are forked."""

CONDUCT = "conduct"
"""The function of both modules which serves a judge: see `grader.execution.conductor`."""

PACKAGES = ("torch", "numpy", "matplotlib", "nbclient", "jupytext", "msgspec")
"""What that module imports from other folders than the sandbox's own packages, if they are installed elsewhere."""


OWN = (
    "assignment",
    "calling",
    "chain",
    "checking",
    "compare",
    "diagnosis",
    "errors",
    "execution",
    "exports",
    "files",
    "harness",
    "judge",
    "model",
    "modes",
    "notebook",
    "notices",
    "pipeline",
    "pytest_plugin",
    "reference",
    "reports",
    "shipped",
    "submitting",
    "trees",
    "verdict",
    "version",
    "visibility",
)
"""
What of the grader a notebook can import: what `check`, `%%derive`, `load_mnist` and the harness need, and the plugin
that pytest imports wherever the grader is installed.
"""


@functools.cache
def forkserver() -> ForkServer:
    """The only forkserver of this process. It starts when it is first needed, and ends with this process."""
    server = ForkServer(
        preload=PRELOAD,
        packages=PACKAGES,
        own=OWN,
        secrets=shipped.answers(),
        watched=False,
        channel_variable=CHANNEL_VARIABLE,
    )
    atexit.register(server.close, wait=False)
    return server


def reading_forkserver() -> ForkServer:
    """A forkserver for processes that read files and execute nothing: the other one if there is one already."""
    return forkserver() if forkserver.cache_info().currsize else _light_forkserver()


@functools.cache
def _light_forkserver() -> ForkServer:
    """A forkserver that starts fast, since it imports only what conductors need."""
    server = ForkServer(preload=CONDUCTOR, packages=PACKAGES, own=OWN, secrets=shipped.answers(), watched=False)
    atexit.register(server.close, wait=False)
    return server


def begin(companion: Companion | None = None) -> None:
    """Start the forkserver, if the platform has one, and do not wait for it. The first kernel says if that failed."""
    if ForkServer.is_available():
        with contextlib.suppress(SandboxUnavailable):
            forkserver().begin(companion)


@contextlib.contextmanager
def warming_up() -> Iterator[None]:
    """
    Start the forkserver, and import in this context what is needed when it is ready.

    The two take about as long as each other, so that doing both at once halves the wait. Imports leave little garbage,
    and collecting it takes a fifth of their time: collection is put off, and never visits what was imported.
    """
    begin()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
