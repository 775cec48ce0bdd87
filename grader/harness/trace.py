"""
Collects evidence that a function used autograd while it ran.

It is evidence, not proof, because it is collected in the student's process.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

__all__ = ["AutogradTrace"]

_MOST_EVIDENCE = 5


class AutogradTrace(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """
    Records operators named `…_backward`, and tensors that a graph saves for its backward pass.

    It also notes whether float64 numbers were rounded to float32: `rounds`.

    Args:
        inference: Whether the function is called in inference mode. No graph saves tensors in that mode. If a function
            switches it off, that is recorded, too.
    """

    def __init__(self, *, inference: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._inference = inference
        self.evidence: list[str] = []
        self.rounds = False

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # to skip dynamo, torch would import it first, which takes a second

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name
        if self._inference and not torch.is_inference_mode_enabled():
            self._note("switched inference mode off")
        if name.endswith("_backward"):
            self._note(f"called {name}")
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor) and result.dtype is torch.float32:
            self.rounds = self.rounds or any(isinstance(a, torch.Tensor) and a.dtype is torch.float64 for a in args)
        return result

    def hooks(self) -> torch.autograd.graph.saved_tensors_hooks:
        """A context that records whether a graph saves tensors for its backward pass."""

        def save_for_backward(tensor: torch.Tensor) -> torch.Tensor:
            self._note("recorded a graph for autograd")
            return tensor

        return torch.autograd.graph.saved_tensors_hooks(save_for_backward, lambda tensor: tensor)

    def _note(self, use: str) -> None:
        if use not in self.evidence and len(self.evidence) < _MOST_EVIDENCE:
            self.evidence.append(use)
