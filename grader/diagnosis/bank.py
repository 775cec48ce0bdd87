"""
What every mutant of a solution computes on the fixed cases, as projections that are quick to compare.
"""

from __future__ import annotations

import dataclasses
import functools
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch

from grader.assignment.load import Assignment
from grader.diagnosis.mutants import Mutant, make_mutants, make_pairs
from grader.diagnosis.projection import Projection, Tensors, agrees, project
from grader.model import Exercise
from grader.reference.cases import Case, build_cases

__all__ = ["Entry", "bank", "evaluate", "survives"]


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
    for mutant in make(assignment.solution_code[exercise.name], exercise.name, cases[0].upstream):
        if survives(assignment, exercise, mutant, cases):
            continue
        results = evaluate(assignment, exercise, mutant, cases[-1:] if pairs else cases)
        projections = tuple(None if result is None else tuple(map(project, result)) for result in results)
        entries.append(Entry(mutant=mutant, cases=projections))
    return tuple(entries)


def survives(
    assignment: Assignment, exercise: Exercise, mutant: Mutant, cases: Iterable[Case], *, in_case_dtype: bool = False
) -> bool:
    """Whether no case tells a mutant from the solution; in float64, or in the dtype that a submission is given."""
    cases = tuple(cases)[::-1]  # the small ones tell most of them
    return all(
        result is not None and agrees(result, case, case.expected, argument_dtype=case.dtype)
        for result, case in zip(
            evaluate(assignment, exercise, mutant, cases, in_case_dtype=in_case_dtype), cases, strict=True
        )
    )


def evaluate(
    assignment: Assignment, exercise: Exercise, mutant: Mutant, cases: Iterable[Case], *, in_case_dtype: bool = False
) -> Iterator[Tensors | None]:
    """
    What a mutant returns on each case, as float64; None where it raises or returns something else.

    Args:
        in_case_dtype: Compute in the case's dtype, as a submission does: rounding, and what overflows, is part of it.
    """
    try:
        function = mutant.compile(exercise.name, assignment.solutions[exercise.name].__globals__)
    except Exception:  # a default value may be edited too
        return (None for _ in cases)
    return (_call(function, case, in_case_dtype=in_case_dtype) for case in cases)


def _call(function: Callable[..., Any], case: Case, *, in_case_dtype: bool) -> Tensors | None:
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Copies: a mutant may change in place what the solution only reads.
            copies = {n: a.clone() for n, a in case.arguments.items()}
            if not in_case_dtype:
                copies = {n: a.double() if a.is_floating_point() else a for n, a in copies.items()}
            returned = function(**copies)
    except Exception:
        return None
    values = returned if isinstance(returned, tuple) else (returned,)
    if len(values) != len(case.expected) or not all(isinstance(v, torch.Tensor) and not v.is_complex() for v in values):
        return None
    return tuple(value.double() for value in values)
