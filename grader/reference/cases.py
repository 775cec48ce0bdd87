"""
The fixed arguments that exercises are called on, each with autograd's answer.

A case's inputs are drawn by numpy's `RandomState`, whose streams are frozen for good (NEP 19), from a seed made of the
assignment's id and the case's name: the same on every machine. The forward pass runs in float64; arguments are rounded
to the case's dtype, integers and booleans left as they are; the reference stays float64.
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
from grader.compare import compare
from grader.errors import SolutionError, SourceError
from grader.model import Exercise, Outcome
from grader.reference.networks import (
    Network,
    Point,
    draw_inputs,
    draw_parameters,
    evaluate,
    evaluate_network,
    networks_of,
    one_thread,
    points_of,
    rounded,
    seed_of,
)

__all__ = [
    "Case",
    "ChainCase",
    "build_cases",
    "build_chain",
    "exercise_cases",
    "generic_arguments",
]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """
    One call of one exercise.

    Attributes:
        arguments: By name, in the function's order, of dtype `dtype` where floating; of any shape.
        expected: Autograd's gradient of each target, float64.
        rows: How many images are in the batch, N, whichever axis they are on.
        upstream: Those of the arguments that are gradients of the loss.
        terms: Length of the longest sum in a gradient, for the tolerance.
    """

    name: str
    public: bool
    dtype: torch.dtype
    rows: int
    arguments: dict[str, torch.Tensor]
    upstream: tuple[str, ...]
    expected: tuple[torch.Tensor, ...]
    terms: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ChainCase:
    """The backward pass on the public batch: inputs and parameters, true gradients (float64), autograd's losses."""

    inputs: dict[str, torch.Tensor]
    parameters: dict[str, torch.Tensor]
    expected: dict[str, torch.Tensor]
    losses: tuple[float, ...]
    terms: int


@functools.lru_cache(maxsize=32)
@one_thread()
def build_cases(assignment: Assignment) -> dict[str, tuple[Case, ...]]:
    """
    The cases of every exercise, checked: the instructor's solution, if there is one, agrees with autograd on each.

    Raises:
        SourceError: The forward pass fails, or an exercise names something that it does not return.
        SolutionError: A solution raises or disagrees.
    """
    networks = networks_of(assignment)
    cases = {exercise.name: exercise_cases(assignment, exercise, networks) for exercise in assignment.exercises}
    for exercise in assignment.exercises:
        _check_whole(assignment, exercise, cases[exercise.name][0], networks["mnist"])
        for case in cases[exercise.name] if exercise.name in assignment.solutions else ():
            _check_solution(assignment, exercise, case)
    return cases


def exercise_cases(assignment: Assignment, exercise: Exercise, networks: dict[str, Network]) -> tuple[Case, ...]:
    """The cases of one exercise, which no solution was tried on. Raises SourceError as `build_cases` does."""
    return tuple(
        _case(assignment, exercise, point, networks)
        for point in points_of(assignment)
        if not point.combined or _upstream(exercise, networks["mnist"])
    )


@functools.lru_cache(maxsize=32)
@one_thread()
def build_chain(assignment: Assignment) -> ChainCase:
    """The public batch for the whole backward pass, with autograd's training curve."""
    evaluated = evaluate(assignment, points_of(assignment)[0])
    inputs = {name: rounded(tensor, torch.float32) for name, tensor in evaluated.inputs.items()}
    parameters = {name: rounded(tensor, torch.float32) for name, tensor in evaluated.parameters.items()}
    targets = {f"d{target}" for exercise in assignment.exercises for target in exercise.targets}
    return ChainCase(
        inputs=inputs,
        parameters=parameters,
        expected={name: gradient for name, gradient in evaluated.gradients.items() if name in targets},
        losses=_train(assignment, inputs, parameters),
        terms=_terms(list(evaluated.values.values())),
    )


def generic_arguments(assignment: Assignment, exercise: Exercise, *, rows: int, seed: int) -> dict[str, torch.Tensor]:
    """
    An exercise's arguments where nothing is special: parameters and cotangents from a bell curve, on images, float64.

    What two functions compute there, they compute in general; where parameters start, perhaps only by accident.
    """
    generator = torch.Generator().manual_seed(seed)

    def draw(like: torch.Tensor) -> torch.Tensor:
        return torch.randn(like.shape, generator=generator, dtype=torch.float64)

    inputs = draw_inputs(assignment, rows, seed)
    like = draw_parameters(assignment, seed)
    parameters = {name: draw(tensor) / max(1, *tensor.shape[:1]) ** 0.5 for name, tensor in like.items()}
    network = evaluate_network(assignment, inputs, parameters)
    upstream = _upstream(exercise, network)
    return {
        name: draw(network.gradients[name]) if name in upstream else network.values[name].detach()
        for name in exercise.arguments
    }


def _case(assignment: Assignment, exercise: Exercise, point: Point, networks: dict[str, Network]) -> Case:
    network = networks[point.name]
    cotangents = {
        name: _cotangent(assignment, exercise, point, name, like=network.gradients[name])
        for name in _upstream(exercise, network)
    }
    arguments = {}
    for name in exercise.arguments:
        if name in cotangents:
            arguments[name] = rounded(cotangents[name], point.dtype)
        elif isinstance(network.values.get(name), torch.Tensor):
            arguments[name] = rounded(network.values[name], point.dtype)
        else:
            raise SourceError(
                f"{assignment.called(exercise.name)} takes `{name}`, which the network does not have.",
                "Arguments are inputs, parameters and intermediates by name, or d and one of those names.",
            )
    expected = _reference(assignment, exercise, network, {name: arguments[name].double() for name in cotangents})
    return Case(
        name=point.name,
        public=point.public,
        dtype=point.dtype,
        rows=point.rows,
        arguments=arguments,
        upstream=tuple(cotangents),
        expected=expected,
        # What rounding explains grows with the number of terms, in proportion.
        terms=round(exercise.tolerance * _terms([*arguments.values(), *(network.values[t] for t in exercise.targets)])),
    )


