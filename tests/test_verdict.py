"""
A grading and a check reach the same verdict, and sentence, numbers and hints describe a target that is wrong.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from grader.assignment.declared import Declared
from grader.assignment.load import Assignment, load_assignment
from grader.checking import cells
from grader.checking.live import Live
from grader.execution.channel import Reply, Request
from grader.execution.record import Attempt, Execution
from grader.model import CaseResult, ExerciseResult, Outcome, Report
from grader.reference.cases import build_cases
from grader.reference.practice import build_practice
from grader.verdict import verdict_on
from tests.conftest import assignment_called, handed_in
from tests.inprocess import TRANSFORMER, InProcessRun, grade_in_process
from tests.test_corpus import CORPUS

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
    assert layer.cases[0].part == "db1"
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


# ----------------------------------------------------------------------------------------------- a grading and a check


@dataclasses.dataclass(frozen=True, slots=True)
class Shell:
    """The parts of IPython that a check uses: the file name and number of each cell, and the cells as typed."""

    compile: Any
    history_manager: Any


@pytest.fixture
def _one_thread() -> Iterator[None]:
    """Restores the number of threads, which `perform` changes."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def examined(assignment: Assignment, answers: str, monkeypatch: pytest.MonkeyPatch) -> Report:
    """The report of `check.all()` in a notebook with these answers."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    filenames: dict[str, int] = {}
    typed = [""]
    handed = handed_in(answers, assignment_id=assignment.id).cells
    for code in (cell.source for cell in handed if cell.cell_type == "code"):
        filename = f"<typed {len(typed)}>"
        filenames[filename] = len(typed)
        if "plt." not in code and "range(40)" not in code:
            with contextlib.suppress(Exception):  # a notebook goes on after a cell that raised
                exec(compile(TRANSFORMER.transform_cell(code), filename, "exec"), namespace)
        typed.append(code)
    compiler, history = type("", (), {"_filename_map": filenames}), type("", (), {"input_hist_raw": typed})
    monkeypatch.setattr(cells, "get_ipython", lambda: Shell(compiler, history))
    declared = Declared(assignment_id=assignment.id, exercises=assignment.exercises)
    return Live(declared, namespace).examine_all()


@pytest.mark.usefixtures("_one_thread")
@pytest.mark.parametrize(
    ("mistakes", "explained"),
    [
        (
            "missing_two not_summed_w2 flat_b2 transposed_a1 one_nan accumulates half_precision",
            "constant_factor not_summed dropped_dim transposed not_finite keeps_state low_precision",
        ),
        ("global_n ignores_upstream_w2 nan mask_only", "reads_global ignores_upstream not_finite ignores_upstream"),
        (
            "frozen_default global_dyhat global_w2 global_z1_mask global_x",
            "reads_global reads_global reads_global reads_global reads_global",
        ),
    ],
)
def test_a_grading_and_a_check_reach_the_same_verdict(
    mistakes: str, explained: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outcomes, explanations and the chain are the same, whether the code is handed in or checked in its notebook."""
    assignment = assignment_called("two_layer_mse")
    folders = [CORPUS / "two_layer_mse" / f"wrong_{mistake}" for mistake in mistakes.split()]
    answers = "\n\n".join((folder / "answers.py").read_text(encoding="utf-8") for folder in folders)

    reports = grade_in_process(assignment, answers, base="solution"), examined(assignment, answers, monkeypatch)

    found = [
        {result.name: (result.outcome, [each.id for each in result.diagnoses]) for result in report.exercises}
        for report in reports
    ]
    assert found[0] == found[1]
    assert sorted(ids[0] for outcome, ids in found[0].values() if not outcome.passed) == sorted(explained.split())
    chains = [report.chain for report in reports]
    assert chains[0] is not None
    assert chains[1] is not None
    assert (chains[0].links, chains[0].message) == (chains[1].links, chains[1].message)


ANSWERS = """
# %%
def grad_b1(dz1):
    return {}
"""


