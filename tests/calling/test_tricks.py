"""Results that lie about what is in them earn nothing, and cost nothing but their own points."""

from __future__ import annotations

import nbformat
import pytest

from grader.assignment.load import load_assignment
from grader.assignment.source import read_source
from grader.authoring.release import fill_blanks, release_notebook
from grader.model import Outcome, Report
from grader.pipeline import grade
from grader.reports.html import render_html
from grader.reports.json import render_json
from tests.conftest import ROOT, raw_submission

FORMS = ROOT / "docs" / "examples" / "forms.md"

TRICKS = """
# %%
class Changing(dict):
    '''Has something else in it each time that somebody looks.'''
    count = 0
    def __getitem__(self, key):
        Changing.count += 1
        return torch.zeros(Changing.count % 3)
    def keys(self):
        return ["da1", "dw2", "db2"][: Changing.count % 3]
    def values(self):
        return [torch.zeros(1)] * 3
    def __contains__(self, key):
        return True
    def __len__(self):
        return 3

def layer_backward(dout, cache):
    return Changing(da1=dout)

# %%
class Everything:
    '''Equals everything, has every attribute, and is an array, a collection and a number.'''
    def __eq__(self, other):
        return True
    def __hash__(self):
        return 0
    def __getattr__(self, name):
        return torch.zeros(3)
    def __array__(self, *args, **kwargs):
        return np.zeros((12, 10))
    def __iter__(self):
        return iter((Everything(), {"W": Everything(), "b": Everything()}))
    def __len__(self):
        return 2
    def __float__(self):
        return 0.0
    @property
    def __class__(self):
        return torch.Tensor

def softmax_loss(W, b, X, y, reg=0.0):
    return Everything(), {"W": Everything(), "b": Everything()}

# %%
class Long(tuple):
    def __len__(self):
        return 1
    def __getitem__(self, place):
        return torch.zeros(24, 12)

def affine_forward(x, w, b):
    return Long([x, w, b])

# %%
class Leaving(torch.Tensor):
    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        raise SystemExit("<img src=x onerror=alert(1)>")

def sigmoid_prime(z):
    return z.as_subclass(Leaving)

# %%
class Linear:
    '''Answers every question with what it was given.'''
    def __init__(self, *given):
        self.given = given
    def __getattr__(self, name):
        return self.given[0] if name == "dw" else lambda *given: given[0]

# %% answers: by_hand
dscores = p - torch.eye(10)[y]
dscores /= n
dw2 = np.zeros
db2 = torch.Tensor
da1 = [dscores @ w2.T]
dz1 = {"dz1": a1}
dw1 = 5
exit()
db1 = ()
"""


@pytest.fixture(scope="module")
def report() -> Report:
    assignment = load_assignment(FORMS)
    right = f"\n# %% answers: linear_backward\n{assignment.solution_code['linear_backward']}"
    notebook = fill_blanks(release_notebook(read_source(FORMS)), TRICKS + right)
    return grade(raw_submission(nbformat.writes(notebook).encode()), assignment)


def test_a_trick_earns_nothing(report: Report) -> None:
    points = {result.name: result.points for result in report.exercises}

    assert points == {
        **dict.fromkeys(("layer_backward", "softmax_loss", "affine_forward", "sigmoid_prime", "Linear"), 0.0),
        "linear_backward": 1.0,
        "by_hand": 2.0,
    }


def test_each_has_an_outcome_of_its_own(report: Report) -> None:
    outcomes = {result.name: result.outcome for result in report.exercises}
    lines = {part.name: part.outcome for part in report.exercises[-1].parts}

    assert outcomes["sigmoid_prime"] is Outcome.RAISED
    assert Outcome.GRADER_ERROR not in outcomes.values()
    assert Outcome.CRASHED not in outcomes.values()
    assert {name for name, outcome in lines.items() if outcome.passed} == {"dscores", "da1"}


def test_the_report_can_be_written(report: Report) -> None:
    assert "<img src=x" not in render_html(report)
    assert render_json(report)
    assert not any(flag.id == "unexplained" for flag in report.flags)
