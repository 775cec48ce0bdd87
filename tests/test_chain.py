"""The judge compares each link of the chain, and says which parameters training never updated."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch

from grader.calling.exercise import Exercise
from grader.chain import judge_chain
from grader.execution.channel import Reply
from grader.model import Chain, Outcome
from grader.reference.chain import ChainCase
from tests.case_samples import EXPECTED, EXPECTED_BIAS, LAYER, WEIGHT, assignment_of, payload_of

RIGHT = EXPECTED.float()
ONE_WRONG = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
BIAS = Exercise(name="grad_b", targets=("b",), arguments=("dz",))
LINKS = assignment_of(WEIGHT, BIAS, LAYER, steps=2)
CHAIN_CASE = ChainCase(
    inputs={"x": torch.ones(3, 2)},
    parameters={"w": torch.ones(2, 2), "b": torch.ones(1, 2)},
    expected={"dw": EXPECTED, "db": EXPECTED_BIAS},
    losses=(3.0, 2.0, 1.0),
    terms=10,
    returned={"grad_w": ("dw",), "grad_b": ("db",), "grad_layer": ("dw", "db")},
)
ALL = {
    "grad_w/dw": RIGHT,
    "grad_b/db": EXPECTED_BIAS.float(),
    "grad_layer/dw": RIGHT,
    "grad_layer/db": EXPECTED_BIAS.float(),
}
PASSED = dict.fromkeys(("grad_w", "grad_b", "grad_layer"), Outcome.MATCH)


def chained(
    gradients: dict[str, torch.Tensor],
    *,
    losses: list[Any] | None = None,
    outcomes: dict[str, Outcome] | None = None,
    case: ChainCase = CHAIN_CASE,
) -> Chain:
    training = [3.0, 2.5, 2.0] if losses is None else losses
    records = {"chain": ({"case": "chain"}, payload_of(gradients)), "training": ({"losses": training}, b"")}
    chain = judge_chain(LINKS, case, Reply(status="done", records=records), PASSED | (outcomes or {}))
    assert chain is not None
    return chain


def without(*names: str) -> dict[str, torch.Tensor]:
    return {name: gradient for name, gradient in ALL.items() if name not in names}


def test_a_chain_of_right_functions() -> None:
    chain = chained(ALL)

    assert chain.links == PASSED
    assert chain.training is not None
    assert (chain.training.reference, chain.training.student) == ((3.0, 2.0, 1.0), (3.0, 2.5, 2.0))
    assert chain.message == ""


@pytest.mark.parametrize(
    ("gradients", "outcomes", "links"),
    [
        (ALL | {"grad_w/dw": ONE_WRONG}, {}, {"grad_w": Outcome.MISMATCH}),
        (ALL | {"grad_w/dw": RIGHT[:1]}, {}, {"grad_w": Outcome.MISMATCH}),
        (ALL | {"grad_w/dw": RIGHT / 0}, {"grad_w": Outcome.RAISED}, {"grad_w": Outcome.MISMATCH}),
        (ALL | {"grad_layer/db": EXPECTED_BIAS + 1}, {}, {"grad_layer": Outcome.MISMATCH}),
        (without("grad_w/dw"), {}, {"grad_w": Outcome.SKIPPED}),
        (without("grad_layer/db"), {}, {"grad_layer": Outcome.SKIPPED}),
        (without("grad_w/dw"), {"grad_w": Outcome.RAISED}, {"grad_w": Outcome.RAISED}),
        (without("grad_b/db"), {"grad_b": Outcome.BLANK}, {"grad_b": Outcome.BLANK}),
        ({"grad_w/dw": RIGHT}, {}, {"grad_b": Outcome.SKIPPED, "grad_layer": Outcome.SKIPPED}),
    ],
)
def test_links(gradients: dict[str, torch.Tensor], outcomes: dict[str, Outcome], links: dict[str, Outcome]) -> None:
    """
    A link is compared if all its tensors arrived.

    If not, a right function is skipped, since it lacked its arguments; a wrong one keeps the outcome of its exercise.
    """
    assert chained(gradients, outcomes=outcomes).links == PASSED | links


def test_errors_may_add_up_along_the_chain() -> None:
    """The tolerance of a link grows with the number of links before it."""
    bound = 4 * 10 * torch.finfo(torch.float32).eps / 2 * 4.0
    off = EXPECTED + 1.5 * bound
    assignment = assignment_of(WEIGHT, dataclasses.replace(WEIGHT, name="grad_again"))
    records = {"chain": ({}, payload_of({"grad_w/dw": off, "grad_again/dw": off}))}
    case = dataclasses.replace(CHAIN_CASE, returned={"grad_w": ("dw",), "grad_again": ("dw",)})

    chain = judge_chain(assignment, case, Reply(status="done", records=records), {})

    assert chain is not None
    assert chain.links == {"grad_w": Outcome.MISMATCH, "grad_again": Outcome.MATCH}


@pytest.mark.parametrize(
    ("losses", "is_shown"),
    [
        ([3.0, 2.0, math.nan], True),
        ([], False),
        ([3.0, 2.0], False),
        ([3.0, 2.0, 1.0, 0.5], False),
        ([3, 2, 1], False),
        ([3.0, "2", None], False),
        ("abc", False),
    ],
)
def test_a_training_curve_has_a_number_for_each_step(losses: Any, is_shown: bool) -> None:
    """Without a curve, the chain has no message."""
    chain = chained({}, losses=losses)

    assert (chain.training is not None) is is_shown
    assert bool(chain.message) is is_shown


@pytest.mark.parametrize(
    ("gradients", "message"),
    [
        (
            without("grad_b/db", "grad_layer/db"),
            "In training, b was never updated: its gradient was missing or had the wrong shape.",
        ),
        (
            {"grad_w/dw": RIGHT[:1], "grad_b/db": EXPECTED_BIAS + 1},
            "In training, w was never updated: its gradient was missing or had the wrong shape.",
        ),
        ({}, "In training, w and b were never updated: their gradients were missing or had the wrong shape."),
    ],
)
def test_which_parameters_were_never_updated(gradients: dict[str, torch.Tensor], message: str) -> None:
    assert chained(gradients).message == message


def test_the_first_of_two_functions_for_one_gradient_updates() -> None:
    """The first exercise, whatever its name: the file that arrives is sorted by name and size."""
    assignment = assignment_of(dataclasses.replace(WEIGHT, name="grad_z"), dataclasses.replace(WEIGHT, name="grad_a"))
    gradients = {"grad_z/dw": RIGHT[:1], "grad_a/dw": RIGHT, "grad_b/db": EXPECTED_BIAS}
    records = {"chain": ({}, payload_of(gradients)), "training": ({"losses": [3.0] * (assignment.steps + 1)}, b"")}

    chain = judge_chain(
        assignment,
        dataclasses.replace(CHAIN_CASE, returned={"grad_z": ("dw",), "grad_a": ("dw",)}),
        Reply(status="done", records=records),
        PASSED | {"grad_z": Outcome.RAISED, "grad_a": Outcome.MATCH},
    )

    assert chain is not None
    assert chain.message.startswith("In training, w was never updated: its gradient was")


def test_a_parameter_without_an_exercise_is_not_the_students_fault() -> None:
    """It is trained with autograd's gradient, or not at all where an exercise asks for it in a form of its own."""
    parameters = dict.fromkeys(("w", "b", "g", "h"), torch.ones(1))
    case = dataclasses.replace(CHAIN_CASE, parameters=parameters, given=("dg",))

    chain = chained({}, case=case)

    assert chain.given == ("dg",)
    assert (
        chain.message == "In training, w and b were never updated: their gradients were missing or had the wrong shape."
    )


