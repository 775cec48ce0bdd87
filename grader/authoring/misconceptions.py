"""
Are the mistakes that an author has named told from the solution, and from one another?
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator, Sequence

import torch

from grader.assignment.load import Assignment
from grader.assignment.misconceptions import Misconception
from grader.diagnosis.bank import evaluate
from grader.diagnosis.fingerprint import fingerprint
from grader.diagnosis.mutants import as_mutant
from grader.diagnosis.projection import Tensors, agrees
from grader.execution.calls import Returned
from grader.model import Exercise, Outcome
from grader.reference.cases import Case, build_cases

__all__ = ["problems_of_named"]


def problems_of_named(assignment: Assignment) -> Iterator[str]:
    """What has to be mended in an assignment's misconceptions, a sentence each."""
    cases = build_cases(assignment)
    for exercise in assignment.exercises:
        for problem in _problems(assignment, exercise, cases[exercise.name]):
            yield f"{exercise.name}: {problem}"


def _problems(assignment: Assignment, exercise: Exercise, cases: Sequence[Case]) -> Iterator[str]:
    answers: dict[str, list[Tensors]] = {}
    prints: dict[str, set[str]] = {}
    for misconception in assignment.misconceptions.get(exercise.name, ()):
        prints[misconception.id] = set(misconception.fingerprints)
        if not misconception.code:
            continue
        returned = [
            answer for answer in evaluate(assignment, exercise, as_mutant(misconception), cases) if answer is not None
        ]
        if len(returned) < len(cases):
            yield f"the misconception {misconception.id} {_failure(assignment, exercise, misconception, cases)}"
        elif _same(cases, returned, [case.expected for case in cases]):
            yield f"the misconception {misconception.id} is right: it answers every case as the solution does."
        else:
            answers[misconception.id] = returned
            prints[misconception.id].add(_fingerprint(exercise, cases, returned))
    for one, other in itertools.combinations(prints, 2):
        both_run = one in answers and other in answers
        if prints[one] & prints[other] or (both_run and _same(cases, answers[one], answers[other])):
            yield f"the misconceptions {one} and {other} are one and the same answer: {other} would never be told."


def _same(cases: Sequence[Case], one: Sequence[Tensors], other: Sequence[Tensors]) -> bool:
    return all(agrees(a, case, b, argument_dtype=case.dtype) for case, a, b in zip(cases, one, other, strict=True))


def _failure(assignment: Assignment, exercise: Exercise, misconception: Misconception, cases: Sequence[Case]) -> str:
    """What goes wrong when its code is run."""
    for case in cases:
        try:
            function = as_mutant(misconception).compile(exercise.name, assignment.solutions[exercise.name].__globals__)
            with torch.no_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                function(**{n: a.double() if a.is_floating_point() else a.clone() for n, a in case.arguments.items()})
        except Exception as error:
            return f"raises {type(error).__name__} on {case.name} ({error})."
    return "does not return what the exercise asks for: a tensor of real numbers for each target."


def _fingerprint(exercise: Exercise, cases: Sequence[Case], answers: Sequence[Tensors]) -> str:
    returned = [
        Returned(case=case, outcome=None, argument_dtype=case.dtype, tensors=answer)
        for case, answer in zip(cases, answers, strict=True)
    ]
    return fingerprint(exercise, Outcome.MISMATCH, returned) or ""