@pytest.mark.parametrize(
    ("returned", "asked_again"),
    [
        ("dz1.sum(0, keepdim=True) + 0 * len(a1)", ""),  # it reads a variable, but is right
        ("-dz1.sum(0, keepdim=True)", "small"),  # it is wrong, but reads no variable
        ("-dz1.sum(0, keepdim=True) + 0 * len(a1)", "rebound small"),
        ("dz1.sum(0) * len(a1)", "rebound small"),
        ("None if len(a1) else dz1", "rebound"),  # no small number can show more
        ("1 / 0 * len(a1)", "rebound"),
    ],
)
def test_only_a_wrong_function_is_called_again(assignment: Assignment, returned: str, asked_again: str) -> None:
    """With other values in the variables that its code reads, and on small cases. No reply changes the outcome."""
    run = InProcessRun(assignment, ANSWERS.format(returned), base="solution")
    (exercise,) = [exercise for exercise in assignment.exercises if exercise.name == "grad_b1"]
    reply = run.execution.replies["grad_b1"]
    attempt = Attempt(
        notebook=run.notebook,
        functions=run.functions,
        execution=Execution.in_this_process({"grad_b1": reply}),
    )
    asked: list[Request] = []

    def ask(request: Request) -> Reply:
        asked.append(request)
        return Reply(status="crashed")

    cases = build_cases(assignment)["grad_b1"]
    verdict = verdict_on(exercise, assignment, cases, attempt, ask=ask)
    unasked = verdict_on(exercise, assignment, cases, attempt)

    assert [request.key for request in asked] == [f"grad_b1 {word}" for word in asked_again.split()]
    assert verdict.result.outcome is unasked.result.outcome
    assert (verdict.result.points, verdict.result.message) == (unasked.result.points, unasked.result.message)


def test_an_earlier_reply_is_used(assignment: Assignment) -> None:
    """A grading makes all its requests before it judges. With `ask`, the earlier reply does not count."""
    run = InProcessRun(assignment, ANSWERS.format("dz1.sum(0, keepdim=True).sin() * z1.mean()"), base="solution")
    (exercise,) = [exercise for exercise in assignment.exercises if exercise.name == "grad_b1"]
    attempt = Attempt(notebook=run.notebook, functions=run.functions, execution=run.execution)
    cases = build_cases(assignment)["grad_b1"]

    practice = build_practice(assignment)["grad_b1"]

    graded = verdict_on(exercise, assignment, cases, attempt, practice=practice).result
    unconfirmed = verdict_on(
        exercise, assignment, cases, attempt, practice=practice, ask=lambda _: Reply(status="crashed")
    ).result

    assert [each.id for each in graded.diagnoses] == ["reads_global"]
    assert "reads_global" not in [each.id for each in unconfirmed.diagnoses]
    assert graded.fingerprint == unconfirmed.fingerprint is not None


def test_what_a_function_raises_is_told_of_a_practice_case(assignment: Assignment) -> None:
    """The hidden case says only that it raised. In a check, no case is hidden."""
    run = InProcessRun(
        assignment, ANSWERS.format("dz1[50:].sum() if len(dz1) > 48 else dz1[48].sum()"), base="solution"
    )
    (exercise,) = [exercise for exercise in assignment.exercises if exercise.name == "grad_b1"]
    attempt = Attempt(notebook=run.notebook, functions=run.functions, execution=run.execution)
    cases, practice = build_cases(assignment)["grad_b1"], build_practice(assignment)["grad_b1"]

    result = verdict_on(exercise, assignment, cases, attempt, practice=practice).result

    assert result.outcome is Outcome.RAISED
    assert result.error is not None
    assert "out of bounds" in result.error.message
    assert result.message.endswith("(case mnist_hidden).")
    assert [case for case in result.cases if not case.public] == [
        CaseResult(name=case.name, outcome=Outcome.RAISED, public=False) for case in practice
    ]


def test_what_cannot_be_explained_is_wrong_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """An explanation is advice. That the grader fails to find one costs nobody the outcomes, and is flagged."""

    def fail(*_: object) -> None:
        raise OverflowError("too large")

    monkeypatch.setattr("grader.verdict.diagnose", fail)
    report, layer = graded(RIGHT_W1, "dz1.mean(0, keepdim=True)")

    assert layer.outcome is Outcome.MISMATCH
    assert layer.diagnoses == ()
    assert all(result.passed for result in report.exercises if result is not layer)
    assert [(flag.id, flag.exercise) for flag in report.flags] == [("unexplained", "grad_layer1")]
