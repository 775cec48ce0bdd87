"""
Recognises mistakes in the form of an answer: its type, shape and size.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import torch

from grader.compare import ACCEPTED_NAMES, same_but_for_ones
from grader.diagnosis.evidence import Evidence, Explanation
from grader.model import Outcome

__all__ = [
    "broadcast_shape",
    "not_finite",
    "rescaled",
    "right_numbers_in_another_shape",
    "wrong_dtype",
    "wrong_type",
]

_BringBack = Callable[[torch.Tensor, torch.Tensor], torch.Tensor | None]
"""Gives a tensor the shape of the expected one by undoing one mistake; returns None if that is not possible."""

_MOST_DIMENSIONS = 4
_FEWEST_CLIPPED = 3
"""How many entries must be at the bound: one or two may be there by chance."""


def not_finite(evidence: Evidence) -> Iterator[Explanation]:
    """Some of the numbers are nan or inf."""
    if evidence.outcome is Outcome.NOT_FINITE and not evidence.written.changed_outside:
        yield Explanation(id="not_finite", message=evidence.say("not_finite"))


def wrong_type(evidence: Evidence) -> Iterator[Explanation]:
    """The function returned something other than tensors."""
    if evidence.outcome is not Outcome.WRONG_TYPE:
        return
    calls = [call for call in evidence.returned if call.outcome is Outcome.WRONG_TYPE]
    absent = {part: kind for call in calls[:1] for part, kind in call.absent.items()}
    if evidence.exercise.equation and absent:  # the collection around it is the author's
        part, kind = min(absent.items())
        name = evidence.exercise.parts[part]
        if kind == "NoneType":
            yield Explanation(id="returns_none", message=evidence.say("none_for_part", name=name))
        else:
            yield Explanation(id="wrong_type", message=evidence.say("wrong_type_for_part", name=name, type=kind))
        return
    types = [call.type for call in calls]
    name = (types[0] if types else None) or "unknown"
    if name == "NoneType":
        yield Explanation(id="returns_none", message=evidence.say("returns_none"))
    else:
        yield Explanation(id="wrong_type", message=evidence.say("wrong_type", type=name))


def wrong_dtype(evidence: Evidence) -> Iterator[Explanation]:
    """The function returned tensors of a dtype that a gradient cannot have."""
    if evidence.outcome is not Outcome.WRONG_DTYPE:
        return
    number = len(evidence.exercise.parts)
    found = [evidence.own(call.dtypes) if len(call.dtypes) == number else call.dtypes for call in evidence.returned]
    dtypes = [dtype for call in found for dtype in call if dtype not in ACCEPTED_NAMES]
    what = "an array" if evidence.exercise.arrays == "numpy" else "a tensor"
    coarse = next((dtype for dtype in dtypes if dtype in ("float16", "bfloat16")), None)
    if coarse:
        yield Explanation(id="low_precision", message=evidence.say("low_precision_dtype", what=what, dtype=coarse))
    elif dtypes:
        yield Explanation(id="wrong_dtype", message=evidence.say("wrong_dtype", what=what, dtype=dtypes[0]))


def right_numbers_in_another_shape(evidence: Evidence) -> Iterator[Explanation]:
    """The numbers are right, but transposed, repeated, not summed yet, or with a dimension too few or too many."""
    if evidence.has_right_shapes:
        return
    target, first = evidence.wrong_target, evidence.outputs[0]
    got, expected = tuple(first.tensors[target].shape), tuple(first.case.expected[target].shape)
    for key, diagnosis_id, bring_back in (
        ("transposed", "transposed", _transposed),
        ("dimensions_swapped", "transposed", _permuted),
        ("dropped_dim", "dropped_dim", _with_dimension),
        ("extra_dim", "wrong_dimension", _without_dimension),
        ("other_shape", "wrong_dimension", _refilled),
        ("not_repeated", "wrong_dimension", _expanded),
        ("not_summed", "not_summed", _summed),
        ("parts_not_summed", "not_summed", _parts_summed),
        ("repeated", "broadcast_shape", _first_of_repeated),
    ):
        if _is_right_once(evidence, bring_back):
            yield Explanation(id=diagnosis_id, message=evidence.say(key, got=got, expected=expected))
            return


def _is_right_once(evidence: Evidence, bring_back: _BringBack) -> bool:
    """Whether the answer is right on every case, once it is brought back to the right shape."""
    target = evidence.wrong_target
    for output in evidence.outputs:
        got, expected = output.tensors[target], output.case.expected[target]
        tensor = bring_back(got, expected)
        if tensor is None:
            return False
        compared = output.case.compare(tensor.to(got.dtype), target=target, argument_dtype=output.argument_dtype)
        if compared.outcome is not Outcome.MATCH:
            return False
    return True


def _transposed(got: torch.Tensor, expected: torch.Tensor) -> torch.Tensor | None:
    return got.mT if got.ndim == 2 and got.mT.shape == expected.shape else None


def _permuted(got: torch.Tensor, expected: torch.Tensor) -> torch.Tensor | None:
    """The only order of more than two dimensions in which the shapes are the same."""
    if not 2 < got.ndim == expected.ndim <= _MOST_DIMENSIONS:
        return None
    orders = [
        order
        for order in itertools.permutations(range(got.ndim))
        if [got.shape[axis] for axis in order] == list(expected.shape)
    ]
    return got.permute(orders[0]).contiguous() if len(orders) == 1 else None


def _refilled(got: torch.Tensor, expected: torch.Tensor) -> torch.Tensor | None:
    return got.reshape(expected.shape) if got.numel() == expected.numel() else None


def _with_dimension(got: torch.Tensor, expected: torch.Tensor) -> torch.Tensor | None:
    return (
        got.reshape(expected.shape)
        if got.ndim < expected.ndim and same_but_for_ones(got.shape, expected.shape)
        else None
    )


def _without_dimension(got: torch.Tensor, expected: torch.Tensor) -> torch.Tensor | None:
    return (
        got.reshape(expected.shape)
        if got.ndim > expected.ndim and same_but_for_ones(got.shape, expected.shape)
        else None
    )


def _summed(got: torch.Tensor, expected: torch.Tensor) -> torch.Tensor | None:
    if got.numel() <= expected.numel():
        return None
    axes = range(got.ndim)
    for chosen in ((0,), *(each for count in axes for each in itertools.combinations(axes, count + 1))):
        kept = [got.shape[axis] for axis in axes if axis not in chosen and got.shape[axis] > 1]
        if kept == [size for size in expected.shape if size > 1]:
            return got.double().sum(chosen).reshape(expected.shape)
    return None


def _parts_summed(got: torch.Tensor, expected: torch.Tensor) -> torch.Tensor | None:
    """The sum of parts that lie one beside the other along one dimension."""
    if got.ndim != expected.ndim or got.numel() <= expected.numel():
        return None
    axes = [axis for axis in range(got.ndim) if got.shape[axis] != expected.shape[axis]]
    if len(axes) != 1 or not expected.shape[axes[0]] or got.shape[axes[0]] % expected.shape[axes[0]]:
        return None
    axis = axes[0]
    parts = got.double().reshape(*got.shape[:axis], -1, expected.shape[axis], *got.shape[axis + 1 :])
    return parts.sum(axis)


def _expanded(got: torch.Tensor, expected: torch.Tensor) -> torch.Tensor | None:
    """With the missing dimensions repeated, in the first way in which that is possible."""
    if got.numel() < 2 or got.numel() >= expected.numel() or got.ndim > expected.ndim:
        return None
    for places in itertools.combinations(range(expected.ndim), got.ndim):
        sizes = dict(zip(places, got.shape, strict=True))
        if all(size in (1, expected.shape[place]) for place, size in sizes.items()):
            shape = [sizes.get(place, 1) for place in range(expected.ndim)]
            return got.reshape(shape).expand(expected.shape)
    return None


def _first_of_repeated(got: torch.Tensor, expected: torch.Tensor) -> torch.Tensor | None:
    try:
        is_repeated = got.numel() > expected.numel() and torch.equal(got, got[:1].expand_as(got))
    except (IndexError, RuntimeError):
        return None
    return got[:1].reshape(expected.shape) if is_repeated and got[:1].numel() == expected.numel() else None


def broadcast_shape(evidence: Evidence) -> Iterator[Explanation]:
    """The shape is N × N, as if a column had been broadcast against a row, and should not be."""
    target = evidence.wrong_target
    for output in evidence.outputs:
        shape, square = tuple(output.tensors[target].shape), (output.case.rows, output.case.rows)
        if shape != square or square == tuple(output.case.expected[target].shape):
            return
    got = tuple(evidence.outputs[0].tensors[target].shape)
    yield Explanation(id="broadcast_shape", message=evidence.say("broadcast_shape", got=got))


def rescaled(evidence: Evidence) -> Iterator[Explanation]:
    """The answer is the right gradient, clipped to a bound or normalised to length 1."""
    target = evidence.wrong_target
    pairs = [(output.tensors[target].double(), output.case.expected[target]) for output in evidence.outputs]
    if any(got.shape != expected.shape or not float(expected.norm()) for got, expected in pairs):
        return

    def returned(change: Callable[[torch.Tensor], torch.Tensor]) -> bool:
        """Whether every case returned the right gradient with this change."""
        return all(output.equals(change(output.case.expected[target]), target=target) for output in evidence.outputs)

    if returned(lambda expected: expected / expected.norm()):
        yield Explanation(id="rescaled", message=evidence.say("normalised"))
        return
    bounds = [float(got.abs().max()) for got, expected in pairs if float((got - expected).abs().max()) > 0]
    bound = min(bounds, default=0.0)
    at_bound = sum(int((got.abs() >= bound * (1 - 1e-6)).sum()) for got, _ in pairs)
    if bound and at_bound >= _FEWEST_CLIPPED and returned(lambda expected: expected.clamp(-bound, bound)):
        yield Explanation(id="rescaled", message=evidence.say("clipped", bound=f"{bound:.3g}"))
