"""
Collects evidence that a function used autograd while it ran.

It is evidence, not proof, because it is collected in the student's process. What counts is what ran: a function that
only names `backward`, records a graph, or leaves inference mode has not let autograd derive anything.

Several instruments look at the same call, because each can be got round. The count of backward passes holds for the
whole process. Modes see operators by their names, and hooks see what a graph saved, in the threads that enter them.
"""

from __future__ import annotations

import _thread
import contextlib
import functools
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from types import BuiltinFunctionType
from typing import Any

import torch
import torch.autograd.forward_ad
import torch.autograd.functional
from torch._ops import OpOverload, OpOverloadPacket
from torch.autograd.graph import GradientEdge
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from grader.harness.journal import Journal
from grader.harness.nodes import WatchedNode, bare
from grader.harness.passes import next_pass

__all__ = ["STARTS_OF_THREADS", "AutogradTrace", "sees_a_pass"]

_PASSED = "started a backward pass of autograd"
_FORWARD = "used forward-mode differentiation"
_READ = "read what a graph saved for autograd"
_CALLED_A_NODE = "called a node of autograd's graph"
_NOT_IN_A_PASS = -1
_FORMULA = re.compile(r"(?:^|_)backward(?:_|$)|_jvp$|^_standard_gamma_grad$|^_dirichlet_grad$")
"""Names of PyTorch's operators that compute a derivative. A student's own operators may have any name."""
_DUAL_NUMBERS = ("aten::_make_dual", "aten::_unpack_dual", "aten::_has_same_storage_numel")
"""Operators that run only when a tensor is given a tangent, or asked for it."""
_NODE_OF_A_TENSOR = torch._C.TensorBase.grad_fn

_ENTRANCES: tuple[tuple[Any, str, str], ...] = (
    (torch.autograd, "_engine_run_backward", _PASSED),
    (torch.autograd.graph, "_engine_run_backward", _PASSED),
    (torch.autograd.functional, "_grad_preprocess", "called torch.autograd.functional"),
    (torch.autograd.forward_ad, "enter_dual_level", _FORWARD),
)
"""
Functions that torch's own Python goes through, whatever name a notebook has given to `torch.autograd.grad`.

In inference mode a backward pass fails before any operator runs: then only these show that it was tried.
"""

STARTS_OF_THREADS: tuple[tuple[Any, str], ...] = (
    (threading, "_start_new_thread"),
    (threading, "_start_joinable_thread"),  # since Python 3.13
    (_thread, "start_new_thread"),
    (_thread, "start_new"),
    (_thread, "start_joinable_thread"),
)
"""What starts a thread: the first argument is the function that runs in it."""

Replacement = tuple[Any, str, Callable[[Any], Any]]
"""What has a function, its name there, and what is put around it."""


_like = functools.partial(functools.wraps, assigned=("__module__", "__name__", "__doc__"), updated=())
"""Makes a function look like another one, to whoever prints or documents it; it is done for each call."""


