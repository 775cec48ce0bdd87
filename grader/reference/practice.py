"""
Practice cases: of the same kind as the hidden ones, but drawn from a seed that everybody may know.

What a function does on them may be said to its student, and explains what it does on the hidden ones, which say nothing
but an outcome. They decide nothing. A check in a student's notebook uses the same.
"""

from __future__ import annotations

import dataclasses
import functools

from grader.assignment.load import Assignment
from grader.reference.cases import Case, build_cases
from grader.reference.networks import PRACTICE, points_of

__all__ = ["build_practice", "practising"]


@functools.lru_cache(maxsize=32)
def practising(assignment: Assignment) -> Assignment:
    """The assignment with practice cases in place of the hidden ones."""
    return dataclasses.replace(assignment, hidden_seed=PRACTICE)


def build_practice(assignment: Assignment) -> dict[str, tuple[Case, ...]]:
    """
    The practice cases of every exercise: one for each hidden case, in the same order.

    Raises:
        SourceError, SolutionError: As for `build_cases`.
    """
    public = {point.name for point in points_of(assignment) if point.public}
    every = build_cases(practising(assignment))
    return {name: tuple(case for case in cases if case.name not in public) for name, cases in every.items()}
