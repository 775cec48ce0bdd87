"""
Puts all requests to one notebook in order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from grader.assignment.load import Assignment
from grader.execution.calls import call_request, chain_request, place_in
from grader.execution.channel import Reply, Request
from grader.execution.rebinding import rebind_request
from grader.notebook.functions import FunctionIndex
from grader.reference.cases import Case, ChainCase

__all__ = ["requests_for"]


def requests_for(
    assignment: Assignment,
    functions: FunctionIndex,
    cases: Mapping[str, tuple[Case, ...]],
    chain: ChainCase,
    replies: Mapping[str, Reply],
) -> Iterator[Request]:
    """
    First the public cases of all functions, then all functions in one backward pass, then the hidden cases.

    In this order, a function that remembers its arguments has seen no hidden number when it returns what students may
    see. Calls with changed variables of the notebook come last, after everything that counts.

    Args:
        cases: The cases of each exercise, by its name.
        replies: The replies so far. A request may depend on them.
    """
    limits = assignment.limits
    for exercise in assignment.exercises:
        public = [case for case in cases[exercise.name] if case.public]
        yield call_request(exercise, public, limits, autograd=assignment.autograd)
    done = [exercise for exercise in assignment.exercises if replies[exercise.name].status == "done"]
    yield chain_request(assignment, done, chain, limits)
    for exercise in done:
        hidden = [case for case in cases[exercise.name] if not case.public]
        yield call_request(exercise, hidden, limits, autograd=assignment.autograd)
    for exercise in done:
        scope = functions.scope(exercise.name, place_in(replies[exercise.name]))
        yield from rebind_request(assignment, exercise, cases[exercise.name], scope)
