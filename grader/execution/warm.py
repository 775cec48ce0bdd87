"""
The one warm process of this process, from which kernels are forked: it warms up while we are still importing.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
from collections.abc import Iterator

from grader import shipped
from grader.sandbox import ForkServer

__all__ = ["begin", "forkserver", "warming_up"]


@functools.cache
def forkserver() -> ForkServer:
    """The one forkserver of this process, started when the first kernel is asked for; it ends with us."""
    server = ForkServer(hide=shipped.answers(), watched=False)
    atexit.register(server.close, wait=False)
    return server


def begin() -> None:
    """Start the forkserver now, where there can be one, and do not wait for it."""
    if ForkServer.is_available():
        forkserver().begin()


@contextlib.contextmanager
def warming_up() -> Iterator[None]:
    """
    Begin with the forkserver, and import in this context what it will be needed for.

    Both take as long, and so half of it when they overlap. Imports leave no garbage worth looking for, and looking for
    it costs a fifth of their time: that is put off, and what they made is never looked through again.
    """
    begin()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
