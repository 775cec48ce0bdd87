"""The arguments that exercises are called on: fixed, apart from one another, and right."""

from __future__ import annotations

import dataclasses
import hashlib

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from grader.assignment.load import Assignment, load_assignment
from grader.compare import compare
from grader.errors import SolutionError, SourceError
from grader.model import Exercise, Outcome
from grader.reference.cases import build_cases, build_chain
from tests.conftest import SOURCES


def digest(tensor: torch.Tensor) -> str:
    return hashlib.sha256(tensor.contiguous().numpy().tobytes()).hexdigest()[:16]


def test_the_public_batch_is_the_same_everywhere(assignment: Assignment) -> None:
    """Pixels and labels are those of these 64 images, whatever the machine."""
    chain = build_chain(assignment)

    assert digest(chain.inputs["x"]) == "63c019f8c275d8e2"
    assert digest(chain.inputs["y"]) == "c8483aa13abe4b9f"


def test_batch_sizes_differ_and_none_is_one(assignment: Assignment) -> None:
    """A constant copied from one case fails on another."""
    sizes = {case.name: case.arguments["x"].shape[0] for case in build_cases(assignment)["grad_w1"]}

    assert sizes == {"mnist": 64, "mnist_hidden": 48, "vjp": 17, "linear": 17}


def test_about_half_of_the_relu_clips(assignment: Assignment) -> None:
    """In every case: otherwise a forgotten mask would score full marks."""
    for case in build_cases(assignment)["grad_z1"]:
        assert 0.35 < float((case.arguments["z1"] < 0).float().mean()) < 0.65
        assert not bool((case.arguments["z1"] == 0).any()), "at the kink every subgradient is right"


def test_float64_where_it_is_said(assignment: Assignment) -> None:
    """MNIST cases are float32 as in the notebook, probes float64."""
    for cases in build_cases(assignment).values():
        for case in cases:
            dtypes = {argument.dtype for argument in case.arguments.values()}
            assert dtypes == {torch.float32 if case.name.startswith("mnist") else torch.float64}
            assert all(expected.dtype is torch.float64 for expected in case.expected)


def test_no_case_gives_away_another_ones_answer(assignment: Assignment) -> None:
    """Random cotangents are drawn for each exercise on its own: what one is given is no other one's gradient."""
    cases = build_cases(assignment)
    given = {
        (name, argument): case.arguments[argument]
        for name, all_cases in cases.items()
        for case in all_cases
        if case.name in ("vjp", "linear")
        for argument in case.arguments
        if argument.startswith("d")
    }
    for name, all_cases in cases.items():
        for case in all_cases:
            if case.name in ("vjp", "linear"):
                for other, tensor in given.items():
                    if tensor.shape == case.expected[0].shape:
                        assert not torch.allclose(tensor, case.expected[0]), (name, other)


def test_linear_is_another_cotangent_at_the_same_place(assignment: Assignment) -> None:
    """So that a wrong function that fits one cotangent does not fit both."""
    vjp, linear = build_cases(assignment)["grad_w1"][2:]

    assert torch.equal(vjp.arguments["x"], linear.arguments["x"])
    assert not torch.allclose(vjp.arguments["dz1"], linear.arguments["dz1"])


@given(rows=st.integers(2, 300), seed=st.integers(0, 2**20))
def test_the_solution_is_right_at_any_batch_size(assignment: Assignment, rows: int, seed: int) -> None:
    """In float32 and float64, composed into a whole backward pass, against autograd of the loss."""
    generator = torch.Generator().manual_seed(seed)
    for dtype in (torch.float32, torch.float64):
        x = torch.rand(rows, 784, generator=generator, dtype=dtype)
        y = torch.randint(0, 10, (rows, 1), generator=generator).to(dtype)
        parameters = {n: t.to(dtype) for n, t in assignment.init_parameters(generator).items()}
        values = {"x": x, "y": y, **parameters, **assignment.forward(x, y, **parameters)}
        exact = {n: t.double().clone().requires_grad_() for n, t in parameters.items()}
        loss = assignment.forward(x.double(), y.double(), **exact)["loss"]
        reference = dict(zip((f"d{n}" for n in exact), torch.autograd.grad(loss, list(exact.values())), strict=True))

        for exercise in assignment.exercises:
            arguments = {name: values[name] for name in exercise.arguments}
            values[f"d{exercise.targets[0]}"] = assignment.solutions[exercise.name](**arguments)

        if dtype is torch.float64:  # in float32 a z1 next to zero may fall on either side
            for name, expected in reference.items():
                got = compare(values[name], expected, terms=10 * (784 + rows), argument_dtype=dtype)
                assert got.outcome is Outcome.MATCH


