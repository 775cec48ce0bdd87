"""A function is said to read a variable of the notebook only if another value of it changes the answer."""

from __future__ import annotations

import nbformat
import pytest

from grader.assignment.load import Assignment
from grader.execution import conducting
from grader.execution.kept import pack_attempt, unpack_attempt
from grader.execution.rebinding import rebind_key
from grader.execution.record import Attempt
from grader.model import ExerciseResult, Outcome, Report
from grader.pipeline import grade
from grader.reports.json import report_to_dict
from grader.sandbox import Bounds
from tests.conftest import handed_in, raw_submission
from tests.inprocess import InProcessRun, grade_in_process

TORN = "\n    return (x.T @ dz1).sin()"
"""No recogniser explains these numbers: their diagnosis depends only on what the function reads."""


def diagnosed(report: Report, name: str = "grad_w1") -> str | None:
    exercise = exercise_called(report, name)
    return exercise.diagnoses[0].id if exercise.diagnoses else None


def exercise_called(report: Report, name: str) -> ExerciseResult:
    return next(exercise for exercise in report.exercises if exercise.name == name)


@pytest.mark.parametrize(
    "answer",
    [
        "def grad_w1(x, dz1):\n    return (x.T @ dz1).sin() * globals()['a1'].mean()",
        "def grad_w1(x, dz):\n    return (x.T @ dz).sin() * z1.mean()",
        "def grad_w1(x, dz1):\n    return (x.T @ dz1).sin() * len(y)",  # the number of rows, not their values
        "def grad_w1(x, dz1, scale=z1.mean()):\n    return (x.T @ dz1).sin() * scale",
        "def grad_w1(x, dz1):\n    return dz1.sum() * parameters['w1'].sin()",
        "kept = [parameters['w1'].numpy()]\n\n# %%\ndef grad_w1(x, dz1):\n"
        "    return dz1.sum() * torch.tensor(kept[0]).sin()",
    ],
)
def test_a_function_that_reads_a_variable_is_recognised(assignment: Assignment, answer: str) -> None:
    assert diagnosed(grade_in_process(assignment, f"# %%\n{answer}")) == "reads_global"


@pytest.mark.parametrize(
    "body",
    [
        "if len(x) < 0:\n        return z1" + TORN,  # never taken
        "a1 = [z1 for z1 in x]" + TORN,  # local names
        "z1 + w2 if False else None" + TORN,
        "z1.sum()" + TORN,  # read, but not used
        "assert z1.dtype == dz1.dtype or len(x) != 64" + TORN,
        "lambda: z1" + TORN,
    ],
)
def test_a_name_alone_is_not_a_read(assignment: Assignment, body: str) -> None:
    report = grade_in_process(assignment, f"# %%\ndef grad_w1(x, dz1):\n    {body}\n")

    assert exercise_called(report, "grad_w1").outcome is Outcome.MISMATCH
    assert diagnosed(report) != "reads_global"


@pytest.mark.parametrize(
    "body",
    [
        "global calls\n    calls += 1\n    return (x.T @ dz1).sin() * calls + 0 * len(a1)",  # never the same twice
        "return (x.T @ dz1).sin() + torch.rand(1) + 0 * len(a1)",
    ],
)
def test_if_the_answer_always_changes_no_read_is_confirmed(assignment: Assignment, body: str) -> None:
    report = grade_in_process(assignment, f"# %%\ncalls = 0\n\n# %%\ndef grad_w1(x, dz1):\n    {body}\n")

    assert diagnosed(report) != "reads_global"


def test_the_diagnosis_names_only_variables_that_are_read(assignment: Assignment) -> None:
    report = grade_in_process(
        assignment, "# %%\ndef grad_w1(x, dz):\n    a1 if False else 0\n    return (x.T @ dz).sin() * z1.mean()"
    )

    (first, *_) = exercise_called(report, "grad_w1").diagnoses
    assert first.id == "reads_global"
    assert "z1" in first.message
    assert "a1" not in first.message


