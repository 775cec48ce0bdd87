"""
Makes the fixed cases that exercises are called on: arguments, and the right gradients from autograd.

A case's inputs are drawn by numpy's `RandomState`, whose streams never change (NEP 19), from a seed made of the
assignment's id and the case's name, so they are the same on every machine. The forward pass runs in float64. Arguments
are rounded to the case's dtype, except for integers and booleans; the reference stays in float64.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from grader.assignment.load import Assignment
from grader.assignment.source import as_sentence, line_in
from grader.compare import Comparison, compare
from grader.errors import SolutionError, SourceError
from grader.model import Exercise, Outcome
from grader.modes import ordinary
from grader.reference.networks import (
    PRACTICE,
    Network,
    Point,
    draw_inputs,
    draw_parameters,
    evaluate,
    evaluate_network,
    networks_of,
    points_of,
    rounded,
    seed_of,
)
from grader.reference.upstream import Draw, weighted_gradients

__all__ = [
    "Case",
    "ChainCase",
    "build_cases",
    "build_chain",
    "exercise_cases",
    "generic_arguments",
]

_CANCELLED = 1e-2
"""If a gradient is smaller than this, relative to the upstream gradients, its terms may cancel."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """
    One call of one exercise.

    Attributes:
        public: Whether students may see it: it is the public batch, or drawn from no secret.
        dtype: The dtype of the floating arguments.
        rows: How many images are in the batch, N, on whichever axis.
        arguments: By name, in the function's order; any shape.
        upstream: The names of the arguments that are upstream gradients: gradients of the loss.
        expected: Autograd's gradient of each target, float64, with the target's shape.
        terms: The length of the longest sum in a gradient, for the tolerance.
        scales: For each target, the size of the terms of its gradient, if they may cancel.
        tolerance: How many times more than usual an entry may be off.
    """

    name: str
    public: bool
    dtype: torch.dtype
    rows: int
    arguments: dict[str, torch.Tensor]
    upstream: tuple[str, ...]
    expected: tuple[torch.Tensor, ...]
    terms: int
    scales: tuple[float, ...] = ()
    tolerance: float = 1.0

    def scale_of(self, target: int) -> float:
        """The size of the terms of a target's gradient (its position), if they may cancel; 0 if they do not."""
        return self.scales[target] if self.scales else 0.0

    def compare(
        self,
        got: torch.Tensor,
        *,
        target: int,
        argument_dtype: torch.dtype,
        expected: torch.Tensor | None = None,
    ) -> Comparison:
        """Compare the gradient of a target (its position) with the reference, or with another `expected` one."""
        return compare(
            got,
            self.expected[target] if expected is None else expected,
            terms=self.terms,
            argument_dtype=argument_dtype,
            scale=self.scale_of(target),
            factor=self.tolerance,
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ChainCase:
    """
    A backward pass on the public batch: inputs and parameters (float32), right gradients (float64), and losses.

    Attributes:
        scales: For each gradient, the size of its terms, if they may cancel.
    """

    inputs: dict[str, torch.Tensor]
    parameters: dict[str, torch.Tensor]
    expected: dict[str, torch.Tensor]
    losses: tuple[float, ...]
    terms: int
    scales: dict[str, float] = dataclasses.field(default_factory=dict)


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
        _check_upstream_suffices(assignment, exercise, cases[exercise.name][0], networks["mnist"])
        for case in cases[exercise.name] if exercise.name in assignment.solutions else ():
            _check_solution(assignment, exercise, case)
    return cases


def exercise_cases(assignment: Assignment, exercise: Exercise, networks: dict[str, Network]) -> tuple[Case, ...]:
    """
    The cases of one exercise, without checking the solution.

    Raises:
        SourceError: As for `build_cases`.
    """
    return tuple(
        _case(assignment, exercise, point, networks)
        for point in points_of(assignment)
        if not point.combined or _upstream(exercise, networks["mnist"])
    )


@functools.lru_cache(maxsize=32)
@ordinary()
def build_chain(assignment: Assignment) -> ChainCase:
    """The public batch for a whole backward pass, with the losses of a training with autograd's gradients."""
    evaluated = evaluate(assignment, points_of(assignment)[0])
    inputs = {name: rounded(tensor, torch.float32) for name, tensor in evaluated.inputs.items()}
    parameters = {name: rounded(tensor, torch.float32) for name, tensor in evaluated.parameters.items()}
    targets = {f"d{target}" for exercise in assignment.exercises for target in exercise.targets}
    scales: dict[str, float] = {}
    for exercise in assignment.exercises:
        cotangents = {name: evaluated.gradients[name] for name in _upstream(exercise, evaluated)}
        expected = tuple(evaluated.gradients[f"d{target}"] for target in exercise.targets)
        sizes = _scales(assignment, exercise, evaluated, cotangents, expected)
        scales |= {f"d{target}": size for target, size in zip(exercise.targets, sizes, strict=True)}
    return ChainCase(
        inputs=inputs,
        parameters=parameters,
        expected={name: gradient for name, gradient in evaluated.gradients.items() if name in targets},
        losses=_train(assignment, inputs, parameters),
        terms=_terms(list(evaluated.values.values())),
        scales=scales,
    )


def generic_arguments(assignment: Assignment, exercise: Exercise, *, rows: int, seed: int) -> dict[str, torch.Tensor]:
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
    upstream = _weighted(network, _upstream(exercise, network), rows=rows, draw=weights)
    return {name: upstream[name] if name in upstream else network.values[name].detach() for name in exercise.arguments}


def _case(assignment: Assignment, exercise: Exercise, point: Point, networks: dict[str, Network]) -> Case:
    network = networks[point.name]
    cotangents = _cotangents(assignment, exercise, point, network)
    arguments = {}
    for name in exercise.arguments:
        if name in cotangents:
            arguments[name] = rounded(cotangents[name], point.dtype)
        elif isinstance(network.values.get(name), torch.Tensor):
            arguments[name] = rounded(network.values[name], point.dtype)
        else:
            raise SourceError(
                f"{assignment.called(exercise.name)} takes `{name}`, which the network does not have.",
                "An argument is the name of an input, a parameter or an intermediate, or d and one of those names.",
            )
    given = {name: arguments[name].double() for name in cotangents}
    expected = _reference(assignment, exercise, network, given)
    for target, gradient in zip(exercise.targets, expected, strict=True):
        if not bool(torch.isfinite(gradient).all()):
            raise SourceError(
                f"{assignment.called(exercise.name)}: the gradient of {target} has entries that are nan or inf.",
                "Does the forward pass divide by zero, or take the logarithm or the root of zero, on some image?",
            )
    return Case(
        name=point.name,
        public=point.public or assignment.hidden_seed == PRACTICE,
        dtype=point.dtype,
        rows=point.rows,
        arguments=arguments,
        upstream=tuple(cotangents),
        expected=expected,
        terms=_terms([*arguments.values(), *(network.values[target] for target in exercise.targets)]),
        scales=_scales(assignment, exercise, network, given, expected),
        tolerance=exercise.tolerance,
    )


def _reference(
    assignment: Assignment, exercise: Exercise, network: Network, cotangents: Mapping[str, torch.Tensor]
) -> tuple[torch.Tensor, ...]:
    """
    Autograd's gradient of each target, given the upstream gradients of some tensors; without any, that of the loss.

    An upstream gradient is the whole gradient of the loss for its tensor. If one such tensor is computed from another,
    as in two steps of a recurrent network, a hook replaces what flows back to the earlier one by its upstream gradient.
    """
    outputs = [network.values[name[1:]] for name in cotangents] or [network.values["loss"]]
    hooks = [
        output.register_hook(  # type: ignore[no-untyped-call]
            lambda _, whole=gradient: whole
        )
        for output, gradient in zip(outputs, cotangents.values(), strict=False)
    ]
    try:
        targets = [network.values[target] for target in exercise.targets]
        # The hooks decide what flows back, so any number that depends on the outputs can be differentiated. (Given
        # `grad_outputs`, torch first imports sympy, which takes longer than a whole grading.)
        start = torch.stack([output.sum() for output in outputs]).sum()
        gradients = torch.autograd.grad(start, targets, retain_graph=True, allow_unused=True)
        if all(gradient is None for gradient in gradients):
            raise RuntimeError(f"{' and '.join(cotangents) or 'the loss'} cannot reach it")
    except KeyError as error:
        raise SourceError(
            f"{assignment.called(exercise.name)}: the network has no {error.args[0]} to take the gradient of.",
            "Name the function grad_<name of a tensor>, or set `targets`.",
        ) from error
    except RuntimeError as error:
        raise SourceError(
            f"{assignment.called(exercise.name)}: autograd has no gradient of {', '.join(exercise.targets)} ({error}).",
            "The tensors of the upstream gradients must be computed from the targets.",
        ) from error
    finally:
        for hook in hooks:
            hook.remove()
    return tuple(
        torch.zeros_like(target) if gradient is None else gradient.detach().clone()
        for target, gradient in zip(targets, gradients, strict=True)
    )


def _upstream(exercise: Exercise, network: Network) -> tuple[str, ...]:
    """The names of the arguments that are upstream gradients: gradients of the loss."""
    return tuple(name for name in exercise.arguments if name not in network.values and name in network.gradients)


def _cotangents(assignment: Assignment, exercise: Exercise, point: Point, network: Network) -> dict[str, torch.Tensor]:
    """The upstream gradients of an exercise at a point."""
    names = _upstream(exercise, network)
    if not point.random_cotangent:
        return {name: network.gradients[name] for name in names}

    def draw(case: str, length: int) -> torch.Tensor:
        # The exercise is part of the seed, so that the argument of one exercise is not the answer to another.
        seed = seed_of(assignment, f"{case}/{exercise.name}/{length}", hidden=True)
        return torch.from_numpy(np.random.RandomState(seed).standard_normal(length))

    def combined(length: int) -> torch.Tensor:
        # A single number gets the opposite sign, so that both signs are tried.
        return 3 * draw("vjp", length) - 0.5 * draw("linear", length) if length > 1 else -1.5 * draw("vjp", length)

    weights = combined if point.combined else functools.partial(draw, point.name)
    return _weighted(network, names, rows=point.rows, draw=weights)


def _weighted(network: Network, names: tuple[str, ...], *, rows: int, draw: Draw) -> dict[str, torch.Tensor]:
    """Random gradients of the loss, by name, that can occur."""
    tensors = [network.values[name.removeprefix("d")] for name in names]
    gradients = weighted_gradients(network.values["loss"], tensors, rows=rows, draw=draw) if names else ()
    return dict(zip(names, gradients, strict=True))


def _scales(
    assignment: Assignment,
    exercise: Exercise,
    network: Network,
    cotangents: Mapping[str, torch.Tensor],
    expected: tuple[torch.Tensor, ...],
) -> tuple[float, ...]:
    """
    The size of the terms that each gradient is a sum of, or 0 where none is so small that its terms may cancel.

    Terms that cancel for the given upstream gradients do not cancel for others of the same size, drawn at random.
    """
    sizes = {name: float(given.square().mean().sqrt()) for name, given in cotangents.items()}
    largest = max(sizes.values(), default=0.0)
    if all(float(gradient.abs().max()) > _CANCELLED * largest for gradient in expected):
        return tuple(0.0 for _ in expected)
    generator = torch.Generator().manual_seed(0)
    others = {
        name: size * torch.randn(cotangents[name].shape, generator=generator, dtype=torch.float64)
        for name, size in sizes.items()
    }
    scales = [float(gradient.abs().max()) for gradient in _reference(assignment, exercise, network, others)]
    return tuple(scale if math.isfinite(scale) else 0.0 for scale in scales)


def _terms(tensors: list[Any]) -> int:
    """
    A bound on the length of the sums in a gradient, with a few more terms for the operations around them.

    A sum goes along one axis of a matrix, and along all axes but one of a tensor of more dimensions.
    """
    sizes = [tuple(tensor.shape) or (1,) for tensor in tensors if isinstance(tensor, torch.Tensor)]
    return 8 + max(max(*shape, math.prod(shape) // max(1, min(shape))) for shape in sizes)


def _check_upstream_suffices(assignment: Assignment, exercise: Exercise, case: Case, network: Network) -> None:
    """Check that the upstream gradients of an exercise determine the whole gradient of each target."""
    for number, target in enumerate(exercise.targets):
        whole = network.gradients[f"d{target}"]
        if case.compare(whole, target=number, argument_dtype=case.dtype).outcome is not Outcome.MATCH:
            raise SourceError(
                f"{assignment.called(exercise.name)} cannot know all of d{target}: the loss depends on {target} in "
                f"other ways than through {', '.join(case.upstream) or 'the arguments'}.",
                "Give it the gradient of every tensor that is computed from the target.",
            )


def _check_solution(assignment: Assignment, exercise: Exercise, case: Case) -> None:
    try:
        returned = assignment.solutions[exercise.name](**{name: a.clone() for name, a in case.arguments.items()})
    except Exception as error:
        line = line_in(error, f"{assignment.id}.md")
        where = f", in line {line}" if line else ""
        raise SolutionError(
            f"The solution of {assignment.called(exercise.name)} raised on {case.name}{where}: {as_sentence(error)}",
            "Nothing was graded. Fix the solution in the source notebook.",
        ) from error
    returned = returned if isinstance(returned, tuple) else (returned,)
    agrees = len(returned) == len(case.expected) and all(
        isinstance(got, torch.Tensor)
        and case.compare(got, target=target, argument_dtype=case.dtype).outcome is Outcome.MATCH
        for target, got in enumerate(returned)
    )
    if not agrees:
        raise SolutionError(
            f"The solution of {assignment.called(exercise.name)} disagrees with autograd on {case.name}.",
            "Nothing was graded. Fix the solution or the forward pass in the source notebook.",
        )


def _train(
    assignment: Assignment, inputs: dict[str, torch.Tensor], parameters: dict[str, torch.Tensor]
) -> tuple[float, ...]:
    """The loss before each step of gradient descent with autograd's gradients, and after the last step."""
    current = {name: tensor.clone().requires_grad_() for name, tensor in parameters.items()}
    losses = []
    for _ in range(assignment.steps + 1):
        loss = assignment.forward(**inputs, **current)["loss"]
        losses.append(float(loss.detach()))
        gradients = torch.autograd.grad(loss, list(current.values()), allow_unused=True, materialize_grads=True)
        current = {
            name: (tensor - assignment.learning_rate * gradient).detach().requires_grad_()
            for (name, tensor), gradient in zip(current.items(), gradients, strict=True)
        }
    return tuple(losses)
