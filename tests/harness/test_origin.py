"""The code behind a callable is found, and whether it was that code that raised."""

from __future__ import annotations

import functools
import types
from typing import Any

import pytest
import torch

from grader.harness.origin import code_of, is_own_raise, place_of

CODE = """
import functools, torch
def f(x): return x
def silent(g):
    def inner(*a): return g(*a)
    return inner
def wrapped(g):
    @functools.wraps(g)
    def inner(*a): return g(*a)
    return inner
class Layer:
    def f(self, x): return x
    def __call__(self, x): return x
"""


@pytest.mark.parametrize(
    ("expression", "line"),
    [
        ("f", 3),
        ("silent(f)", 3),
        ("silent(silent(f))", 3),
        ("wrapped(silent(f))", 3),
        ("torch.no_grad()(f)", 3),
        ("functools.partial(f)", 3),
        ("functools.lru_cache(f)", 3),
        ("Layer().f", 12),
        ("Layer()", 13),
        ("functools.partial(Layer())", 13),
        ("silent(lambda x: x)", 5),
        ("print", None),
        ("torch.sum", None),
        ("Layer", None),
        ("3", None),
        ("None", None),
    ],
)
def test_the_place_of_what_runs(expression: str, line: int | None) -> None:
    variables: dict[str, Any] = {}
    exec(compile(CODE, "<cell 2>", "exec"), variables)
    value = eval(expression, variables)

    assert place_of(value, "f", {"<cell 2>": 2}) == (None if line is None else [2, line])
    assert place_of(value, "f", {}) == (None if line is None else [0, line])


def test_strange_callables_do_no_harm() -> None:
    class Strange:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError(name)

    class Endless:
        @property
        def __wrapped__(self) -> Any:
            return self

    assert code_of(Strange(), "f") is None
    assert code_of(Endless(), "f") is None


def helper() -> None:
    raise NotImplementedError


def raises_itself() -> None:
    raise NotImplementedError


def calls_a_helper() -> None:
    helper()


def torch_raises() -> None:
    torch.empty(2, device="meta").to("cpu")


def raises_again() -> None:
    try:
        helper()
    except NotImplementedError:
        raise


def decorated() -> Any:
    @functools.wraps(raises_itself)
    def inner() -> None:
        raises_itself()

    return inner


@pytest.mark.parametrize(
    ("function", "is_own"),
    [
        (raises_itself, True),
        (decorated(), True),
        (types.MethodType(lambda self: raises_itself(), 1), False),
        (calls_a_helper, False),
        (torch_raises, False),
        (raises_again, False),
    ],
)
def test_a_raise_is_the_functions_own(function: Any, is_own: bool) -> None:
    with pytest.raises(NotImplementedError) as caught:
        function()

    assert is_own_raise(caught.value, function, "grad_w") is is_own


class Sly:
    """Notes each piece of its own code that runs."""

    ran: list[str]

    def __init__(self) -> None:
        vars(self)["ran"] = []

    def __call__(self) -> None:
        """It can be called."""

    def __getattr__(self, name: str) -> object:
        self.ran.append(name)
        raise AttributeError(name)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        self.ran.append("__class__")
        return functools.partial

    @property
    def __wrapped__(self) -> object:
        self.ran.append("__wrapped__")
        return None

    @property
    def __code__(self) -> object:
        self.ran.append("__code__")
        return None


def test_to_look_for_the_code_runs_none_of_it() -> None:
    sly = Sly()

    line = Sly.__call__.__code__.co_firstlineno
    assert place_of(sly, "f", {}) == [0, line]
    assert place_of(functools.partial(sly), "f", {}) == [0, line]
    assert sly.ran == []
