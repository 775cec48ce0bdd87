"""
What instructors decide by hand, put into a report: their points take the place of the grader's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from grader.model import Adjustment, ExerciseResult, Report

__all__ = ["adjust_report"]


def adjust_report(report: Report, adjustments: Sequence[Adjustment]) -> Report:
    """
    A report with an instructor's adjustments in it; one of an exercise that is not there has no effect.

    Args:
        adjustments: At most one for each exercise, and one for the total.
    """
    by_exercise = {each.exercise: each for each in adjustments}
    results = [_adjusted(result, by_exercise.get(result.name)) for result in report.exercises]
    adjusted = dataclasses.replace(report, exercises=tuple(results))
    total = by_exercise.get("")
    if total is None:
        return adjusted
    is_decided = all(result.passed is not None for result in report.exercises)
    return dataclasses.replace(
        adjusted, adjustment=dataclasses.replace(total, graded=report.score if is_decided else None)
    )


def _adjusted(result: ExerciseResult, given: Adjustment | None) -> ExerciseResult:
    if given is None:
        return result
    return dataclasses.replace(
        result,
        points=result.points if given.points is None else given.points,
        adjustment=dataclasses.replace(given, graded=None if result.passed is None else result.points),
    )
