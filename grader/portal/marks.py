"""
The mark of a student: which attempt counts, and what lateness costs.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable

from grader.portal.arrangements import Extension
from grader.portal.attempts import Attempt
from grader.portal.course import Offer

__all__ = ["Mark", "due_for", "lateness", "mark_of", "points_of"]


@dataclasses.dataclass(frozen=True, slots=True)
class Mark:
    """A student's mark: the attempt that counts, and its points after what lateness costs."""

    attempt: Attempt
    points: float
    max_points: float
    late: dt.timedelta


def due_for(offer: Offer, extension: Extension) -> dt.datetime | None:
    """When the assignment is due for a student; None for never."""
    if offer.due is None or extension.due is None:
        return offer.due
    return max(offer.due, extension.due)


def lateness(attempt: Attempt, offer: Offer, extension: Extension) -> dt.timedelta:
    """By how much an attempt is late; its arrival counts. Zero if it is not late."""
    due = due_for(offer, extension)
    return dt.timedelta(0) if due is None else max(dt.timedelta(0), attempt.received_at - due)


def points_of(attempt: Attempt, offer: Offer, extension: Extension) -> float:
    """The points of a graded attempt, after what lateness costs."""
    return (attempt.score or 0.0) * offer.late.factor(lateness(attempt, offer, extension))


def mark_of(attempts: Iterable[Attempt], offer: Offer, extension: Extension) -> Mark | None:
    """
    The mark that the attempts of one student at one assignment give.

    Of equally good attempts the first one counts. Attempts without a score have no influence, even if they came last.
    """
    graded = [attempt for attempt in attempts if attempt.is_graded]
    if not graded:
        return None
    if offer.counts == "last":
        chosen = graded[-1]
    else:
        chosen = max(graded, key=lambda attempt: (points_of(attempt, offer, extension), -attempt.number))
    points = points_of(chosen, offer, extension)
    return Mark(chosen, points, chosen.max_score or 0.0, lateness(chosen, offer, extension))
