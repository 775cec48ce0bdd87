"""Differences that rounding can explain match; larger ones never do."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from grader.compare import allowed_error, compare, tolerance
from grader.model import Outcome


def reference(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def outcome_of(got: torch.Tensor, expected: torch.Tensor, argument_dtype: torch.dtype = torch.float32) -> Outcome:
    return compare(got, expected, terms=784, argument_dtype=argument_dtype).outcome


def test_the_reference_rounded_to_float32_matches() -> None:
    """An error of half a unit in the last place is always within the tolerance."""
    expected = reference(784, 50)

    assert outcome_of(expected.float(), expected) is Outcome.MATCH


@given(st.integers(2, 200), st.integers(0, 2**16), st.booleans())
def test_any_order_of_summation_matches(rows: int, seed: int, reverse: bool) -> None:
    """A matrix product in float32, summed forwards, backwards or by einsum, matches the one in float64."""
    left, right = reference(rows, 7, seed=seed).float(), reference(rows, 5, seed=seed + 1).float()
    expected = left.double().T @ right.double()
    order = range(rows - 1, -1, -1) if reverse else range(rows)
    looped = torch.zeros(7, 5)
    for row in order:
        looped += torch.outer(left[row], right[row])

    for got in (left.T @ right, looped, torch.einsum("ni,nj->ij", left, right)):
        assert compare(got, expected, terms=rows + 8, argument_dtype=torch.float32).outcome is Outcome.MATCH


@given(
    st.integers(0, 783),
    st.integers(0, 49),
    st.floats(1.01, 1e6),
    st.sampled_from([-1, 1]),
    st.sampled_from([torch.float32, torch.float64]),
)
def test_a_single_error_beyond_the_tolerance_is_caught(
    row: int, column: int, factor: float, sign: int, dtype: torch.dtype
) -> None:
    """If one entry of 39,200 is off by a little more than is allowed, that is a mismatch, and the worst entry."""
    expected = reference(784, 50)
    got = expected.clone()
    got[row, column] += sign * allowed_error(expected, dtype=dtype, terms=784) * factor

    result = compare(got, expected, terms=784, argument_dtype=dtype)

    assert result.outcome is Outcome.MISMATCH
    assert result.wrong_entries == 1
    assert result.worst is not None
    assert result.worst.index == (row, column)


@given(st.sampled_from([math.nan, math.inf, -math.inf]), st.integers(0, 11))
def test_nan_and_infinity_never_match(value: float, place: int) -> None:
    """One such entry is enough."""
    expected = reference(3, 4)
    got = expected.float()
    got.view(-1)[place] = value

    result = compare(got, expected, terms=8, argument_dtype=torch.float32)

    assert result.outcome is Outcome.NOT_FINITE
    assert result.worst is not None
    assert result.worst.index == divmod(place, 4)


@pytest.mark.parametrize("shape", [(50,), (1,), (), (50, 1), (1, 1, 50), (64, 50)])
def test_a_shape_that_would_broadcast_is_wrong(shape: tuple[int, ...]) -> None:
    """(50,) is not (1, 50), even if all numbers are right."""
    expected = torch.ones(1, 50, dtype=torch.float64)

    assert outcome_of(torch.ones(shape), expected) is Outcome.WRONG_SHAPE


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int64, torch.bool, torch.complex64])
def test_other_dtypes_are_wrong(dtype: torch.dtype) -> None:
    """A gradient in half precision, or of integers, is wrong even if its numbers are right."""
    expected = torch.ones(2, 2, dtype=torch.float64)

    assert outcome_of(torch.ones(2, 2).to(dtype), expected) is Outcome.WRONG_DTYPE


def test_the_less_precise_of_argument_and_result_decides_the_tolerance() -> None:
    """A float64 result that is computed from float32 arguments has the rounding errors of float32."""
    expected = reference(10)
    off = expected * (1 + 1e-5)

    assert outcome_of(off, expected, argument_dtype=torch.float32) is Outcome.MATCH
    assert outcome_of(off.float(), expected, argument_dtype=torch.float64) is Outcome.MATCH
    assert outcome_of(off, expected, argument_dtype=torch.float64) is Outcome.MISMATCH


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=4), st.integers(0, 2**16))
def test_constants_in_float32_match_with_a_remark(constants: list[float], seed: int) -> None:
    """A product with a few constants, each made in float32, is off by some 1e-8, and right."""
    expected = reference(30, seed=seed) * math.prod(constants)
    got = reference(30, seed=seed)
    for constant in constants:
        got = got * torch.tensor(constant, dtype=torch.float32)

    result = compare(got, expected, terms=30, argument_dtype=torch.float64)

    assert got.dtype is torch.float64
    assert result.outcome is Outcome.MATCH
    assert result.has_float32_constants is ((got - expected).abs().max() > 1e-12 * expected.abs().max()).item()


@pytest.mark.parametrize("unit", [1e-5, 2**-11, 1 / 2**18])
def test_what_constants_in_float32_do_not_explain_is_caught(unit: float) -> None:
    """An epsilon of 1e-5, half precision, and one row of a quarter of a million are larger than that."""
    expected = reference(30)

    result = compare(expected * (1 + unit), expected, terms=30, argument_dtype=torch.float64)

    assert result.outcome is Outcome.MISMATCH
    assert not result.has_float32_constants


def test_there_is_no_remark_about_constants_in_float32_arithmetic_or_exact_results() -> None:
    expected = reference(30)

    for got, dtype in ((expected.float(), torch.float32), (expected, torch.float64), (expected * 2, torch.float64)):
        assert not compare(got, expected, terms=30, argument_dtype=dtype).has_float32_constants


def test_where_terms_cancel_their_own_rounding_counts() -> None:
    """The gradient of a bias before a softmax is zero: what remains of its terms is rounding."""
    terms = torch.softmax(reference(64, 10), 1)
    terms[:, 0] -= 1
    expected = terms.sum()
    scale = 25 * float(terms.square().mean().sqrt())  # of a sum of 640 such terms that do not cancel

    for got, outcome in ((terms.float().sum(), Outcome.MATCH), (0.0, Outcome.MATCH), (1e-3, Outcome.MISMATCH)):
        answer = torch.as_tensor(got, dtype=torch.float32)
        assert compare(answer, expected, terms=640, argument_dtype=torch.float32, scale=scale).outcome is outcome


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_if_the_gradient_is_zero_so_is_a_number_that_nothing_can_tell_from_it(dtype: torch.dtype) -> None:
    zeros = torch.zeros(3, dtype=torch.float64)

    assert outcome_of(torch.full((3,), 1e-20, dtype=dtype), zeros, dtype) is Outcome.MATCH
    assert outcome_of(torch.full((3,), 1e-15, dtype=dtype), zeros, dtype) is Outcome.MISMATCH


def test_an_author_may_allow_more() -> None:
    expected = reference(30)

    for factor, outcome in ((1.0, Outcome.MISMATCH), (20.0, Outcome.MATCH)):
        found = compare(expected * (1 + 1e-5), expected, terms=30, argument_dtype=torch.float64, factor=factor)
        assert found.outcome is outcome


def test_a_reference_of_zeros_has_no_relative_error() -> None:
    """Any other answer is wrong, and nothing is divided by zero."""
    result = compare(
        torch.tensor([0.0, 1e-3]), torch.zeros(2, dtype=torch.float64), terms=8, argument_dtype=torch.float32
    )

    assert result.outcome is Outcome.MISMATCH
    assert result.max_rel_error is None


def test_the_tolerance_is_proportional_to_terms_roundoff_and_the_largest_entry() -> None:
    ones = torch.ones(3, dtype=torch.float64)
    base = tolerance(ones, dtype=torch.float32, terms=100)

    assert tolerance(ones, dtype=torch.float32, terms=200) == pytest.approx(2 * base, rel=1e-3)
    assert tolerance(10 * ones, dtype=torch.float32, terms=100) == pytest.approx(10 * base)
    assert tolerance(ones, dtype=torch.float64, terms=100) < 1e-8 * base
