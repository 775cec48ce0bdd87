"""How far a wrong result may still be right is said only where it can be shown, and never by a formula."""

from __future__ import annotations

import dataclasses

import pytest

from grader.diagnosis.partway import values_in, with_probes
from grader.reference.cases import build_cases
from tests.conftest import SOURCES, assignment_called
from tests.inprocess import grade_in_process

ASSIGNMENTS = sorted(path.stem for path in SOURCES.glob("*.md"))


def said(name: str, function: str) -> str:
    report = grade_in_process(assignment_called(name), f"# %%\ndef {function}\n")
    (result,) = (result for result in report.exercises if result.name == function.partition("(")[0])
    assert result.counterexample is not None
    return result.counterexample.partway


@pytest.mark.parametrize(
    ("name", "function", "sentence"),
    [
        ("two_layer_mse", "grad_z1(da1, z1):\n    return da1", "Your dz1 is da1 itself."),
        ("two_layer_mse", "grad_b1(dz1):\n    return dz1 + 0", "Your db1 is dz1 itself."),
        ("batchnorm", "grad_gamma(dout, xhat):\n    return dout * xhat", "made of dout and xhat."),
        (
            "deep_mlp",
            "grad_layer2(k1, dz2, w2, dpenalty):\n    return k1.T @ dz2, dz2.sum(0, keepdim=True)",
            "made of k1",
        ),
        ("attention", "grad_s(da, a):\n    return (a.double() * da.double()).to(a.dtype)", "made of da and a."),
    ],
)
def test_an_intermediate_is_named_by_the_arguments_in_it(name: str, function: str, sentence: str) -> None:
    assert sentence in said(name, function)


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("two_layer_mse", "grad_z1(da1, z1):\n    return da1 * z1"),  # no step of a right computation
        ("two_layer_mse", "grad_yhat(yhat, y):\n    return yhat - y + (len(y) > 2)"),  # only on two rows
        ("two_layer_mse", "grad_w1(x, dz1):\n    return x.T @ dz1 * 2"),
    ],
)
def test_what_is_no_step_on_the_way_is_not_called_one(name: str, function: str) -> None:
    assert said(name, function) == ""


@pytest.mark.parametrize("name", ASSIGNMENTS)
def test_probes_change_nothing(name: str) -> None:
    """A solution with probes computes what it computes without them, and the last values seen are its results."""
    assignment = assignment_called(name)
    for exercise in assignment.exercises:
        case = build_cases(assignment)[exercise.name][-1]
        code, probed = with_probes(assignment.solution_code[exercise.name], exercise)
        values = values_in(assignment, exercise, code, case)
        for place, right in enumerate(case.expected):
            if right.numel() > 1:
                assert any(
                    value.shape == right.shape
                    and case.compare(value, target=place, argument_dtype=case.dtype).outcome.passed
                    for _, value in values
                ), exercise.name
        assert {number for number, _ in values} <= probed.made_of.keys()


def test_without_a_solution_nothing_is_said() -> None:
    assignment = dataclasses.replace(assignment_called("two_layer_mse"), solutions={}, solution_code={})
    report = grade_in_process(assignment, "# %%\ndef grad_z1(da1, z1):\n    return da1\n")
    example = report.exercises[4].counterexample
    assert example is not None
    assert example.answers
    assert example.partway == ""
