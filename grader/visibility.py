"""
What a student may see, and when: decided here and nowhere else. Whatever shows a report only shows what it is given.

An assignment may have a release date. Before it, a student's copy of a report has no marks, and says what the public
batch says, as a check in the notebook would; the assignment's `before` may tell more, or give fewer hints. From that
date on, the copy is the report itself.
"""

from __future__ import annotations

import dataclasses
import datetime as dt

from grader.errors import UsageError
from grader.model import CallError, CaseResult, Diagnosis, ExerciseResult, Outcome, Report, most_telling

__all__ = ["EVERYTHING", "Visibility", "is_released", "read_moment", "released_at", "views_of"]

_WITHOUT_CASES = frozenset(
    {
        Outcome.GRADER_ERROR,
        Outcome.SKIPPED,
        Outcome.FORBIDDEN,
        Outcome.SYNTAX_ERROR,
        Outcome.MISSING,
        Outcome.BLANK,
    }
)
"""Outcomes that no hidden case has a part in."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Visibility:
    """
    What students see, and when.

    Attributes:
        release: From this moment on they see everything, an ISO 8601 date and time with its offset from UTC; empty for
            always. Before it they see no marks.
        verdicts: Whether they see before that what all cases say, or the public ones only.
        hints: How far hints go before that, as `Assignment.hints`.
    """

    release: str = ""
    verdicts: bool = False
    hints: int = 3


EVERYTHING = Visibility()
"""What students see where nothing is said about it."""


def read_moment(text: str) -> dt.datetime:
    """
    A moment, from ISO 8601.

    Raises:
        UsageError: It is none, or does not say how far it is from UTC.

    >>> read_moment("2026-12-04T18:00+01:00").isoformat()
    '2026-12-04T18:00:00+01:00'
    """
    example = "2026-12-04T18:00+01:00"
    plain = text.strip()
    try:
        moment = dt.datetime.fromisoformat(f"{plain[:-1]}+00:00" if plain.endswith("Z") else plain)
    except ValueError as error:
        raise UsageError(f"{text!r} is no date and time.", f"Write one such as {example}.") from error
    if moment.utcoffset() is None:
        raise UsageError(f"{text!r} does not say in which time zone.", f"Add the offset from UTC: {example}.")
    return moment


def released_at(visibility: Visibility, moment: str | None) -> Visibility:
    """
    With another release date.

    Args:
        moment: ISO 8601; `now` for none; None to leave it as it is.

    Raises:
        UsageError: It is no such moment.
    """
    if moment is None:
        return visibility
    return dataclasses.replace(visibility, release="" if moment == "now" else read_moment(moment).isoformat())


def is_released(visibility: Visibility, now: dt.datetime) -> bool:
    """Whether students may see everything at that moment."""
    return not visibility.release or read_moment(visibility.release) <= now


def views_of(report: Report, visibility: Visibility, now: dt.datetime) -> tuple[Report, Report]:
    """
    A report as its instructor sees it, and as its student may see it at that moment.

    The second one is the first, or a copy that has less in it. What is held back is not in the copy, in no field.
    Points are 0 of 0 there, and an exercise has the verdict of its public cases, unless all verdicts may be seen.
    """
    if is_released(visibility, now):
        return report, report
    whole = dataclasses.replace(report, release=visibility.release, is_shown=False)
    shown = dataclasses.replace(
        whole,
        exercises=tuple(_shown(result, visibility) for result in report.exercises),
        # A function that a hidden case has killed has no part in it; and how long one took, a clock would tell.
        chain=report.chain if visibility.verdicts else None,
        seconds=report.seconds if visibility.verdicts else 0.0,
        gives_marks=False,
        adjustment=None,
        is_shown=True,
    )
    return whole, shown


def _shown(result: ExerciseResult, visibility: Visibility) -> ExerciseResult:
    told = result if visibility.verdicts else _public(result)
    return dataclasses.replace(
        told,
        points=0.0,
        max_points=0.0,
        adjustment=None,
        diagnoses=tuple(_less(diagnosis, visibility.hints) for diagnosis in told.diagnoses),
    )


def _public(result: ExerciseResult) -> ExerciseResult:
    """What the public cases alone say."""
    if not result.cases or result.outcome in _WITHOUT_CASES:
        return dataclasses.replace(result, cases=(), notices=(), fingerprint=None)
    cases = tuple(case for case in result.cases if case.public)
    told = dataclasses.replace(result, cases=cases, notices=(), fingerprint=None, error=_error_of(cases))
    outcome = most_telling([case.outcome for case in cases] or [Outcome.SKIPPED])
    is_same = outcome is result.outcome or {case.outcome for case in result.cases} == {outcome}
    if is_same and outcome is not Outcome.MATCH:
        return told
    return dataclasses.replace(told, outcome=outcome, message=_message(result.name, outcome), diagnoses=())


def _message(name: str, outcome: Outcome) -> str:
    if outcome is Outcome.MATCH:
        return f"{name} is right on the public batch."
    return f"{name} is not right on the public batch."


def _error_of(cases: tuple[CaseResult, ...]) -> CallError | None:
    return next((case.error for case in cases if case.error is not None), None)


def _less(diagnosis: Diagnosis, hints: int) -> Diagnosis:
    """As many rungs of the ladder as `grader.diagnosis.wording.worded` gives at that level."""
    ladder = ((diagnosis.hint, *diagnosis.more) if diagnosis.hint else ())[:hints]
    return dataclasses.replace(
        diagnosis,
        hint=ladder[0] if ladder else "",
        more=ladder[1:],
        analogy=diagnosis.analogy if hints >= 2 else "",
    )
