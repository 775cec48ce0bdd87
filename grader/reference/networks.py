"""
Evaluates the network of an assignment at the fixed points of its cases: inputs, parameters, values and gradients.

Images are drawn by numpy's `RandomState`, whose streams never change (NEP 19), from a seed made of the assignment's id
and the point's name, so they are the same on every machine. The forward pass runs in float64.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from grader.assignment.load import Assignment
from grader.assignment.source import as_sentence, line_in
from grader.errors import SourceError
from grader.reference.mnist import read_split

__all__ = [
    "PRACTICE",
    "Network",
    "Point",
    "draw_inputs",
    "draw_parameters",
    "evaluate",
    "evaluate_network",
    "network_at",
    "network_names",
    "networks_of",
    "points_of",
    "rounded",
    "seed_of",
]


PRACTICE = -1
"""The hidden seed of cases that are no secret, as in a student's own check: an assignment's seed is never negative."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """
    A point at which the network is evaluated: a batch of images, and parameters.

    Attributes:
        rows: The number of images.
        dtype: The dtype of the floating arguments there.
        public: Whether students may see it.
        random_cotangent: Whether upstream gradients are random instead of the right ones.
        combined: Whether the point is that of `vjp`, with other upstream gradients.
    """

    name: str
    rows: int
    dtype: torch.dtype
    public: bool = False
    random_cotangent: bool = False
    combined: bool = False


_MOST_SMALL_ROWS = 17


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """
    The network at a point: every named tensor of the graph in float64, and the gradient of the loss for each.

    Tensors of integers and booleans have no gradient. A tensor without an effect on the loss has a gradient of zeros.
    """

    inputs: dict[str, torch.Tensor]
    parameters: dict[str, torch.Tensor]
    values: dict[str, torch.Tensor]
    gradients: dict[str, torch.Tensor]


def points_of(assignment: Assignment) -> tuple[Point, ...]:
    """
    The points of every assignment, and those of its extra cases. The small ones come last.

    Batch sizes differ, so that a size copied from one fails on the next. None is 1, which `squeeze()` would remove.
    """
    small = min(_MOST_SMALL_ROWS, assignment.rows // 2)
    mnist = (
        Point(name="mnist", rows=assignment.rows, dtype=torch.float32, public=True),
        Point(name="mnist_hidden", rows=3 * assignment.rows // 4, dtype=torch.float32),
    )
    extra = tuple(
        Point(
            name=case.name,
            rows=case.rows,
            dtype=torch.float64 if case.double else torch.float32,
            random_cotangent=case.random_upstream,
        )
        for case in assignment.extra_cases
    )
    random = Point(name="vjp", rows=small, dtype=torch.float64, random_cotangent=True)
    return (*mnist, *extra, random, dataclasses.replace(random, name="linear", combined=True))


def networks_of(assignment: Assignment) -> dict[str, Network]:
    """The network at the point of each case, by the case's name."""
    points = points_of(assignment)
    networks = {point.name: evaluate(assignment, point) for point in points if not point.combined}
    return networks | {point.name: networks["vjp"] for point in points if point.combined}


@functools.lru_cache(maxsize=32)
def network_names(assignment: Assignment) -> frozenset[str]:
    """The names of all tensors in the network, and of their gradients."""
    names = evaluate(assignment, points_of(assignment)[0]).values
    return frozenset(names) | {f"d{name}" for name in names}


def network_at(assignment: Assignment, case: str) -> Network:
    """The network at the point of a case."""
    return evaluate(assignment, next(point for point in points_of(assignment) if point.name == case))


def draw_inputs(assignment: Assignment, rows: int, seed: int, *, case: str = "") -> dict[str, torch.Tensor]:
    """
    The inputs of the forward pass for random images of the test split.

    Returns:
        By name: floating inputs as float64, but rounded to float32; others unchanged.

    Raises:
        SourceError: `make_inputs` fails.
    """
    images, labels = read_split("test")
    chosen = np.random.RandomState(seed).permutation(len(images))[:rows]
    make = assignment.case_inputs.get(case, assignment.make_inputs)
    try:
        inputs = make(
            torch.from_numpy(images[chosen]).reshape(-1, 28, 28),
            torch.from_numpy(labels[chosen]).long(),
            torch.Generator().manual_seed(seed + 1),  # parameters are drawn from `seed`
        )
        return {name: rounded(rounded(tensor, torch.float32), torch.float64) for name, tensor in inputs.items()}
    except Exception as error:
        raise SourceError(
            f"The inputs of {assignment.id} cannot be made{_line(assignment, error, make)}: {as_sentence(error)}",
            "`make_inputs(images, labels, generator)` must return a dict of tensors, the inputs of `forward` by name.",
        ) from error


