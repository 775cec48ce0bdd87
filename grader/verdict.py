"""
Judges and explains one exercise: reads what its calls returned, decides the result, and diagnoses it if it is wrong.

A grading and a student's own check both use this.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from grader.assignment.load import Assignment
from grader.diagnosis.diagnose import diagnose
from grader.diagnosis.fingerprint import DIAGNOSED, fingerprint
from grader.execution.calls import place_in, read_call
from grader.execution.channel import Reply, Request
from grader.execution.rebinding import confirm_reads, rebind_key, rebind_request
from grader.judge import Attempt, judge_exercise
from grader.model import Exercise, ExerciseResult, Flag, NotebookSummary, Report, Submission
from grader.reference.cases import Case

__all__ = ["Verdict", "report_of", "verdict_on"]


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """The result of an exercise with its diagnoses, and what an instructor should check."""

    result: ExerciseResult
    flags: tuple[Flag, ...]


def verdict_on(
    exercise: Exercise,
    assignment: Assignment,
    cases: Sequence[Case],
    attempt: Attempt,
    *,
    ask: Callable[[Request], Reply] | None = None,
    withholds: bool = True,
) -> Verdict:
    """
    Judge an exercise, and explain what is wrong with it.

    Args:
        cases: The cases that the exercise was called on, in their order.
        ask: Sends one more request if the exercise is wrong, to confirm an explanation. Without it, the reply to that
            request must be in `attempt` already.
        withholds: Leave out the messages of exceptions that were raised on hidden cases.
    """
    replies = attempt.execution.replies
    returned = read_call(cases, replies[exercise.name], attempt.notebook, withholds=withholds)
    result, flags = judge_exercise(exercise, attempt, returned, autograd=assignment.autograd)
    scope = attempt.functions.scope(exercise.name, place_in(replies[exercise.name]))
    rebound = replies.get(rebind_key(exercise))
    if ask is not None and result.outcome in DIAGNOSED:
        rebound = next(map(ask, rebind_request(assignment, exercise, cases, scope)), None)
    scope = confirm_reads(assignment, scope, returned, rebound, attempt.notebook)
    explained = dataclasses.replace(
        result,
        diagnoses=diagnose(assignment, exercise, result.outcome, returned, scope),
        fingerprint=fingerprint(exercise, result.outcome, returned),
    )
    return Verdict(explained, flags)


def report_of(
    assignment: Assignment,
    submission: Submission,
    exercises: Sequence[ExerciseResult],
    notebook: NotebookSummary,
    **details: Any,
) -> Report:
    """
    A report on a submission to an assignment.

    Args:
        details: Any other fields of `Report`.
    """
    return Report(
        assignment_id=assignment.id,
        assignment_title=assignment.title,
        assignment_version=assignment.version,
        submission=submission,
        exercises=tuple(exercises),
        notebook=notebook,
        **details,
    )