def _reference(
    assignment: Assignment, exercise: Exercise, network: Network, cotangents: Mapping[str, torch.Tensor]
) -> tuple[torch.Tensor, ...]:
    """
    Autograd's gradient of each target, given the loss's gradients for some tensors; without any, that of the loss.

    A cotangent is all that the loss has to say to its tensor. So where one such tensor comes after another in the graph
    (two steps of a recurrent network), a hook lets nothing through the first that is not in its cotangent already.
    """
    outputs = [network.values[name[1:]] for name in cotangents] or [network.values["loss"]]
    hooks = [
        output.register_hook(  # type: ignore[no-untyped-call]
            lambda _, all_of_it=gradient: all_of_it
        )
        for output, gradient in zip(outputs, cotangents.values(), strict=False)
    ]
    try:
        targets = [network.values[target] for target in exercise.targets]
        # Where the hooks say what flows back, any number that depends on the outputs will do to begin with. (Given
        # `grad_outputs`, torch first imports sympy, which takes longer than all of a grading.)
        begin = torch.stack([output.sum() for output in outputs]).sum()
        gradients = torch.autograd.grad(begin, targets, retain_graph=True, allow_unused=True)
        if all(gradient is None for gradient in gradients):
            raise RuntimeError(f"{' and '.join(cotangents) or 'the loss'} cannot reach it")
    except KeyError as error:
        raise SourceError(
            f"{assignment.called(exercise.name)}: the network has no {error.args[0]} to take the gradient of.",
            "Call it grad_<name of a tensor>, or give `targets`.",
        ) from error
    except RuntimeError as error:
        raise SourceError(
            f"{assignment.called(exercise.name)}: autograd has no gradient of {', '.join(exercise.targets)} ({error}).",
            "The targets must be what the upstream gradients' tensors were computed from.",
        ) from error
    finally:
        for hook in hooks:
            hook.remove()
    return tuple(
        torch.zeros_like(target) if gradient is None else gradient.detach().clone()
        for target, gradient in zip(targets, gradients, strict=True)
    )


def _upstream(exercise: Exercise, network: Network) -> tuple[str, ...]:
    """The arguments that are gradients of the loss."""
    return tuple(name for name in exercise.arguments if name not in network.values and name in network.gradients)


def _cotangent(
    assignment: Assignment, exercise: Exercise, point: Point, name: str, *, like: torch.Tensor
) -> torch.Tensor:
    if not point.random_cotangent:
        return like

    def draw(case: str) -> torch.Tensor:
        # Of its own for each exercise: what one is given must not be another one's answer.
        seed = seed_of(assignment, f"{case}/{exercise.name}/{name}", hidden=True)
        return torch.from_numpy(np.asarray(np.random.RandomState(seed).standard_normal(tuple(like.shape))))

    if not point.combined:
        return draw(point.name)
    # A single number gets the other sign, which no single draw could promise.
    return 3 * draw("vjp") - 0.5 * draw("linear") if like.numel() > 1 else -1.5 * draw("vjp")


def _terms(tensors: list[Any]) -> int:
    """
    No sum in a gradient is longer than this, with a few terms more for what surrounds it.

    A matrix is summed along an axis at a time, a tensor of more dimensions along all axes but one.
    """
    sizes = [tuple(tensor.shape) or (1,) for tensor in tensors if isinstance(tensor, torch.Tensor)]
    return 8 + max(max(*shape, math.prod(shape) // max(1, min(shape))) for shape in sizes)


def _check_whole(assignment: Assignment, exercise: Exercise, case: Case, network: Network) -> None:
    """What the true upstream gradients say of a target must be all that the loss has to say to it."""
    for target, expected in zip(exercise.targets, case.expected, strict=True):
        whole = network.gradients[f"d{target}"]
        if compare(expected, whole, terms=case.terms, argument_dtype=case.dtype).outcome is not Outcome.MATCH:
            raise SourceError(
                f"{assignment.called(exercise.name)} cannot know all of d{target}: the loss depends on {target} in "
                f"ways that {', '.join(case.upstream) or 'its arguments'} does not cover.",
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
            "Mend it in the source notebook; nothing was graded.",
        ) from error
    returned = returned if isinstance(returned, tuple) else (returned,)
    agrees = len(returned) == len(case.expected) and all(
        isinstance(got, torch.Tensor)
        and compare(got, expected, terms=case.terms, argument_dtype=case.dtype).outcome is Outcome.MATCH
        for got, expected in zip(returned, case.expected, strict=True)
    )
    if not agrees:
        raise SolutionError(
            f"The solution of {assignment.called(exercise.name)} disagrees with autograd on {case.name}.",
            "Mend it, or the forward pass, in the source notebook; nothing was graded.",
        )


def _train(
    assignment: Assignment, inputs: dict[str, torch.Tensor], parameters: dict[str, torch.Tensor]
) -> tuple[float, ...]:
    """Losses before each step of gradient descent with autograd's gradients, and after the last."""
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