def draw_parameters(assignment: Assignment, seed: int) -> dict[str, torch.Tensor]:
    """
    The initial parameters for a seed, by name.

    Raises:
        SourceError: `init_parameters` fails.
    """
    try:
        return dict(assignment.init_parameters(torch.Generator().manual_seed(seed)).items())
    except Exception as error:
        where = _line(assignment, error, assignment.init_parameters)
        raise SourceError(
            f"The parameters of {assignment.id} cannot be made{where}: {as_sentence(error)}",
            "`init_parameters(generator)` must return a dict of tensors, the parameters of `forward` by name.",
        ) from error


def evaluate(assignment: Assignment, point: Point) -> Network:
    """
    The network at a point.

    Raises:
        SourceError: A function of the assignment's author fails.
    """
    seed = seed_of(assignment, "vjp" if point.combined else point.name, hidden=not point.public)
    return evaluate_network(
        assignment,
        draw_inputs(assignment, point.rows, seed, case=point.name),
        draw_parameters(assignment, seed),
    )


def evaluate_network(
    assignment: Assignment, inputs: dict[str, torch.Tensor], parameters: dict[str, torch.Tensor]
) -> Network:
    """
    The network for these inputs and parameters.

    Raises:
        SourceError: `forward` fails.
    """
    try:
        parameters = {name: tensor.detach().double().requires_grad_() for name, tensor in parameters.items()}
        leaves = {name: tensor.clone().requires_grad_(tensor.is_floating_point()) for name, tensor in inputs.items()}
        outputs = assignment.forward(**leaves, **parameters)
        if not isinstance(outputs, dict) or not isinstance(outputs.get("loss"), torch.Tensor):
            raise TypeError(f"it returned {_described(outputs)}")
        values = {**leaves, **parameters, **outputs}
        loss = outputs["loss"]
        if loss.numel() != 1:
            raise ValueError(f"the loss has the shape {tuple(loss.shape)}, but it must be one number")
        named = {name: v for name, v in values.items() if isinstance(v, torch.Tensor) and v.requires_grad}
        gradients = torch.autograd.grad(loss, list(named.values()), retain_graph=True, allow_unused=True)
    except Exception as error:
        raise SourceError(
            f"The network of {assignment.id} cannot be evaluated{_line(assignment, error, assignment.forward)}: "
            f"{as_sentence(error)}",
            "`forward(**inputs, **parameters)` must return a dict of tensors with a scalar `loss`, also in float64.",
        ) from error
    return Network(
        inputs=inputs,
        parameters={name: tensor.detach() for name, tensor in parameters.items()},
        values=values,
        gradients={
            f"d{name}": torch.zeros_like(value) if gradient is None else gradient
            for (name, value), gradient in zip(named.items(), gradients, strict=True)
        },
    )


def _described(outputs: object) -> str:
    """What a forward pass returned, in words."""
    if not isinstance(outputs, dict):
        return f"a value of type {type(outputs).__name__}, not a dict"
    if "loss" not in outputs:
        return f"no `loss`, but {', '.join(map(str, outputs)) or 'an empty dict'}"
    return f"a `loss` of type {type(outputs['loss']).__name__}, not a tensor"


def seed_of(assignment: Assignment, purpose: str, *, hidden: bool) -> int:
    """A seed below 2³² that depends on the purpose and, if it is hidden, on the instructor's own seed."""
    secret = assignment.hidden_seed if hidden else "public"
    return int.from_bytes(hashlib.sha256(f"{assignment.id}/{purpose}/{secret}".encode()).digest()[:4], "big")


def rounded(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """A detached copy in a dtype; integers and booleans keep theirs."""
    return tensor.detach().clone().to(dtype if tensor.is_floating_point() else tensor.dtype)


def _line(assignment: Assignment, error: Exception, function: Callable[..., object]) -> str:
    """The line of the source notebook where an error was raised, or else the first line of the function."""
    code = getattr(function, "__code__", None)
    begin = code.co_firstlineno if code is not None and Path(code.co_filename).stem == assignment.id else None
    line = line_in(error, f"{assignment.id}.md") or begin
    return f" ({assignment.id}.md, line {line})" if line else ""
