"""
Compares one gradient with its reference: numbers only, without advice.

How far apart may two right answers be? An error is measured against the largest entry of the reference, because an
entry near zero may be the difference of large numbers. Three bounds add up what is allowed:

**Rounding.** In a sum of K products, rounding causes a relative error of at most gamma_K = K u / (1 - K u), where u is
half the distance from 1 to the next number of the dtype (Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd
ed., section 3.1). `SAFETY` allows for a few such operations in another order.

**Constants in float32.** `torch.tensor(1 / n)` is a float32 number, even where everything else is float64. It differs
from 1 / n by a factor 1 + d with |d| <= u32 = 2^-24, and a product of k such factors is off by gamma_k at most (Higham,
lemma 3.1). A constant has `CONSTANT_ROUNDINGS` of them at most: a number, its root, the inverse, and one more for a
second constant. An angle is off by its own size times that, and so is its cosine, in units of the largest entry;
`SAFETY` allows for a few radians, for a few such constants, or for a difference in which three quarters cancel. So a
float64 answer may be off by 4 gamma_4 = 9.5e-7 of the largest entry. That is less than what a forgotten epsilon of 1e-5
changes, one row too few in a batch of a million, or a number that went through half precision (u16 = 4.9e-4).

**Zero.** A gradient can be zero because large terms cancel: that of a bias before a softmax, for example. What is left
is the rounding of the terms, not of the result. With high probability it is below lambda sqrt(K) u times their size,
for a lambda of a few units (Higham and Mary, *A New Approach to Probabilistic Rounding Error Analysis*, 2019, theorem
2.4). The size of the terms is taken from the gradient for other upstream gradients of the same size, which do not
cancel. Where nothing is known about the terms, numbers up to `TINY` count as zero.

A mistake changes entries by about as much as they are large, which is orders of magnitude more.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import torch

from grader.model import Outcome, WorstEntry

__all__ = ["ACCEPTED_NAMES", "SAFETY", "Comparison", "allowed_error", "compare", "same_but_for_ones", "tolerance"]

SAFETY = 4.0
CONSTANT_ROUNDINGS = 4
TINY = 1e-18
ACCEPTED_DTYPES = (torch.float32, torch.float64)
ACCEPTED_NAMES = tuple(str(dtype).removeprefix("torch.") for dtype in ACCEPTED_DTYPES)
"""The dtypes that a gradient may have, as replies name them."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """
    The result of a comparison. A number that has no meaning is None.

    Attributes:
        outcome: MATCH, WRONG_DTYPE, WRONG_SHAPE, NOT_FINITE or MISMATCH.
        has_float32_constants: A match in float64 that only constants in float32 explain.
    """

    outcome: Outcome
    has_float32_constants: bool = False
    max_abs_error: float | None = None
    max_rel_error: float | None = None
    tolerance: float | None = None
    wrong_entries: int | None = None
    entries: int | None = None
    worst: WorstEntry | None = None


def tolerance(reference: torch.Tensor, *, dtype: torch.dtype, terms: int, scale: float = 0.0) -> float:
    """
    The largest absolute error that rounding in one dtype can explain.

    Args:
        reference: The right gradient, any shape, float64.
        dtype: The dtype in which the other gradient was computed.
        terms: The length of the longest sum in the gradient.
        scale: The size of the gradient's terms, if they may cancel.

    >>> tolerance(torch.ones(3, dtype=torch.float64), dtype=torch.float32, terms=784) < 2e-4
    True
    """
    return _rounding(_largest(reference), dtype, terms, scale)


def allowed_error(
    reference: torch.Tensor, *, dtype: torch.dtype, terms: int, scale: float = 0.0, factor: float = 1.0
) -> float:
    """
    The largest absolute error of an answer that counts as right: in float64, its constants may be float32.

    Args:
        reference, dtype, terms, scale: As for `tolerance`.
        factor: How many times more is allowed for this exercise.
    """
    largest = _largest(reference)
    return factor * max(_rounding(largest, dtype, terms, scale), _constants(largest, dtype))


def same_but_for_ones(first: Sequence[int], second: Sequence[int]) -> bool:
    """
    Whether two shapes are the same except for dimensions of size 1.

    >>> same_but_for_ones((1, 50), (50,)), same_but_for_ones((2, 50), (50,))
    (True, False)
    """
    return [size for size in first if size != 1] == [size for size in second if size != 1]


def _rounding(largest: float, dtype: torch.dtype, terms: int, scale: float) -> float:
    unit_roundoff = torch.finfo(dtype).eps / 2
    of_the_result = _gamma(terms, unit_roundoff) * largest
    of_the_terms = math.sqrt(terms) * unit_roundoff * scale
    return SAFETY * max(of_the_result, of_the_terms) + TINY


def _constants(largest: float, dtype: torch.dtype) -> float:
    """What constants in float32 explain, where everything else is float64."""
    if dtype != torch.float64:
        return 0.0
    return SAFETY * _gamma(CONSTANT_ROUNDINGS, torch.finfo(torch.float32).eps / 2) * largest


def _gamma(terms: int, unit_roundoff: float) -> float:
    """Higham's gamma; of sums that are too long for it to have a meaning, 1."""
    error = min(terms * unit_roundoff, 0.5)
    return error / (1 - error)


