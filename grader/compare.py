"""
Compares one gradient with its reference: numbers only, without advice.

How far apart may two right answers be? In a sum of K products, rounding causes a relative error of at most
gamma_K = K u / (1 - K u), where u is half the distance from 1 to the next number of the dtype (Higham, *Accuracy and
Stability of Numerical Algorithms*, 2nd ed., section 3.1). An entry's error is measured against the largest entry of the
reference, because an entry near zero may be the difference of large numbers. `SAFETY` allows for a few such operations
in another order. A mistake changes entries by about as much as they are large, which is orders of magnitude more.
"""

from __future__ import annotations

import dataclasses
import math

import torch

from grader.model import Outcome, WorstEntry

__all__ = ["SAFETY", "Comparison", "compare", "tolerance"]

SAFETY = 4.0
ACCEPTED_DTYPES = (torch.float32, torch.float64)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """`outcome` is MATCH, WRONG_DTYPE, WRONG_SHAPE, NOT_FINITE or MISMATCH. A number that has no meaning is None."""

    outcome: Outcome
    max_abs_error: float | None = None
    max_rel_error: float | None = None
    tolerance: float | None = None
    wrong_entries: int | None = None
    entries: int | None = None
    worst: WorstEntry | None = None


def tolerance(reference: torch.Tensor, *, dtype: torch.dtype, terms: int) -> float:
    """
    The largest absolute error that rounding can explain.

    Args:
        reference: The right gradient, any shape, float64.
        dtype: The dtype in which the other gradient was computed.
        terms: The length of the longest sum in the gradient.

    >>> tolerance(torch.ones(3, dtype=torch.float64), dtype=torch.float32, terms=784) < 2e-4
    True
    """
    unit_roundoff = torch.finfo(dtype).eps / 2
    growth = terms * unit_roundoff / (1 - terms * unit_roundoff)
    largest = float(reference.abs().max()) if reference.numel() else 0.0
    return SAFETY * growth * largest


def compare(got: torch.Tensor, expected: torch.Tensor, *, terms: int, argument_dtype: torch.dtype) -> Comparison:
    """
    Compare a gradient with its reference, entry by entry, in float64.

    Args:
        got: What a function returned, any shape and dtype.
        expected: The reference, any shape, float64, finite.
        terms: The length of the longest sum in the gradient, for the tolerance.
        argument_dtype: The dtype of the arguments that the function was called with.

    Returns:
        Comparison: NaN and infinities never match, and neither does a shape that would broadcast. float32 and float64
        are both accepted, whatever the dtype of the arguments; the less precise of the two decides the tolerance.
    """
    if got.dtype not in ACCEPTED_DTYPES:
        return Comparison(outcome=Outcome.WRONG_DTYPE)
    if got.shape != expected.shape:
        return Comparison(outcome=Outcome.WRONG_SHAPE)
    coarser = torch.float32 if torch.float32 in (got.dtype, argument_dtype) else torch.float64
    bound = tolerance(expected, dtype=coarser, terms=terms)
    difference = (got.double() - expected).abs()
    # A comparison with NaN is always false: "not within the bound" counts it as wrong, "beyond the bound" would not.
    wrong = ~(difference <= bound)
    outcome = Outcome.MATCH if not bool(wrong.any()) else Outcome.MISMATCH
    if not bool(torch.isfinite(got).all()):
        outcome = Outcome.NOT_FINITE
    largest = float(difference.max()) if difference.numel() else 0.0
    scale = float(expected.abs().max()) if expected.numel() else 0.0
    is_finite = math.isfinite(largest)
    return Comparison(
        outcome=outcome,
        max_abs_error=largest if is_finite else None,
        max_rel_error=largest / scale if is_finite and scale > 0 else None,
        tolerance=bound,
        wrong_entries=int(wrong.sum()),
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
