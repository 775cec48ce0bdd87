"""
Counts the backward passes of this process.

PyTorch numbers all backward passes of a process, in C++: whoever starts them, in whatever thread, with whatever modes
switched off. A tiny pass of our own, before and after a call, shows whether others ran between.
"""

from __future__ import annotations

import torch

__all__ = ["next_pass"]

_run_backward = torch.autograd.Variable._execution_engine.run_backward
_current_pass = torch._C._current_graph_task_id


class _Leaf:
    """A number without a graph behind it: a pass that begins at it ends at it, too."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        with torch.inference_mode(mode=False), torch.enable_grad():
            self.one = torch.ones((), dtype=torch.float32, device="cpu")
            self.value = torch.zeros((), dtype=torch.float32, device="cpu", requires_grad=True)
            self.value.register_hook(lambda _: self.numbers.append(_current_pass()))  # type: ignore[no-untyped-call]


_leaf = _Leaf()


def next_pass() -> int | None:
    """Start a backward pass, and give its number. None if the engine does not work any more."""
    _leaf.numbers.clear()
    try:
        _run_backward((_leaf.value,), (_leaf.one,), False, False, (_leaf.value,), True, accumulate_grad=False)
        return _leaf.numbers.pop()
    except Exception:  # the notebook may have left the engine, the leaf or this module in any state
        return None
