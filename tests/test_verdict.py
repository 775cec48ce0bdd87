"""
The result of an exercise with several targets: each sentence, number and hint is about a target that is wrong.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from grader.assignment.load import load_assignment
from grader.model import ExerciseResult, Outcome, Report
from tests.inprocess import grade_in_process

SOLUTION = Path(__file__).parents[1] / "solutions" / "deep_mlp.md"
LAYER = "# %%\ndef grad_layer1(x, dz1, w1, dpenalty):\n    return "
RIGHT_W1, RIGHT_B1 = "x.T @ dz1 + dpenalty * DECAY * w1", "dz1.sum(0, keepdim=True)"


def graded(w1: str, b1: str) -> tuple[Report, ExerciseResult]:
    """The report on a submission whose `grad_layer1` returns these for dw1 and db1, and which is otherwise right."""
    report = grade_in_process(load_assignment(SOLUTION), f"{LAYER}{w1}, {b1}\n", base="solution")
    return report, next(exercise for exercise in report.exercises if exercise.name == "grad_layer1")


def test_a_wrong_shape_is_reported_for_the_target_that_has_it() -> None:
    report, layer = graded(RIGHT_W1, "dz1.sum(0)")
    assert layer.outcome is Outcome.WRONG_SHAPE
    assert layer.message == "grad_layer1 returned the shape (32,) for db1; b1 has the shape (1, 32)."
    assert layer.cases[0].target == "b1"
    assert (layer.diagnoses[0].id, "b1" in layer.diagnoses[0].hint) == ("dropped_dim", True)
    assert report.chain is not None
    assert report.chain.message == "In training, b1 was never updated: its gradient was missing or had the wrong shape."


@pytest.mark.parametrize(
    ("w1", "b1", "message", "explanations"),
    [
        (RIGHT_W1, "dz1.mean(0, keepdim=True)", "The db1 of grad_layer1", ["Your db1 is an average"]),
        ("x.T @ dz1 - dpenalty * DECAY * w1", RIGHT_B1, "The dw1 of grad_layer1", ["One term of your dw1 has"]),
        (
            "x.T @ dz1 - dpenalty * DECAY * w1",
            "dz1.mean(0, keepdim=True)",
            "The dw1 of grad_layer1",
            ["Your dw1 or db1 is an average", "One term of your dw1 or db1 has"],
        ),
    ],
)
def test_a_mistake_is_reported_for_the_target_that_has_it(
    w1: str, b1: str, message: str, explanations: list[str]
) -> None:
    report, layer = graded(w1, b1)
    messages = [diagnosis.message for diagnosis in layer.diagnoses]
    assert layer.message.startswith(message)
    assert len(messages) >= len(explanations)
    assert all(text.startswith(start) for text, start in zip(messages, explanations, strict=False))
    assert w1 != RIGHT_W1 or not any("dw1" in text for text in messages)
    assert report.chain is not None
    assert report.chain.message == ""
