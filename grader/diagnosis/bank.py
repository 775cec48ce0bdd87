"""
What every mutant of a solution computes on the fixed cases, as fingerprints: made once per assignment, soon compared.

A fingerprint is a shape and a few random projections (Johnson and Lindenstrauss, 1984). It only screens: whatever it
lets through is computed again and compared entry by entry.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import torch

from grader.assignment.load import Assignment
from grader.compare import compare, tolerance
from grader.diagnosis.mutants import Mutant, make_mutants, make_pairs
from grader.model import Exercise, Outcome
from grader.reference.cases import Case, build_cases

__all__ = ["Entry", "Projection", "Seen", "agrees", "bank", "evaluate", "fits", "project", "ratio", "survives"]

PROJECTIONS = 3
_MAX_NUMEL = 400_000

Tensors = tuple[torch.Tensor, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a student's function returned on one case: a tensor per target, in the dtype it came in."""

    case: Case
    given: torch.dtype
    tensors: Tensors


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """A tensor's shape and its projections (float64), or none of these where it is too large."""

    shape: tuple[int, ...]
    values: torch.Tensor | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A mutant with a projection per target for some cases, the last ones; None for a case on which it raises."""

    mutant: Mutant
    cases: tuple[tuple[Projection, ...] | None, ...]


@functools.lru_cache(maxsize=256)
def bank(assignment: Assignment, exercise: Exercise, *, pairs: bool = False) -> tuple[Entry, ...]:
    """
    The mutants of an exercise that differ from its solution on its cases, evaluated.

    Args:
        pairs: Two edits at once, instead of one. There are many: they are evaluated on the last, small case only.

    Returns:
        Nothing where the assignment has no solution: a student's own check knows none.
    """
    if exercise.name not in assignment.solutions:
        return ()
    make = make_pairs if pairs else make_mutants
    cases = build_cases(assignment)[exercise.name]
    entries = []
    for mutant in make(assignment.sources[exercise.name], exercise.name, cases[0].upstream):
        if survives(assignment, exercise, mutant, cases):
            continue
        results = evaluate(assignment, exercise, mutant, cases[-1:] if pairs else cases)
        projections = tuple(None if result is None else tuple(map(project, result)) for result in results)
        entries.append(Entry(mutant=mutant, cases=projections))
    return tuple(entries)


def survives(
    assignment: Assignment, exercise: Exercise, mutant: Mutant, cases: Iterable[Case], *, as_given: bool = False
) -> bool:
    """Whether no case tells a mutant from the solution; in float64, or in the dtype that a submission is given."""
    cases = tuple(cases)[::-1]  # the small ones tell most of them
    return all(
        result is not None and agrees(result, case, case.expected, given=case.dtype)
        for result, case in zip(evaluate(assignment, exercise, mutant, cases, as_given=as_given), cases, strict=True)
    )


def evaluate(
    assignment: Assignment, exercise: Exercise, mutant: Mutant, cases: Iterable[Case], *, as_given: bool = False
) -> Iterator[Tensors | None]:
    """
    What a mutant returns on each case, as float64; None where it raises or returns something else.

    Args:
        as_given: Compute in the case's dtype, as a submission does: rounding, and what overflows, is part of it.
    """
    try:
        function = mutant.compile(exercise.name, assignment.solutions[exercise.name].__globals__)
    except Exception:  # a default value may be edited too
        return (None for _ in cases)
    return (_call(function, case, as_given=as_given) for case in cases)


def _call(function: Callable[..., Any], case: Case, *, as_given: bool) -> Tensors | None:
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Copies: a mutant may change in place what the solution only reads.
            copies = {n: a.clone() for n, a in case.arguments.items()}
            if not as_given:
                copies = {n: a.double() if a.is_floating_point() else a for n, a in copies.items()}
            returned = function(**copies)
    except Exception:
        return None
    values = returned if isinstance(returned, tuple) else (returned,)
    if len(values) != len(case.expected) or not all(isinstance(v, torch.Tensor) and not v.is_complex() for v in values):
        return None
    return tuple(value.double() for value in values)


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


def agrees(got: Tensors, case: Case, expected: Tensors, *, given: torch.dtype = torch.float64) -> bool:
    """Whether two answers to a case are the same but for rounding."""
    return len(got) == len(expected) and all(
        compare(one, other.double(), terms=case.terms, given=given).outcome is Outcome.MATCH
        for one, other in zip(got, expected, strict=True)
    )


def fits(seen: Seen, mine: tuple[Projection, ...], theirs: tuple[Projection, ...] | None) -> bool:
    """Whether a mutant's fingerprint on a case may be that of what a student returned."""
    if theirs is None or len(mine) != len(theirs):
        return False
    for tensor, one, other in zip(seen.tensors, mine, theirs, strict=True):
        if one.shape != other.shape:
            return False
        if one.values is None or other.values is None:
            continue
        bound = tolerance(tensor.double(), dtype=_coarser(seen, tensor), terms=seen.case.terms)
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


def _coarser(seen: Seen, tensor: torch.Tensor) -> torch.dtype:
    return torch.float32 if torch.float32 in (seen.given, tensor.dtype) else torch.float64
