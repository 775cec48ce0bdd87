"""
One exercise, judged and explained: its calls are read, judged and, where they are wrong, diagnosed.

A grading and a student's own check both come here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from grader.assignment.load import Assignment
from grader.diagnosis.diagnose import diagnose
from grader.diagnosis.fingerprint import DIAGNOSED, fingerprint
from grader.execution.calls import read_call
from grader.execution.channel import Reply, Request
from grader.execution.rebinding import confirm, rebind_key, rebind_request
from grader.judge import Attempt, judge_exercise
from grader.model import Exercise, ExerciseResult, Flag, NotebookSummary, Report, Submission
from grader.reference.cases import Case

__all__ = ["Verdict", "report_of", "verdict_on"]


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """The result of an exercise, explained, and what an instructor should look at."""

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
        cases: Those that it was called on, in their order.
        ask: Has a wrong function called again, to confirm an explanation. Without it, the reply must be there already.
        withholds: Leave out what the function said when it raised on a hidden case.
    """
    replies = attempt.execution.replies
    returned = read_call(cases, replies[exercise.name], attempt.notebook, withholds=withholds)
    result, flags = judge_exercise(exercise, attempt, returned, autograd=assignment.autograd)
    scope = attempt.functions.scope(exercise.name)
    rebound = replies.get(rebind_key(exercise))
    if ask is not None and result.outcome in DIAGNOSED:
        rebound = next(map(ask, rebind_request(assignment, exercise, cases, scope)), None)
    scope = confirm(assignment, scope, returned, rebound, attempt.notebook)
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