class AutogradTrace:
    """
    Records what autograd does while a function runs, under any of its names, and also when it is called from C++.

    It also notes whether float64 numbers were rounded to float32: `rounds`.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._operators = _Operators(self._note)
        self._calls = _Calls(self._note)
        self._left: list[Any] = []

    @property
    def rounds(self) -> bool:
        """Whether float64 numbers were rounded to float32, as `x.float()` does."""
        return self._operators.rounds

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """A context in which all uses are recorded."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._counting())
            entrances = [(module, name, functools.partial(self._noted, use=use)) for module, name, use in _ENTRANCES]
            threads = [(owner, name, self._starting_watched) for owner, name in STARTS_OF_THREADS]
            stack.enter_context(self.replaced([*entrances, *threads]))
            stack.enter_context(self._unpacking())
            stack.enter_context(self._operators)
            modes = [
                (torch.inference_mode, "__enter__", self._leaving_inference),
                (torch.inference_mode, "__exit__", self._returning_to_inference),
            ]
            stack.enter_context(self.replaced(modes))
            if not torch.is_inference_mode_enabled():
                stack.enter_context(self._calls)
            yield

    def replaced(self, wanted: Iterable[Replacement]) -> AbstractContextManager[None]:
        """A context in which something is put around functions. Another version may not have all of them."""
        return _Replaced(self._journal, wanted)

    def _note(self, use: str) -> None:
        self._journal.note("autograd", use)

    @contextlib.contextmanager
    def _counting(self) -> Iterator[None]:
        """
        Within the context, and since the one before it, backward passes of the whole process are counted.

        In a student's own check this would count what the notebook does in other threads, such as training.
        """
        self._account()
        try:
            yield
        finally:
            self._account()

    def _account(self) -> None:
        """Note it if there were more passes than are accounted for."""
        journal = self._journal
        known, number = journal.passes, next_pass() if journal.is_alone else None
        if number is not None and known is not None and number > known + 1:
            self._note(_PASSED)
        elif number is None and known is not None:
            journal.note("did", "stopped autograd's engine")
        journal.passes = number

    def _noted(self, original: Callable[..., Any], *, use: str) -> Callable[..., Any]:
        @_like(original)
        def noted(*args: Any, **kwargs: Any) -> Any:
            self._note(use)
            return original(*map(_without_watched_nodes, args), **kwargs)

        return noted

    def _watched(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """A function that is watched in the thread that it runs in: modes and hooks hold in one thread only."""

        @_like(original)
        def watched(*args: Any, **kwargs: Any) -> Any:
            with self._hooks(), self._operators, self._calls:
                return original(*args, **kwargs)

        return watched

    def _starting_watched(self, start: Callable[..., Any]) -> Callable[..., Any]:
        @_like(start)
        def started(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            return start(self._watched(function), *args, **kwargs)

        return started

    def _leaving_inference(self, enter: Callable[..., Any]) -> Callable[..., Any]:
        @_like(enter)
        def entered(manager: Any) -> Any:
            result = enter(manager)
            if not torch.is_inference_mode_enabled():
                self._calls.__enter__()  # type: ignore[no-untyped-call]
                self._left.append(manager)
            return result

        return entered

    def _returning_to_inference(self, leave: Callable[..., Any]) -> Callable[..., Any]:
        @_like(leave)
        def left(manager: Any, *error: Any) -> Any:
            if any(other is manager for other in self._left):
                self._left = [other for other in self._left if other is not manager]
                self._calls.__exit__(*error)  # type: ignore[no-untyped-call]
            return leave(manager, *error)

        return left

    def _hooks(self) -> torch.autograd.graph.saved_tensors_hooks:
        """Hooks that record that a graph reads what it saved. They hold in the thread that enters them."""

        def read(tensor: torch.Tensor) -> torch.Tensor:
            in_a_pass = torch._C._current_graph_task_id() != _NOT_IN_A_PASS
            self._note(_PASSED if in_a_pass else _READ)
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


class _Replaced(AbstractContextManager[None]):
    """Functions that have something around them within a context. It is entered for each call: it has to be quick."""

    def __init__(self, journal: Journal, wanted: Iterable[Replacement]) -> None:
        self._journal = journal
        self._wanted = wanted
        self._made: list[tuple[Any, str, Any, Any]] = []

    def __enter__(self) -> None:
        for owner, name, around in self._wanted:
            original = getattr(owner, name, None)
            if original is not None:
                ours = around(original)
                setattr(owner, name, ours)
                self._made.append((owner, name, original, ours))

    def __exit__(self, *error: object) -> None:
        for owner, name, original, ours in reversed(self._made):
            if getattr(owner, name, None) is not ours:
                self._journal.note("did", f"replaced {name}, which the grader watches")
            setattr(owner, name, original)


class _Operators(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees each operator that runs in a thread."""

    def __init__(self, note: Callable[[str], None]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._note = note
        self.rounds = False

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # to skip dynamo, torch would import it first, which takes a second

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name
        if torch._C._current_graph_task_id() != _NOT_IN_A_PASS:
            self._note(_PASSED)
        elif _is_formula(name):
            self._note(f"called {name}")
        elif name in _DUAL_NUMBERS:
            self._note(_FORWARD)
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor) and result.dtype is torch.float32:
            self.rounds = self.rounds or any(isinstance(a, torch.Tensor) and a.dtype is torch.float64 for a in args)
        return result


class _Calls(TorchFunctionMode):
    """
    Sees each call from Python to PyTorch in a thread.

    Outside of inference mode, operators that consist of others are taken apart before a dispatch mode sees them, and
    the node of a graph that has saved nothing runs ordinary operators. In inference mode there is no need for it: it
    costs time, and where a notebook has replaced `torch.Tensor.sub`, it would make `-` use that.
    """

    def __init__(self, note: Callable[[str], None]) -> None:
        super().__init__()
        self._note = note

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if isinstance(func, (OpOverload, OpOverloadPacket)):
            name = str(getattr(func, "_qualified_op_name", "") or func._schema.name)
            if _is_formula(name):
                self._note(f"called {name}")
        elif type(func) is BuiltinFunctionType and _is_formula(name := f"aten::{func.__name__}"):
            self._note(f"called {name}")
        result = func(*args, **(kwargs or {}))
        if result is not None and getattr(func, "__self__", None) is _NODE_OF_A_TENSOR:
            return WatchedNode.around(result, lambda: self._note(_CALLED_A_NODE))
        return result


def sees_a_pass(account: Journal) -> bool:
    """
    Whether a trace still sees a backward pass. If not, the notebook has changed what the grader watches.

    Args:
        account: The journal in which this pass is accounted for.
    """
    account.passes = None if account.passes is None else account.passes + 1
    seen: list[bytes] = []
    journal = Journal()
    journal.turn_to("own", seen.append)
    try:
        with torch.inference_mode(mode=False), torch.enable_grad(), AutogradTrace(journal).watching():
            torch.ones((), requires_grad=True).mul(2.0).backward()  # type: ignore[no-untyped-call]
    except Exception:
        return False
    return bool(seen)


def _is_formula(name: str) -> bool:
    namespace, _, operator = name.partition("::")
    return namespace == "aten" and operator != "backward" and _FORMULA.search(operator) is not None


def _without_watched_nodes(value: Any) -> Any:
    """An argument of a backward pass as the engine wants it."""
    if isinstance(value, GradientEdge):
        return value._replace(node=bare(value.node), ownership_token=bare(value.ownership_token))
    return tuple(map(_without_watched_nodes, value)) if type(value) is tuple else value
