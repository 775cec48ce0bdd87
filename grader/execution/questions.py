"""
What an assignment asks of each submission: put together once, since it is the same for all of them.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

from grader.assignment.load import Assignment
from grader.calling.exercise import Exercise
from grader.execution.asking import call_request, chain_request, practice_request
from grader.execution.channel import Request
from grader.execution.hidden import hidden_requests
from grader.reference.cases import Case, build_cases
from grader.reference.chain import ChainCase, build_chain
from grader.reference.practice import build_practice

__all__ = ["Questions", "questions_of"]

_KEPT = 4
"""For how many assignments, and for how many choices of exercises, requests are kept. They have some megabytes."""


class Questions:
    """
    The requests that most submissions get.

    Args:
        cases: The cases of each exercise, by its name.
        practice: Cases like the hidden ones, which are drawn from no secret. They explain, and decide nothing.
        chain: The batch for a whole backward pass.

    Attributes:
        public: The requests to call each exercise on the cases that students may see.
    """

    def __init__(
        self,
        assignment: Assignment,
        cases: Mapping[str, tuple[Case, ...]],
        practice: Mapping[str, tuple[Case, ...]],
        chain: ChainCase,
    ) -> None:
        self.assignment, self.cases, self.practice, self.chain = assignment, cases, practice, chain
        self.public = tuple(
            call_request(
                exercise,
                [case for case in cases[exercise.name] if case.public],
                assignment.limits,
                autograd=assignment.autograd,
            )
            for exercise in assignment.exercises
        )
        keep = functools.lru_cache(maxsize=_KEPT)
        self.practised, self.composed, self.hidden = keep(self._practised), keep(self._composed), keep(self._hidden)

    def prepare(self) -> None:
        """Put together what is asked if nothing goes wrong."""
        names = tuple(exercise.name for exercise in self.assignment.exercises)
        self.practised(names)
        self.composed(names)
        self.hidden(names)

    def _practised(self, names: tuple[str, ...]) -> tuple[Request, ...]:
        """The requests to call these exercises on practice batches."""
        limits, autograd = self.assignment.limits, self.assignment.autograd
        return tuple(
            practice_request(exercise, self.practice[exercise.name], limits, autograd=autograd)
            for exercise in self._called(names)
        )

    def _composed(self, names: tuple[str, ...]) -> Request | None:
        """The request to compose these exercises into one backward pass; None if none of the assignment's can be."""
        if not self.chain.returned:
            return None
        return chain_request(self.assignment, self._called(names), self.chain, self.assignment.limits)

    def _hidden(self, names: tuple[str, ...]) -> tuple[tuple[Exercise, Request], ...]:
        """The requests to call these exercises on hidden cases, in their order."""
        hidden = {name: [case for case in cases if not case.public] for name, cases in self.cases.items()}
        limits, autograd = self.assignment.limits, self.assignment.autograd
        return tuple(hidden_requests(self._called(names), hidden, limits, autograd=autograd))

    def _called(self, names: tuple[str, ...]) -> list[Exercise]:
        return [exercise for exercise in self.assignment.exercises if exercise.name in names]


@functools.lru_cache(maxsize=_KEPT)
def questions_of(assignment: Assignment) -> Questions:
    """
    What an assignment asks.

    Raises:
        SourceError, SolutionError: As for `build_cases`.
    """
    cases, practice, chain = build_cases(assignment), build_practice(assignment), build_chain(assignment)
    questions = Questions(assignment, cases, practice, chain)
    questions.prepare()
    return questions
