"""
Collects evidence that a function used autograd while it ran.

It is evidence, not proof, because it is collected in the student's process. What counts is what ran: a function that
only names `backward`, records a graph, or leaves inference mode has not let autograd derive anything.
"""

from __future__ import annotations

import contextlib
import functools
import re
import threading
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import torch
import torch.autograd.forward_ad
import torch.autograd.functional
from torch.utils._python_dispatch import TorchDispatchMode

__all__ = ["AutogradTrace"]

_MOST_EVIDENCE = 5
_PASSED = "started a backward pass of autograd"
_FORWARD = "used forward-mode differentiation"
_NOT_IN_A_PASS = -1
_BACKWARD = re.compile(r"(?:^|_)backward(?:_|$)")
_DUAL_NUMBERS = ("aten::_make_dual", "aten::_unpack_dual", "aten::_has_same_storage_numel")
"""Operators that run only when a tensor is given a tangent, or asked for it."""

_ENTRANCES: tuple[tuple[ModuleType, str, str], ...] = (
    (torch.autograd, "_engine_run_backward", _PASSED),
    (torch.autograd.graph, "_engine_run_backward", _PASSED),
    (torch.autograd.functional, "_grad_preprocess", "called torch.autograd.functional"),
    (torch.autograd.forward_ad, "enter_dual_level", _FORWARD),
)
"""
Functions that torch's own Python goes through, whatever name a notebook has given to `torch.autograd.grad`.

In inference mode a backward pass fails before any operator runs: then only these show that it was tried.
"""


class AutogradTrace(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """
    Records what autograd does while a function runs, under any of its names, and also when it is called from C++.

    It also notes whether float64 numbers were rounded to float32: `rounds`.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.evidence: list[str] = []
        self.rounds = False

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # to skip dynamo, torch would import it first, which takes a second

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """A context in which all uses are recorded."""
        with contextlib.ExitStack() as stack:
            for module, name, use in _ENTRANCES:
                stack.enter_context(self._noted(module, name, use))
            stack.enter_context(self._unpacking())
            stack.enter_context(self._in_threads())
            stack.enter_context(self)
            yield

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name
        if torch._C._current_graph_task_id() != _NOT_IN_A_PASS:
            self._note(_PASSED)
        elif _BACKWARD.search(name.partition("::")[2]):
            self._note(f"called {name}")
        elif name in _DUAL_NUMBERS:
            self._note(_FORWARD)
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor) and result.dtype is torch.float32:
            self.rounds = self.rounds or any(isinstance(a, torch.Tensor) and a.dtype is torch.float64 for a in args)
        return result

    def _note(self, use: str) -> None:
        if use not in self.evidence and len(self.evidence) < _MOST_EVIDENCE:
            self.evidence.append(use)

    @contextlib.contextmanager
    def _noted(self, module: ModuleType, name: str, use: str) -> Iterator[None]:
        """Within the context, calls of a function of torch are recorded. Another version of torch may not have it."""
        original = getattr(module, name, None)
        if original is None:
            yield
            return

        @functools.wraps(original)
        def noted(*args: Any, **kwargs: Any) -> Any:
            self._note(use)
            return original(*args, **kwargs)

        setattr(module, name, noted)
        try:
            yield
        finally:
            setattr(module, name, original)

    @contextlib.contextmanager
    def _in_threads(self) -> Iterator[None]:
        """Within the context, threads that start are watched as well: a mode and hooks hold in one thread only."""
        bootstrap = getattr(threading.Thread, "_bootstrap_inner", None)
        if bootstrap is None:
            yield
            return

        @functools.wraps(bootstrap)
        def watched(thread: threading.Thread) -> None:
            with self._hooks(), self:
                bootstrap(thread)

        threading.Thread._bootstrap_inner = watched  # type: ignore[attr-defined]
        try:
            yield
        finally:
            threading.Thread._bootstrap_inner = bootstrap  # type: ignore[attr-defined]

    def _hooks(self) -> torch.autograd.graph.saved_tensors_hooks:
        """Hooks that record that a graph reads what it saved. They hold in the thread that enters them."""

        def read(tensor: torch.Tensor) -> torch.Tensor:
            in_a_pass = torch._C._current_graph_task_id() != _NOT_IN_A_PASS
            self._note(_PASSED if in_a_pass else "read what a graph saved for autograd")
            return tensor

        return torch.autograd.graph.saved_tensors_hooks(lambda tensor: tensor, read)

    @contextlib.contextmanager
    def _unpacking(self) -> Iterator[None]:
        """Within the context, it is recorded if a graph reads what it saved: `z.grad_fn(dz)` needs no backward pass."""
        hooks = self._hooks()
        disable = torch.autograd.graph.disable_saved_tensors_hooks

        @contextlib.contextmanager
        def disable_without_ours(error_message: str) -> Iterator[None]:
            with contextlib.ExitStack() as stack:
                try:
                    stack.enter_context(disable(error_message))
                except RuntimeError:  # `torch.func` does not work with hooks, so ours step aside
                    hooks.__exit__()
                    stack.callback(hooks.__enter__)
                    stack.enter_context(disable(error_message))
                yield

        torch.autograd.graph.disable_saved_tensors_hooks = disable_without_ours
        try:
            with hooks:
                yield
        finally:
            torch.autograd.graph.disable_saved_tensors_hooks = disable
