"""
Checks autograd's gradients by central differences: derivatives from two evaluations of the network, without autograd.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import TreeSpec, tree_flatten, tree_leaves, tree_unflatten

from grader.assignment.load import Assignment
from grader.assignment.source import as_sentence
from grader.calling.exercise import Exercise
from grader.errors import SourceError
from grader.reference.cases import Case
from grader.reference.networks import network_at

__all__ = ["CLOSE", "Replay", "Traced", "central_difference"]

CLOSE = 1e-5
"""The largest relative difference between central differences and autograd that rounding may explain."""

_DIRECTIONS = 8
_STEP = 1e-6


class Traced:
    """The taped network of each case, by the case's name: made when it is needed."""

    def __init__(self, assignment: Assignment) -> None:
        self._assignment = assignment
        self._replays: dict[str, Replay] = {}

    def __getitem__(self, case: str) -> Replay:
        if case not in self._replays:
            self._replays[case] = Replay(self._assignment, case)
        return self._replays[case]


def central_difference(exercise: Exercise, cases: Iterable[Case], traced: Traced) -> float:
    """
    The largest error of the expected gradients along random directions, relative to the gradient's norm.

    Directional derivatives are central differences in float64, without autograd: (f(t + hv) − f(t − hv)) / 2h. The
    forward pass is taped once, and run again from the target on, up to the tensors whose gradients are given.
    """
    worst = 0.0
    for case in cases:
        replay = traced[case.name]
        for number, (target, expected) in enumerate(zip(exercise.targets, case.gradients, strict=True)):
            generator = torch.Generator().manual_seed(0)
            terms = case.gradient_scales[number] * math.sqrt(expected.numel())
            scale = max(float(expected.norm()), terms) or 1.0
            # What is only a part of a gradient does not replace the rest; nor does a part go through other targets.
            held = [name[1:] for name in case.upstream if name[1:] not in exercise.partial]
            if target in exercise.partial:
                held += [name for name in exercise.targets if name != target]
            for _ in range(_DIRECTIONS):
                v = torch.randn(expected.shape, generator=generator, dtype=torch.float64)
                right = float((expected * v).sum())
                error = abs(_slope(case, replay, target, v, _STEP, held) - right) / scale
                if not error <= CLOSE:  # perhaps the step crossed a kink: try a shorter one
                    error = min(error, abs(_slope(case, replay, target, v, _STEP / 100, held) - right) / scale)
                worst = max(worst, math.inf if math.isnan(error) else error)
    return worst


def _slope(case: Case, replay: Replay, target: str, v: torch.Tensor, step: float, held: Sequence[str]) -> float:
    """
    The derivative of the loss along v, by a central difference around the target's value; `held` tensors keep theirs.

    Infinite entries, as a mask makes them in the scores of an attention, stay where they are.
    """
    outputs = [name[1:] for name in case.upstream] or ["loss"]
    cotangents = list(case.cotangents.values()) or [torch.ones(())]
    fixed = {name: replay.network.values[name].detach() for name in held}
    center = replay.network.values[target].detach().double()
    finite = center.isfinite()
    v = v.where(finite, 0.0)
    step *= max(1.0, float(center.where(finite, 0.0).abs().max()))
    above = replay.run({**fixed, target: center + step * v}, outputs)
    below = replay.run({**fixed, target: center - step * v}, outputs)
    return sum(
        float((c.reshape(a.shape) * _difference(a, b)).sum() / (2 * step))
        for c, a, b in zip(cotangents, above, below, strict=True)
    )


def _difference(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """How far apart two results are: where both are the same infinity, not at all."""
    return (a - b).where(a != b, 0.0)


class Replay:
    """
    The network of one case, on a tape: any named tensor can be given another value.

    Raises:
        SourceError: The forward pass depends on the value of a tensor as a number of Python's.
    """

    def __init__(self, assignment: Assignment, case: str) -> None:
        self.network = network_at(assignment, case)
        self._arguments = {**self.network.inputs, **self.network.parameters}
        tape = _Tape()
        try:
            with torch.no_grad(), tape:
                values = assignment.forward(**self._arguments)
        except Exception as error:
            raise SourceError(
                f"The forward pass of {assignment.id} cannot be traced: {as_sentence(error)}",
                "It must not depend on the values of tensors (`if tensor > 0`).",
            ) from error
        self._steps = tape.steps
        self._named = {**self._arguments, **values}
        self._has_changes = any(step.operation._schema.is_mutable for step in self._steps)

    def run(self, replaced: Mapping[str, torch.Tensor], outputs: list[str]) -> list[torch.Tensor]:
        """
        Compute some outputs after other values have replaced some tensors.

        Args:
            replaced: The other values, by the tensor's name: everything that is computed from a tensor uses them.
            outputs: The names of the tensors to return, each as computed, even if its own value is replaced.
        """
        new = {id(self._named[name]): value for name, value in replaced.items()}
        known = {id(tensor): tensor for tensor in self._arguments.values()} if self._has_changes else {}
        known = {place: tensor.clone() for place, tensor in known.items()} | new
        computed: dict[int, torch.Tensor] = {}
        with torch.no_grad():
            for step in self._steps:
                if not self._has_changes and not any(id(leaf) in known for leaf in step.given):
                    continue
                args, kwargs = tree_unflatten([known.get(id(leaf), leaf) for leaf in step.given], step.form)
                again = step.operation(*args, **kwargs)
                for old, value in zip(step.results, tree_leaves(again), strict=True):
                    if isinstance(old, torch.Tensor):
                        computed[id(old)] = value
                        known[id(old)] = new.get(id(old), value)
        return [computed.get(id(self._named[name]), self._named[name]) for name in outputs]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Step:
    """
    One operation on a tape.

    Attributes:
        given: Everything in its arguments, in a flat list.
        form: How the arguments are made of that.
        results: Everything in its result, in a flat list.
    """

    operation: Any
    given: list[Any]
    form: TreeSpec
    results: list[Any]


class _Tape(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records each operation with its arguments and its result."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.steps: list[_Step] = []

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # to skip dynamo, torch would import it first, which takes a second

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func is torch.ops.aten._local_scalar_dense.default and args[0].is_floating_point():
            raise ValueError("a tensor of floating point is turned into a number of Python's")
        self.steps.append(_Step(func, *tree_flatten((args, kwargs or {})), tree_leaves(result)))
        return result
