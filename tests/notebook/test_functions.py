"""What is known about a notebook without running it."""

from __future__ import annotations

import pytest

from grader.notebook.functions import FunctionIndex, Place, find_functions
from grader.notebook.read import Unreadable, read_notebook
from grader.notebook.scope import Scope
from tests.conftest import submission_of


def functions_of(*cells: str) -> FunctionIndex:
    notebook = read_notebook(submission_of(*cells))
    assert not isinstance(notebook, Unreadable)
    return find_functions(notebook, ["grad_a"])


@pytest.mark.parametrize(
    "body",
    [
        "raise NotImplementedError",
        "raise NotImplementedError('grad_w1 is still blank')",
        "pass",
        "...",
        "'''words'''",
        "'''words'''\n    # YOUR CODE HERE\n    raise NotImplementedError()",
    ],
)
def test_a_body_that_does_nothing_is_blank(body: str) -> None:
    """With or without a docstring."""
    assert functions_of(f"def grad_w1(x, dz1):\n    {body}").definitions["grad_w1"][0].is_blank


@pytest.mark.parametrize(
    "body", ["return None", "raise ValueError", "x = 1\n    raise NotImplementedError", "return x"]
)
def test_a_body_that_does_something_is_not_blank(body: str) -> None:
    """However little it does."""
    assert not functions_of(f"def grad_w1(x, dz1):\n    {body}").definitions["grad_w1"][0].is_blank


def test_functions_are_found_wherever_they_are() -> None:
    """In blocks, after magics, as lambdas, with decorators; a function's place is its first decorator."""
    found = functions_of(
        "# words only",
        "%matplotlib inline\nif True:\n    def grad_a(x):\n        return x",
        "%%time\ndef grad_b(x):\n    return x",
        "grad_c = lambda x: x",
        "import torch\n\n@torch.no_grad()\ndef grad_d(x):\n    return x",
        "try:\n    grad_e: object = print\nfinally:\n    pass",
    ).definitions

    assert {name: (places[0].code.cell, places[0].code.line) for name, places in found.items()} == {
        "grad_a": (2, 3),
        "grad_b": (3, 2),
        "grad_c": (4, 1),
        "grad_d": (5, 3),
        "grad_e": (6, 2),
    }
    assert found["grad_a"][0].code.text == "def grad_a(x):\n    return x"


def test_nested_functions_and_methods_are_not_exercises() -> None:
    """Only names of the notebook's own namespace count."""
    assert set(
        functions_of("class A:\n    def grad_w1(self): pass\ndef f():\n    def grad_b1(): pass").definitions
    ) == {
        "A",
        "f",
    }


def test_a_syntax_error_affects_only_its_own_cell() -> None:
    """The names that the cell would have defined are known."""
    found = functions_of("def grad_a(x)\n    return x", "def grad_b(x):\n    return x", "await x")

    assert found.broken_names == {"grad_a": 1}
    assert found.syntax_errors[1].line == 1
    assert "grad_b" in found.definitions


@pytest.mark.parametrize("code", ["(" * 10_000, "x = " + "-" * 100_000 + "1", "a\0b", "\\" * 50, "%%" + "x" * 9])
def test_code_that_breaks_parsers_does_not_raise(code: str) -> None:
    """It counts as a syntax error, or as nothing."""
    functions_of(code)


@pytest.mark.parametrize(
    "code",
    [
        "def grad_a(x):\n    x.requires_grad_()\n    (x * x).sum().backward()\n    return x.grad",
        "import torch\ndef grad_a(x):\n    return torch.autograd.grad(x.sum(), x)[0]",
        "from torch.autograd import grad as g\ndef grad_a(x):\n    return g(x.sum(), x)[0]",
        "import torch.autograd as ag\ndef grad_a(x):\n    return ag.grad(x.sum(), x)[0]",
        "import torch as t\ndef grad_a(x):\n    return t.func.vjp(t.sin, x)[1](x)",
        "from torch.func import jacrev\ndef f(x):\n    return jacrev(abs)(x)\ndef grad_a(x):\n    return f(x)",
        "import torch\ndef grad_a(x):\n    return torch.autograd.functional.vjp(torch.sin, x)",
        "import torch\ndef grad_a(x):\n    return x.expand(2, 2).grad_fn(x)",
    ],
)
def test_autograd_in_a_function_is_found(code: str) -> None:
    """Under any of its names, also in a helper function of the notebook."""
    assert functions_of(code).definitions["grad_a"][0].autograd