def test_a_name_alone_does_not_hide_another_mistake(assignment: Assignment) -> None:
    """Neither in a wrong answer nor in a function that raises for another reason."""
    answer = "# %%\ndef grad_w1(x, dz1):\n    if False:\n        return w1\n    return -(x.T @ dz1)"
    fails = "# %%\ndef grad_w1(x, dz1):\n    shape = w1.shape if False else 0\n    return (x.T @ dz1).reshape(3, -1, 5)"

    assert diagnosed(grade_in_process(assignment, answer)) == "sign"
    assert diagnosed(grade_in_process(assignment, fails)) != "reads_global"


def test_only_functions_that_name_a_variable_are_called_again(assignment: Assignment) -> None:
    """In the solution, functions name constants of the network only."""
    solution = InProcessRun(assignment, "", base="solution")
    naming = InProcessRun(assignment, "# %%\nn = 2\n\ndef grad_b1(dz1):\n    n")

    assert [key for key in solution.execution.replies if "rebound" in key] == []
    assert [key for key in naming.execution.replies if "rebound" in key] == ["grad_b1 rebound"]


HOSTILE = """
# %%
import contextlib, os

class Hostile(torch.Tensor):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        if len(types) and func is not torch.Tensor.sum:
            raise SystemExit("do not touch")
        return 2.0

armed = torch.ones(3).as_subclass(Hostile)
bomb = torch.ones(3)

# %%
def grad_w1(x, dz1):
    return (x.T @ dz1) * armed.sum()

# %%
def grad_b1(dz1):
    if not bomb.sum() == 3:
        for channel in range(3, 40):
            with contextlib.suppress(OSError):
                os.write(channel, b"no message" * 100)
    return -dz1.sum(0, keepdim=True)

# %%
def grad_yhat(yhat, y):
    return 2 * (yhat - y) / len(x)

# %%
def grad_b2(dyhat):
    return dyhat.sum(0, keepdim=True) + 0 * len(x)
"""


def test_in_a_kernel_the_extra_calls_cost_nothing(assignment: Assignment, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    If one of them kills the kernel, there is a new one for the others; a right function is not called again.

    Judging the packed replies gives the same results.
    """
    kept: list[Attempt] = []
    started: list[Bounds] = []
    fork_kernel = conducting.fork_kernel
    monkeypatch.setattr(
        conducting,
        "fork_kernel",
        lambda server, bounds, *rest, **options: (
            started.append(bounds) or fork_kernel(server, bounds, *rest, **options)
        ),
    )
    submission = raw_submission(nbformat.writes(handed_in(HOSTILE)).encode())

    report = grade(submission, assignment, keep=kept.append)

    (ran,) = kept
    outcomes = {exercise.name: exercise.outcome for exercise in report.exercises}
    wrong = {name for name, outcome in outcomes.items() if outcome is not Outcome.MATCH}
    assert wrong == {"grad_w1", "grad_yhat", "grad_b1"}
    assert diagnosed(report, "grad_yhat") == "reads_global"
    assert diagnosed(report, "grad_w1") not in (None, "reads_global")
    asked = {key: reply.status for key, reply in ran.execution.replies.items() if "rebound" in key}
    assert set(asked) == {"grad_yhat rebound", "grad_w1 rebound", "grad_b1 rebound"}
    assert (asked["grad_yhat rebound"], asked["grad_b1 rebound"]) == ("done", "crashed")
    assert report.notebook.executed == report.notebook.cells
    assert len(started) == 2

    packed = pack_attempt(ran, assignment)
    assert packed is not None
    again = grade(submission, assignment, known=unpack_attempt(packed, assignment))
    assert report_to_dict(again)["exercises"] == report_to_dict(report)["exercises"]


def test_without_a_reply_no_read_is_confirmed(assignment: Assignment) -> None:
    run = InProcessRun(assignment, "# %%\ndef grad_yhat(yhat, y):\n    return 2 * (yhat - y) / len(x)")
    assert diagnosed(run.report(assignment), "grad_yhat") == "reads_global"

    exercise = next(e for e in assignment.exercises if e.name == "grad_yhat")
    del run.execution.replies[rebind_key(exercise)]

    assert diagnosed(run.report(assignment), "grad_yhat") != "reads_global"
