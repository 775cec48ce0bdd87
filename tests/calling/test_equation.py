"""An equation says how a function is called and what it must return."""

from __future__ import annotations

from typing import Any

import pytest

from grader.calling.equation import Equation, EquationError, evaluate, free_names


@pytest.mark.parametrize(
    ("text", "template", "parts", "names"),
    [
        ("f(x) == dx", 0, ("dx",), ("x",)),
        ("f(dz, (x, w)) == (dx, [dw, db])", [0, [1, 2]], ("dx", "dw", "db"), ("dz", "x", "w")),
        ("f(x, reg=0.5) == (loss, {'W': dw, 1: db})", [0, {"W": 1, 1: 2}], ("loss", "dw", "db"), ("x",)),
        ("f(len(x) * dz) == dz / len(x)", 0, ("dz / len(x)",), ("x", "dz")),
        ("layer = L(w)\nlayer.go(x)\n(layer.dw, layer.db) == (dw, db)", [0, 1], ("dw", "db"), ("w", "x")),
        ("f([a for a in xs], torch.float32) == y[0].T", 0, ("y[0].T",), ("xs",)),
    ],
)
def test_an_equation_is_taken_apart(text: str, template: Any, parts: tuple[str, ...], names: tuple[str, ...]) -> None:
    equation = Equation.of(text)

    assert (equation.template, equation.parts, equation.names) == (template, parts, names)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("f(x) = dx", "not Python"),
        ("f(x)", "no `==`"),
        ("f(x) == dx == dy", "no `==`"),
        ("", "no `==`"),
        ("f(x) == ()", "0 parts"),
        ("f(x) == {dx: 1}", "neither text nor a whole number"),
        ("f(x) == {**grads}", "neither text nor a whole number"),
        (f"f(x) == [{', '.join(['dx'] * 101)}]", "101 parts"),
    ],
)
def test_another_text_is_refused(text: str, says: str) -> None:
    with pytest.raises(EquationError, match=says):
        Equation.of(text)


def test_a_call_finds_functions_where_it_is_told_to() -> None:
    """Its own names come first; comprehensions see them, and nothing is left behind."""
    variables = {"f": lambda rows, scale: [scale * row for row in rows], "x": "not this one"}

    call = Equation.of("doubled = f(x, 2)\n[one + k for one in doubled] == y").bind(variables)

    assert call(x=[1, 2], k=10, unused=None) == [12, 14]
    assert variables.keys() == {"f", "x"}


def test_a_call_uses_the_function_of_the_moment() -> None:
    """A notebook may define a function again."""
    variables: dict[str, Any] = {"f": lambda x: x}
    call = Equation.of("f(x) == dx").bind(variables)
    variables["f"] = lambda x: -x

    assert call(x=3) == -3


def test_parameters_know_what_they_are_given() -> None:
    equation = Equation.of("layer = L(w)\nlayer.backward(2 * dz, cache=(x, w)) == dx")

    assert equation.given_to("backward", ["dout", "cache"]) == {"dout": ("dz",), "cache": ("x", "w")}
    assert equation.given_to("other", ["dout"]) == {}
    assert equation.called() == ("L",)


def test_free_names_are_those_of_data() -> None:
    assert free_names("g(x, np.pi, [a for a in y], lambda k: k + z, len(w))") == ("x", "y", "z", "w")


def test_an_expression_is_computed_from_values() -> None:
    assert evaluate("sum(k * x for k in ks) + C", {"x": 2, "ks": [1, 2], "other": 0}, {"C": 100}) == 106
