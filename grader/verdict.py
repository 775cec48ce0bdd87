"""
Judges and explains one exercise: reads what its calls returned, decides the result, and diagnoses it if it is wrong.

A grading and a student's own check both use this.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from grader.assignment.load import Assignment
from grader.calling.exercise import Exercise
from grader.diagnosis.composed import names_used
from grader.diagnosis.counterexample import counterexample_of
from grader.diagnosis.diagnose import diagnose
from grader.diagnosis.fingerprint import DIAGNOSED, fingerprint
from grader.diagnosis.partway import partway
from grader.errors import GraderError
from grader.execution.asking import hidden_keys, practice_key, small_key
from grader.execution.calls import Returned, outcome_of, place_in, read_call, read_told
from grader.execution.channel import Reply, Request
from grader.execution.rebinding import confirm_reads, rebind_key, rebind_request
from grader.execution.record import Attempt
from grader.execution.requests import small_requests
from grader.judge import judge_exercise
from grader.model import ExerciseResult, Flag, NotebookSummary, Outcome, Report, Submission, most_telling
from grader.notebook.functions import Definition
from grader.notebook.scope import Scope
from grader.notebook.written import Written
from grader.notices import flag_of_failure, flags_of_reply
from grader.reference.cases import Case
from grader.reference.practice import practising
from grader.reference.small import small_cases

__all__ = ["Verdict", "report_of", "verdict_on"]


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """
    The result of an exercise with its diagnoses, and what an instructor should check.

    Attributes:
        uses: The names of what may be other exercises and is used by this one.
    """

    result: ExerciseResult
    flags: tuple[Flag, ...]
    uses: frozenset[str] = frozenset()


def verdict_on(
    exercise: Exercise,
    assignment: Assignment,
    cases: Sequence[Case],
    attempt: Attempt,
    *,
    practice: Sequence[Case] = (),
    ask: Callable[[Request], Reply] | None = None,
) -> Verdict:
    """
    Judge an exercise, and explain what is wrong with it.

    The explanation rests on what students may see: the public cases, and practice batches of the kind of the hidden
    ones. Of each hidden case, nothing but its outcome is read.

    Args:
        cases: The cases that count, in their order.
        practice: The practice batches that the exercise was called on.
        ask: Sends one more request if the exercise is wrong, to confirm an explanation. Without it, the reply to that
            request must be in `attempt` already.
    """
    replies = attempt.execution.replies
    reply, practised = replies[exercise.name], replies.get(practice_key(exercise))
    returned = read_call([case for case in cases if case.public], reply, attempt.notebook)
    tried = read_call(practice, practised, attempt.notebook) if practised is not None else ()
    hidden = [case for case in cases if not case.public]
    told = read_told(
        hidden,
        _replies_about_hidden(replies, exercise),
        autograd=assignment.autograd,
        by_parts=bool(exercise.shares),
    )
    result, flags = judge_exercise(exercise, attempt, returned, practice=tried, told=told, autograd=assignment.autograd)
    flags += flags_of_reply(exercise, reply, practised)
    if result.passed or not result.cases:
        return Verdict(result, flags)
    definition = attempt.functions.ran(exercise.name, place_in(reply))
    uses = names_used(exercise, definition)
    outcomes = [outcome_of(call, autograd=assignment.autograd) for call in (*returned, *tried)]
    outcome = most_telling(outcomes or [Outcome.SKIPPED])
    if outcome not in DIAGNOSED:
        return Verdict(result, flags, uses)
    try:
        explained = _explained(result, exercise, assignment, cases, attempt, definition, outcome, returned, tried, ask)
    except GraderError:
        raise
    except Exception as error:  # an explanation is advice: numbers that confuse it change no outcome
        return Verdict(result, (*flags, flag_of_failure(exercise, error)), uses)
    return Verdict(explained, flags, uses)


def _explained(
    result: ExerciseResult,
    exercise: Exercise,
    assignment: Assignment,
    cases: Sequence[Case],
    attempt: Attempt,
    definition: Definition | None,
    outcome: Outcome,
    returned: Sequence[Returned],
    tried: Sequence[Returned],
    ask: Callable[[Request], Reply] | None,
) -> ExerciseResult:
    """
    The result of a wrong exercise, with what explains it.

    Args:
        definition: That of what ran, if it is known.
        outcome: What the calls come to that may be spoken of.
        returned, tried: These calls, on public cases and on practice batches.
    """
    replies, seen = attempt.execution.replies, (*returned, *tried)
    written, scope = (definition.written, definition.scope) if definition is not None else (Written(), Scope())
    rebound = replies.get(rebind_key(exercise))
    if ask is not None:
        rebound = next(map(ask, rebind_request(assignment, exercise, cases, scope)), None)
    scope = confirm_reads(assignment, scope, returned, rebound, attempt.notebook)
    before = result.before_hidden
    has_hidden = not all(case.public for case in cases)
    shown = practising(assignment) if has_hidden else assignment
    diagnoses = diagnose(shown, exercise, outcome, seen, scope, written)
    small = replies.get(small_key(exercise))
    if ask is not None:
        small = next(map(ask, small_requests(assignment, exercise, outcome)), None)
    called = read_call(small_cases(assignment, exercise), small) if small is not None else ()
    example = counterexample_of(exercise, outcome, called) if assignment.gives_numbers else None
    if example is not None and not example.reason:
        example = dataclasses.replace(example, partway=partway(assignment, exercise, called))
    if before is not None and not before.passed:
        before = dataclasses.replace(before, diagnoses=diagnoses, counterexample=example)
    return dataclasses.replace(
        result,
        diagnoses=diagnoses,
        counterexample=example,
        fingerprint=fingerprint(exercise, outcome, seen),
        before_hidden=before,
    )


def _replies_about_hidden(replies: Mapping[str, Reply], exercise: Exercise) -> tuple[Reply, ...]:
    """
    The replies to the calls on hidden cases.

    A function that did harm before is not called on them, and then what it did is the outcome of these cases, too.
    """
    keys, practised = hidden_keys(exercise), replies.get(practice_key(exercise))
    before = practised if practised is not None and practised.is_fatal else replies[exercise.name]
    found: list[Reply] = []
    for key in keys:
        found.append(replies.get(key) or Reply(status=before.status))
        before = found[-1]
    return tuple(found)


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
        data=assignment.data,
        **details,
    )
