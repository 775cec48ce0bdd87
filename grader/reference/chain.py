"""
Makes the batch on which all functions of a notebook are composed into one backward pass, and its training.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable
from typing import Any

import torch

from grader.assignment.load import Assignment
from grader.calling.exercise import Exercise
from grader.calling.returned import gradients_in
from grader.modes import ordinary
from grader.reference.cases import longest_sum
from grader.reference.gradients import given_to, parts_of, sizes_of_terms, upstream_of
from grader.reference.networks import Network, evaluate, points_of, rounded

__all__ = ["ChainCase", "build_chain"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ChainCase:
    """
    A backward pass on the public batch: inputs and parameters (float32), right gradients (float64), and losses.

    Attributes:
        arguments: Of each exercise that takes part, the names of its arguments that are data.
        constants: The arguments that are neither in the network nor gradients.
        scales: For each gradient, the size of its terms, if they may cancel.
        returned: Of each exercise that takes part, in the order of their calls, the gradients that can be read in its
            result. Empty if no exercise goes on from what another one returns: then there is no such pass.
        given: The gradients that no exercise of the assignment asks for: autograd computes them on the way.
    """

    inputs: dict[str, torch.Tensor]
    parameters: dict[str, torch.Tensor]
    expected: dict[str, torch.Tensor]
    losses: tuple[float, ...]
    terms: int
    arguments: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    constants: dict[str, Any] = dataclasses.field(default_factory=dict)
    scales: dict[str, float] = dataclasses.field(default_factory=dict)
    returned: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    given: tuple[str, ...] = ()

    @property
    def trained(self) -> tuple[str, ...]:
        """The parameters that training updates: not those whose gradient is asked for, but cannot be read alone."""
        gradients = {*self.given, *(name for names in self.returned.values() for name in names)}
        return tuple(name for name in self.parameters if f"d{name}" in gradients)


@functools.lru_cache(maxsize=32)
@ordinary()
def build_chain(assignment: Assignment) -> ChainCase:
    """The public batch for a whole backward pass, with the losses of a training with autograd's gradients."""
    evaluated = evaluate(assignment, points_of(assignment)[0])
    inputs = {name: rounded(tensor, torch.float32) for name, tensor in evaluated.inputs.items()}
    parameters = {name: rounded(tensor, torch.float32) for name, tensor in evaluated.parameters.items()}
    candidates = {
        exercise: _Link(upstream=upstream_of(exercise, evaluated), returned=_readable(assignment, exercise, evaluated))
        for exercise in assignment.exercises
        if exercise.is_link
    }
    asked = {f"d{target}" for exercise in assignment.exercises for target in exercise.targets}
    links = _linked(candidates, asked)
    arguments, constants, scales = dict[str, tuple[str, ...]](), dict[str, Any](), dict[str, float]()
    for exercise, link in links.items():
        cotangents = {name: evaluated.gradients[name] for name in link.upstream}
        given = given_to(assignment, exercise, evaluated, cotangents)
        arguments[exercise.name] = tuple(given)
        constants |= {name: value for name, value in given.items() if name not in {**evaluated.values, **cotangents}}
        expected = tuple(evaluated.gradients[f"d{target}"] for target in exercise.targets)
        sizes = sizes_of_terms(assignment, exercise, evaluated, cotangents, expected, given).of_gradients
        scales |= {f"d{target}": size for target, size in zip(exercise.targets, sizes, strict=True)}
    needed = [name for link in links.values() for name in link.upstream]
    chain = ChainCase(
        inputs=inputs,
        parameters=parameters,
        expected={name: evaluated.gradients[name] for link in links.values() for name in link.returned},
        losses=(),
        terms=longest_sum(list(evaluated.values.values())),
        arguments=arguments,
        constants=constants,
        scales=scales,
        returned={exercise.name: link.returned for exercise, link in links.items()},
        given=tuple(dict.fromkeys(name for name in (*needed, *_gradients_of(parameters)) if name not in asked)),
    )
    return dataclasses.replace(chain, losses=_train(assignment, chain)) if links else chain


@dataclasses.dataclass(frozen=True, slots=True)
class _Link:
    """The gradients that an exercise takes, and those that can be read in its result."""

    upstream: tuple[str, ...]
    returned: tuple[str, ...]


def _gradients_of(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"d{name}" for name in names)


def _readable(assignment: Assignment, exercise: Exercise, network: Network) -> tuple[str, ...]:
    """The gradients that can be read in the result of an exercise, whole and by themselves."""
    right = tuple(network.gradients[name] for name in _gradients_of(exercise.targets))
    conditions = exercise.ignored or ("",) * len(exercise.parts)
    return tuple(
        name
        for part, got, ignored in zip(
            exercise.parts, parts_of(assignment, exercise, network, right), conditions, strict=True
        )
        if not ignored
        for name, _ in gradients_in(part, got, exercise.targets, network.values, assignment.forward.__globals__)
    )


def _linked(candidates: dict[Exercise, _Link], asked: set[str]) -> dict[Exercise, _Link]:
    """
    The exercises that take part, each after those that return what it takes; none if none goes on from another.

    What no exercise is asked for comes from autograd. An exercise is left out if it takes a gradient that is asked for,
    but that cannot be read in any result: autograd's would be an answer.
    """
    waiting = {exercise: link for exercise, link in candidates.items() if link.returned}
    links: dict[Exercise, _Link] = {}
    while True:
        missing = asked - {name for link in links.values() for name in link.returned}
        ready = next((exercise for exercise, link in waiting.items() if not missing & set(link.upstream)), None)
        if ready is None:
            break
        links[ready] = waiting.pop(ready)
    returned = {name for link in links.values() for name in link.returned}
    return links if any(returned & set(link.upstream) for link in links.values()) else {}


def _train(assignment: Assignment, chain: ChainCase) -> tuple[float, ...]:
    """The loss before each step of gradient descent with autograd's gradients, and after the last step."""
    current = {name: tensor.clone().requires_grad_() for name, tensor in chain.parameters.items()}
    losses = []
    for _ in range(assignment.steps + 1):
        loss = assignment.forward(**chain.inputs, **current)["loss"]
        losses.append(float(loss.detach()))
        trained = [current[name] for name in chain.trained]
        gradients = torch.autograd.grad(loss, trained, allow_unused=True, materialize_grads=True) if trained else ()
        for name, gradient in zip(chain.trained, gradients, strict=True):
            current[name] = (current[name] - assignment.learning_rate * gradient).detach().requires_grad_()
    return tuple(losses)
