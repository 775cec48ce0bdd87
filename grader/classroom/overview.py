"""
The class at a glance: everything that `index.html` shows, as plain data.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence

from grader.classroom.groups import (
    MAX_MESSAGE,
    MAX_NAME,
    Group,
    Student,
    Tags,
    clusters,
    diagnosed,
    failures,
    flagged,
    in_words,
    same_rare_answers,
    student_of,
)
from grader.classroom.measures import discrimination, items_of
from grader.classroom.records import Entry, Problem
from grader.reports.cells import points
from grader.reports.reading import ReadReport
from grader.reports.words import VERDICTS, Verdict, clip

__all__ = ["Overview", "build_overview"]

BINS, MOST_BARS = 10, 20
WEAK = 0.2
KINDS = ("right", "wrong", "open", "unknown")


@dataclasses.dataclass(frozen=True, slots=True)
class Bar:
    """A bar of the distribution, or a part of an exercise's bar. `share` is between 0 and 1."""

    label: str
    count: int
    share: float
    kind: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ExerciseRow:
    """
    How the class did on one exercise, or on a part of one that has points of its own.

    Attributes:
        right: The share of right answers among those that were graded.
        apart: How well it tells students apart, between -1 and 1; empty in a small class.
        is_weak: Whether it hardly does.
    """

    name: str
    stretches: tuple[Bar, ...]
    right: str
    apart: str
    is_weak: bool
    is_part: bool


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A student's row in the table; the table can be filtered by its `tags`."""

    student: Student
    display: str
    score: str
    score_value: float
    verdicts: tuple[Verdict, ...]
    remarks: tuple[str, ...]
    tags: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """Everything on the page, in words. `names` are of exercises; `filters` are (tag, label, number of students)."""

    title: str
    facts: tuple[tuple[str, str], ...]
    summary: tuple[str, ...]
    mean: str
    unit: str
    max_score: str
    bars: tuple[Bar, ...]
    exercises: tuple[ExerciseRow, ...]
    names: tuple[str, ...]
    diagnoses: tuple[Group, ...]
    clusters: tuple[Group, ...]
    flags: tuple[Group, ...]
    faults: tuple[Group, ...]
    problems: tuple[Problem, ...]
    notes: tuple[Problem, ...]
    rows: tuple[Row, ...]
    filters: tuple[tuple[str, str, int], ...]


def build_overview(
    entries: Sequence[Entry],
    problems: Sequence[Problem],
    *,
    title: str,
    facts: Sequence[tuple[str, str]],
    unit: str = "points on average",
) -> Overview:
    """
    Put a class into the words and numbers on the page.

    Args:
        unit: What the mean is a number of.
    """
    tags = Tags()
    of_diagnoses, of_answers = diagnosed(entries, tags), clusters(entries, tags)
    of_flags, of_faults = (*flagged(entries, tags), *same_rare_answers(entries, tags)), failures(entries, tags)
    rows = tuple(_row(entry, tags) for entry in entries)
    decided = [entry.report for entry in entries if not entry.report.is_undecided and not entry.report.problem]
    scores = [report.score for report in decided]
    top = max((report.max_score for report in decided), default=0.0)
    return Overview(
        title=clip(title, 200),
        facts=tuple(facts),
        summary=tuple(_summary(entries, decided, problems)),
        mean=f"{statistics.fmean(scores):.1f}" if scores else "–",
        unit=unit,
        max_score=f"{top:g}" if scores else "–",
        bars=tuple(_distribution(scores, top)),
        exercises=tuple(_exercises(entries, decided)),
        names=tuple(dict.fromkeys(clip(f.name, MAX_NAME) for entry in entries for f in entry.report.findings)),
        diagnoses=of_diagnoses,
        clusters=of_answers,
        flags=of_flags,
        faults=of_faults,
        problems=tuple(_clipped(problem) for problem in problems if problem.is_serious),
        notes=tuple(_clipped(problem) for problem in problems if not problem.is_serious),
        rows=rows,
        filters=tags.filters(),
    )


# ------------------------------------------------------------------------------------------------------------ parts


