"""
Answers to a case in short: a shape and a few random projections (Johnson and Lindenstrauss, 1984).

Projections only screen. Where two of them may be of the same tensor, the tensors are compared entry by entry.
"""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np
import torch

from grader.compare import compare, tolerance
from grader.model import Outcome
from grader.reference.cases import Case

__all__ = ["CaseOutput", "Projection", "Tensors", "agrees", "fits", "project", "ratio"]

PROJECTIONS = 3
_MAX_NUMEL = 400_000

Tensors = tuple[torch.Tensor, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CaseOutput:
    """What a student's function returned on one case: a tensor per target, in the dtype it came in."""

    case: Case
    argument_dtype: torch.dtype
    tensors: Tensors


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """A tensor's shape and its projections (float64), or none of these where it is too large."""

    shape: tuple[int, ...]
    values: torch.Tensor | None


def project(tensor: torch.Tensor) -> Projection:
    """A tensor's fingerprint."""
    size = tensor.numel()
    if size > _MAX_NUMEL:
        return Projection(shape=tuple(tensor.shape), values=None)
    return Projection(shape=tuple(tensor.shape), values=_directions(size) @ tensor.double().reshape(-1))


@functools.lru_cache(maxsize=64)
def _directions(size: int) -> torch.Tensor:
    signs = np.random.RandomState(size % 2**32).randint(0, 2, (PROJECTIONS, size)).astype(np.float64)
    return torch.from_numpy(2 * signs - 1)


def agrees(got: Tensors, case: Case, expected: Tensors, *, argument_dtype: torch.dtype = torch.float64) -> bool:
    """Whether two answers to a case are the same but for rounding."""
    return len(got) == len(expected) and all(
        compare(one, other.double(), terms=case.terms, argument_dtype=argument_dtype).outcome is Outcome.MATCH
        for one, other in zip(got, expected, strict=True)
    )


def fits(output: CaseOutput, mine: tuple[Projection, ...], theirs: tuple[Projection, ...] | None) -> bool:
    """Whether a mutant's fingerprint on a case may be that of what a student returned."""
    if theirs is None or len(mine) != len(theirs):
        return False
    for tensor, one, other in zip(output.tensors, mine, theirs, strict=True):
        if one.shape != other.shape:
            return False
        if one.values is None or other.values is None:
            continue
        bound = tolerance(tensor.double(), dtype=_coarser(output, tensor), terms=output.case.terms)
        if not bool(((one.values - other.values).abs() <= 8 * bound * math.sqrt(max(1, tensor.numel()))).all()):
            return False
    return True


def ratio(mine: tuple[Projection, ...], theirs: tuple[Projection, ...] | None) -> float | None:
    """The constant that a mutant's answer has to be multiplied by, if there may be one."""
    if theirs is None or len(mine) != 1 or len(theirs) != 1 or mine[0].shape != theirs[0].shape:
        return None
    one, other = mine[0].values, theirs[0].values
    if one is None or other is None or not bool(torch.isfinite(other).all()) or float(other @ other) == 0:
        return None
    factor = float(one @ other) / float(other @ other)
    far = float((one - factor * other).abs().max()) > 1e-3 * float(one.abs().max())
    return None if far or factor == 0 else factor


def _coarser(output: CaseOutput, tensor: torch.Tensor) -> torch.dtype:
    return torch.float32 if torch.float32 in (output.argument_dtype, tensor.dtype) else torch.float64
