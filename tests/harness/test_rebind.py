"""A variable of the notebook gets another value for a while, and then its old value again."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pytest
import torch

from grader.harness.rebind import altered, rebound


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64, torch.uint8, torch.bool, torch.complex64])
def test_other_values(dtype: torch.dtype) -> None:
    """Every entry changes. Shape and dtype stay the same, and integers stay in the range of labels and indices."""
    tensor = torch.tensor([[0, 1], [3, 0], [2, 1]]).to(dtype)

    changed = altered(tensor, "values")

    assert (changed.shape, changed.dtype) == (tensor.shape, dtype)
    assert not bool((changed == tensor).any())
    if dtype in (torch.int64, torch.uint8):
        assert 0 <= int(changed.min()) <= int(changed.max()) <= 3
    assert torch.equal(altered(tensor, "rows"), tensor[:2])


@pytest.mark.parametrize("number", [0, 1, -1, 2, 64, 0.0, -1.0, 1e-8])
def test_other_numbers(number: float) -> None:
    assert altered(number, "values") != number
    assert type(altered(number, "values")) is type(number)
    assert altered(number, "rows") == number


@pytest.mark.parametrize(
    ("value", "values", "rows"),
    [
        ((64, 2.0), (32, 5.0), (64, 2.0)),
        ([[64], ["a", None]], [[32], ["a", None]], [[64], ["a", None]]),
        ({"n": 64, "deep": {"n": [64]}}, {"n": 32, "deep": {"n": [32]}}, {"n": 64, "deep": {"n": [64]}}),
        ([[[64]]], [[[32]]], [[[64]]]),
        ([[[[64]]]], [[[[64]]]], [[[[64]]]]),  # too deep
        ([64] * 101, [64] * 101, [64] * 101),  # too long
        (True, True, True),
        ("64", "64", "64"),
        ({64}, {64}, {64}),
        (np.float64(2.0), 5.0, 2.0),
    ],
)
def test_numbers_in_containers_are_changed(value: Any, values: Any, rows: Any) -> None:
    """Lists, tuples and dictionaries may be nested as deep as a notebook's parameters are."""
    assert altered(value, "values") == values
    assert altered(value, "rows") == rows


def test_arrays_are_changed_like_tensors() -> None:
    array = np.array([[2.0], [-1.0], [0.0]])

    assert isinstance(altered(array, "values"), np.ndarray)
    assert altered(array, "values").tolist() == [[-3.0], [0.0], [-1.0]]
    assert altered(array, "rows").tolist() == [[2.0], [-1.0]]
    assert array.tolist() == [[2.0], [-1.0], [0.0]]


def test_some_tensors_stay_the_same() -> None:
    """Empty and very large tensors do, and a single number keeps its value, since it has no rows."""
    for tensor in (torch.zeros(0, dtype=torch.int64), torch.zeros(1).expand((1 << 24) + 1)):
        assert altered(tensor, "values").data_ptr() == tensor.data_ptr()
    assert altered(torch.tensor(3.0), "rows").item() == 3.0


class Special(torch.Tensor):
    """A tensor of a student's class."""


@pytest.mark.parametrize("tensor", [torch.nn.Parameter(torch.ones(2)), torch.ones(2).as_subclass(Special)])
@pytest.mark.parametrize("kind", ["values", "rows"])
def test_the_other_value_is_an_ordinary_tensor(tensor: torch.Tensor, kind: str) -> None:
    changed = altered(tensor, kind)

    assert type(changed) is torch.Tensor
    assert not changed.requires_grad


def test_old_values_are_restored() -> None:
    """They are, even if a call raises or a value cannot be changed."""

    class Raises(float):
        def __abs__(self) -> float:
            raise ValueError

    def function(x: float = 3.0) -> float:
        return x

    namespace = {"n": 64, "odd": Raises(1)}
    before = dict(namespace)
    change = {"kind": "values", "frozen": True}
    for name, held in (("n", 32), ("odd", before["odd"]), ("gone", None)):
        with contextlib.suppress(KeyError), rebound(namespace, function, change | {"name": name}):
            assert namespace.get(name) == held
            assert function() == 7.0
            raise KeyError

        assert namespace == before
        assert function() == 3.0


def test_default_arguments_are_changed_if_they_read_the_variable() -> None:
    def function(x: int = 64, *, y: int = 64) -> tuple[int, int]:
        return x, y

    namespace: dict[str, Any] = {"n": 64}

    with rebound(namespace, function, {"name": "n", "kind": "values", "frozen": False}):
        assert (namespace["n"], function()) == (32, (64, 64))
    with rebound(namespace, function, {"name": "n", "kind": "values", "frozen": True}):
        assert (namespace["n"], function()) == (32, (32, 32))
    with rebound(namespace, None, {"name": "n", "kind": "values", "frozen": True}):
        assert namespace["n"] == 32
    assert (namespace["n"], function()) == (64, (64, 64))


def test_without_a_change_nothing_is_touched() -> None:
    namespace = {"n": 64}

    with rebound(namespace, None, None):
        namespace["n"] = 65

    assert namespace == {"n": 65}
