"""
Checks that each misconception of an assignment differs from the solution and from the others.
"""

from __future__ import annotations

import dataclasses
import itertools
import warnings
from collections.abc import Iterator, Sequence

import torch

from grader.assignment.load import Assignment
from grader.assignment.misconceptions import Misconception
from grader.calling.exercise import Exercise
from grader.calling.nested import with_tensors
from grader.diagnosis.bank import evaluate
from grader.diagnosis.fingerprint import fingerprint
from grader.diagnosis.mutants import as_mutant
from grader.diagnosis.projection import Tensors, agrees
from grader.execution.calls import Returned
from grader.model import Outcome
from grader.reference.answers import answer_of, in_float64
from grader.reference.cases import Case, build_cases
from grader.reference.practice import practising

__all__ = ["problems_of_misconceptions"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Signs:
    """
    The signs by which a misconception is recognised.

    Attributes:
        answers: What its code returns on each case; empty if it has no code, or if the code fails or is right.
        fingerprints: Those that its author gave, and that of its answers.
    """

    id: str
    answers: tuple[Tensors, ...]
    fingerprints: frozenset[str]


def problems_of_misconceptions(assignment: Assignment) -> Iterator[str]:
    """What the author has to fix in an assignment's misconceptions, a sentence each."""
    cases = build_cases(practising(assignment))  # a misconception is recognised on these
    for exercise in assignment.exercises:
        for problem in _problems(assignment, exercise, cases[exercise.name]):
            yield f"{exercise.name}: {problem}"


def _problems(assignment: Assignment, exercise: Exercise, cases: Sequence[Case]) -> Iterator[str]:
    known: list[_Signs] = []
    for misconception in assignment.misconceptions.get(exercise.name, ()):
        answers: tuple[Tensors, ...] = ()
        fingerprints = set(misconception.fingerprints)
        if misconception.code:
            results = tuple(evaluate(assignment, exercise, as_mutant(misconception), cases))
            answers = tuple(result for result in results if result is not None)
            if len(answers) < len(cases):
                yield f"the misconception {misconception.id} {_failure(assignment, exercise, misconception, cases)}"
                answers = ()
            elif _are_equal(cases, answers, [case.expected for case in cases]):
                yield f"the misconception {misconception.id} is not a mistake: it answers every case like the solution."
                answers = ()
            else:
                fingerprints.add(_fingerprint(exercise, cases, answers))
        known.append(_Signs(id=misconception.id, answers=answers, fingerprints=frozenset(fingerprints)))
    for first, second in itertools.combinations(known, 2):
        if _share_an_answer(cases, first, second):
            yield (
                f"the misconceptions {first.id} and {second.id} are shown by the same answer: "
                f"{second.id} would never be reported."
            )


def _share_an_answer(cases: Sequence[Case], first: _Signs, second: _Signs) -> bool:
    if first.fingerprints & second.fingerprints:
        return True
    return bool(first.answers and second.answers) and _are_equal(cases, first.answers, second.answers)


def _are_equal(cases: Sequence[Case], first: Sequence[Tensors], second: Sequence[Tensors]) -> bool:
    """Whether two sequences of answers to the cases agree on every case."""
    return all(agrees(a, case, b, argument_dtype=case.dtype) for case, a, b in zip(cases, first, second, strict=True))


def _failure(assignment: Assignment, exercise: Exercise, misconception: Misconception, cases: Sequence[Case]) -> str:
    """Why the code of a misconception gives no answer to some case, in words that follow its id."""
    for case in cases:
        try:
            variables = as_mutant(misconception).compile(exercise.name, assignment.namespace)
            with torch.no_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                answer_of(exercise, variables, with_tensors(case.arguments, in_float64))
        except Exception as error:
            return f"raises {type(error).__name__} on {case.name} ({error})."
    return "does not return what the exercise asks for: a tensor of real numbers for each target."


def _fingerprint(exercise: Exercise, cases: Sequence[Case], answers: Sequence[Tensors]) -> str:
    """The fingerprint of a submission that answers like this."""
    returned = [
        Returned(case=case, outcome=None, argument_dtype=case.dtype, tensors=answer)
        for case, answer in zip(cases, answers, strict=True)
    ]
    return fingerprint(exercise, Outcome.MISMATCH, returned) or ""