def _largest(reference: torch.Tensor) -> float:
    return float(reference.abs().max()) if reference.numel() else 0.0


def compare(
    got: torch.Tensor,
    expected: torch.Tensor,
    *,
    terms: int,
    argument_dtype: torch.dtype,
    scale: float = 0.0,
    factor: float = 1.0,
) -> Comparison:
    """
    Compare a gradient with its reference, entry by entry, in float64.

    Args:
        got: What a function returned, any shape and dtype.
        expected: The reference, any shape, float64, finite.
        terms: The length of the longest sum in the gradient, for the tolerance.
        argument_dtype: The dtype of the arguments that the function was called with.
        scale: The size of the gradient's terms, if they may cancel.
        factor: How many times more than usual an entry may be off.

    Returns:
        Comparison: NaN and infinities never match, and neither does a shape that would broadcast. float32 and float64
        are both accepted, whatever the dtype of the arguments; the less precise of the two decides the tolerance.
    """
    if got.dtype not in ACCEPTED_DTYPES:
        return Comparison(outcome=Outcome.WRONG_DTYPE)
    if got.shape != expected.shape:
        return Comparison(outcome=Outcome.WRONG_SHAPE)
    coarser = torch.float32 if torch.float32 in (got.dtype, argument_dtype) else torch.float64
    size = _largest(expected)
    rounding = _rounding(size, coarser, terms, scale)
    bound = factor * max(rounding, _constants(size, coarser))
    difference = (got.double() - expected).abs()
    # A comparison with NaN is always false: "not within the bound" counts it as wrong, "beyond the bound" would not.
    wrong = ~(difference <= bound)
    wrong_entries = int(wrong.count_nonzero())
    largest = float(difference.max()) if difference.numel() else 0.0
    outcome = Outcome.MATCH if not wrong_entries else Outcome.MISMATCH
    if wrong_entries and not bool(torch.isfinite(got).all()):
        outcome = Outcome.NOT_FINITE
    is_finite = math.isfinite(largest)
    return Comparison(
        outcome=outcome,
        has_float32_constants=outcome is Outcome.MATCH and largest > factor * rounding,
        max_abs_error=largest if is_finite else None,
        max_rel_error=largest / size if is_finite and size > 0 else None,
        tolerance=bound,
        wrong_entries=wrong_entries,
        entries=expected.numel(),
        worst=_worst(got, expected, difference) if outcome is not Outcome.MATCH else None,
    )


def _worst(got: torch.Tensor, expected: torch.Tensor, difference: torch.Tensor) -> WorstEntry:
    flat = int(torch.nan_to_num(difference, nan=math.inf).argmax())
    index = []
    for size in reversed(expected.shape):
        flat, remainder = divmod(flat, size)
        index.append(remainder)
    place = tuple(reversed(index))
    return WorstEntry(index=place, got=float(got[place]), expected=float(expected[place]))
