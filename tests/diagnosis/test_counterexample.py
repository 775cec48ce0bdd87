"""A counterexample is the smallest call on which a function is wrong, or the reason why there is none."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import math

import jsonschema
import pytest

from grader.assignment.source import read_source
from grader.authoring.release import release_notebook
from grader.calling.tables import Counterexample
from grader.execution.asking import small_key
from grader.model import Outcome, Report
from grader.reports.fragment import render_fragment, render_smallest, render_smallest_text
from grader.reports.html import render_html
from grader.reports.json import render_json
from grader.reports.reading import parse_report
from grader.visibility import Visibility, views_of
from tests.conftest import ROOT, SOURCES, assignment_called
from tests.inprocess import InProcessRun, grade_in_process

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)
MEAN = "# %%\ndef grad_b1(dz1):\n    return dz1.mean(0, keepdim=True)\n"


def graded(answers: str, name: str = "two_layer_mse", **changes: object) -> Report:
    return grade_in_process(dataclasses.replace(assignment_called(name), **changes), answers)


def example_of(report: Report, name: str) -> Counterexample | None:
    return next(result for result in report.exercises if result.name == name).counterexample


def shown(example: Counterexample | None) -> Counterexample:
    assert example is not None
    assert not example.reason
    return example


@pytest.mark.parametrize(
    ("function", "rows"),
    [
        ("grad_b1(dz1):\n    return dz1.mean(0, keepdim=True)", 2),  # on one row, a mean is a sum
        ("grad_b1(dz1):\n    return -dz1.sum(0, keepdim=True)", 1),
        ("grad_z1(da1, z1):\n    return da1", 1),
        ("grad_w1(x, dz1):\n    return x.T @ dz1 / len(x)", 2),
        ("grad_w1(x, dz1):\n    return x.T @ dz1[:1].expand_as(dz1)", 2),
        ("grad_yhat(yhat, y):\n    return 2 * (yhat - y)", 2),
    ],
)
def test_it_has_as_few_rows_as_the_mistake_needs(function: str, rows: int) -> None:
    example = shown(example_of(graded(f"# %%\ndef {function}\n"), function.partition("(")[0]))
    assert example.rows == rows
    assert all(len(table.numbers) <= 12 for table in example.arguments)
    assert any(any(answer.differs) for answer in example.answers)


def test_the_numbers_are_those_of_the_function_and_of_autograd() -> None:
    """Worked by hand: the sum of each column is right, the mean is the student's."""
    example = shown(example_of(graded(MEAN), "grad_b1"))
    (dz1,), (answer,) = example.arguments, example.answers
    columns = [dz1.numbers[place :: dz1.shape[1]] for place in range(dz1.shape[1])]
    assert answer.right.numbers == tuple(map(math.fsum, columns))
    assert answer.yours.numbers == pytest.approx([sum(column) / len(column) for column in columns])
    assert answer.differs == tuple(sum(column) != 0 for column in columns)


def test_a_wrong_shape_stays_a_wrong_shape() -> None:
    """Sizes differ, so that a transposed result shows, although on two rows and two columns it would fit."""
    example = shown(example_of(graded("# %%\ndef grad_w1(x, dz1):\n    return dz1.T @ x\n"), "grad_w1"))
    (answer,) = example.answers
    assert answer.yours.shape == answer.right.shape[::-1] != answer.right.shape
    assert all(answer.differs)


def test_only_parts_that_are_wrong_are_shown() -> None:
    code = "# %%\ndef grad_layer2(k1, dz2, w2, dpenalty):\n    return k1.T @ dz2 + dpenalty * DECAY * w2, dz2\n"
    example = shown(example_of(graded(code, "deep_mlp"), "grad_layer2"))
    assert [answer.yours.name for answer in example.answers] == ["db2"]


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        ("grad_w1(x, dz1):\n    return x.T @ z1[: len(x)]", "works only with sizes like the notebook's"),
        ("grad_w1(x, dz1):\n    return (x.T @ dz1).reshape(784, 50) * 2", "works only with sizes like the notebook's"),
        ("grad_b1(dz1):\n    return dz1.bfloat16().sum(0, keepdim=True).float()", "few digits"),
        ("grad_b1(dz1):\n    return dz1[:40].sum(0, keepdim=True)", "right on every small batch"),
    ],
)
def test_where_there_is_none_there_is_a_reason(function: str, reason: str) -> None:
    name = function.partition("(")[0]
    report = graded(f"# %%\ndef {function}\n")
    example = example_of(report, name)
    assert example is not None
    assert reason in example.reason
    assert "Work this one by hand" not in render_html(report)
    only = dataclasses.replace(report, exercises=tuple(r for r in report.exercises if r.name == name))
    assert example.reason in render_smallest_text(only)


