"""
Changes variables of the notebook for a while: what a function returns then shows whether it reads them.
"""

from __future__ import annotations

import contextlib
import numbers
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

__all__ = ["altered", "rebound"]

_LARGEST_BYTES = 1 << 26
_LONGEST = 100
_DEPTH = 3


@contextlib.contextmanager
def rebound(namespace: dict[str, Any], function: Any, change: Mapping[str, Any] | None) -> Iterator[None]:
    """
    Within the context, a variable has another value. A value that cannot be changed stays the same.

    Args:
        namespace: The variables of the notebook.
        function: The function that is called.
        change: The `name` of the variable; the `kind` of change, see `altered`; and `frozen`, whether default arguments
            read it, so that the function's default arguments are changed, too. None to change nothing.
    """
    if change is None:
        yield
        return
    name = change["name"]
    is_defined, value = name in namespace, namespace.get(name)
    defaults = {key: getattr(function, key, None) for key in ("__defaults__", "__kwdefaults__") if change["frozen"]}
    try:
        if is_defined:
            with contextlib.suppress(Exception):  # a student's object may raise in any operation
                namespace[name] = altered(value, change["kind"])
        for key, values in defaults.items():
            with contextlib.suppress(Exception):
                setattr(function, key, altered(values, change["kind"]))
        yield
    finally:
        if is_defined:
            namespace[name] = value
        for key, values in defaults.items():
            with contextlib.suppress(Exception):
                setattr(function, key, values)


def altered(value: Any, kind: str, *, depth: int = _DEPTH) -> Any:
    """
    A value similar to the given one but different, for numbers, tensors, and containers of them. Others are unchanged.

    Args:
        kind: `values` for other numbers of the same shape and dtype. `rows` to drop the second half of the rows of
            tensors, and leave numbers unchanged.
        depth: How many containers within one another are altered.

    >>> altered(64, "values"), altered([0.0, "a"], "values")
    (32, [1.0, 'a'])
    >>> altered(torch.tensor([[2.0], [-1.0]]), "values").tolist()
    [[-3.0], [0.0]]
    >>> altered({"x": torch.zeros(6, 5)}, "rows")["x"].shape
    torch.Size([3, 5])
    """
    if isinstance(value, bool):
        return value
    if isinstance(value, torch.Tensor):
        tensor = value.detach().as_subclass(torch.Tensor)
        return _fewer_rows(tensor) if kind == "rows" else _altered_tensor(tensor)
    if isinstance(value, np.ndarray):
        return altered(torch.from_numpy(value), kind).numpy()
    if isinstance(value, numbers.Real):
        return value if kind == "rows" else _altered_number(value)
    if depth and type(value) in (list, tuple) and len(value) <= _LONGEST:
        return type(value)(altered(part, kind, depth=depth - 1) for part in value)
    if depth and type(value) is dict and len(value) <= _LONGEST:
        return {key: altered(part, kind, depth=depth - 1) for key, part in value.items()}
    return value


def _fewer_rows(tensor: torch.Tensor) -> torch.Tensor:
    return tensor[: (len(tensor) + 1) // 2] if tensor.ndim else tensor


def _altered_tensor(tensor: torch.Tensor) -> torch.Tensor:
    if tensor.numel() == 0 or tensor.numel() * tensor.element_size() > _LARGEST_BYTES:
        return tensor
    if tensor.dtype == torch.bool:
        return ~tensor
    if tensor.is_floating_point() or tensor.is_complex():
        return -tensor - 1  # changes signs, zeros and sums
    return torch.where(tensor == tensor.max(), tensor.min(), tensor + 1)  # keeps labels and indices in range


def _altered_number(number: Any) -> Any:
    if isinstance(number, numbers.Integral):
        return number + 1 if number in (-1, 0, 1) else number // 2
    return number + 1 + abs(number)
