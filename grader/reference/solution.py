"""
Checks the instructor's solutions, and says to their author what is wrong: the solution, `call`, or the forward pass.
"""

from __future__ import annotations

import math
import traceback
from pathlib import Path

import torch

from grader.assignment.load import Assignment
from grader.assignment.source import as_sentence, line_in
from grader.calling.equation import free_names
from grader.calling.exercise import Exercise
from grader.calling.nested import with_tensors
from grader.compare import Comparison, same_but_for_ones
from grader.errors import SolutionError
from grader.model import Outcome
from grader.reference.answers import answer_of, misfit, value_of
from grader.reference.case import Case

__all__ = ["check_solution"]

_NEAR = 20
"""If a solution is off by less than this, relative to the tolerance, it may be because of rounding."""


def check_solution(assignment: Assignment, exercise: Exercise, case: Case) -> None:
    """
    Check that the instructor's solution agrees with autograd on a case.

    Raises:
        SolutionError: It raises, or disagrees.
    """
    variables = {**assignment.namespace, **assignment.solutions}
    try:
        returned = answer_of(exercise, variables, with_tensors(case.arguments, torch.Tensor.clone))
    except Exception as error:
        raise _raised(assignment, exercise, case, error) from error
    if returned is None:
        value = value_of(exercise, variables, with_tensors(case.arguments, torch.Tensor.clone))
        raise SolutionError(
            f"The solution of {assignment.called(exercise.name)} {misfit(exercise, value)}.",
            "Nothing was graded. Fix the solution, or say what it returns in `call` or `targets`.",
        )
    for number, got in enumerate(returned):
        compared = case.compare(got, target=number, argument_dtype=case.dtype)
        if compared.outcome is not Outcome.MATCH:
            raise _disagrees(assignment, exercise, case, number, got, compared)


def _raised(assignment: Assignment, exercise: Exercise, case: Case, error: Exception) -> SolutionError:
    """The error that a solution raised, or that its author's `call` did."""
    name = f"{assignment.id}.md"
    frames = [Path(frame.filename).name for frame in traceback.extract_tb(error.__traceback__)]
    ours = [frame for frame in frames if frame in ("<call>", name)]
    if ours and ours[-1] == "<call>":
        hint = "Correct `call`, or what the solution leaves behind for it."
        if isinstance(error, TypeError):
            hint = f"Give it what {exercise.name} takes."
        return SolutionError(
            f"The `call` of {assignment.called(exercise.name, 'call')} raised on {case.name}: {as_sentence(error)}",
            f"Nothing was graded. {hint}",
        )
    line = line_in(error, name)
    where = f", in line {line}" if line else ""
    remedy = "Fix the solution in the source notebook."
    if isinstance(error, NameError):
        remedy = (
            "What a solution uses of other cells must be in a cell tagged `network`, or be an exercise. Weights that "
            "it reads as variables of the notebook must be parameters instead: `call` gives it those of the network."
        )
    return SolutionError(
        f"The solution of {assignment.called(exercise.name)} raised on {case.name}{where}: {as_sentence(error)}",
        f"Nothing was graded. {remedy}",
    )


def _disagrees(
    assignment: Assignment, exercise: Exercise, case: Case, number: int, got: torch.Tensor, compared: Comparison
) -> SolutionError:
    """The error that a part of what a solution returns is wrong."""
    part = exercise.parts[number]
    shapes = f"has the shape {tuple(got.shape)}, not {tuple(case.expected[number].shape)}"
    what = shapes if compared.outcome is Outcome.WRONG_SHAPE else "is wrong"
    which = f": its {part} {what}" if len(exercise.parts) > 1 or what == shapes else ""
    remedy = "Fix the solution or the forward pass in the source notebook."
    if what == shapes and same_but_for_ones(got.shape, case.expected[number].shape):
        remedy = f"{remedy[:-1]}; or set `squeezable: true`, which accepts a shape without dimensions of size 1."
    if compared.max_abs_error is not None and compared.max_abs_error < _NEAR * (compared.tolerance or 0.0):
        times = compared.max_abs_error / (compared.tolerance or 1.0)
        remedy = (
            f"It is off by {times:.1f} times what rounding usually explains. If it is rounding (of p near 1 "
            f"in `1 - p`, for example), keep numbers smaller, or set `tolerance: {math.ceil(2 * times)}`."
        )
    is_gradient = bool({f"d{target}" for target in exercise.targets} & set(free_names(part))) or "derivative(" in part
    called = assignment.called(exercise.name)
    problem = f"The solution of {called} disagrees with your forward pass on {case.name}{which}."
    if is_gradient:
        problem = f"The solution of {called} disagrees with autograd on {case.name}{which}."
    return SolutionError(problem, f"Nothing was graded. {remedy}")
