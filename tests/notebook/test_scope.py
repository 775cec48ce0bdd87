"""The code of a function shows which of the notebook's variables it reads, and which numbers it contains."""

from __future__ import annotations

import ast

import pytest

from grader.notebook.scope import Scope, notebook_data, scope_of

DATA = frozenset({"a1", "z1", "n"})


def scope(code: str) -> Scope:
    return scope_of(ast.parse(code).body[-1], DATA)


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("x = 1", {"x"}),
        ("x: int = 1\ny += 1", {"x", "y"}),
        ("(a, [b, *c]) = d = value", {"a", "b", "c", "d"}),
        ("for i, x in enumerate(y):\n    z = i", {"i", "x", "z"}),
        ("with f() as g:\n    x = 1", {"g", "x"}),
        ("if a:\n    x = 1\nelse:\n    y = 2", {"x", "y"}),
        ("try:\n    x = 1\nexcept E:\n    y = 2\nfinally:\n    z = 3", {"x", "y", "z"}),
        ("while (x := f()):\n    pass", {"x"}),
        ("print([i for i in y])", set()),
        ("x = [i for i in y]", {"x"}),
        ("f = lambda a: a", set()),
        ("def f(a):\n    b = 1", set()),
        ("async def f(a):\n    b = 1", set()),
        ("class A:\n    b = 1", set()),
        ("import torch\nfrom a import b", set()),
        ("x.y = 1\nx[0] = 2\nprint(z)", set()),
    ],
)
def test_the_data_of_a_notebook(code: str, names: set[str]) -> None:
    """It is in the variables of the top level; functions, classes, modules and local variables do not count."""
    assert notebook_data([ast.parse(code)]) == names


def test_the_data_of_several_cells() -> None:
    assert notebook_data([ast.parse("x = 1"), ast.parse("y = 2")]) == {"x", "y"}


@pytest.mark.parametrize(
    ("code", "reads"),
    [
        ("def f(x):\n    return x * a1", ("a1",)),
        ("def f(x):\n    return x * z1 + a1 + a1", ("a1", "z1")),
        ("def f(a1):\n    return a1", ()),
        ("def f(*a1, n=1, **z1):\n    return a1, n, z1", ()),
        ("def f(x):\n    a1 = x\n    return a1", ()),
        ("def f(x):\n    a1 = 1", ()),
        ("def f(x):\n    global a1\n    a1 += 1\n    return a1", ("a1",)),
        ("def f(x):\n    return [a1 for a1 in x]", ()),
        ("def f(x):\n    return [a1 for _ in x]", ("a1",)),
        ("def f(x):\n    def inner():\n        return a1\n    return inner()", ("a1",)),
        ("def f(x):\n    return lambda: a1", ("a1",)),
        ("def f(x):\n    return other + torch.a1 + 'a1'", ()),
        ("def f(x):\n    return globals()['a1']", ("a1",)),
        ("def f(x):\n    return globals()['other'], vars()['a1'], globals()[a1]", ("a1",)),
        ("def f(x):\n    return vars()['a1'], x['z1'], globals()[0]", ()),
        ("async def f(x):\n    return a1", ("a1",)),
        ("f = lambda x: a1", ()),
        ("class F:\n    def f(self):\n        return a1", ()),
    ],
)
def test_what_a_function_reads(code: str, reads: tuple[str, ...]) -> None:
    """Only the notebook's data counts, sorted by name. Arguments and local variables do not."""
    assert scope(code).reads == reads


@pytest.mark.parametrize(
    ("code", "reads", "frozen"),
    [
        ("def f(x, n=n):\n    return x / n", ("n",), ("n",)),
        ("def f(x, size=n):\n    return x / size", ("n",), ("n",)),
        ("def f(x, *, size=len(a1)):\n    return x / size", ("a1",), ("a1",)),
        ("def f(x, *, y, size=n):\n    return x / y + z1", ("n", "z1"), ("n",)),
        ("def f(x, size=64):\n    return x / size", (), ()),
    ],
)
def test_variables_that_default_arguments_read(code: str, reads: tuple[str, ...], frozen: tuple[str, ...]) -> None:
    """They are read when the function is defined, so later values make no difference."""
    assert (scope(code).reads, scope(code).frozen) == (reads, frozen)


@pytest.mark.parametrize(
    ("code", "unused"),
    [
        ("def f(x, dz):\n    return x", ("dz",)),
        ("def f(x, dz):\n    return x + dz", ()),
        ("def f(x, dz):\n    x = 1\n    return 2", ("x", "dz")),
        ("def f(x, /, *args, y, **more):\n    return y", ("x", "args", "more")),
        ("def f(x, dz):\n    return lambda dz: dz + x", ()),
    ],
)
def test_arguments_that_are_never_read(code: str, unused: tuple[str, ...]) -> None:
    assert sorted(scope(code).unused) == sorted(unused)


@pytest.mark.parametrize(
    ("code", "numbers"),
    [
        ("def f(x):\n    return x / 64 + 8 * 50", (8, 50, 64)),
        ("def f(x):\n    return x / 64 / 64 - 7 * 2", (64,)),
        ("def f(x):\n    return x * 64.0 + True + 1e3", ()),
        ("def f(x):\n    return x[-64]", (64,)),
        ("def f(x, n=64):\n    return x / n", ()),
        ("def f(x):\n    for i in range(256):\n        pass", (256,)),
        ("def f(x):\n    return x % 18446744073709551616 + 64", (64,)),
    ],
)
def test_numbers_that_may_be_a_size(code: str, numbers: tuple[int, ...]) -> None:
    """These are whole numbers from 8 on that fit into a message, without repetition. Default arguments do not count."""
    assert scope(code).numbers == numbers