def test_a_solution_that_disagrees_is_refused(assignment: Assignment) -> None:
    """Nothing can be graded with it; the message names exercise and case."""
    wrong = dataclasses.replace(
        assignment, solutions={**assignment.solutions, "grad_b1": lambda dz1: dz1.mean(0, keepdim=True)}
    )

    with pytest.raises(SolutionError, match=r"grad_b1 of .*, cell \d+, line \d+\) disagrees with autograd on mnist"):
        build_cases(wrong)


def test_an_argument_that_is_not_in_the_network_is_refused(assignment: Assignment) -> None:
    """The author is told which names there are."""
    wrong = dataclasses.replace(
        assignment, exercises=(Exercise(name="grad_w1", targets=("w1",), arguments=("x", "dz7")),)
    )

    with pytest.raises(SourceError, match="takes `dz7`, which the network does not have"):
        build_cases(wrong)


def test_a_network_that_fails_is_the_authors_trouble(assignment: Assignment) -> None:
    """As a sentence, whatever it raised."""

    def forward(**values: torch.Tensor) -> dict[str, torch.Tensor]:
        raise KeyError("w9")

    with pytest.raises(SourceError, match="cannot be evaluated: KeyError"):
        build_cases(dataclasses.replace(assignment, forward=forward))


def test_the_first_assignments_cases_never_change(assignment: Assignment) -> None:
    """Every argument and reference, to a few digits: marks that were given yesterday must be given again."""
    cases = build_cases(assignment)
    sizes = [
        f"{case.name} {name} {case.rows} {case.terms} {float(case.expected[0].norm()):.6e}"
        f" {sum(float(argument.double().norm()) for argument in case.arguments.values()):.6e}"
        for name, of in cases.items()
        for case in of
    ]

    assert hashlib.sha256("\n".join(sizes).encode()).hexdigest()[:16] == "fab9401cd48cf438"


def test_a_single_upstream_number_comes_with_both_signs() -> None:
    """Otherwise its absolute value would do as well, half of the time."""
    cases = build_cases(load_assignment(SOURCES / "deep_mlp.md"))["grad_w3"]

    assert {float(case.arguments["dpenalty"].sign()) for case in cases} == {1.0, -1.0}


def test_no_window_of_the_max_pool_has_a_tie() -> None:
    """Which of several largest entries the gradient goes to is a convention: no case may depend on it."""
    for case in build_cases(load_assignment(SOURCES / "convnet.md"))["grad_z"]:
        blocks = case.arguments["z"].unfold(2, 2, 2).unfold(3, 2, 2)
        largest = case.arguments["p"][..., None, None]

        assert bool(((blocks == largest).sum((4, 5)) == 1).all())


def test_labels_and_masks_arrive_as_they_are() -> None:
    """Whole numbers and booleans, of the same values in every precision."""
    for name, function, argument, dtype in (
        ("softmax_cross_entropy", "grad_logp", "y", torch.int64),
        ("deep_mlp", "grad_h1", "mask", torch.bool),
        ("embedding_rnn", "grad_table", "second", torch.int64),
    ):
        for case in build_cases(load_assignment(SOURCES / f"{name}.md"))[function]:
            assert case.arguments[argument].dtype is dtype
            assert case.arguments[argument].shape[0] == case.rows
