"""
Watches, during a call, ways into the grader and ways out of its sight that Python does not report by itself.
"""

from __future__ import annotations

import builtins
import functools
import importlib
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
import torch.overrides
import torch.utils._python_dispatch

from grader.harness.observer import Observer
from grader.harness.trace import STARTS_OF_THREADS, AutogradTrace

__all__ = ["watched_entrances"]

_FOR_EVERYBODY = ("check", "load_mnist")
"""What a notebook may import from the grader."""

_SWITCHES: tuple[tuple[Any, str], ...] = (
    (torch._C, "_DisableTorchDispatch"),
    (torch._C, "DisableTorchFunction"),
    (torch._C, "_ExcludeDispatchKeyGuard"),
    (torch._C, "_ForceDispatchKeyGuard"),
    (torch._C, "_pop_torch_dispatch_stack"),
    (torch._C, "_pop_torch_function_stack"),
    (torch.utils._python_dispatch, "_disable_current_modes"),
    (torch.utils._python_dispatch, "_pop_mode"),
    (torch.utils._python_dispatch, "_pop_mode_temporarily"),
    (torch.overrides, "_pop_mode"),
    (torch.overrides, "_pop_mode_temporarily"),
)
"""What switches off the modes by which operators are seen. PyTorch itself uses it, too: only the caller tells."""


def watched_entrances(trace: AutogradTrace, observer: Observer) -> AbstractContextManager[None]:
    """A context in a call: it is noted if the notebook starts threads, switches modes off or imports the grader."""

    def switching(original: Callable[..., Any]) -> Callable[..., Any]:
        def switched(*args: Any, **kwargs: Any) -> Any:
            observer.note("switched off modes of PyTorch", sys._getframe(1))
            return original(*args, **kwargs)

        return switched

    def starting(original: Callable[..., Any], *, what: str) -> Callable[..., Any]:
        @functools.wraps(original)
        def started(*args: Any, **kwargs: Any) -> Any:
            observer.note(f"started {what}", sys._getframe(1), way="any")
            return original(*args, **kwargs)

        return started

    def importing(original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def imported(name: str, *args: Any, **kwargs: Any) -> Any:
            names = args[2] if len(args) > 2 else kwargs.get("fromlist")
            if _is_internal(name, names):
                observer.note(f"imported {name}", sys._getframe(1))
            return original(name, *args, **kwargs)

        return imported

    a_thread = functools.partial(starting, what="a thread")
    program = functools.partial(starting, what="another program")
    return trace.replaced(
        [
            *((owner, name, switching) for owner, name in _SWITCHES),
            *((owner, name, a_thread) for owner, name in STARTS_OF_THREADS),
            (sys.modules.get("_posixsubprocess"), "fork_exec", program),
            (builtins, "__import__", importing),
            (importlib, "import_module", importing),
        ]
    )


def _is_internal(name: object, names: object) -> bool:
    """
    Whether an import is one of the grader's internals.

    >>> _is_internal("grader.harness", None), _is_internal("grader", ("harness",)), _is_internal("grader", ("check",))
    (True, True, False)
    """
    if not isinstance(name, str) or name.partition(".")[0] != "grader":
        return False
    return name != "grader" or bool(set(names if isinstance(names, tuple) else ()) - set(_FOR_EVERYBODY))
