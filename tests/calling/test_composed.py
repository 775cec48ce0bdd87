"""A report on an exercise that calls other exercises says first which of them are wrong."""

from __future__ import annotations

from typing import Any

import pytest

from grader.authoring.release import fill_blanks, release_notebook
from grader.checking import cells
from grader.checking.check import Check
from grader.model import ExerciseResult, Outcome, Report
from grader.reports.fragment import render_text
from grader.reports.html import render_html
from tests.courses.test_courses import assignment_of, graded, source_of
from tests.test_verdict import Shell

LAYERS = "deeplearning_ai"
"""`model_backward` calls `linear_activation_backward`, which calls `linear_backward`; so their solutions do."""


def edited(course: str, exercise: str, old: str, new: str) -> dict[str, str]:
    solution = assignment_of(course).solution_code[exercise]
    assert solution.count(old) == 1
    return {exercise: solution.replace(old, new)}


NOT_AVERAGED = edited(LAYERS, "linear_backward", "np.dot(dZ, A_prev.T) / m", "np.dot(dZ, A_prev.T)")
WRONG_SIGN = edited(LAYERS, "model_backward", "dAL = -(np.divide", "dAL = (np.divide")


def results_in(report: Report) -> dict[str, ExerciseResult]:
    return {result.name: result for result in report.exercises}


def test_a_mistake_in_a_function_that_others_call() -> None:
    """It costs the points of all that call it, and each report says why."""
    report = graded(LAYERS, NOT_AVERAGED)
    results = results_in(report)

    own, layer, model = (results[f"{name}_backward"] for name in ("linear", "linear_activation", "model"))
    assert [diagnosis.id for diagnosis in own.diagnoses] == ["constant_factor"]
    assert [diagnosis.id for diagnosis in layer.diagnoses] == ["uses_wrong_function"]
    assert layer.diagnoses[0].message.startswith("linear_activation_backward uses your linear_backward, which is not")
    assert model.diagnoses[0].message.startswith("model_backward uses your linear_activation_backward, which is not")
    assert [part.name for part in layer.parts if not part.outcome.passed] == ["dW2"]
    page, text = render_html(report), render_text(report)
    for shown in (page, text):
        assert "linear_activation_backward uses your linear_backward, which is not right yet." in shown
    assert page.count("times what it should be") == 1


def test_a_mistake_of_its_own_is_explained_as_ever() -> None:
    """What it calls is right."""
    model = results_in(graded(LAYERS, WRONG_SIGN))["model_backward"]

    assert [diagnosis.id for diagnosis in model.diagnoses] == ["sign"]


def test_one_that_does_not_call_the_wrong_one_is_right() -> None:
    """It computes all of it by itself."""
    in_one_go = """
def linear_activation_backward(dA, cache, activation):
    (A_prev, W, b), Z = cache
    slope = {"relu": lambda z: z > 0, "sigmoid": lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2}[activation](Z)
    dZ = dA * slope
    return W.T @ dZ, dZ @ A_prev.T, dZ.mean(1, keepdims=True)
"""
    results = results_in(graded(LAYERS, {**NOT_AVERAGED, "linear_activation_backward": in_one_go}))

    assert results["linear_activation_backward"].diagnoses[0].id == "constant_factor"
    assert results["model_backward"].diagnoses[0].message.startswith("model_backward uses your linear_activation_backw")


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ("def linear_backward(dZ, cache):\n    return dZ @ cache[3], None", Outcome.RAISED),
        ("def linear_backward(dZ, cache):\n    raise NotImplementedError", Outcome.BLANK),
        ("def linear_backward(dZ, cache):\n    return 1dZ", Outcome.SYNTAX_ERROR),
        ("pass", Outcome.MISSING),
    ],
)
def test_what_raises_in_another_exercise(answer: str, outcome: Outcome) -> None:
    """The line that is shown is innocent."""
    results = results_in(graded(LAYERS, {"linear_backward": answer}))

    assert results["linear_backward"].outcome is outcome
    layer = results["linear_activation_backward"]
    assert layer.outcome is Outcome.RAISED
    assert layer.diagnoses[0].message.startswith("linear_activation_backward uses your linear_backward, which is not")


def test_a_class_that_is_used_by_another_one() -> None:
    """A cell that is not Python would have defined it; nobody has deleted it."""
    results = results_in(
        graded("layer_classes", edited("layer_classes", "Linear", "self.dW = x.T @ dy", "self.dW = x.T @"))
    )

    assert results["Linear"].outcome is Outcome.SYNTAX_ERROR
    assert "is not Python" in results["Linear"].message
    assert results["LeakyReLU"].outcome is Outcome.MATCH
    assert results["Model"].diagnoses[0].message.startswith("Model uses your Linear, which is not right yet.")


def test_a_class_that_is_gone() -> None:
    linear = results_in(graded("layer_classes", {"Linear": "pass"}))["Linear"]

    assert linear.message == (
        "There is no class Linear in the notebook. Was its cell deleted, or turned into a text cell?"
    )


def test_a_check_in_the_notebook_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of one function alone: what it calls is then checked, too."""
    codes = {**assignment_of(LAYERS).solution_code, **NOT_AVERAGED}
    written = "\n".join(f"# %% answers: {name}\n{code}" for name, code in codes.items())
    notebook = fill_blanks(release_notebook(source_of(LAYERS)), written)
    typed = ["", *(cell.source for cell in notebook.cells if cell.cell_type == "code")]
    names = {f"<typed {number}>": number for number in range(1, len(typed))}
    compiler, history = type("", (), {"_filename_map": names}), type("", (), {"input_hist_raw": typed})
    monkeypatch.setattr(cells, "get_ipython", lambda: Shell(compiler, history))
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for name, number in names.items():
        exec(compile(typed[number], name, "exec"), namespace)
    check: Check = namespace["check"]

    results = {each.name: each for each in check.examine_all(namespace).report.exercises}
    (alone,) = check.examine("model_backward", namespace).report.exercises
    (right,) = check.examine("linear_activation_forward", namespace).report.exercises

    assert [each.id for each in results["linear_backward"].diagnoses] == ["constant_factor"]
    assert results["linear_activation_backward"].diagnoses[0].message.startswith("linear_activation_backward uses your")
    assert [each.id for each in alone.diagnoses] == ["uses_wrong_function"]
    assert alone.diagnoses == results["model_backward"].diagnoses
    assert (right.outcome, right.diagnoses) == (Outcome.MATCH, ())
