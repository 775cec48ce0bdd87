"""Small networks: their sizes are found by running the forward pass, and nothing about their cases is in doubt."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from grader.calling.exercise import Exercise
from grader.reference.answers import answer_of
from grader.reference.sizes import small_networks
from grader.reference.small import MOST_NUMBERS, small_cases
from tests.conftest import SOURCES, assignment_called

ASSIGNMENTS = sorted(path.stem for path in SOURCES.glob("*.md"))
FIXED = {"convnet": {"grad_g", "grad_r", "grad_p", "grad_z", "grad_w1", "grad_b1", "grad_cols", "grad_x"}}
"""Exercises whose arguments cannot be small, since the code of the network contains their sizes."""


def exercise_of(assignment: Any, name: str) -> Exercise:
    return next(exercise for exercise in assignment.exercises if exercise.name == name)


@pytest.mark.parametrize("name", ASSIGNMENTS)
def test_every_exercise_has_small_cases_unless_its_sizes_are_fixed(name: str) -> None:
    assignment = assignment_called(name)
    for exercise in assignment.exercises:
        cases = small_cases(assignment, exercise)
        assert bool(cases) != (exercise.name in FIXED.get(name, ())), exercise.name
        if cases:
            assert len({case.rows for case in cases}) > 1 or (name, exercise.name) == ("convnet", "grad_w2")
        for case in cases:
            assert case.public
            assert all(tensor.numel() <= MOST_NUMBERS for tensor in case.tensors.values())
            returned = answer_of(exercise, {**assignment.namespace, **assignment.solutions}, dict(case.arguments))
            assert returned is not None
            for place, got in enumerate(returned):
                assert case.compare(got, target=place, argument_dtype=case.dtype).outcome.passed


def test_numbers_are_whole_where_the_network_allows() -> None:
    assignment = assignment_called("two_layer_mse")
    for exercise in assignment.exercises:
        whole = [
            all(bool((tensor == tensor.round()).all()) for tensor in case.tensors.values())
            for case in small_cases(assignment, exercise)
        ]
        assert any(whole), exercise.name


def test_sizes_shrink_together_and_what_a_layer_fixes_stays() -> None:
    """One unknown stands for all equal sizes; a flattened size follows that of the picture."""

    def forward(x: torch.Tensor, w: torch.Tensor, v: torch.Tensor) -> dict[str, torch.Tensor]:
        maps = torch.nn.functional.conv2d(x[:, None], w)
        flat = maps.reshape(len(x), -1)
        out = flat @ v
        return {"maps": maps, "flat": flat, "out": out, "loss": out.square().mean()}

    assignment = network(
        forward,
        x=lambda rows: torch.rand(rows, 7, 7),
        w=torch.rand(2, 1, 3, 3) - 0.5,  # 2 windows of 3 × 3 pixels: maps of 5 × 5
        v=torch.rand(50, 4) - 0.5,
    )
    sizes = small_networks(assignment).smallest
    assert sizes[4] == 2
    assert sizes[7] < 7
    assert sizes[50] == sizes[2] * (sizes[7] - sizes[3] + 1) ** 2


def test_a_size_in_the_code_stays() -> None:
    def forward(x: torch.Tensor, w: torch.Tensor) -> dict[str, torch.Tensor]:
        z = (x @ w).reshape(len(x), 2, 3)
        return {"z": z, "loss": z.square().mean()}

    assignment = network(forward, x=lambda rows: torch.rand(rows, 20), w=torch.rand(20, 6))
    assert small_networks(assignment).smallest[6] == 6
    assert small_networks(assignment).smallest[20] == 2


def test_a_kink_is_no_case() -> None:
    """At z = 0, relu has many gradients, and all of them are right."""
    assignment = assignment_called("two_layer_mse")
    for case in small_cases(assignment, exercise_of(assignment, "grad_z1")):
        assert not bool((case.tensors["z1"] == 0).any())


def test_a_solution_that_other_sizes_break_has_no_case() -> None:
    """What the solution and autograd do not agree on is not shown to anybody."""
    assignment = assignment_called("two_layer_mse")
    exercise = exercise_of(assignment, "grad_w1")
    only_here = {**assignment.solutions, "grad_w1": lambda x, dz1: x.T @ dz1 if x.shape[1] == 784 else x.T @ dz1 * 2}
    assert small_cases(dataclasses.replace(assignment, id="other", solutions=only_here), exercise) == ()


def test_cases_depend_on_nothing_secret() -> None:
    assignment = assignment_called("two_layer_mse")
    exercise = exercise_of(assignment, "grad_w1")
    other = small_cases(dataclasses.replace(assignment, hidden_seed=12345), exercise)
    for one, same in zip(small_cases(assignment, exercise), other, strict=True):
        assert all(torch.equal(one.tensors[name], same.tensors[name]) for name in one.tensors)


def network(forward: Any, *, x: Any, **parameters: torch.Tensor) -> Any:
    """An assignment with this forward pass, without exercises."""
    return dataclasses.replace(
        assignment_called("two_layer_mse"),
        id=f"network of {sorted(parameters)}",
        exercises=(),
        forward=forward,
        init_parameters=lambda _: parameters,
        make_inputs=lambda images, labels, _: {"x": x(len(labels))},
        solutions={},
        solution_code={},
    )