def test_a_tolerance_of_the_author_holds_here_too() -> None:
    off = {"grad_w/dw": EXPECTED + 1.5 * 4 * 10 * torch.finfo(torch.float32).eps / 2 * 4.0}
    records = {"chain": ({}, payload_of(off))}
    case = dataclasses.replace(CHAIN_CASE, returned={"grad_w": ("dw",)})
    outcomes = []
    for tolerance in (1.0, 2.0):
        assignment = assignment_of(dataclasses.replace(WEIGHT, tolerance=tolerance))
        chain = judge_chain(assignment, case, Reply(status="done", records=records), PASSED)
        assert chain is not None
        outcomes.append(chain.links["grad_w"])

    assert outcomes == [Outcome.MISMATCH, Outcome.MATCH]


def test_functions_that_do_not_go_on_from_one_another_are_no_chain() -> None:
    case = dataclasses.replace(CHAIN_CASE, returned={})

    assert judge_chain(LINKS, case, Reply(status="done", records={"chain": ({}, b"")}), PASSED) is None


def test_a_chain_needs_a_record() -> None:
    """A record that cannot be read contains no gradient."""
    records = {"chain": ({}, b"not safetensors")}

    assert judge_chain(LINKS, CHAIN_CASE, Reply(status="timed_out"), PASSED) is None
    chain = judge_chain(LINKS, CHAIN_CASE, Reply(status="done", records=records), PASSED)
    assert chain == Chain(links=dict.fromkeys(PASSED, Outcome.SKIPPED))
