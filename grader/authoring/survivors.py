"""
Finds the mutants that no case catches: some are equivalent to the solution, others show a hole in the cases.

A mutant is caught if a grading would notice it: on some case, in the case's own dtype or in float64, its numbers differ
from the solution's. A survivor is *equivalent* if it also computes the same at points that have nothing to do with the
cases, where parameters and upstream gradients are normally distributed. No finite number of points is a proof, so each
survivor is listed with the line that was changed, and a person can judge.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterable, Iterator, Sequence

import torch

from grader.assignment.load import Assignment
from grader.calling.exercise import Exercise
from grader.calling.nested import with_tensors
from grader.diagnosis.bank import evaluate, solution_of, survives
from grader.diagnosis.mutants import Mutant
from grader.diagnosis.plain import plain_code
from grader.diagnosis.projection import Tensors, agrees
from grader.reference.cases import Case, generic_arguments

__all__ = ["Survivor", "Why", "find_survivors"]

POINTS = 6
_KINK = "move_boundary"


class Why(enum.Enum):
    """Why no case catches a mutant."""

    HOLE = "Survivors that are holes in the cases"
    KINK = "Equivalent: they differ only at a kink, where every subgradient is right"
    ALWAYS = "Equivalent: the same for any arguments of these shapes"
    REACHED = "Equivalent: the same for all values that this network can produce"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Survivor:
    """
    A mutant that no case catches.

    Attributes:
        edit: The kind of mistake.
        site: The piece of the solution that was edited.
        change: The changed lines: the solution's, an arrow, the mutant's.
    """

    edit: str
    site: str
    change: str
    why: Why

    @property
    def is_hole(self) -> bool:
        """Whether it computes something else in general, and would still get full marks."""
        return self.why is Why.HOLE


def find_survivors(
    assignment: Assignment, exercise: Exercise, mutants: Iterable[Mutant], cases: tuple[Case, ...]
) -> tuple[Survivor, ...]:
    """The mutants that no case catches, in their order."""
    surviving = [
        mutant
        for mutant in mutants
        if survives(assignment, exercise, mutant, cases)
        and survives(assignment, exercise, mutant, cases, in_case_dtype=True)
    ]
    points = tuple(_points(assignment, exercise, cases[0])) if surviving else ()
    right = _with_right(assignment, exercise, points)
    anywhere = _with_right(assignment, exercise, map(_anywhere, points))
    return tuple(
        Survivor(
            edit=mutant.edits[0].name,
            site=mutant.site,
            change=_change(assignment.solution_code[exercise.name], exercise.name, mutant),
            why=_why(assignment, exercise, mutant, right, anywhere),
        )
        for mutant in surviving
    )


_Answered = Sequence[tuple[Case, Tensors | None]]
"""Cases, each with what the solution returns."""


def _with_right(assignment: Assignment, exercise: Exercise, cases: Iterable[Case]) -> _Answered:
    solution = solution_of(assignment, exercise)
    return [(case, next(evaluate(assignment, exercise, solution, [case]))) for case in cases]


def _why(assignment: Assignment, exercise: Exercise, mutant: Mutant, points: _Answered, anywhere: _Answered) -> Why:
    if not _agree(assignment, exercise, mutant, points):
        return Why.HOLE
    if not _agree(assignment, exercise, mutant, anywhere):
        return Why.REACHED
    return Why.KINK if mutant.edits[0].name == _KINK else Why.ALWAYS


def _points(assignment: Assignment, exercise: Exercise, like: Case) -> Iterator[Case]:
    """Cases in float64, of several sizes, with arguments that have nothing special about them."""
    for seed in range(POINTS):
        arguments = generic_arguments(assignment, exercise, rows=13 + seed, seed=seed)
        yield dataclasses.replace(like, arguments=arguments, dtype=torch.float64)


def _anywhere(case: Case) -> Case:
    """A case with arguments that no network produced: normally distributed, and integers below zero as well."""
    generator = torch.Generator().manual_seed(case.rows)

    def redrawn(argument: torch.Tensor) -> torch.Tensor:
        if argument.is_floating_point():
            return torch.randn(argument.shape, generator=generator, dtype=argument.dtype)
        return ~argument if argument.dtype == torch.bool else argument - 3

    return dataclasses.replace(case, arguments=with_tensors(case.arguments, redrawn))


def _agree(assignment: Assignment, exercise: Exercise, mutant: Mutant, answered: _Answered) -> bool:
    """Whether a mutant returns what the solution returns, on every case."""
    results = evaluate(assignment, exercise, mutant, [case for case, _ in answered])
    return all(
        right is not None and result is not None and agrees(result, case, right)
        for result, (case, right) in zip(results, answered, strict=True)
    )


def _change(code: str, name: str, mutant: Mutant) -> str:
    """The lines that differ, as in `return a.T @ dz → return a @ dz`."""
    before, after = ([line.strip() for line in text.split("\n")] for text in (plain_code(code, name), mutant.code))
    return f"{_only(before, after)} → {_only(after, before)}"


def _only(lines: list[str], others: list[str]) -> str:
    return "; ".join(line for line in lines if line not in others)
