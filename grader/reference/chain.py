"""
Makes the batch on which all functions of a notebook are composed into one backward pass, and its training.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import torch

from grader.assignment.load import Assignment
from grader.modes import ordinary
from grader.reference.cases import longest_sum
from grader.reference.gradients import given_to, sizes_of_terms, upstream_of
from grader.reference.networks import evaluate, points_of, rounded

__all__ = ["ChainCase", "build_chain"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ChainCase:
    """
    A backward pass on the public batch: inputs and parameters (float32), right gradients (float64), and losses.

    Attributes:
        arguments: Of each exercise that takes part, the names of its arguments that are data.
        constants: The arguments that are neither in the network nor gradients.
        scales: For each gradient, the size of its terms, if they may cancel.
    """

    inputs: dict[str, torch.Tensor]
    parameters: dict[str, torch.Tensor]
    expected: dict[str, torch.Tensor]
    losses: tuple[float, ...]
    terms: int
    arguments: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    constants: dict[str, Any] = dataclasses.field(default_factory=dict)
    scales: dict[str, float] = dataclasses.field(default_factory=dict)


@functools.lru_cache(maxsize=32)
@ordinary()
def build_chain(assignment: Assignment) -> ChainCase:
    """The public batch for a whole backward pass, with the losses of a training with autograd's gradients."""
    evaluated = evaluate(assignment, points_of(assignment)[0])
    inputs = {name: rounded(tensor, torch.float32) for name, tensor in evaluated.inputs.items()}
    parameters = {name: rounded(tensor, torch.float32) for name, tensor in evaluated.parameters.items()}
    linked = [exercise for exercise in assignment.exercises if exercise.is_link]
    targets = {f"d{target}" for exercise in linked for target in exercise.targets}
    arguments, constants, scales = dict[str, tuple[str, ...]](), dict[str, Any](), dict[str, float]()
    for exercise in linked:
        cotangents = {name: evaluated.gradients[name] for name in upstream_of(exercise, evaluated)}
        given = given_to(assignment, exercise, evaluated, cotangents)
        arguments[exercise.name] = tuple(given)
        constants |= {name: value for name, value in given.items() if name not in {**evaluated.values, **cotangents}}
        expected = tuple(evaluated.gradients[f"d{target}"] for target in exercise.targets)
        sizes = sizes_of_terms(assignment, exercise, evaluated, cotangents, expected, given).of_gradients
        scales |= {f"d{target}": size for target, size in zip(exercise.targets, sizes, strict=True)}
    return ChainCase(
        inputs=inputs,
        parameters=parameters,
        expected={name: gradient for name, gradient in evaluated.gradients.items() if name in targets},
        losses=_train(assignment, inputs, parameters),
        terms=longest_sum(list(evaluated.values.values())),
        arguments=arguments,
        constants=constants,
        scales=scales,
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
