"""
Makes the fixed cases that exercises are called on: arguments, and the right gradients from autograd.

A case's inputs are drawn by numpy's `RandomState`, whose streams never change (NEP 19), from a seed made of the
assignment's id and the case's name, so they are the same on every machine. The forward pass runs in float64. Arguments
are rounded to the case's dtype, except for integers and booleans; the reference stays in float64.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from grader.assignment.load import Assignment
from grader.calling.exercise import Exercise
from grader.calling.nested import tensors_in, with_tensors
from grader.compare import compare
from grader.errors import SourceError
from grader.model import Outcome
from grader.modes import ordinary
from grader.reference.case import Case
from grader.reference.gradients import (
    cotangents_at,
    given_to,
    ignored_in,
    parts_of,
    reference,
    sizes_of_terms,
    upstream_of,
    weighted,
)
from grader.reference.networks import (
    PRACTICE,
    Network,
    Point,
    draw_inputs,
    draw_parameters,
    evaluate_network,
    networks_of,
    points_of,
    rounded,
)
from grader.reference.solution import check_solution

__all__ = [
    "Case",
    "build_cases",
    "case_at",
    "exercise_cases",
    "generic_arguments",
    "longest_sum",
]


@functools.lru_cache(maxsize=32)
@ordinary()
def build_cases(assignment: Assignment) -> dict[str, tuple[Case, ...]]:
    """
    The cases of every exercise. The instructor's solution, if there is one, has been checked against autograd on each.

    Raises:
        SourceError: The forward pass fails, or an exercise names a tensor that it does not return.
        SolutionError: A solution raises, or disagrees with autograd.
    """
    networks = networks_of(assignment)
    cases = {exercise.name: exercise_cases(assignment, exercise, networks) for exercise in assignment.exercises}
    for exercise in assignment.exercises:
        _check_ignored(assignment, exercise, cases[exercise.name])
        _check_upstream_suffices(assignment, exercise, cases[exercise.name][0], networks["mnist"])
        for case in cases[exercise.name] if exercise.name in assignment.solutions else ():
            check_solution(assignment, exercise, case)
    return cases


def exercise_cases(assignment: Assignment, exercise: Exercise, networks: dict[str, Network]) -> tuple[Case, ...]:
    """
    The cases of one exercise, without checking the solution.

    Raises:
        SourceError: As for `build_cases`.
    """
    return tuple(
        case_at(assignment, exercise, point, network, cotangents_at(assignment, exercise, point, network))
        for point in points_of(assignment)
        for network in (networks[point.name],)
        if not point.combined or upstream_of(exercise, networks["mnist"])
    )


def generic_arguments(assignment: Assignment, exercise: Exercise, *, rows: int, seed: int) -> dict[str, Any]:
    """
    Arguments for an exercise from images, with normally distributed parameters and random weights, float64.

    Two functions that agree on these agree in general. On initial parameters, they may agree by accident.
    """
    generator = torch.Generator().manual_seed(seed)

    def draw(like: torch.Tensor) -> torch.Tensor:
        return torch.randn(like.shape, generator=generator, dtype=torch.float64)

    def weights(length: int) -> torch.Tensor:
        return torch.from_numpy(np.random.RandomState(seed + length).standard_normal(length))

    inputs = draw_inputs(assignment, rows, seed)
    initial = draw_parameters(assignment, seed)
    parameters = {name: draw(tensor) / max(1, *tensor.shape[:1]) ** 0.5 for name, tensor in initial.items()}
    network = evaluate_network(assignment, inputs, parameters)
    upstream = weighted(network, upstream_of(exercise, network), rows=rows, draw=weights)
    given: dict[str, Any] = with_tensors(given_to(assignment, exercise, network, upstream), torch.Tensor.detach)
    return given


def case_at(
    assignment: Assignment,
    exercise: Exercise,
    point: Point,
    network: Network,
    upstream: Mapping[str, torch.Tensor],
) -> Case:
    """
    A case of an exercise, without checking the solution.

    Args:
        network: The network at the point.
        upstream: The upstream gradients by name, float64.

    Raises:
        SourceError: As for `build_cases`.
    """
    given = given_to(assignment, exercise, network, upstream)
    arguments = with_tensors(given, lambda tensor: rounded(tensor, point.dtype))
    cotangents = {name: arguments[name].double() for name in upstream}
    gradients = reference(assignment, exercise, network, cotangents)
    for target, gradient in zip(exercise.targets, gradients, strict=True):
        if not bool(torch.isfinite(gradient).all()):
            raise SourceError(
                f"{assignment.called(exercise.name)}: the gradient of {target} has entries that are nan or inf.",
                "Does the forward pass divide by zero, or take the logarithm or the root of zero, on some image?",
            )
    expected = parts_of(assignment, exercise, network, gradients)
    sizes = sizes_of_terms(assignment, exercise, network, cotangents, gradients, given)
    targets = (network.values[target] for target in exercise.targets)
    tensors = [tensor for _, tensor in tensors_in("", list(arguments.values()))]
    return Case(
        name=point.name,
        public=point.public or assignment.hidden_seed == PRACTICE,
        dtype=point.dtype,
        rows=point.rows,
        arguments=arguments,
        cotangents=cotangents,
        expected=expected,
        gradients=gradients,
        terms=longest_sum([*tensors, *targets, *expected]),
        scales=sizes.of_parts,
        gradient_scales=sizes.of_gradients,
        tolerance=exercise.tolerance,
        is_squeezable=exercise.is_squeezable,
        ignored=ignored_in(assignment, exercise, network),
    )


def longest_sum(tensors: list[Any]) -> int:
    """
    A bound on the length of the sums in a gradient, with a few more terms for the operations around them.

    A sum goes along one axis of a matrix, and along all axes but one of a tensor of more dimensions.
    """
    sizes = [tuple(tensor.shape) or (1,) for tensor in tensors if isinstance(tensor, torch.Tensor)]
    return 8 + max(max(*shape, math.prod(shape) // max(1, min(shape))) for shape in sizes)


def _check_ignored(assignment: Assignment, exercise: Exercise, cases: tuple[Case, ...]) -> None:
    """Check that the conditions of an exercise are about entries of its parts, and leave some of them."""
    for number, condition in enumerate(exercise.ignored):
        part, where = exercise.parts[number], assignment.called(exercise.name, "ignore")
        masks = [(case.ignored[number], case.expected[number]) for case in cases]
        for mask, right in masks:
            if mask is not None and mask.shape != right.shape:
                raise SourceError(
                    f"{where}: `{condition}` has the shape {tuple(mask.shape)}, but {part} has {tuple(right.shape)}.",
                    "A condition in `ignore` says for each entry of its part whether it counts.",
                )
        if all(mask is not None and bool(mask.all()) for mask, _ in masks):
            raise SourceError(
                f"{where}: `{condition}` holds everywhere, so nothing of {part} would be compared.",
                "A condition in `ignore` names the entries that do not count.",
            )


def _check_upstream_suffices(assignment: Assignment, exercise: Exercise, case: Case, network: Network) -> None:
    """Check that the upstream gradients of an exercise determine the whole gradient of each target."""
    for target, gradient, scale in zip(exercise.targets, case.gradients, case.gradient_scales, strict=True):
        whole = network.gradients[f"d{target}"]
        compared = compare(
            whole, gradient, terms=case.terms, argument_dtype=case.dtype, scale=scale, factor=case.tolerance
        )
        if compared.outcome is not Outcome.MATCH and target not in exercise.partial:
            raise SourceError(
                f"{assignment.called(exercise.name)} cannot know all of d{target}: the loss depends on {target} in "
                f"other ways than through {', '.join(case.upstream) or 'the arguments'}.",
                "Give it the gradient of every tensor that is computed from the target; or, if it returns only a part "
                f"of the gradient, to which a later step adds the rest, set `partial: [{target}]`.",
            )
