"""For random small networks, references agree with rules by hand, autograd of the whole loss, and differences."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from grader.assignment.load import Assignment
from grader.authoring.differences import Traced, central_difference
from grader.calling.exercise import Exercise
from grader.compare import compare
from grader.errors import SourceError
from grader.execution.asking import call_request
from grader.model import Limits, Outcome
from grader.reference.cases import Case, build_cases, generic_arguments
from grader.reference.chain import build_chain
from grader.reference.networks import network_at

Tensors = dict[str, torch.Tensor]
OPERATIONS = ("linear", "relu", "tanh", "add", "multiply", "mask", "flip", "look_up")


@dataclasses.dataclass(frozen=True)
class Step:
    """`name` is computed from earlier tensors. `parameter` may be shared with other steps."""

    name: str
    operation: str
    inputs: tuple[str, ...]
    parameter: str | None = None

    def run(self, values: Tensors) -> torch.Tensor:
        if self.operation == "look_up":
            return values[self.parameter][values["tokens"]]
        first = values[self.inputs[0]]
        if self.operation == "linear":
            return first @ values[self.parameter]
        if self.operation == "relu":
            return (first + values[self.parameter]).clamp(min=0)
        if self.operation == "tanh":
            return first.tanh()
        if self.operation == "add":
            return first + values[self.inputs[1]]
        if self.operation == "multiply":
            return first * values[self.inputs[1]]
        if self.operation == "mask":
            return first * values["mask"]
        return first.flip(-1)

    def back(self, values: Tensors) -> list[tuple[str, torch.Tensor]]:
        """The gradient that goes back to each input of the step, derived by hand."""
        d = values[f"d{self.name}"]
        if self.operation == "look_up":
            table = torch.zeros(8, 4, dtype=d.dtype)
            return [(self.parameter, table.index_add(0, values["tokens"].flatten(), d.reshape(-1, 4)))]
        first = values[self.inputs[0]]
        if self.operation == "linear":
            weights = first.reshape(-1, 4).T @ d.reshape(-1, 4)
            return [(self.inputs[0], d @ values[self.parameter].T), (self.parameter, weights)]
        if self.operation == "relu":
            passed = d * (first + values[self.parameter] > 0)
            return [(self.inputs[0], passed), (self.parameter, passed.reshape(-1, 4).sum(0))]
        if self.operation == "tanh":
            return [(self.inputs[0], d * (1 - values[self.inputs[0]].tanh() ** 2))]
        if self.operation == "add":
            return [(name, d) for name in self.inputs]
        if self.operation == "multiply":
            return [(self.inputs[0], d * values[self.inputs[1]]), (self.inputs[1], d * first)]
        if self.operation == "mask":
            return [(self.inputs[0], d * values["mask"])]
        return [(self.inputs[0], d.flip(-1))]

    @property
    def reads(self) -> tuple[str, ...]:
        """The names of all tensors that `back` uses."""
        extra = {"mask": ["mask"], "look_up": ["tokens"]}.get(self.operation, [])
        parameter = [self.parameter] if self.operation in ("linear", "relu") else []
        return (*self.inputs, *parameter, *extra, f"d{self.name}")


@st.composite
def programs(draw: st.DrawFn) -> tuple[Step, ...]:
    steps: list[Step] = []
    for number in range(draw(st.integers(1, 6))):
        operation = draw(st.sampled_from(OPERATIONS))
        names = ["x", *(step.name for step in steps)]
        count = {"add": 2, "multiply": 2, "look_up": 0}.get(operation, 1)
        inputs = tuple(draw(st.sampled_from(names[-3:])) for _ in range(count))
        parameter = {"linear": draw(st.sampled_from(("v", "w"))), "relu": "b", "look_up": "table"}.get(operation)
        steps.append(Step(f"h{number}", operation, inputs, parameter))
    return (*steps, Step("last", "linear", (steps[-1].name,), "w"))


def batch_second(tensors: Tensors) -> Tensors:
    return {name: tensor.transpose(0, 1).contiguous() for name, tensor in tensors.items()}


def assignment_of(steps: Sequence[Step], *, inner: tuple[int, ...] = (4,), time_first: bool = False) -> Assignment:
    """
    An assignment with an exercise for each tensor that a step uses, and one for all parameters together.

    Tensors have the shape (N, *inner, 4). If `time_first`, the batch is the second axis.
    """
    last = steps[-1].name
    places = math.prod(inner)

    def make_inputs(images: torch.Tensor, labels: torch.Tensor, generator: torch.Generator) -> Tensors:
        shape = (len(images), *inner, 4)
        pixels = images.flatten(1)[:, 7::11]
        x = pixels[:, : 4 * places].reshape(shape).float() / 255 + 0.3 * torch.randn(shape, generator=generator)
        tokens = (pixels[:, -places:].reshape(shape[:-1]) // 32).long()
        mask = torch.rand(shape, generator=generator) < 0.7
        inputs = {"x": x, "tokens": tokens, "mask": mask}
        return (batch_second(inputs) if time_first else inputs) | {"label": labels}

    def init_parameters(generator: torch.Generator) -> Tensors:
        shapes = {"v": (4, 4), "w": (4, 4), "b": (4,), "table": (8, 4)}
        return {name: 0.7 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}

    def forward(**leaves: torch.Tensor) -> Tensors:
        values = dict(leaves)
        for step in steps:
            values[step.name] = step.run(values)
        return {step.name: values[step.name] for step in steps} | {"loss": values[last].square().mean()}

    def solution(*targets: str, **values: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        if targets == (last,):
            return 2 * values[last] / values[last].numel()
        parts = [part for step in steps if f"d{step.name}" in values for part in step.back(values)]
        gradients = [sum(gradient for name, gradient in parts if name == target) for target in targets]
        return tuple(gradients) if len(gradients) > 1 else gradients[0]

    used = [name for name in ("v", "w", "b", "table") if any(step.parameter == name for step in steps)]
    groups = [(step.name,) for step in reversed(steps)] + ([tuple(used)] if used else [])
    exercises, solutions = [], {}
    for targets in groups:
        consumers = [step for step in steps if set(targets) & {*step.inputs, step.parameter}]
        reads = [name for step in consumers for name in step.reads]
        if targets == (last,):
            reads = [last]
        elif not reads:
            continue
        exercise = Exercise(name=f"grad_{targets[0]}", targets=targets, arguments=tuple(dict.fromkeys(reads)), points=1)
        exercises.append(exercise)
        solutions[exercise.name] = functools.partial(solution, *targets)
    return Assignment(
        id="random",
        title="",
        version="",
        exercises=tuple(exercises),
        forward=forward,
        init_parameters=init_parameters,
        make_inputs=make_inputs,
        solutions=solutions,
        solution_code={},
        network="",
        hidden_seed=1,
        limits=Limits(),
        steps=2,
    )


@settings(max_examples=20)
@given(steps=programs(), inner=st.sampled_from(((), (4,), (2, 3))), time_first=st.booleans())
def test_references_agree_with_three_other_ways(
    steps: tuple[Step, ...], inner: tuple[int, ...], time_first: bool
) -> None:
    """With rules by hand on every case, autograd of the whole loss on the public case, and central differences."""
    time_first = time_first and bool(inner)
    assignment = assignment_of(steps, inner=inner, time_first=time_first)

    cases = build_cases(assignment)

    network = network_at(assignment, "mnist")
    traced = Traced(assignment)
    for exercise in assignment.exercises:
        public = cases[exercise.name][0]
        for target, expected in zip(exercise.targets, public.expected, strict=True):
            whole = network.gradients[f"d{target}"]
            assert compare(expected, whole, terms=public.terms, argument_dtype=torch.float32).outcome is Outcome.MATCH
        assert central_difference(exercise, cases[exercise.name], traced) < 1e-5
        arguments = generic_arguments(assignment, exercise, rows=5, seed=1)
        assignment.solutions[exercise.name](**arguments)
        for case in cases[exercise.name]:
            check_form(case, arguments, axis=1 if time_first else 0)
    assert len(build_chain(assignment).losses) == 3


def check_form(case: Case, generic: Tensors, *, axis: int) -> None:
    """Integers and booleans keep their dtypes; the batch is on the axis that the author chose."""
    for name, tensor in case.arguments.items():
        if name == "tokens":
            assert (tensor.dtype, generic[name].dtype) == (torch.int64, torch.int64)
        if name == "mask":
            assert (tensor.dtype, generic[name].dtype) == (torch.bool, torch.bool)
        if name in ("tokens", "mask", "x") or name.startswith(("h", "dh", "last", "dlast")):
            assert tensor.shape[axis] == case.rows
    assert call_request(Exercise(name="f", targets=("t",), arguments=(), points=1), [case], Limits()).payload


def test_a_later_upstream_gradient_does_not_count_twice() -> None:
    """h2 is computed from h1, so dh1 contains what flows back from h2 already: dw must not get it again."""
    steps = (Step("h0", "linear", ("x",), "w"), Step("h1", "linear", ("h0",), "w"), Step("h2", "tanh", ("h1",)))

    case = build_cases(assignment_of(steps))["grad_w"][2]

    x, h0, dh0, dh1 = (case.arguments[name].reshape(-1, 4) for name in ("x", "h0", "dh0", "dh1"))
    torch.testing.assert_close(case.expected[0], x.T @ dh0 + h0.T @ dh1)


def test_an_exercise_that_cannot_know_the_whole_gradient_is_refused() -> None:
    """Here the author forgot one of the tensors that are computed from the target."""
    steps = (Step("h0", "linear", ("x",), "w"), Step("h1", "linear", ("h0",), "w"))
    assignment = assignment_of(steps)
    partial = Exercise(name="grad_w", targets=("w",), arguments=("x", "dh0"), points=1)

    with pytest.raises(SourceError, match="grad_w of random cannot know all of dw"):
        build_cases(dataclasses.replace(assignment, exercises=(partial,)))


@pytest.mark.parametrize(
    "make_inputs",
    [lambda images, labels, generator: None, lambda images, labels: {}, lambda images, labels, generator: {"x": 1}],
)
def test_inputs_that_cannot_be_made_are_an_error_in_the_source_notebook(make_inputs: Callable[..., object]) -> None:
    assignment = assignment_of((Step("h0", "tanh", ("x",)),))

    with pytest.raises(SourceError, match="inputs of random cannot be made"):
        build_cases(dataclasses.replace(assignment, make_inputs=make_inputs))
