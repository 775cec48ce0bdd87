"""
Calls functions of ours, such as a solution, in this process, as students' functions are called in theirs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from grader.calling.answer import read_answer, type_name
from grader.calling.asked import Asked
from grader.calling.equation import Equation
from grader.calling.exercise import Exercise

__all__ = ["answer_of", "in_float64", "misfit", "value_of"]


def answer_of(
    exercise: Exercise, variables: dict[str, Any], arguments: Mapping[str, Any]
) -> tuple[torch.Tensor, ...] | None:
    """
    What a function of ours returns, by parts.

    Args:
        variables: The function, by the exercise's name, and all that it may need.
        arguments: By name. The function may change them.

    Returns:
        None if a part is missing, or is no tensor.
    """
    if not exercise.equation and exercise.arrays == "torch":
        returned = variables[exercise.name](**arguments)
        values = returned if isinstance(returned, tuple) else (returned,)
        are_right = len(values) == len(exercise.targets) and all(isinstance(value, torch.Tensor) for value in values)
        return values if are_right else None
    asked = _asked(exercise)
    _, tensors = read_answer(asked.call(variables, arguments), asked)
    return tuple(tensors.values()) if tuple(tensors) == tuple(range(len(exercise.parts))) else None


def value_of(exercise: Exercise, variables: dict[str, Any], arguments: Mapping[str, Any]) -> Any:
    """What a function of ours returns, as it is; the arguments are those of `answer_of`."""
    return _asked(exercise).call(variables, arguments)


def misfit(exercise: Exercise, value: Any) -> str:
    """How what a function returned differs from what is asked for: the end of a sentence, "returns …"."""
    named = "`call`" if exercise.equation else "`targets`"
    template = Equation.of(exercise.equation).template if exercise.equation else list(range(len(exercise.targets)))
    many = value if isinstance(value, (tuple, list)) else None
    asked_for = len(template) if isinstance(template, list) else 1
    if not isinstance(template, dict) and many is not None and len(many) != asked_for:
        return f"returns {len(many)} value{'' if len(many) == 1 else 's'}, but {named} names {asked_for}"
    asked = _asked(exercise)
    _, tensors = read_answer(value, asked)
    missing = [part for number, part in enumerate(exercise.parts) if number not in tensors]
    if isinstance(template, dict) and isinstance(value, dict):
        keys = [repr(key) for key, place in template.items() if place not in tensors]
        return f"returns a dict without {_list_of(keys)}"
    kind = type_name(value)
    return f"returns {'nothing' if value is None else f'no {_list_of(missing)}, but a {kind}'}"


def _asked(exercise: Exercise) -> Asked:
    return Asked(exercise.name, exercise.targets, exercise.equation, exercise.arrays, exercise.is_lines)


def _list_of(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def in_float64(tensor: torch.Tensor) -> torch.Tensor:
    """A copy, float64; of whole numbers and booleans, in their own dtype."""
    return tensor.to(torch.float64 if tensor.is_floating_point() else tensor.dtype, copy=True)
