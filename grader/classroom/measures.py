"""
How well exercises and mistakes tell students apart: figures of classical test theory, for classes that are not small.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Collection, Sequence

from grader.classroom.records import Entry
from grader.reports.reading import ReadReport

__all__ = ["FEWEST_STUDENTS", "Item", "compared_totals", "discrimination", "items_of"]

FEWEST_STUDENTS = 10
"""With fewer students, a correlation says next to nothing, and is not shown."""
FEWEST_OF_EACH = 3
"""The mean of fewer students is about those students, not about a mistake."""


@dataclasses.dataclass(frozen=True, slots=True)
class Item:
    """
    An exercise, or a part of it with points of its own.

    Attributes:
        part: The part, `dw1`; empty for the whole exercise.
        points: What each student has of it, in the order of the students.
        rest: What each student has of everything else, out of all other points there are.
    """

    exercise: str
    part: str
    points: tuple[float, ...]
    rest: tuple[float, ...]


def items_of(reports: Sequence[ReadReport]) -> dict[tuple[str, str], Item]:
    """The items of an assignment, by exercise and part, with the points of these students, before any adjustment."""
    points: dict[tuple[str, str], list[float]] = {}
    for report in reports:
        for finding in report.findings:
            graded = finding.points
            if finding.adjustment is not None and finding.adjustment.graded is not None:
                graded = finding.adjustment.graded
            points.setdefault((finding.name, ""), []).append(graded)
            for part in finding.parts:
                points.setdefault((finding.name, part.name), []).append(part.points)
    count = len(reports)
    wholes = [of_item for (_, part), of_item in points.items() if not part and len(of_item) == count]
    totals = [sum(of_student) for of_student in zip(*wholes, strict=True)]
    return {
        (exercise, part): Item(
            exercise, part, tuple(of_item), tuple(total - own for total, own in zip(totals, of_item, strict=True))
        )
        for (exercise, part), of_item in points.items()
        if len(of_item) == count
    }


def discrimination(item: Item) -> float | None:
    """
    The corrected item-total correlation: that of an item's points with the points for everything else.

    The item itself is left out of the total, since it would correlate with itself (Henrysson, "Correction of item-total
    correlations in item analysis", Psychometrika 28, 1963, pp. 211-218). By the usual rule of thumb, 0.3 and more is
    good, and below 0.2 the item should be looked at (Ebel and Frisbie, "Essentials of Educational Measurement", 1991,
    chapter 13).

    Returns:
        None for fewer than ten students, or if all have the same points for the item, or for everything else.

    >>> discrimination(Item("f", "", (0, 1) * 5, (2, 4, 3, 5, 2, 4, 1, 5, 3, 4)))
    0.8...
    """
    if len(item.points) < FEWEST_STUDENTS or len(set(item.points)) == 1 or len(set(item.rest)) == 1:
        return None
    return statistics.correlation(item.points, item.rest)


def compared_totals(entries: Sequence[Entry], having: Collection[str]) -> tuple[float, float] | None:
    """
    The mean total of the students who have something in common, and that of all others.

    Args:
        entries: All whose points are decided.
        having: The files of those who have it.

    Returns:
        None if the class is small, or either group has fewer than three students.
    """
    own = [entry.report.score for entry in entries if entry.file in having]
    others = [entry.report.score for entry in entries if entry.file not in having]
    if len(entries) < FEWEST_STUDENTS or min(len(own), len(others)) < FEWEST_OF_EACH:
        return None
    return statistics.fmean(own), statistics.fmean(others)
