"""
Checks autograd's gradients by central differences: derivatives from two evaluations of the network, without autograd.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch.fx import GraphModule, Interpreter, Node
from torch.fx.experimental.proxy_tensor import make_fx

from grader.assignment.load import Assignment
from grader.assignment.source import as_sentence
from grader.errors import SourceError
from grader.exercise import Exercise
from grader.reference.cases import Case
from grader.reference.networks import network_at

__all__ = ["CLOSE", "Replay", "central_difference", "replays"]

CLOSE = 1e-5
"""The largest relative difference between central differences and autograd that rounding may explain."""

_DIRECTIONS = 8
_STEP = 1e-6


def replays(assignment: Assignment, cases: Mapping[str, Iterable[Case]]) -> dict[str, Replay]:
    """The traced network of each case, by the case's name; `cases` are those of each exercise."""
    names = dict.fromkeys(case.name for cases_of_exercise in cases.values() for case in cases_of_exercise)
    return {name: Replay(assignment, name) for name in names}


def central_difference(exercise: Exercise, cases: Iterable[Case], traced: Mapping[str, Replay]) -> float:
    """
    The largest error of the expected gradients along random directions, relative to the gradient's norm.

    Directional derivatives are central differences in float64, without autograd: (f(t + hv) − f(t − hv)) / 2h. The
    forward pass is traced once, and run again from the target on, up to the tensors whose gradients are given.
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
    The network of one case, traced: any named tensor can be given another value.

    Raises:
        SourceError: The forward pass cannot be traced.
    """

    def __init__(self, assignment: Assignment, case: str) -> None:
        self.network = network_at(assignment, case)
        self._arguments = {**self.network.inputs, **self.network.parameters}
        argument_names = list(self._arguments)
        value_names = list(assignment.forward(**self._arguments))

        def forward(*tensors: torch.Tensor) -> list[torch.Tensor]:
            values = assignment.forward(**dict(zip(argument_names, tensors, strict=True)))
            return [values[name] for name in value_names]

        try:
            self._graph: GraphModule = make_fx(forward)(*self._arguments.values())
        except Exception as error:
            raise SourceError(
                f"The forward pass of {assignment.id} cannot be traced: {as_sentence(error)}",
                "It must not depend on the values of tensors (`if tensor > 0`).",
            ) from error
        outputs = next(node for node in self._graph.graph.nodes if node.op == "output").args[0]
        placeholders = [node for node in self._graph.graph.nodes if node.op == "placeholder"]
        names = [*argument_names, *value_names]
        self._nodes: dict[str, Node] = dict(zip(names, [*placeholders, *outputs], strict=True))

    def run(self, replaced: Mapping[str, torch.Tensor], outputs: list[str]) -> list[torch.Tensor]:
        """
        Compute some outputs after other values have replaced some tensors.

        Args:
            replaced: The other values, by the tensor's name: everything that is computed from a tensor uses them.
            outputs: The names of the tensors to return, each as computed, even if its own value is replaced.
        """
        run = _Run(self._graph, {self._nodes[name]: tensor for name, tensor in replaced.items()})
        with torch.no_grad():
            run.run(*self._arguments.values())
        return [run.values[self._nodes[name]] for name in outputs]


class _Run(Interpreter):
    """Runs a graph, hands replaced values to later nodes, and keeps every value as computed."""

    def __init__(self, graph: GraphModule, replaced: Mapping[Node, torch.Tensor]) -> None:
        super().__init__(graph)
        self._replaced = replaced
        self.values: dict[Node, torch.Tensor] = {}

    def run_node(self, n: Node) -> torch.Tensor:
        self.values[n] = super().run_node(n)  # even if it is replaced: a placeholder consumes its argument
        return self._replaced.get(n, self.values[n])
