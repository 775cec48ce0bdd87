"""What a function returned is taken apart, however it is packed."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from grader.calling.answer import read_answer
from grader.calling.asked import Asked
from grader.calling.nested import from_json, tensors_in, to_json, with_tensors

ASKED = Asked("f", ("x", "w"), "f(x) == (loss, {'x': dx, 'w': dw})")
LOSS, X, W = torch.tensor(3.0), torch.ones(2), torch.zeros(3)


class Grads(NamedTuple):
    w: torch.Tensor
    x: torch.Tensor


@pytest.mark.parametrize(
    "value",
    [
        (LOSS, {"x": X, "w": W}),
        [LOSS, {"w": W, "x": X}],
        (LOSS, {"dX": X, "grad_w": W, "more": None}),
        (3.0, {"x": X, "w": W}),
        (LOSS, (X, W)),
        (LOSS, Grads(x=X, w=W)),
        {"loss": LOSS, "grads": {"x": X, "w": W}},
    ],
)
def test_parts_are_found(value: Any) -> None:
    description, tensors = read_answer(value, ASKED)

    assert [tensors[part].tolist() for part in (0, 1, 2)] == [3.0, [1.0, 1.0], [0.0, 0.0, 0.0]]
    assert "absent" not in description


@pytest.mark.parametrize(
    ("value", "found", "absent"),
    [
        ((LOSS, {"x": X}), [0, 1], []),
        ((LOSS, {"x": X, "w": None}), [0, 1], [[2, "NoneType"]]),
        ((LOSS, X), [0], []),
        ((LOSS, {"x": X, "w": "much"}, W), [], []),
        (None, [], []),
        ((LOSS, {"x": np.ones(2), "w": W}), [0, 2], [[1, "numpy.ndarray"]]),
    ],
)
def test_parts_that_are_not_there_cost_no_others(value: Any, found: list[int], absent: list[Any]) -> None:
    description, tensors = read_answer(value, ASKED)

    assert list(tensors) == found
    assert description.get("absent", []) == absent


def test_arrays_are_taken_where_they_are_asked_for() -> None:
    """Scalars of numpy and numbers, too; arrays of objects are no numbers."""
    asked = Asked("f", (), "f(x) == (a, b, c, d)", "numpy")
    value = (np.ones((2, 3)), np.float64(2.5), True, np.array([None]))

    description, tensors = read_answer(value, asked)

    assert [tuple(tensor.shape) for tensor in tensors.values()] == [(2, 3), (), ()]
    assert description["absent"] == [[3, "numpy.ndarray"]]


def test_what_is_sent_does_not_change_later() -> None:
    """It is a copy: a function may keep the array that it returned."""
    array = np.zeros(2)

    _, tensors = read_answer(array, Asked("f", (), "f(x) == dx", "numpy"))
    array += 1

    assert tensors[0].tolist() == [0.0, 0.0]


def test_numpy_functions_get_arrays_that_show_what_was_changed() -> None:
    given = {"cache": (torch.ones(2), 3)}
    asked = Asked("f", (), "f(cache) == dx", "numpy")

    def change(cache: Any) -> Any:
        assert isinstance(cache[0], np.ndarray)
        cache[0][:] = 7
        return cache[0]

    asked.call({"f": change}, given)

    assert given["cache"][0].tolist() == [7.0, 7.0]


@pytest.mark.parametrize("value", [X, (X, [W, {"k": LOSS, 2: 1.5}], None), {"stride": 2, "mode": "train"}, (), 3])
def test_values_come_back_from_json(value: Any) -> None:
    tensors = dict(tensors_in("cache", value))

    again = from_json(to_json("cache", value), tensors)

    assert repr(again) == repr(value)
    assert repr(with_tensors(again, lambda tensor: tensor)) == repr(value)


def test_other_values_cannot_be_sent() -> None:
    with pytest.raises(TypeError, match=r"cache\[0\] is object"):
        to_json("cache", (object(),))
