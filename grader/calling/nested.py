"""
Tensors within tuples, lists and dicts, as a cache holds them, beside numbers and text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch

__all__ = ["constants_in", "from_json", "tensors_in", "to_json", "with_tensors"]

_PLAIN = (bool, int, float, str, type(None))


def tensors_in(name: str, value: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """
    The tensors in a value, each with its own name.

    >>> [name for name, _ in tensors_in("cache", (torch.ones(1), 3, {"w": torch.ones(2)}))]
    ['cache[0]', "cache[2]['w']"]
    """
    yield from ((each, leaf) for each, leaf in _leaves(name, value) if isinstance(leaf, torch.Tensor))


def constants_in(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """
    The numbers and texts in a value, each with its own name.

    >>> list(constants_in("cache", (torch.ones(1), {"stride": 2})))
    [("cache[1]['stride']", 2)]
    """
    yield from ((each, leaf) for each, leaf in _leaves(name, value) if isinstance(leaf, _PLAIN))


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """What is in a value and is no collection, each with its own name."""
    if isinstance(value, (tuple, list)):
        for number, part in enumerate(value):
            yield from _leaves(f"{name}[{number}]", part)
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from _leaves(f"{name}[{key!r}]", part)
    else:
        yield name, value


def with_tensors(value: Any, change: Callable[[torch.Tensor], Any]) -> Any:
    """A value with something else in the place of each of its tensors."""
    if isinstance(value, torch.Tensor):
        return change(value)
    if isinstance(value, (tuple, list)):
        return type(value)(with_tensors(part, change) for part in value)
    if isinstance(value, dict):
        return {key: with_tensors(part, change) for key, part in value.items()}
    return value


def to_json(name: str, value: Any) -> Any:
    """
    A value as JSON data, with the names of its tensors in their place.

    Raises:
        TypeError: Something in it is neither a tensor, nor a number, text, None, a tuple, a list or a dict.
    """
    if isinstance(value, torch.Tensor):
        return {"tensor": name}
    if isinstance(value, (tuple, list)):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {kind: [to_json(f"{name}[{number}]", part) for number, part in enumerate(value)]}
    if isinstance(value, dict):
        return {"dict": [[key, to_json(f"{name}[{key!r}]", part)] for key, part in value.items()]}
    if isinstance(value, _PLAIN):
        return {"plain": value}
    raise TypeError(f"{name} is {type(value).__name__}")


def from_json(described: Any, tensors: Mapping[str, torch.Tensor]) -> Any:
    """The value that `to_json` described, with these tensors in it."""
    ((kind, content),) = described.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "dict":
        return {key: from_json(part, tensors) for key, part in content}
    if kind == "plain":
        return content
    parts = [from_json(part, tensors) for part in content]
    return tuple(parts) if kind == "tuple" else parts
