"""
The mutants of each solution, and the projections of what they return on the fixed cases, which are quick to compare.
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

__all__ = ["EvaluatedMutant", "bank", "evaluate", "survives"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EvaluatedMutant:
    """
    A mutant that has been called on cases.

    Attributes:
        projections: For each of the cases, or for the last ones: one projection per target, or None if it raised.
    """

    mutant: Mutant
    projections: tuple[tuple[Projection, ...] | None, ...]


@functools.lru_cache(maxsize=256)
def bank(assignment: Assignment, exercise: Exercise, *, pairs: bool = False) -> tuple[EvaluatedMutant, ...]:
    """
    The mutants of an exercise that do not give the same as the solution on its cases, evaluated.

    Args:
        pairs: Mutants with two edits instead of one. There are many, so they are called only on the last, small case.

    Returns:
        Nothing if the assignment has no solution, as in a student's own check.
    """
    if exercise.name not in assignment.solutions:
        return ()
    make = make_pairs if pairs else make_mutants
    cases = build_cases(assignment)[exercise.name]
    others, kept = (cases[:-1], cases[-1:]) if pairs else ((), cases)
    evaluated = []
    for mutant in make(assignment.solution_code[exercise.name], exercise.name, cases[0].upstream):
        results = tuple(evaluate(assignment, exercise, mutant, kept))
        if _are_right(results, kept) and survives(assignment, exercise, mutant, others):
            continue
        projections = tuple(None if result is None else tuple(map(project, result)) for result in results)
        evaluated.append(EvaluatedMutant(mutant=mutant, projections=projections))
    return tuple(evaluated)


def survives(
    assignment: Assignment, exercise: Exercise, mutant: Mutant, cases: Iterable[Case], *, in_case_dtype: bool = False
) -> bool:
    """
    Whether a mutant gives the same as the solution on every case.

    Args:
        in_case_dtype: Compute in the dtype of each case, as a submission does, instead of in float64.
    """
    cases = tuple(cases)[::-1]  # the last cases are small, and catch most mutants
    return _are_right(evaluate(assignment, exercise, mutant, cases, in_case_dtype=in_case_dtype), cases)


def _are_right(results: Iterable[Tensors | None], cases: Iterable[Case]) -> bool:
    """Whether the results agree with the references; further results are not computed after one that does not."""
    return all(
        result is not None and agrees(result, case, case.expected, argument_dtype=case.dtype)
        for result, case in zip(results, cases, strict=True)
    )


def evaluate(
    assignment: Assignment, exercise: Exercise, mutant: Mutant, cases: Iterable[Case], *, in_case_dtype: bool = False
) -> Iterator[Tensors | None]:
    """
    Call a mutant on each case.

    Args:
        in_case_dtype: Compute in the dtype of the case, as a submission does, with its rounding and overflow. Otherwise
            in float64.

    Returns:
        What it returned, as float64; None where it raised, or did not return a tensor for each target.
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
            copies = {name: tensor.clone() for name, tensor in case.arguments.items()}
            if not in_case_dtype:
                copies = {name: copy.double() if copy.is_floating_point() else copy for name, copy in copies.items()}
            returned = function(**copies)
    except Exception:
        return None
    values = returned if isinstance(returned, tuple) else (returned,)
    if len(values) != len(case.expected) or not all(isinstance(v, torch.Tensor) and not v.is_complex() for v in values):
        return None
    return tuple(value.double() for value in values)
