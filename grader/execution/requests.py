"""
Puts all requests to one notebook in order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from grader.assignment.load import Assignment
from grader.calling.exercise import Exercise
from grader.execution.asking import hidden_keys, practice_key, small_request
from grader.execution.calls import outcome_of, place_in, read_call
from grader.execution.channel import Reply, Request
from grader.execution.questions import Questions
from grader.execution.rebinding import rebind_request
from grader.model import Outcome, most_telling
from grader.notebook.functions import FunctionIndex
from grader.reference.cases import Case
from grader.reference.small import small_cases

__all__ = ["WRONG_IN_NUMBERS", "most_requests", "requests_for", "small_requests"]

WRONG_IN_NUMBERS = (Outcome.MISMATCH, Outcome.WRONG_SHAPE, Outcome.NOT_FINITE)
"""Outcomes of functions that return tensors, for which numbers can show that they are wrong."""
_MOST_REQUESTS = 6
"""How many requests there are for a function at most, including its share of those to all exercises together."""


def most_requests(assignment: Assignment) -> int:
    """How many requests there are at most: for straight lines, one more for each part."""
    parts = [len(exercise.parts) if exercise.is_lines else 0 for exercise in assignment.exercises]
    return sum(_MOST_REQUESTS + count for count in parts)


def requests_for(questions: Questions, functions: FunctionIndex, replies: Mapping[str, Reply]) -> Iterator[Request]:
    """
    First all that may be spoken of, then the hidden cases.

    In this order, nothing that a function or the notebook says can depend on a hidden number: they reach the student's
    processes when everything has been said. Of the replies to them, only one word each is read. None of these numbers
    is an answer that is still to be asked for.

    Only a function that is wrong is called with changed variables of the notebook, and on small cases; and in a process
    of its own, so that no other call sees what that leaves behind.

    Args:
        replies: The replies so far. A request may depend on them.
    """
    assignment, cases, practice = questions.assignment, questions.cases, questions.practice
    yield from questions.public
    done = [exercise for exercise in assignment.exercises if replies[exercise.name].status == "done"]
    names = tuple(exercise.name for exercise in done)
    yield from questions.practised(names)
    composed = questions.composed(names)
    if composed is not None:
        yield composed
    for exercise in done:
        scope = functions.scope(exercise.name, place_in(replies[exercise.name]))
        evidence = rebind_request(assignment, exercise, cases[exercise.name], scope)
        # Who is right on the largest and the smallest batch is wrong elsewhere only by what a variable holds.
        if not evidence and _outcome(exercise, cases[exercise.name], practice[exercise.name][-1:], replies).passed:
            continue
        outcome = _outcome(exercise, cases[exercise.name], practice[exercise.name], replies)
        if not outcome.passed:
            yield from evidence
            yield from small_requests(assignment, exercise, outcome)
    safe = tuple(exercise.name for exercise in done if not replies[practice_key(exercise)].is_fatal)
    for exercise, request in questions.hidden(safe):
        # Straight lines run from the first one on, so what ended the process does so for each part after that one.
        if all(replies[key].status == "done" for key in hidden_keys(exercise) if key in replies):
            yield request


def small_requests(assignment: Assignment, exercise: Exercise, outcome: Outcome) -> tuple[Request, ...]:
    """
    The request to call a wrong exercise on small cases, for a counterexample.

    Returns:
        Nothing if its numbers are not what is wrong, if its author wants none, or if there are no such cases.
    """
    is_wanted = assignment.gives_numbers and outcome in WRONG_IN_NUMBERS
    cases = small_cases(assignment, exercise) if is_wanted else ()
    return (small_request(exercise, cases, assignment.limits, autograd=assignment.autograd),) if cases else ()


def _outcome(
    exercise: Exercise, cases: Sequence[Case], practice: Sequence[Case], replies: Mapping[str, Reply]
) -> Outcome:
    """What the calls on public and on practice cases come to. If they are wrong, an explanation is looked for."""
    public = [case for case in cases if case.public]
    calls = read_call(public, replies[exercise.name]) + read_call(practice, replies[practice_key(exercise)])
    return most_telling([outcome_of(call, autograd="allow") for call in calls] or [Outcome.SKIPPED])
