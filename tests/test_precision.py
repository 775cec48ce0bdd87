"""
Right answers in any style keep their points, and what is wrong by a hundred-thousandth does not.

`GRADER_EXAMPLES=1000` tries more of them.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grader.assignment.load import Assignment
from grader.model import Outcome, Report
from grader.notebook.functions import find_functions
from grader.notebook.read import read_notebook
from tests.conftest import SOURCES, assignment_called, submission_of
from tests.inprocess import InProcessRun
from tests.rewriting import FAMILIES, STYLES, family, perturbed, rewritten

ASSIGNMENTS = sorted(path.stem for path in SOURCES.glob("*.md"))
MANY = settings(
    max_examples=int(os.environ.get("GRADER_EXAMPLES", "200")),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
COMPILED_STYLES = compile(STYLES, "<styles>", "exec")
CHANGES = {
    "everything": "value[which] = value[which] * (1 + sign * 1e-5)",
    "everything by the same": "value[which] = value[which] + sign * 1e-5 * value[which].abs().max()",
    "one entry": (
        "flat = value[which].clone(memory_format=torch.contiguous_format).flatten(); "
        "flat[place % flat.numel()] += sign * 1e-5 * flat.abs().max(); value[which] = flat.view(value[which].shape)"
    ),
}
"""What is done to the gradient of one target, a hundred-thousandth of its largest entry."""


@functools.cache
def quick(assignment_id: str) -> Assignment:
    """An assignment that trains for one step only."""
    return dataclasses.replace(assignment_called(assignment_id), steps=1)


@functools.cache
def alone(assignment_id: str, name: str) -> Assignment:
    """An assignment that has only one of its exercises."""
    assignment = quick(assignment_id)
    return dataclasses.replace(assignment, exercises=tuple(e for e in assignment.exercises if e.name == name))


class Short(InProcessRun):
    """A notebook of the network and answers alone, which finds the functions of `STYLES`."""

    def __init__(self, assignment: Assignment, answers: Mapping[str, str]) -> None:
        self.submission = submission_of(assignment.network, *answers.values())
        self.notebook = read_notebook(self.submission)
        self.functions = find_functions(self.notebook, [exercise.name for exercise in assignment.exercises])
        self._execute(assignment)

    def _run(self) -> dict[str, Any]:
        namespace: dict[str, Any] = {"__name__": "__main__"}
        exec(COMPILED_STYLES, namespace)
        for cell in self.notebook.cells:
            exec(compile(cell.code, f"<cell {cell.number}>", "exec"), namespace)
        return namespace


def graded(assignment: Assignment, answers: Mapping[str, str]) -> Report:
    return Short(assignment, {**assignment.solution_code, **answers}).report(assignment)


@MANY
@given(st.data())
def test_right_answers_in_any_style_keep_all_points(data: st.DataObject) -> None:
    """Whatever is summed in whichever order, whatever is copied, and whichever constants are float32."""
    assignment = quick(data.draw(st.sampled_from(ASSIGNMENTS)))
    answers = {
        name: rewritten(code, name, lambda options: data.draw(st.sampled_from(options)))
        for name, code in assignment.solution_code.items()
    }

    report = graded(assignment, answers)

    lost = {e.name: f"{e.message}\n{answers[e.name]}" for e in report.exercises if e.outcome is not Outcome.MATCH}
    assert not lost, "\n\n".join(lost.values())
    assert report.score == report.max_score


@MANY
@given(st.data())
def test_an_answer_that_is_off_by_a_hundred_thousandth_loses_its_points(data: st.DataObject) -> None:
    """All of a gradient, or one entry relative to its largest one, in one of the targets."""
    whole = quick(data.draw(st.sampled_from(ASSIGNMENTS)))
    exercise = data.draw(st.sampled_from(whole.exercises))
    assignment = alone(whole.id, exercise.name)
    code = rewritten(
        assignment.solution_code[exercise.name],
        exercise.name,
        lambda options: data.draw(st.sampled_from(options)),
        narrow=False,
    )
    which = data.draw(st.integers(0, len(exercise.targets) - 1))
    place, sign = data.draw(st.integers(0, 10**6)), data.draw(st.sampled_from((1, -1)))
    change = CHANGES[data.draw(st.sampled_from(sorted(CHANGES)))]
    wrong = perturbed(code, exercise.name, f"which, place, sign = {which}, {place}, {sign}; {change}")

    report = graded(assignment, {exercise.name: wrong})

    assert [e.outcome for e in report.exercises] == [Outcome.MISMATCH], wrong


@pytest.mark.parametrize("name", FAMILIES)
def test_every_style_is_used_by_some_assignment(name: str) -> None:
    """Otherwise the properties above say nothing about it."""
    assert len(family(name, narrow=True)) >= 3
    codes = [
        rewritten(code, exercise, lambda options: options[-1])
        for assignment_id in ASSIGNMENTS
        for exercise, code in assignment_called(assignment_id).solution_code.items()
    ]
    assert any(f"{family(name, narrow=True)[-1]}(" in code for code in codes)
