"""
Puts an instructor's decisions into a report: the instructor's points replace the grader's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from grader.model import Adjustment, ExerciseResult, Report

__all__ = ["adjust_report"]


def adjust_report(report: Report, adjustments: Sequence[Adjustment]) -> Report:
    """
    Return the report with an instructor's adjustments. An adjustment of an exercise that does not exist has no effect.

    Args:
        adjustments: At most one for each exercise, and one for the total.
    """
    by_exercise = {adjustment.exercise: adjustment for adjustment in adjustments}
    results = [_adjusted(result, by_exercise.get(result.name)) for result in report.exercises]
    adjusted = dataclasses.replace(report, exercises=tuple(results))
    total = by_exercise.get("")
    if total is None:
        return adjusted
    is_decided = all(result.passed is not None for result in report.exercises)
    return dataclasses.replace(
        adjusted, adjustment=dataclasses.replace(total, graded=report.score if is_decided else None)
    )


def _adjusted(result: ExerciseResult, adjustment: Adjustment | None) -> ExerciseResult:
    if adjustment is None:
        return result
    return dataclasses.replace(
        result,
        points=result.points if adjustment.points is None else adjustment.points,
        adjustment=dataclasses.replace(adjustment, graded=None if result.passed is None else result.points),
    )
