"""The code of an exercise shows which other exercises it calls, also through helpers."""

from __future__ import annotations

import pytest

from grader.notebook.functions import Place, find_functions
from grader.notebook.read import Notebook

EXERCISES = ("affine", "relu", "softmax", "Net")


def calls(*cells: str, name: str = "Net") -> tuple[str, ...]:
    found = find_functions(Notebook.of(cells), EXERCISES).last(name)
    assert found is not None
    return found.calls


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("def Net(x):\n    return softmax(relu(x))", ("relu", "softmax")),
        ("def Net(x):\n    return [affine(row) for row in x]", ("affine",)),
        (
            "def Net(x):\n    layers = [affine, relu]\n    for layer in layers:\n        x = layer(x)",
            ("affine", "relu"),
        ),
        ("def Net(x):\n    def inner(y):\n        return softmax(y)\n    return inner(x)", ("softmax",)),
        ("Net = lambda x: relu(x)", ("relu",)),
        ("class Net(affine):\n    pass", ("affine",)),
        ("class Net:\n    def loss(self, x):\n        return softmax(x)", ("softmax",)),
        ("class Net:\n    def softmax(self, x):\n        return softmax(x)", ("softmax",)),
        (
            "class Net:\n    def f(self, relu):\n        return relu\n    def g(self, x):\n        return relu(x)",
            ("relu",),
        ),
        ("def Net(x):\n    return Net(x - 1)", ()),
        ("def Net(x):\n    return F.softmax(x) + self.relu(x)", ()),
        ("def Net(x, relu):\n    return relu(x)", ()),
        ("def Net(x):\n    affine = x\n    return affine(x)", ()),
        ("def Net(x):\n    def relu(y):\n        return y\n    return relu(x)", ()),
        ("class Net:\n    def loss(self, x):\n        return self.softmax(x)", ()),
        ("def Net(x):\n    return 'softmax(x)'  # relu(x)", ()),
    ],
)
def test_the_exercises_that_an_exercise_uses(code: str, found: tuple[str, ...]) -> None:
    """Attributes, arguments and variables of its own that have such a name are something else."""
    assert calls(code) == found


def test_it_may_use_them_through_helpers() -> None:
    """A function, a method, a lambda: of its own cell, or of another one. An exercise on the way is the last stop."""
    helper = (
        "def helper(x):\n    return Layer().back(x)\nclass Layer:\n    def back(self, x):\n        return affine(x)"
    )
    net = "def Net(x):\n    return helper(x)"

    assert calls(f"{helper}\n{net}") == ("affine",)
    assert calls(net, helper) == ("affine",)
    assert calls("helper = lambda x: relu(x)", net) == ("relu",)
    assert calls("def helper(x):\n    return helper(other(x))\ndef other(x):\n    return helper(x)", net) == ()
    assert calls("def affine(x):\n    return relu(x)", "def Net(x):\n    return affine(x)") == ("affine",)


def test_results_of_other_cells_are_no_helpers() -> None:
    """Who reads a variable does not call what made it."""
    assert calls("out = affine(x)", "def Net(x):\n    return out + x") == ()


def test_the_code_that_ran_is_looked_at() -> None:
    found = find_functions(Notebook.of(["def Net(x):\n    return relu(x)", "def Net(x):\n    return x"]), EXERCISES)

    ran = [found.ran("Net", Place(cell, 1)) for cell in (1, 2)]
    assert [each.calls for each in ran if each is not None] == [("relu",), ()]


def test_straight_lines_call_functions_too() -> None:
    code = "dz = relu(softmax(x))\nraise NotImplementedError('Net is still blank')"

    assert calls(code) == ("relu", "softmax")


def test_only_exercises_are_looked_at() -> None:
    found = find_functions(Notebook.of(["def Net(x):\n    return relu(x)"]), ["relu"]).last("Net")

    assert found is not None
    assert found.calls == ()
