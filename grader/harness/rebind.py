"""
Gives variables of the notebook other values for a while: what a function returns then shows whether it reads them.
"""

from __future__ import annotations

import contextlib
import numbers
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

__all__ = ["other", "rebound"]

_LARGEST_BYTES = 1 << 26
_LONGEST = 100
_DEPTH = 3


@contextlib.contextmanager
def rebound(namespace: dict[str, Any], function: Any, change: Mapping[str, Any] | None) -> Iterator[None]:
    """
    Within the context, a variable holds something else. What cannot be changed stays as it is.

    Args:
        function: Where the variable was read when the function was defined, its default arguments are changed as well.
        change: `name` of the variable; `kind` of the change, see `other`; `frozen` if it is read in a default argument.
    """
    if change is None:
        yield
        return
    name = change["name"]
    is_there, held = name in namespace, namespace.get(name)
    defaults = {key: getattr(function, key, None) for key in ("__defaults__", "__kwdefaults__") if change["frozen"]}
    try:
        if is_there:
            with contextlib.suppress(Exception):  # an object of the student's may raise wherever it is touched
                namespace[name] = other(held, change["kind"])
        for key, values in defaults.items():
            with contextlib.suppress(Exception):
                setattr(function, key, other(values, change["kind"]))
        yield
    finally:
        if is_there:
            namespace[name] = held
        for key, values in defaults.items():
            with contextlib.suppress(Exception):
                setattr(function, key, values)


def other(value: Any, kind: str, *, depth: int = _DEPTH) -> Any:
    """
    Something like a value, but not the same; what is neither number nor tensor, nor made of them, is returned as it is.

    Args:
        kind: `values`: other numbers of the same shape and dtype. `rows`: tensors lose the second half of their rows,
            and numbers stay.

    >>> other(64, "values"), other([0.0, "a"], "values")
    (32, [1.0, 'a'])
    >>> other(torch.tensor([[2.0], [-1.0]]), "values").tolist()
    [[-3.0], [0.0]]
    >>> other({"x": torch.zeros(6, 5)}, "rows")["x"].shape
    torch.Size([3, 5])
    """
    if isinstance(value, bool):
        return value
    if isinstance(value, torch.Tensor):
        tensor = value.detach().as_subclass(torch.Tensor)
        return _fewer_rows(tensor) if kind == "rows" else _other_tensor(tensor)
    if isinstance(value, np.ndarray):
        return other(torch.from_numpy(value), kind).numpy()
    if isinstance(value, numbers.Real):
        return value if kind == "rows" else _other_number(value)
    if depth and type(value) in (list, tuple) and len(value) <= _LONGEST:
        return type(value)(other(part, kind, depth=depth - 1) for part in value)
    if depth and type(value) is dict and len(value) <= _LONGEST:
        return {key: other(part, kind, depth=depth - 1) for key, part in value.items()}
    return value


def _fewer_rows(tensor: torch.Tensor) -> torch.Tensor:
    return tensor[: (len(tensor) + 1) // 2] if tensor.ndim else tensor


def _other_tensor(tensor: torch.Tensor) -> torch.Tensor:
    if tensor.numel() == 0 or tensor.numel() * tensor.element_size() > _LARGEST_BYTES:
        return tensor
    if tensor.dtype == torch.bool:
        return ~tensor
    if tensor.is_floating_point() or tensor.is_complex():
        return -tensor - 1  # no sign, no zero and no sum stays what it was
    return torch.where(tensor == tensor.max(), tensor.min(), tensor + 1)  # labels and indices stay in their range


def _other_number(number: Any) -> Any:
    if isinstance(number, numbers.Integral):
        return number + 1 if number in (-1, 0, 1) else number // 2
    return number + 1 + abs(number)
