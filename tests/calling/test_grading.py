"""Exercises in other forms, graded as students hand them in."""

from __future__ import annotations

import nbformat
import pytest

from grader.assignment.load import load_assignment
from grader.assignment.source import read_source
from grader.authoring.release import fill_blanks, release_notebook
from grader.checking.check import check
from grader.model import ExerciseResult, Outcome, Report, Submission
from grader.pipeline import grade
from grader.reports.html import render_html
from tests.conftest import ROOT

FORMS = ROOT / "docs" / "examples" / "forms.md"

MISTAKES = """
# %%
def layer_backward(dout, cache):
    x, w, b = cache
    return [dout @ w.T, dout.T @ x, dout.sum(0)]
# %%
def softmax_loss(W, b, X, y, reg=0.0):
    s = X @ W + b
    s = s - s.max(1)[:, None]
    logp = s - np.log(np.exp(s).sum(1))[:, None]
    d = (np.exp(logp) - np.eye(10)[y]) / len(y)
    loss = -logp[np.arange(len(y)), y].sum() / len(y) + reg * np.square(W).sum()
    return loss, dict(dW=X.T @ d + 2 * reg * W, db=d.sum(0))
# %%
def affine_forward(x, w, b):
    return x @ w, (x, w, b)
# %%
def sigmoid_prime(z):
    return torch.sigmoid(z)
# %%
def linear_backward(dZ, A_prev):
    return A_prev.T @ dZ, dZ.sum(0)
# %%
class Linear:
    def __init__(self, w, b):
        self.w, self.b = w, b

    def forward(self, x):
        self.x = x
        return x @ self.w + self.b

    def backward(self, dout):
        self.dw = self.x.T @ dout
        self.db = dout.mean(0)
        return dout @ self.w.T
# %% answers: by_hand
dscores = (p - torch.eye(10)[y]) / n
dw2 = a1.T @ dscores
db2 = dscores.sum(0)
da1 = dscores @ w2.T
# %%
dz1 = da1 * a1 * (1 - a1)
dw1 = x.T @ dz1 + 2 * REG * w1
db1 = dz1.sum(1)
"""


@pytest.fixture(scope="module")
def report() -> Report:
    notebook = fill_blanks(release_notebook(read_source(FORMS)), MISTAKES)
    content = nbformat.writes(notebook).encode()
    return grade(Submission.of(content, name="forms.ipynb", student="s"), load_assignment(FORMS))


@pytest.fixture
def results(report: Report) -> dict[str, ExerciseResult]:
    return {result.name: result for result in report.exercises}


def test_each_part_has_its_own_verdict(results: dict[str, ExerciseResult]) -> None:
    layer = results["layer_backward"]

    assert (layer.outcome, layer.points, layer.max_points) == (Outcome.WRONG_SHAPE, 2.0, 4.0)
    assert {part.name: part.points for part in layer.parts} == {"da1": 1.0, "dw2": 0.0, "db2": 1.0}
    assert [diagnosis.id for diagnosis in layer.diagnoses] == ["transposed"]


def test_an_answer_in_another_style_is_right(results: dict[str, ExerciseResult]) -> None:
    """Its keys have other names, and its loss is a number."""
    assert results["softmax_loss"].outcome is Outcome.MATCH


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("affine_forward", "Your z1 is what you get if one term of the sum is left out."),
        ("sigmoid_prime", "Your result is what you get if one factor is left out."),
        ("linear_backward", "N is the number of rows in the batch"),
        ("Linear", "Your db2 is an average over the batch, where the gradients have to be added up."),
    ],
)
def test_a_mistake_is_named(results: dict[str, ExerciseResult], name: str, says: str) -> None:
    assert results[name].outcome is Outcome.MISMATCH
    assert says in " ".join(diagnosis.message for diagnosis in results[name].diagnoses)


def test_straight_lines_are_judged_one_by_one(results: dict[str, ExerciseResult]) -> None:
    """A wrong line costs its own points, and not those of the lines after it."""
    lines = results["by_hand"]

    wrong = {part.name: part.outcome for part in lines.parts if not part.outcome.passed}
    assert wrong == {"dw2": Outcome.MISMATCH, "db1": Outcome.WRONG_SHAPE}
    assert lines.points == 5.0
    assert ["dw2" in lines.diagnoses[0].message, "db1" in lines.diagnoses[1].message] == [True, True]
    assert lines.code is not None
    assert lines.code.text.startswith("dscores = ")


def test_the_report_shows_the_parts(report: Report) -> None:
    page = render_html(report)

    assert "5 of 7 parts are right" in page
    assert page.count("Your gradient and the reference: <code>dw2</code>") >= 1


def test_a_check_in_the_notebook_says_the_same(report: Report) -> None:
    """Nothing is lost when the notebook declares its exercises."""
    notebook = fill_blanks(release_notebook(read_source(FORMS)), MISTAKES)
    namespace: dict[str, object] = {"__name__": "__main__"}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            exec(cell.source, namespace)

    checked = check.examine_all(namespace).report

    without_lines = [result for result in report.exercises if result.name != "by_hand"]
    expected = {result.name: result.outcome for result in without_lines}
    assert {r.name: r.outcome for r in checked.exercises if r.name != "by_hand"} == expected


PEEKING = """
# %% answers: by_hand
import sys
import gc
def peek(name):
    frame = sys._getframe(1)
    while frame is not None:
        for value in frame.f_locals.values():
            if isinstance(value, dict) and name in value:
                return value[name]
        frame = frame.f_back
    return [a for a in gc.get_objects() if isinstance(a, dict) and name in a][0][name]
dscores = peek("dscores")
dw2 = peek("dw2")
db2 = peek("db2")
da1 = peek("da1")
dz1 = peek("dz1")
dw1 = peek("dw1")
db1 = peek("db1")
"""


def test_right_gradients_are_not_there_to_be_read() -> None:
    """Of a hidden case, a right gradient reaches the student's process only after it has been asked for."""
    notebook = fill_blanks(release_notebook(read_source(FORMS)), PEEKING)
    content = nbformat.writes(notebook).encode()

    report = grade(Submission.of(content, name="forms.ipynb", student="s"), load_assignment(FORMS))

    lines = next(result for result in report.exercises if result.name == "by_hand")
    assert lines.points == 0
    hidden = [case for case in lines.cases if not case.public]
    assert hidden
    assert not any(case.outcome.passed for case in hidden)
