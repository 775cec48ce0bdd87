"""
Compares tensors quickly, by their shapes and a few random projections (Johnson and Lindenstrauss, 1984).

Projections only rule out. Where two tensors have nearly the same projections, they are compared entry by entry.
"""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np
import torch

from grader.compare import allowed_error
from grader.model import Outcome
from grader.reference.cases import Case

__all__ = [
    "CaseOutput",
    "Projection",
    "Tensors",
    "agrees",
    "different_numbers",
    "fits",
    "is_uniform",
    "project",
    "ratio",
]

PROJECTIONS = 3
_MAX_NUMEL = 400_000

Tensors = tuple[torch.Tensor, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CaseOutput:
    """What a student's function returned on one case: a tensor per target, in the dtype in which it was returned."""

    case: Case
    argument_dtype: torch.dtype
    tensors: Tensors

    @staticmethod
    def of(case: Case, argument_dtype: torch.dtype, tensors: Tensors) -> CaseOutput:
        """What was returned; half precision in place of dtypes of one byte, with which PyTorch can hardly compute."""
        computable = (t.half() if t.is_floating_point() and t.itemsize == 1 else t for t in tensors)
        return CaseOutput(case=case, argument_dtype=argument_dtype, tensors=tuple(computable))

    @property
    def size_of_terms(self) -> float:
        """The largest number that arrives from upstream: what is left of such numbers is rounding if they cancel."""
        return max((float(d.abs().max()) for d in self.case.cotangents.values() if d.numel()), default=0.0)

    def equals(self, expected: torch.Tensor, *, target: int) -> bool:
        """Whether the tensor of a target is the expected one (any shape, float64), except for rounding."""
        compared = self.case.compare(
            self.tensors[target], target=target, argument_dtype=self.argument_dtype, expected=expected.double()
        )
        return compared.outcome is Outcome.MATCH


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """The shape of a tensor, and its projections, float64 of shape (PROJECTIONS,); None if the tensor is too large."""

    shape: tuple[int, ...]
    values: torch.Tensor | None


def project(tensor: torch.Tensor) -> Projection:
    """The projection of a tensor of any shape and dtype."""
    size = tensor.numel()
    if size > _MAX_NUMEL:
        return Projection(shape=tuple(tensor.shape), values=None)
    return Projection(shape=tuple(tensor.shape), values=_directions(size) @ tensor.double().reshape(-1))


@functools.lru_cache(maxsize=64)
def _directions(size: int) -> torch.Tensor:
    """Random entries of 1 and −1, shape (PROJECTIONS, size): always the same ones for the same size."""
    signs = np.random.RandomState(size % 2**32).randint(0, 2, (PROJECTIONS, size)).astype(np.float64)
    return torch.from_numpy(2 * signs - 1)


def agrees(
    got: Tensors,
    case: Case,
    expected: Tensors,
    *,
    argument_dtype: torch.dtype = torch.float64,
    size_of_terms: float = 0.0,
) -> bool:
    """
    Whether two answers to a case are the same, except for rounding.

    Args:
        size_of_terms: The size of the terms of which they are sums, if these may cancel.
    """
    return len(got) == len(expected) and all(
        case.compare(
            tensor, target=target, argument_dtype=argument_dtype, expected=right.double(), scale=size_of_terms
        ).outcome
        is Outcome.MATCH
        for target, (tensor, right) in enumerate(zip(got, expected, strict=True))
    )


def is_uniform(tensor: torch.Tensor) -> bool:
    """Whether all entries of a tensor are the same number, or it has none."""
    return tensor.numel() == 0 or bool((tensor == tensor.flatten()[0]).all())


def different_numbers(tensor: torch.Tensor) -> int:
    """How many different numbers a tensor has in it."""
    return int(torch.unique(tensor).numel())


def fits(output: CaseOutput, student: tuple[Projection, ...], mutant: tuple[Projection, ...] | None) -> bool:
    """
    Whether a student's function may have returned the same as a mutant.

    Args:
        output: What the student's function returned on a case.
        student: The projections of that.
        mutant: The projections of what the mutant returned on the same case; None if it raised.
    """
    if mutant is None or len(student) != len(mutant):
        return False
    case = output.case
    for target, (tensor, observed, candidate) in enumerate(zip(output.tensors, student, mutant, strict=True)):
        if observed.shape != candidate.shape:
            return False
        if observed.values is None or candidate.values is None:
            continue
        bound = allowed_error(
            tensor.double(),
            dtype=_coarser(output, tensor),
            terms=case.terms,
            scale=max(case.scale_of(target), output.size_of_terms),
            factor=case.tolerance,
        )
        distance = (observed.values - candidate.values).abs()
        if not bool((distance <= 8 * bound * math.sqrt(max(1, tensor.numel()))).all()):
            return False
    return True


def ratio(student: tuple[Projection, ...], mutant: tuple[Projection, ...] | None) -> float | None:
    """The factor by which a mutant's answer has to be multiplied to give a student's, if there may be one."""
    if mutant is None or len(student) != 1 or len(mutant) != 1 or student[0].shape != mutant[0].shape:
        return None
    observed, candidate = student[0].values, mutant[0].values
    if observed is None or candidate is None or not bool(torch.isfinite(candidate).all()):
        return None
    square = float(candidate @ candidate)
    if square == 0:
        return None
    factor = float(observed @ candidate) / square
    is_far = float((observed - factor * candidate).abs().max()) > 1e-3 * float(observed.abs().max())
    return None if is_far or factor == 0 else factor


def _coarser(output: CaseOutput, tensor: torch.Tensor) -> torch.dtype:
    return torch.float32 if torch.float32 in (output.argument_dtype, tensor.dtype) else torch.float64
