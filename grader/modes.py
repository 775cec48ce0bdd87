"""
PyTorch's global switches, as they are when it has just been imported.

A notebook may have turned them: `torch.set_grad_enabled(False)`, another default dtype, autocast that was never left. A
reference must not depend on that, and neither may the marks. Only the default dtype is a student's own choice: within a
student's function, it is the one that the notebook has left.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TypeVar

import torch

__all__ = ["default_dtype", "one_thread", "ordinary", "short_turns"]

T = TypeVar("T")
TURN_S = 0.0001


@contextlib.contextmanager
def ordinary() -> Iterator[None]:
    """Compute as in a new process, with one thread: no switch that the notebook has turned has an effect."""
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        enter(one_thread())
        enter(torch.inference_mode(mode=False))
        enter(torch.enable_grad())
        enter(default_dtype(torch.float32))
        enter(_float32_products())
        if torch.get_default_device().type != "cpu":
            enter(torch.device("cpu"))
        if torch.is_autocast_enabled("cpu"):
            enter(torch.autocast("cpu", enabled=False))
        if torch.is_anomaly_enabled():
            enter(torch.autograd.set_detect_anomaly(mode=False))
        if torch.are_deterministic_algorithms_enabled():
            warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
            torch.use_deterministic_algorithms(mode=False)
            stack.callback(torch.use_deterministic_algorithms, mode=True, warn_only=warn_only)
        yield


def one_thread() -> AbstractContextManager[None]:
    """
    Compute with one thread: sums then have one order, and the same machine always gets the same numbers.

    For small tensors, one thread is also faster than several.
    """
    return _switched(1, torch.get_num_threads, torch.set_num_threads)


def short_turns() -> AbstractContextManager[None]:
    """
    Let threads that compute all the time take short turns.

    Each operation of PyTorch hands over the interpreter's lock, and waits for a turn of whoever took it: beside such a
    thread, thousands of small operations would otherwise wait 5 ms each.
    """
    return _switched(TURN_S, sys.getswitchinterval, sys.setswitchinterval)


def default_dtype(dtype: torch.dtype) -> AbstractContextManager[None]:
    """Make tensors of this dtype where none is given."""
    return _switched(dtype, torch.get_default_dtype, torch.set_default_dtype)


@contextlib.contextmanager
def _switched(value: T, read: Callable[[], T], turn: Callable[[T], object]) -> Iterator[None]:
    """Turn a switch, and turn it back afterwards."""
    before = read()
    turn(value)
    try:
        yield
    finally:
        turn(before)


@contextlib.contextmanager
def _float32_products() -> Iterator[None]:
    """Multiply float32 matrices in float32: some processors have a faster way that keeps three digits."""
    try:
        before = torch.get_float32_matmul_precision()
    except RuntimeError:  # it was set for one backend alone: that cannot be asked for here, and is not restored
        before = "highest"
    with _switched("highest", lambda: before, torch.set_float32_matmul_precision):
        yield
