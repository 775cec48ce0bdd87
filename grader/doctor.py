"""
Examines the installation: versions, data, and the sandbox that kernels have on this machine.
"""

from __future__ import annotations

import asyncio
import dataclasses
import importlib.metadata
import platform
import sys
from collections.abc import Iterator

from grader.errors import GraderError
from grader.execution.kernels import start_kernel
from grader.model import Limits
from grader.reference.mnist import checksums
from grader.sandbox import Level, level_of, missing_layers, unbounded
from grader.version import __version__

__all__ = ["Finding", "examine"]

LIBRARIES = (
    "torch",
    "numpy",
    "ipython",
    "ipykernel",
    "jupyter-client",
    "nbclient",
    "nbformat",
    "jupytext",
    "safetensors",
)


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """
    One line of the examination.

    Attributes:
        name: What was examined.
        text: What was found.
        is_well: False if it keeps the grader from working, None if it is only worth knowing.
    """

    name: str
    text: str
    is_well: bool | None = True


def examine() -> Iterator[Finding]:
    """Examine one thing after the other. An error is a finding too, and is not raised."""
    yield Finding("grader", f"{__version__}, Python {platform.python_version()}, {platform.platform()}")
    for library in LIBRARIES:
        try:
            yield Finding(library, importlib.metadata.version(library))
        except importlib.metadata.PackageNotFoundError:
            yield Finding(library, "is not installed", is_well=False)
    for name, is_published in checksums().items():
        yield Finding(
            name, "as published" if is_published else "missing or changed: install again", is_well=is_published
        )
    yield from _examine_sandbox()


def _examine_sandbox() -> Iterator[Finding]:
    try:
        layers = asyncio.run(_layers())
    except GraderError as error:
        yield Finding("kernel", str(error), is_well=False)
        return
    level = level_of(layers)
    yield Finding("kernel", "starts")
    yield Finding("sandbox layers", ", ".join(layers) or "none")
    if level is Level.ISOLATED:
        yield Finding("sandbox level", level.label)
    else:
        needed = ", ".join(missing_layers(layers, Level.ISOLATED))
        hint = "`--require-sandbox isolated` says how to get them"
        if sys.platform != "linux":
            hint = "grade the notebooks of strangers on Linux"
        yield Finding("sandbox level", f"{level.label}; isolated also needs {needed}: {hint}", is_well=None)
    if missing := unbounded(layers):
        yield Finding("not limited", ", ".join(missing), is_well=None)


async def _layers() -> tuple[str, ...]:
    async with start_kernel(Limits()) as kernel:
        return kernel.layers
