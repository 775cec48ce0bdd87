"""
The mutants of each solution, and the projections of what they return on the fixed cases, which are quick to compare.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch

from grader.assignment.load import Assignment
from grader.calling.equation import Equation
from grader.calling.exercise import Exercise
from grader.calling.lines import Lines
from grader.calling.nested import with_tensors
from grader.diagnosis.mutants import Mutant, make_mutants, make_pairs
from grader.diagnosis.operands import OF_TENSORS
from grader.diagnosis.plain import plain_code
from grader.diagnosis.projection import Projection, Tensors, agrees, project
from grader.reference.answers import answer_of, in_float64
from grader.reference.cases import Case, build_cases
from grader.trees import tree_of

__all__ = ["EvaluatedMutant", "bank", "evaluate", "mutants_of", "solution_of", "survives"]


BUDGET_S = 10.0
"""How long the mutants of an exercise may take in a grading, those with one edit and those with two: of the processor's
time, so that the same mutants are tried on a busy machine."""


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
        Nothing if the assignment has no solution, as in a student's own check. Where a solution is slow, such as one
        with loops over pixels, its mutants are called on the last case only, the preferred ones first, and only as many
        as there is time for.
    """
    if exercise.name not in assignment.solutions:
        return ()
    cases = build_cases(assignment)[exercise.name]
    mutants = mutants_of(assignment, exercise, cases[0], pairs=pairs)
    few = pairs or len(mutants) * _seconds(assignment, exercise, cases) > BUDGET_S / 2
    others, kept = (cases[:-1], cases[-1:]) if few else ((), cases)
    evaluated = []
    end = time.thread_time() + BUDGET_S
    for mutant in mutants:
        if time.thread_time() > end:
            break
        results = tuple(evaluate(assignment, exercise, mutant, kept))
        if _are_right(results, kept) and survives(assignment, exercise, mutant, others):
            continue
        projections = tuple(None if result is None else tuple(map(project, result)) for result in results)
        evaluated.append(EvaluatedMutant(mutant=mutant, projections=projections))
    return tuple(evaluated)


def _seconds(assignment: Assignment, exercise: Exercise, cases: Sequence[Case]) -> float:
    """How long the solution takes for all cases; only the last one is tried if that takes long."""
    started = time.thread_time()
    next(evaluate(assignment, exercise, solution_of(assignment, exercise), cases[-1:]))
    of_last = time.thread_time() - started
    return of_last * sum(case.rows for case in cases) / cases[-1].rows


def solution_of(assignment: Assignment, exercise: Exercise) -> Mutant:
    """The solution of an exercise, as a mutant without edits."""
    code = plain_code(assignment.solution_code[exercise.name], exercise.name)
    return Mutant(edits=(), site="", operands=(), code=code)


def mutants_of(assignment: Assignment, exercise: Exercise, case: Case, *, pairs: bool = False) -> tuple[Mutant, ...]:
    """The mutants of an exercise's solution, with one edit or with `pairs` of edits."""
    code, name = assignment.solution_code[exercise.name], exercise.name
    upstream, constant = case.upstream, frozenset[str]()
    if exercise.equation:
        equation = Equation.of(exercise.equation)
        given = [
            (parameter, names)
            for function in ast.walk(tree_of(code))
            if isinstance(function, ast.FunctionDef)
            for parameter, names in equation.given_to(function.name, _parameters(function)).items()
        ]
        upstream = tuple(parameter for parameter, names in given if set(names) & set(case.upstream))
        constant = frozenset(parameter for parameter, names in given if not names)
    mutants = (make_pairs if pairs else make_mutants)(code, name, upstream, arrays=exercise.arrays)
    return tuple(mutant for mutant in mutants if not _edits_as_tensor(mutant, constant))


def _edits_as_tensor(mutant: Mutant, constant: frozenset[str]) -> bool:
    """Whether an edit of tensors is made to a parameter that the call gives a constant, such as the text "relu"."""
    edited = zip(mutant.edits, mutant.operands, strict=True)
    return any(edit.name in OF_TENSORS and operand in constant for edit, operand in edited)


def _parameters(function: ast.FunctionDef) -> list[str]:
    """The names of a function's parameters, without the object of a method."""
    return [argument.arg for argument in function.args.args if argument.arg != "self"]


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
        variables = mutant.compile(exercise.name, assignment.namespace)
        if exercise.is_lines:
            variables[exercise.name] = Lines.in_function(mutant.code, exercise.name, exercise.parts)
    except Exception:  # a default value may be edited too
        return (None for _ in cases)
    return (_call(exercise, variables, case, in_case_dtype=in_case_dtype) for case in cases)


def _call(exercise: Exercise, variables: dict[str, Any], case: Case, *, in_case_dtype: bool) -> Tensors | None:
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Copies: a mutant may change in place what the solution only reads.
            copies = with_tensors(case.arguments, torch.Tensor.clone if in_case_dtype else in_float64)
            values = answer_of(exercise, variables, copies)
    except Exception:
        return None
    if values is None or any(value.is_complex() for value in values):
        return None
    return tuple(value.double() for value in values)
