"""What a notebook sets for PyTorch as a whole changes neither a check nor a grading, and both agree."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from grader.checking.check import check
from grader.model import Outcome, Report
from grader.modes import ordinary
from tests.checking.test_check import ASSIGNMENTS, notebook_of
from tests.conftest import assignment_called
from tests.inprocess import InProcessRun

pytestmark = pytest.mark.usefixtures("shared_images")

SWITCHES = {
    "no grad": ("torch.set_grad_enabled(False)", ""),
    "float64": ("torch.set_default_dtype(torch.float64)", ""),
    "float16": ("torch.set_default_dtype(torch.float16)", ""),
    "bfloat16": ("torch.set_default_dtype(torch.bfloat16)", ""),
    "inference mode": ("left = torch.inference_mode(); left.__enter__()", "left.__exit__(None, None, None)"),
    "autocast": ("left = torch.autocast('cpu', torch.bfloat16); left.__enter__()", "left.__exit__(None, None, None)"),
    "device": ("torch.set_default_device('meta')", "torch.set_default_device(None)"),
    "others": (
        "torch.use_deterministic_algorithms(True); torch.set_float32_matmul_precision('medium')\n"
        "torch.set_flush_denormal(True); torch.autograd.set_detect_anomaly(True); torch.set_num_threads(2)\n"
        "torch.set_printoptions(precision=1); import numpy; numpy.seterr(all='raise')",
        "torch.use_deterministic_algorithms(False); torch.set_float32_matmul_precision('highest')\n"
        "torch.set_flush_denormal(False); torch.autograd.set_detect_anomaly(False)\n"
        "torch.set_printoptions(profile='default'); numpy.seterr(all='warn', under='ignore')",
    ),
}
"""What a notebook may turn, and how to turn it back; the rest is turned back by `ordinary`."""


@contextlib.contextmanager
def turned(namespace: dict[str, Any], switch: str) -> Iterator[None]:
    """Turn a switch back that a notebook has turned."""
    try:
        yield
    finally:
        exec(SWITCHES[switch][1], namespace)


def checked(assignment_id: str, switch: str, answers: str = "") -> Report:
    with ordinary():
        namespace = notebook_of(f"{answers}\n# %%\n{SWITCHES[switch][0]}\n", assignment_id=assignment_id)
        with turned(namespace, switch):
            return check.examine_all(namespace).report


def graded(assignment_id: str, switch: str, answers: str = "") -> Report:
    assignment = assignment_called(assignment_id)
    run = InProcessRun(assignment, f"{answers}\n# %%\n{SWITCHES[switch][0]}\n", base="solution")
    with turned(run.namespace, switch):
        return run.report(assignment)


def outcomes(report: Report) -> dict[str, Outcome]:
    return {exercise.name: exercise.outcome for exercise in report.exercises}


def notices(report: Report) -> dict[str, set[str]]:
    return {exercise.name: {notice.id for notice in exercise.notices} for exercise in report.exercises}


@pytest.mark.parametrize(
    ("assignment_id", "switch"),
    [
        *((name, switch) for name in ASSIGNMENTS for switch in ("no grad", "float64", "float16", "bfloat16")),
        *(("softmax_cross_entropy", switch) for switch in ("inference mode", "autocast", "device", "others")),
    ],
)
def test_the_solution_is_right_whatever_a_notebook_has_turned(assignment_id: str, switch: str) -> None:
    for report in (checked(assignment_id, switch), graded(assignment_id, switch)):
        assert report.notebook.problem is None
        assert set(outcomes(report).values()) == {Outcome.MATCH}
        assert report.chain is not None
        assert set(report.chain.links.values()) == {Outcome.MATCH}


ANSWERS = """
# %%
def grad_yhat(yhat, y):
    return 2 * (yhat - y) * torch.tensor(1 / len(y))

# %%
def grad_w2(a1, dyhat):
    return a1.T @ dyhat.float()

# %%
def grad_b1(dz1):
    db1 = torch.zeros(1, 50)
    for row in dz1:
        db1 += row
    return db1

# %%
def grad_w1(x, dz1):
    return x.T @ dz1 * (1 + 1e-5)
"""


@pytest.mark.parametrize("switch", SWITCHES)
def test_a_check_and_a_grading_agree_about_precision(switch: str) -> None:
    """With constants and sums in the default dtype. One that is half precision costs digits, and the points."""
    check_report, grade_report = checked("two_layer_mse", switch, ANSWERS), graded("two_layer_mse", switch, ANSWERS)

    assert outcomes(check_report) == outcomes(grade_report)
    assert notices(check_report) == notices(grade_report)
    is_half = switch in ("float16", "bfloat16")
    assert outcomes(grade_report) == dict.fromkeys(outcomes(grade_report), Outcome.MATCH) | {
        "grad_w1": Outcome.MISMATCH,
        **({"grad_yhat": Outcome.MISMATCH, "grad_b1": Outcome.WRONG_DTYPE} if is_half else {}),
    }


def test_a_check_turns_nothing() -> None:
    """The switches of the notebook are as they were, whatever a check needed."""
    with ordinary():
        namespace = notebook_of("# %%\ntorch.set_default_dtype(torch.float64)\ntorch.set_grad_enabled(False)\n")
        torch.set_num_threads(2)
        check.examine_all(namespace)

        assert torch.get_default_dtype() is torch.float64
        assert not torch.is_grad_enabled()
        assert torch.get_num_threads() == 2
