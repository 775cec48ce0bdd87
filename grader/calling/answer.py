"""
Describes what a student's function returned, and copies the numbers in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from grader.calling.asked import Asked
from grader.calling.equation import Equation, Template

__all__ = ["read_answer", "type_name"]

_NAME_CHARACTERS = 100
_MOST_PARTS = 100
_LARGEST_COPY = 1 << 26


def read_answer(value: Any, asked: Asked) -> tuple[dict[str, Any], dict[int, torch.Tensor]]:
    """
    Describe what a function returned, and copy the tensors in it.

    This belongs to the call: what a student's subclass of Tensor or of dict computes while it is read is computed by
    the student, and what a thread writes into a tensor later does not count.

    Returns:
        JSON data, and the tensors by the number of the part that they are.
    """
    collection, parts = _parts(value, asked)
    description: dict[str, Any] = {
        "status": "returned",
        "type": type_name(value),
        "collection": collection,
        "parts": len(parts),
    }
    if len(parts) > _MOST_PARTS:
        return description, {}
    tensors = {number: _as_tensor(part, asked) for number, part in parts.items()}
    found = {number: tensor for number, tensor in tensors.items() if tensor is not None}
    absent = [[number, type_name(parts[number])] for number in parts if number not in found]
    if absent and not asked.equation:
        return description, {}
    if absent:
        description["absent"] = absent
    else:
        description["shapes"] = [list(torch.Tensor.size(tensor)) for tensor in found.values()]
        description["dtypes"] = [str(tensor.dtype).removeprefix("torch.") for tensor in found.values()]
    description["requires_grad"] = any(tensor.requires_grad for tensor in found.values())
    if not all(tensor.layout is torch.strided and tensor.device.type == "cpu" for tensor in found.values()):
        return description, {}  # the numbers of sparse or meta tensors cannot be sent
    return description, {number: _copy(tensor.detach().as_subclass(torch.Tensor)) for number, tensor in found.items()}


def type_name(value: object) -> str:
    """The name of a value's type, with its module if that is not Python's own."""
    cls = type(value)
    name = cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"
    return name[:_NAME_CHARACTERS]


def _as_tensor(value: Any, asked: Asked) -> torch.Tensor | None:
    """A value as a tensor, if it is one, or is an array where arrays are asked for, or a number in an equation."""
    if isinstance(value, torch.Tensor):
        return value
    if asked.arrays == "numpy" and isinstance(value, (np.ndarray, np.generic)):
        try:
            return torch.from_numpy(np.array(value))
        except TypeError:  # of objects or text
            return None
    if asked.equation and isinstance(value, (bool, int, float)):
        return torch.tensor(value, dtype=torch.float64 if isinstance(value, float) else None)
    return None


def _copy(tensor: torch.Tensor) -> torch.Tensor:
    """A copy, unless the tensor is too large to be sent, or of a dtype that can be neither copied nor sent."""
    if tensor.numel() * tensor.element_size() > _LARGEST_COPY:
        return tensor
    try:
        return tensor.clone()
    except (RuntimeError, NotImplementedError):
        return tensor


def _parts(value: Any, asked: Asked) -> tuple[str | None, dict[int, Any]]:
    """The kind of collection that a value is, if it is one, and what is in it, by the number of the part that it is."""
    kind = _kind(value)
    if asked.equation:
        equation = Equation.of(asked.equation)
        parts: dict[int, Any] = {}
        _take_apart(value, equation.template, equation.parts, parts)
        return kind, dict(sorted(parts.items()))
    if kind is None:
        return None, {0: value}
    return kind, dict(enumerate(_in_order(_names_in(value, kind), list(_values_in(value)), asked.targets)))


def _kind(value: Any) -> str | None:
    if isinstance(value, dict):
        return "dict"
    if isinstance(value, tuple):
        return "tuple" if type(value) is tuple else "named tuple"
    return "list" if isinstance(value, list) else None


def _names_in(value: Any, kind: str) -> Sequence[Any]:
    if kind == "dict":
        return list(value.keys())
    return getattr(type(value), "_fields", ()) if kind == "named tuple" else ()


def _values_in(value: Any) -> Sequence[Any]:
    return list(value.values()) if isinstance(value, dict) else list(value)


def _take_apart(value: Any, template: Template, names: Sequence[str], parts: dict[int, Any]) -> None:
    """
    Find the parts of a result; those that are not where they should be are left out.

    A tuple may be a list, and the other way round. Either may be a dict that names its parts, and a dict may have more
    in it than it must.
    """
    if isinstance(template, int):
        is_alone = isinstance(value, (tuple, list)) and len(value) == 1
        parts[template] = value[0] if is_alone else value
        return
    kind = _kind(value)
    if kind is None:
        if len(template) == 1:
            _take_apart(value, next(iter(_values_in(template))), names, parts)
        return
    if isinstance(template, dict) and isinstance(value, dict):
        for key, inner in template.items():
            place = key if key in value else _alike(key, value)
            if place is not None:
                _take_apart(value[place], inner, names, parts)
        return
    places = _values_in(template)
    labels = [names[place] if isinstance(place, int) else "" for place in places]
    called = list(template) if isinstance(template, dict) else [label.removeprefix("d") or label for label in labels]
    values = _in_order(_names_in(value, kind), _values_in(value), called)
    if len(values) == len(places):
        for place, inner in zip(places, values, strict=True):
            _take_apart(inner, place, names, parts)


def _alike(key: Any, value: Mapping[Any, Any]) -> Any:
    """The key of a dict that is the same but for upper and lower case, or for what says that it is a gradient."""
    if not isinstance(key, str):
        return None
    alike = [other for other in value if isinstance(other, str) and _bare(other) == _bare(key)]
    return alike[0] if len(alike) == 1 else None


def _bare(name: str) -> str:
    for prefix in ("grad_", "d_", "d"):
        if name.startswith(prefix):
            return name.removeprefix(prefix).lower()
    return name.lower()


def _in_order(names: Sequence[Any], parts: Sequence[Any], targets: Sequence[str]) -> Sequence[Any]:
    """Parts whose names are those of targets, in the order of the targets; other parts take the places between."""
    if not len(names) == len(parts) == len(targets):
        return parts
    wanted = [next((n for n, target in enumerate(targets) if _is_called(name, target)), None) for name in names]
    named = {place: part for place, part in zip(wanted, parts, strict=True) if place is not None}
    others = [part for place, part in zip(wanted, parts, strict=True) if place is None]
    if len(named) + len(others) != len(parts):  # two parts have the name of one target
        return parts
    return [named[place] if place in named else others.pop(0) for place in range(len(targets))]


def _is_called(name: Any, target: str) -> bool:
    return isinstance(name, str) and bool(target) and name in (target, f"d{target}", f"d_{target}", f"grad_{target}")