def _summary(entries: Sequence[Entry], decided: Sequence[ReadReport], problems: Sequence[Problem]) -> Iterable[str]:
    yield f"{len(decided):,} of {in_words(len(entries), 'submission')} graded."
    full = [report for report in decided if report.score == report.max_score]
    if decided:
        median = statistics.median(report.score for report in decided)
        yield f"{len(full):,} with full marks; the median is {median:g}."
    late = [entry for entry in entries if entry.received.is_late]
    if late:
        yield f"{len(late):,} late."
    unreadable = [entry for entry in entries if entry.report.problem]
    serious = [problem for problem in problems if problem.is_serious]
    if unreadable or serious:
        yield f"{len(unreadable) + len(serious):,} could not be read."


def _distribution(scores: Sequence[float], top: float) -> Iterable[Bar]:
    """One bar for each number of points, if these are few; otherwise ten for equal ranges, and one for full marks."""
    if not scores or not top:
        return
    step = next(
        (step for step in (1.0, 0.5) if top / step <= MOST_BARS and not any(s % step for s in (*scores, top))), 0
    )
    bins = round(top / step) if step else BINS
    places = Counter(min(bins, int(score / top * bins + 1e-9)) for score in scores)
    most = max(places.values())
    for place in range(bins + 1):
        low, high = top * place / bins, top * (place + 1) / bins
        label = f"{low:g}" if step or place == bins else f"{low:g} to below {high:g}"
        yield Bar(label, places[place], places[place] / most)


def _exercises(entries: Sequence[Entry], decided: Sequence[ReadReport]) -> Iterable[ExerciseRow]:
    kinds: dict[tuple[str, str], Counter[str]] = {}
    for entry in entries:
        for finding in entry.report.findings:
            kinds.setdefault((finding.name, ""), Counter())[VERDICTS[finding.outcome].kind] += 1
            for each in finding.parts:
                kinds.setdefault((finding.name, each.name), Counter())[VERDICTS[each.outcome].kind] += 1
    items = items_of(decided)
    order = {name: number for number, (name, part) in enumerate(kinds) if not part}
    for (name, part), counts in sorted(kinds.items(), key=lambda item: order[item[0][0]]):
        total = counts.total()
        tried = total - counts["unknown"]
        apart = discrimination(items[name, part]) if (name, part) in items else None
        yield ExerciseRow(
            name=clip(part or name, MAX_NAME),
            stretches=tuple(Bar(kind, counts[kind], counts[kind] / total, kind) for kind in KINDS if counts[kind]),
            right=f"{100 * counts['right'] / tried:.0f} %" if tried else "–",
            apart="" if apart is None else f"{apart:.2f}".replace("-", "−"),
            is_weak=apart is not None and apart < WEAK,
            is_part=bool(part),
        )


def _row(entry: Entry, tags: Tags) -> Row:
    report, remarks = entry.report, []
    if report.is_undecided:
        remarks.append("grader failed")
    if report.problem:
        tags.give(entry, "unreadable")
        remarks.append("unreadable")
    if entry.received.is_late:
        tags.give(entry, "late")
        remarks.append("late")
    if report.is_adjusted or any(adjustment.comment for adjustment in report.adjustments):
        tags.give(entry, "adjusted by hand")
        remarks.append("by hand")
    remarks += sorted({clip(flag.id.replace("_", " "), 40) for flag in report.flags})
    is_full = all(finding.outcome.passed for finding in report.findings)
    tags.give(entry, "full marks" if is_full else "not all right")
    return Row(
        student=student_of(entry),
        display=clip(entry.received.display, MAX_NAME),
        score="–" if report.is_undecided else points(report.score).removesuffix(".00"),
        score_value=-1.0 if report.is_undecided else report.score,
        verdicts=tuple(VERDICTS[finding.outcome] for finding in report.findings),
        remarks=tuple(remarks),
        tags=tags.of(entry),
    )


# ------------------------------------------------------------------------------------------------------------ words


def _clipped(problem: Problem) -> Problem:
    return dataclasses.replace(
        problem, where=clip(problem.where, MAX_MESSAGE), message=clip(problem.message, MAX_MESSAGE)
    )
