"""
Calls a student's function with the arguments of an exercise, whatever its parameters are called.
"""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["call_with"]

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def call_with(function: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    """
    Call by name if the function's parameters have the names of the arguments, in any order, and by position otherwise.

    Parameters after a `*` and `**kwargs` get by name what has their name. A parameter with a default value may have any
    other name.

    >>> call_with(lambda dz, x, scale=2: (x, dz, scale), {"x": 1, "dz": 10})
    (1, 10, 2)
    >>> call_with(lambda a, b: (a, b), {"x": 1, "dz": 10})
    (1, 10)
    >>> call_with(lambda a, *, dz: (a, dz), {"dz": 10, "x": 1})
    (1, 10)
    """
    try:
        signature = _signature(function) if isinstance(function, types.FunctionType) else inspect.signature(function)
    except (TypeError, ValueError):  # of a builtin, for example
        return function(*arguments.values())
    placed = _by_name(signature, arguments)
    if placed is None:
        positional, named = _by_position(signature, arguments)
        return function(*positional, **named)
    bound = inspect.BoundArguments(signature, placed)
    return function(*bound.args, **bound.kwargs)


_signature = functools.lru_cache(maxsize=64)(inspect.signature)
"""That of a function, which is called many times."""


def _by_name(signature: inspect.Signature, arguments: Mapping[str, Any]) -> dict[str, Any] | None:
    """The value of each parameter; None if an argument has no parameter of its name, or a parameter no value."""
    parameters = signature.parameters.values()
    plain = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    names = {parameter.name for parameter in plain}
    other = {name: value for name, value in arguments.items() if name not in names}
    if other and _rest(signature) is None:
        return None
    if any(parameter.default is parameter.empty and parameter.name not in arguments for parameter in plain):
        return None
    placed = {name: arguments[name] for parameter in plain if (name := parameter.name) in arguments}
    return placed | ({str(_rest(signature)): other} if other else {})


def _rest(signature: inspect.Signature) -> str | None:
    """The name of `**kwargs`. Beside `*args` it does not count: wrappers have both, and say nothing about names."""
    kinds = {parameter.kind: parameter.name for parameter in signature.parameters.values()}
    return None if inspect.Parameter.VAR_POSITIONAL in kinds else kinds.get(inspect.Parameter.VAR_KEYWORD)


def _by_position(signature: inspect.Signature, arguments: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """What to pass by position, and what by name: only what cannot be passed by position."""
    parameters = signature.parameters.values()
    keyword_only = [parameter for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
    named = {p.name: arguments[p.name] for p in keyword_only if p.name in arguments}
    others = [(name, value) for name, value in arguments.items() if name not in named]
    room = len([parameter for parameter in parameters if parameter.kind in _POSITIONAL])
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        room = len(others)
    unfilled = [p.name for p in keyword_only if p.default is p.empty and p.name not in named]
    left = others[room:]
    if len(unfilled) == len(left):
        named |= {name: value for name, (_, value) in zip(unfilled, left, strict=True)}
    elif not unfilled and _rest(signature) is not None:
        named |= dict(left)
    else:
        room = len(others)  # it does not fit, and Python says so
    return [value for _, value in others[:room]], named
