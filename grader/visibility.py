"""
Decides what a student may see, and when. No other module does: pages and files show all of the report that they get.

An assignment may have a release date. Before it, a student's copy of a report has no marks, and reports only the public
batch, as a check in the notebook does. The assignment may choose to show more, or fewer hints. From that date on, the
copy is the report itself.
"""

from __future__ import annotations

import dataclasses
import datetime as dt

from grader.errors import UsageError
from grader.model import Diagnosis, ExerciseResult, Outcome, Report

__all__ = ["EVERYTHING", "Visibility", "is_released", "read_moment", "release_ahead", "released_at", "views_of"]


_ALL_HINTS = 3
"""The counterexample comes after all hints."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Visibility:
    """
    What students see, and when.

    Attributes:
        release: The moment from which they see everything, an ISO 8601 date and time with an offset from UTC; empty for
            always. Before it they see no marks.
        verdicts: Whether they see the outcome of all cases before that moment, or only of the public ones.
        hints: How many hints they see before that moment, as in `Assignment.hints`.
    """

    release: str = ""
    verdicts: bool = False
    hints: int = 3


EVERYTHING = Visibility()
"""What students see if the assignment does not say."""


def read_moment(text: str) -> dt.datetime:
    """
    Read a moment in ISO 8601.

    Raises:
        UsageError: The text is not a date and time, or has no offset from UTC.

    >>> read_moment("2026-12-04T18:00+01:00").isoformat()
    '2026-12-04T18:00:00+01:00'
    """
    example = "2026-12-04T18:00+01:00"
    stripped = text.strip()
    try:
        moment = dt.datetime.fromisoformat(f"{stripped[:-1]}+00:00" if stripped.endswith("Z") else stripped)
    except ValueError as error:
        raise UsageError(f"{text!r} is not a date and time.", f"Write it as in {example}.") from error
    if moment.utcoffset() is None:
        raise UsageError(f"{text!r} has no time zone.", f"Add the offset from UTC, as in {example}.")
    return moment


def released_at(visibility: Visibility, moment: str | None) -> Visibility:
    """
    Change the release date.

    Args:
        moment: ISO 8601; `now` to show everything at once; None to change nothing.

    Raises:
        UsageError: `moment` is not a date and time with an offset from UTC.
    """
    if moment is None:
        return visibility
    return dataclasses.replace(visibility, release="" if moment == "now" else read_moment(moment).isoformat())


def is_released(visibility: Visibility, now: dt.datetime) -> bool:
    """Whether students may see everything now."""
    return not visibility.release or read_moment(visibility.release) <= now


def release_ahead(visibility: Visibility, now: dt.datetime) -> dt.datetime | None:
    """The moment from which students will see everything; None if they may already."""
    return None if is_released(visibility, now) else read_moment(visibility.release)


def views_of(report: Report, visibility: Visibility, now: dt.datetime) -> tuple[Report, Report]:
    """
    A report as its instructor sees it, and as its student may see it now.

    Both are the same after the release date. Before it, the second one is a copy, and no field of it contains anything
    that is withheld: points are 0 of 0, and each exercise has the outcome of its public cases, unless all outcomes may
    be seen.
    """
    if is_released(visibility, now):
        return report, report
    whole = dataclasses.replace(report, release=visibility.release, is_shown=False)
    shown = dataclasses.replace(
        whole,
        exercises=tuple(_shown(result, visibility) for result in report.exercises),
        flags=report.flags if visibility.verdicts else tuple(flag for flag in report.flags if not flag.is_hidden),
        # The outcome of a function that is not reached in the chain is that of all its cases.
        chain=report.chain if visibility.verdicts else None,
        seconds=report.seconds if visibility.verdicts else 0.0,
        gives_marks=False,
        adjustment=None,
        is_shown=True,
    )
    return whole, shown


def _shown(result: ExerciseResult, visibility: Visibility) -> ExerciseResult:
    visible = result if visibility.verdicts else _public(result)
    return dataclasses.replace(
        visible,
        points=0.0,
        max_points=0.0,
        shares=(),
        adjustment=None,
        counterexample=visible.counterexample if visibility.hints >= _ALL_HINTS else None,
        diagnoses=tuple(_with_fewer_hints(diagnosis, visibility.hints) for diagnosis in visible.diagnoses),
    )


def _public(result: ExerciseResult) -> ExerciseResult:
    """The result by the public cases alone."""
    seen = result.before_hidden or result
    cases = tuple(case for case in seen.cases if case.public)
    error = next((case.error for case in cases if case.error is not None), None) if cases else seen.error
    public = dataclasses.replace(seen, cases=cases, error=error, notices=(), fingerprint=None)
    if public.outcome is Outcome.MATCH:
        return dataclasses.replace(
            public, message=f"{public.name} is right on the public batch.", diagnoses=(), counterexample=None
        )
    return public


def _with_fewer_hints(diagnosis: Diagnosis, hints: int) -> Diagnosis:
    """A diagnosis with as many hints as `grader.diagnosis.wording.worded` gives at that level."""
    visible = ((diagnosis.hint, *diagnosis.more) if diagnosis.hint else ())[:hints]
    return dataclasses.replace(
        diagnosis,
        hint=visible[0] if visible else "",
        more=visible[1:],
        analogy=diagnosis.analogy if hints >= 2 else "",
    )