@pytest.mark.parametrize(
    "code",
    [
        "import torch\nx = torch.ones(1, requires_grad=True)\nx.sum().backward()\ndef grad_a(x):\n    return x",
        "class Layer:\n    def backward(self, d):\n        return d\ndef grad_a(x):\n    return Layer().backward(x)",
        "import torch\ndef grad_a(x):\n    return torch.vmap(torch.outer)(x, x).sum(0)",
        "import torch\ndef grad_a(x):\n    return torch.func.vmap(torch.outer)(x, x).sum(0)",
        "def grad(x):\n    return x\ndef grad_a(x):\n    return grad(x)",
        "import torch\n@torch.no_grad()\ndef grad_a(x):\n    return x.detach()",
        "from torch.func import vjp\ndef grad_b(x):\n    return vjp(x)\nd = grad_b(1)\ndef grad_a(d):\n    return d",
        "from torch.func import vjp\nd = vjp(1)\ndef grad_a(x):\n    d = x\n    return d",
        "from torch.func import vjp\nd = vjp(1)\ndef grad_a(x):\n    return d",
    ],
)
def test_code_that_only_resembles_autograd_is_not_flagged(code: str) -> None:
    """Scratch cells, a class with a method `backward`, vmap."""
    assert not functions_of(code).definitions["grad_a"][0].autograd


SPREAD = (
    "def grad_a(x):\n    raise NotImplementedError",
    "\n\ndef other(x):\n    return x * n\n\nn = 3\ngrad_a, rest = other, n",
    "class A:\n    @property\n    def slope(self):\n        return 1\n\n    def b(self, x):\n        return x",
    "grad_a = (\n    lambda x: x\n)",
)


@pytest.mark.parametrize(
    ("place", "text"),
    [
        (Place(1, 1), "def grad_a(x):\n    raise NotImplementedError"),
        (Place(2, 1), "def other(x):\n    return x * n"),  # the kernel drops blank lines
        (Place(3, 6), "def b(self, x):\n    return x"),
        (Place(3, 2), "@property\ndef slope(self):\n    return 1"),
        (Place(4, 2), "grad_a = (\n    lambda x: x\n)"),
        (Place(1, 9), "def grad_a(x):\n    raise NotImplementedError"),  # the cell is right, the line is not
        (Place(9, 1), "grad_a = (\n    lambda x: x\n)"),
        (Place(0, 1), "grad_a = (\n    lambda x: x\n)"),
        (None, "grad_a = (\n    lambda x: x\n)"),
    ],
)
def test_what_ran_is_found_by_its_place(place: Place | None, text: str) -> None:
    """Under any name. Without a place in a cell, the last definition that is not blank is the best guess."""
    ran = functions_of(*SPREAD).ran("grad_a", place)

    assert ran is not None
    assert ran.code.text == text


def test_a_blank_is_no_guess_of_what_ran() -> None:
    found = functions_of("def grad_a(x):\n    pass", "%run other.py")

    assert found.ran("grad_a", Place(0, 1)) is None
    assert found.scope("grad_a", Place(0, 1)) == Scope()
    assert functions_of(*SPREAD).scope("grad_a", Place(2, 1)).reads == ("n",)


def test_what_timeit_defines_is_gone() -> None:
    assert functions_of("%%timeit\ndef grad_a(x):\n    return x").definitions == {}
