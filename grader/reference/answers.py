"""
Calls functions of ours, such as a solution, in this process, as students' functions are called in theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from grader.calling.answer import read_answer
from grader.calling.asked import Asked
from grader.calling.exercise import Exercise

__all__ = ["answer_of", "in_float64"]


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
    asked = Asked(exercise.name, exercise.targets, exercise.equation, exercise.arrays, exercise.is_lines)
    _, tensors = read_answer(asked.call(variables, arguments), asked)
    return tuple(tensors.values()) if tuple(tensors) == tuple(range(len(exercise.parts))) else None


def in_float64(tensor: torch.Tensor) -> torch.Tensor:
    """A copy, float64; of whole numbers and booleans, in their own dtype."""
    return tensor.to(torch.float64 if tensor.is_floating_point() else tensor.dtype, copy=True)
