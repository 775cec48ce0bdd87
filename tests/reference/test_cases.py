"""The arguments that exercises are called on are fixed, independent of one another, and right."""

from __future__ import annotations

import dataclasses
import hashlib

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from grader.assignment.load import Assignment, load_assignment
from grader.calling.exercise import Exercise
from grader.compare import compare
from grader.errors import SolutionError, SourceError
from grader.model import Outcome
from grader.reference.cases import build_cases
from grader.reference.chain import build_chain
from grader.reference.networks import points_of
from tests.conftest import SOURCES


def digest(tensor: torch.Tensor) -> str:
    return hashlib.sha256(tensor.contiguous().numpy().tobytes()).hexdigest()[:16]


def test_the_public_batch_is_the_same_everywhere(assignment: Assignment) -> None:
    """It has the same 64 images on every machine."""
    chain = build_chain(assignment)

    assert digest(chain.inputs["x"]) == "63c019f8c275d8e2"
    assert digest(chain.inputs["y"]) == "c8483aa13abe4b9f"


def test_batch_sizes_differ_and_none_is_one(assignment: Assignment) -> None:
    """So a size that is copied from one case fails on another."""
    sizes = {case.name: case.arguments["x"].shape[0] for case in build_cases(assignment)["grad_w1"]}

    assert sizes == {"mnist": 64, "mnist_hidden": 48, "vjp": 17, "linear": 17}


@given(st.integers(4, 1000))
def test_an_author_chooses_how_large_they_are(rows: int) -> None:
    chosen = dataclasses.replace(load_assignment(SOURCES / "two_layer_mse.md"), rows=rows)
    public, hidden, random, combined = (point.rows for point in points_of(chosen))

    assert public == rows
    assert public > hidden > random > 1
    assert combined == random <= 17


def test_small_batches_have_the_same_references() -> None:
    """The functions of the solution are right on them, too."""
    assignment = dataclasses.replace(load_assignment(SOURCES / "two_layer_mse.md"), rows=4)
    sizes = {case.name: case.arguments["x"].shape[0] for case in build_cases(assignment)["grad_w1"]}

    assert sizes == {"mnist": 4, "mnist_hidden": 3, "vjp": 2, "linear": 2}


def test_about_half_of_the_relu_clips(assignment: Assignment) -> None:
    """If it clipped nothing in some case, a forgotten mask would pass that case."""
    for case in build_cases(assignment)["grad_z1"]:
        assert 0.35 < float((case.arguments["z1"] < 0).float().mean()) < 0.65
        assert not bool((case.arguments["z1"] == 0).any()), "at the kink every subgradient is right"


def test_mnist_cases_are_float32_and_the_others_float64(assignment: Assignment) -> None:
    """References are always float64."""
    for cases in build_cases(assignment).values():
        for case in cases:
            dtypes = {argument.dtype for argument in case.arguments.values()}
            assert dtypes == {torch.float32 if case.name.startswith("mnist") else torch.float64}
            assert all(expected.dtype is torch.float64 for expected in case.expected)


def test_no_argument_is_the_answer_to_another_exercise(assignment: Assignment) -> None:
    """Random upstream gradients are drawn separately for each exercise."""
    cases = build_cases(assignment)
    upstream = {
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
                for place, tensor in upstream.items():
                    if tensor.shape == case.expected[0].shape:
                        assert not torch.allclose(tensor, case.expected[0]), (name, place)


def test_linear_differs_from_vjp_only_in_the_upstream_gradient(assignment: Assignment) -> None:
    """So a wrong function that fits one upstream gradient does not fit both."""
    vjp, linear = build_cases(assignment)["grad_w1"][2:]

    assert torch.equal(vjp.arguments["x"], linear.arguments["x"])
    assert not torch.allclose(vjp.arguments["dz1"], linear.arguments["dz1"])


@given(rows=st.integers(2, 300), seed=st.integers(0, 2**20))
def test_the_solution_is_right_at_any_batch_size(assignment: Assignment, rows: int, seed: int) -> None:
    """Composed into a whole backward pass, in float32 and float64, it agrees with autograd of the loss."""
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


def test_a_solution_that_disagrees_with_autograd_is_refused(assignment: Assignment) -> None:
    """The message names the exercise and the case."""
    wrong = dataclasses.replace(
        assignment, solutions={**assignment.solutions, "grad_b1": lambda dz1: dz1.mean(0, keepdim=True)}
    )

    with pytest.raises(SolutionError, match=r"grad_b1 of .*, cell \d+, line \d+\) disagrees with autograd on mnist"):
        build_cases(wrong)


def test_an_argument_that_is_not_in_the_network_is_refused(assignment: Assignment) -> None:
    wrong = dataclasses.replace(
        assignment, exercises=(Exercise(name="grad_w1", targets=("w1",), arguments=("x", "dz7")),)
    )

    with pytest.raises(SourceError, match="takes `dz7`, which the network does not have"):
        build_cases(wrong)


def test_a_network_that_fails_is_an_error_in_the_source_notebook(assignment: Assignment) -> None:

    def forward(**values: torch.Tensor) -> dict[str, torch.Tensor]:
        raise KeyError("w9")

    with pytest.raises(SourceError, match="cannot be evaluated: KeyError"):
        build_cases(dataclasses.replace(assignment, forward=forward))


def test_the_first_assignments_cases_never_change(assignment: Assignment) -> None:
    """Every argument and reference is the same to a few digits, so that the same answers get the same marks."""
    cases = build_cases(assignment)
    sizes = [
        f"{case.name} {name} {case.rows} {case.terms} {float(case.expected[0].norm()):.6e}"
        f" {sum(float(argument.double().norm()) for argument in case.arguments.values()):.6e}"
        for name, all_cases in cases.items()
        for case in all_cases
    ]

    assert hashlib.sha256("\n".join(sizes).encode()).hexdigest()[:16] == "de6e0d0e409ccf5c"


def test_a_single_upstream_number_has_both_signs() -> None:
    """Otherwise a function that uses its absolute value could be right on all cases."""
    cases = build_cases(load_assignment(SOURCES / "deep_mlp.md"))["grad_w3"]

    assert {float(case.arguments["dpenalty"].sign()) for case in cases} == {1.0, -1.0}


def test_no_window_of_the_max_pool_has_a_tie() -> None:
    """If several entries are the largest, which one gets the gradient is a convention. No case may depend on it."""
    for case in build_cases(load_assignment(SOURCES / "convnet.md"))["grad_z"]:
        blocks = case.arguments["z"].unfold(2, 2, 2).unfold(3, 2, 2)
        largest = case.arguments["p"][..., None, None]

        assert bool(((blocks == largest).sum((4, 5)) == 1).all())


def test_labels_and_masks_keep_their_dtypes() -> None:
    for name, function, argument, dtype in (
        ("softmax_cross_entropy", "grad_logp", "y", torch.int64),
        ("deep_mlp", "grad_h1", "mask", torch.bool),
        ("embedding_rnn", "grad_table", "second", torch.int64),
    ):
        for case in build_cases(load_assignment(SOURCES / f"{name}.md"))[function]:
            assert case.arguments[argument].dtype is dtype
            assert case.arguments[argument].shape[0] == case.rows
