"""
What authors and instructors decide, beside the points: as plain, frozen data.
"""

from __future__ import annotations

import dataclasses

__all__ = ["EVERYTHING", "Adjustment", "ExtraCase", "Visibility"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ExtraCase:
    """
    One more set of arguments for every exercise of an assignment, hidden from students.

    Attributes:
        rows: How many images are in its batch.
        double: float64 instead of float32.
        random_upstream: Random upstream gradients instead of the true ones.
    """

    name: str
    rows: int
    double: bool = False
    random_upstream: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Adjustment:
    """
    What an instructor decided by hand about one exercise, or about the total.

    Attributes:
        exercise: Empty for the total.
        points: They take the place of what the grader gave; None where there is only a comment.
        comment: For the student.
        reason: Why; for the student too.
        graded: What the grader gave; None where it could not decide. Known once it was applied to a report.
    """

    exercise: str = ""
    points: float | None = None
    comment: str = ""
    reason: str = ""
    graded: float | None = None


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
