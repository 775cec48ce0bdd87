"""
What is said of an exercise with several targets: each sentence, number and hint is about a target that is wrong.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from grader.assignment.load import load_assignment
from grader.model import ExerciseResult, Outcome, Report
from tests.inprocess import grade_here

SOLUTION = Path(__file__).parents[1] / "solutions" / "deep_mlp.md"
LAYER = "# %%\ndef grad_layer1(x, dz1, w1, dpenalty):\n    return "
RIGHT_W1, RIGHT_B1 = "x.T @ dz1 + dpenalty * DECAY * w1", "dz1.sum(0, keepdim=True)"


def graded(w1: str, b1: str) -> tuple[Report, ExerciseResult]:
    """`grad_layer1`, which returns these for dw1 and db1, in an otherwise right submission."""
    report = grade_here(load_assignment(SOLUTION), f"{LAYER}{w1}, {b1}\n", base="solution")
    return report, next(exercise for exercise in report.exercises if exercise.name == "grad_layer1")


def test_a_shape_is_told_of_the_target_that_has_it() -> None:
    report, layer = graded(RIGHT_W1, "dz1.sum(0)")
    assert layer.outcome is Outcome.WRONG_SHAPE
    assert layer.message == "grad_layer1 returned the shape (32,) for db1; b1 has the shape (1, 32)."
    assert layer.cases[0].target == "b1"
    assert (layer.diagnoses[0].id, "b1" in layer.diagnoses[0].hint) == ("dropped_dim", True)
    assert report.chain is not None
    assert report.chain.message == "In training, b1 was never updated: its gradient was missing or had the wrong shape."


@pytest.mark.parametrize(
    ("w1", "b1", "told", "said"),
    [
        (RIGHT_W1, "dz1.mean(0, keepdim=True)", "The db1 of grad_layer1", ["Your db1 is an average"]),
        ("x.T @ dz1 - dpenalty * DECAY * w1", RIGHT_B1, "The dw1 of grad_layer1", ["One term of your dw1 comes"]),
        (
            "x.T @ dz1 - dpenalty * DECAY * w1",
            "dz1.mean(0, keepdim=True)",
            "The dw1 of grad_layer1",
            ["Your dw1 or db1 is an average", "One term of your dw1 or db1 comes"],
        ),
    ],
)
def test_a_mistake_is_told_of_the_target_that_has_it(w1: str, b1: str, told: str, said: list[str]) -> None:
    report, layer = graded(w1, b1)
    assert layer.message.startswith(told)
    assert len(layer.diagnoses) >= len(said)
    assert all(one.message.startswith(start) for one, start in zip(layer.diagnoses, said, strict=False))
    assert not any("dw1" in one.message for one in layer.diagnoses if w1 == RIGHT_W1)
    assert report.chain is not None
    assert report.chain.message == ""