def test_sizes_that_are_fixed_are_the_reason() -> None:
    example = example_of(
        graded("# %%\ndef grad_cols(dz, w1):\n    return dz.flatten(2).mT @ w1.T * 2\n", "convnet"), "grad_cols"
    )
    assert example is not None
    assert "sizes of this network are fixed" in example.reason


def test_one_row_is_enough_where_no_more_fit() -> None:
    """Eight maps, and twelve numbers at most."""
    example = shown(
        example_of(graded("# %%\ndef grad_w2(g, dlogits):\n    return -g.T @ dlogits\n", "convnet"), "grad_w2")
    )
    assert example.rows == 1
    assert [len(table.numbers) for table in example.arguments] == [8, 2]


def test_what_is_wrong_on_one_row_only_is_no_example() -> None:
    code = "# %%\ndef grad_b1(dz1):\n    return dz1.sum(0, keepdim=True) + (len(dz1) == 1) + (len(dz1) > 40)\n"
    assert "only by chance" in example_of(graded(code), "grad_b1").reason  # type: ignore[union-attr]


def test_a_right_function_is_not_called_again() -> None:
    """Neither is one that is blank, or raises."""
    assignment = assignment_called("two_layer_mse")
    others = ("grad_b2(dyhat):\n    return dyhat.sum(0, keepdim=True)", "grad_a1(dyhat, w2):\n    return dyhat + None")
    code = MEAN + "".join(f"# %%\ndef {function}\n" for function in others)
    run = InProcessRun(assignment, code)
    asked = {exercise.name for exercise in assignment.exercises if small_key(exercise) in run.execution.replies}
    assert asked == {"grad_b1"}


@pytest.mark.parametrize("changes", [{"counterexample": False}, {"hints": 0}])
def test_an_author_can_switch_it_off(changes: dict[str, object]) -> None:
    report = graded(MEAN, **changes)
    assert example_of(report, "grad_b1") is None
    assert "counterexample" not in render_json(report)


def test_it_comes_with_the_last_hint() -> None:
    report = graded(MEAN)
    for hints, is_shown in ((3, True), (2, False)):
        whole, student = views_of(report, Visibility(release="2100-01-01T00:00+00:00", hints=hints), NOW)
        assert example_of(whole, "grad_b1") is not None
        assert (example_of(student, "grad_b1") is not None) is is_shown


def test_a_report_reads_back_as_it_was_written() -> None:
    report = graded(
        MEAN
        + "# %%\ndef grad_w1(x, dz1):\n    return x.T @ z1[: len(x)]\n# %%\ndef grad_b2(dyhat):\n    return dyhat / 0\n"
    )
    schema = json.loads((ROOT / "grader" / "schemas" / "report-1.json").read_text(encoding="utf-8"))
    text = render_json(report)
    jsonschema.validate(json.loads(text), schema)
    for result, finding in zip(report.exercises, parse_report(text).findings, strict=True):
        if result.outcome is not Outcome.WRONG_SHAPE and result.name != "grad_b2":
            assert finding.counterexample == result.counterexample
    endless = shown(parse_report(text).findings[2].counterexample)
    assert all(math.isnan(number) for number in endless.answers[0].yours.numbers)


def test_reports_and_checks_show_it() -> None:
    report = graded(MEAN)
    assert render_html(report).count("Work this one by hand") == 1
    assert render_fragment(report).count("Work this one by hand") == 1
    only = dataclasses.replace(report, exercises=tuple(r for r in report.exercises if r.name == "grad_b1"))
    assert "✗" in render_smallest(only)
    assert "yours, db1 (1 × " in render_smallest_text(only)
    right = dataclasses.replace(
        only, exercises=(dataclasses.replace(only.exercises[0], outcome=Outcome.MATCH, counterexample=None),)
    )
    assert "is right" in render_smallest_text(right)


def test_what_a_function_makes_of_it_is_escaped_and_bounded() -> None:
    """A hundred rows in place of two are not shown, and neither is what is no number."""
    code = "# %%\ndef grad_b1(dz1):\n    return dz1.sum(0, keepdim=True).repeat(100, 1)\n"
    example = example_of(graded(code), "grad_b1")
    assert example is not None
    assert example.reason


def test_a_released_notebook_keeps_the_setting() -> None:
    text = (
        (SOURCES / "two_layer_mse.md")
        .read_bytes()
        .replace(b"  assignment: two_layer_mse", b"  assignment: two_layer_mse\n  counterexample: false")
    )
    source = read_source(SOURCES / "two_layer_mse.md", text)
    assert source.settings["counterexample"] is False
    assert any("counterexample=False" in cell.source for cell in release_notebook(source).cells)
