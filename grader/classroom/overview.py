"""
The class at a glance: everything that `index.html` shows, as plain data.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from urllib.parse import quote

from grader.assignment.misconceptions import cell_to_name
from grader.classroom.records import Entry, Problem
from grader.model import Outcome
from grader.reports.cells import points
from grader.reports.counterexamples import CounterexampleView, counterexample_view
from grader.reports.reading import Finding, ReadReport
from grader.reports.words import VERDICTS, Verdict, clip

__all__ = ["Overview", "build_overview"]

BINS = 10
MAX_NAME, MAX_MESSAGE = 80, 300
KINDS = ("right", "wrong", "open", "unknown")
FLAGS = {
    "autograd": ("Used autograd", "The assignment's setting autograd decides whether it costs points."),
    "odd_reply": ("Changed the grader's own code", "In their notebook's process only. By itself, it costs no points."),
    "source_mentions_autograd": ("Mentions autograd", "It costs no points: it may be a branch that never runs."),
    "unexplained": ("Could not be explained", "The grader failed at that. The outcome stands, without a diagnosis."),
    "unusual": ("Does what no gradient needs", "It costs no points, and there may be a good reason: ask the student."),
}
"""What a flag is called, and what it means."""


@dataclasses.dataclass(frozen=True, slots=True)
class Student:
    """A link to a student: the name on the page, and the relative address of the report."""

    name: str
    link: str


@dataclasses.dataclass(frozen=True, slots=True)
class Bar:
    """A bar of the distribution, or a part of an exercise's bar. `share` is between 0 and 1."""

    label: str
    count: int
    share: float
    kind: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ExerciseRow:
    """How the class did on one exercise."""

    name: str
    stretches: tuple[Bar, ...]
    right: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """
    Students who have something in common: a diagnosis, a wrong answer, a flag.

    Attributes:
        tag: What the table is filtered by to show only these students.
        where: The exercises.
        example: The address of the first student's report, if possible of the exercise in it.
        note: What it means.
        numbers: A call with few numbers on which one of them is wrong.
        cell: A cell for the source notebook that would name this wrong answer.
    """

    tag: str
    title: str
    where: str
    message: str
    students: tuple[Student, ...]
    example: str
    note: str = ""
    numbers: CounterexampleView | None = None
    cell: str = ""


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
    """Everything on the page, in words. `filters` are (tag, label, number of students)."""

    title: str
    facts: tuple[tuple[str, str], ...]
    summary: tuple[str, ...]
    mean: str
    max_score: str
    bars: tuple[Bar, ...]
    exercises: tuple[ExerciseRow, ...]
    diagnoses: tuple[Group, ...]
    clusters: tuple[Group, ...]
    flags: tuple[Group, ...]
    faults: tuple[Group, ...]
    problems: tuple[Problem, ...]
    notes: tuple[Problem, ...]
    rows: tuple[Row, ...]
    filters: tuple[tuple[str, str, int], ...]


def build_overview(
    entries: Sequence[Entry], problems: Sequence[Problem], *, title: str, facts: Sequence[tuple[str, str]]
) -> Overview:
    """Put a class into the words and numbers on the page."""
    tags = _Tags()
    diagnoses = _diagnoses(entries, tags)
    clusters = _clusters(entries, tags)
    flags = _flags(entries, tags)
    faults = _faults(entries, tags)
    rows = tuple(_row(entry, tags) for entry in entries)
    decided = [entry.report for entry in entries if not entry.report.is_undecided and not entry.report.problem]
    scores = [report.score for report in decided]
    top = max((report.max_score for report in decided), default=0.0)
    return Overview(
        title=clip(title, 200),
        facts=tuple(facts),
        summary=tuple(_summary(entries, decided, problems)),
        mean=f"{statistics.fmean(scores):.1f}" if scores else "–",
        max_score=f"{top:g}" if scores else "–",
        bars=tuple(_distribution(scores, top)),
        exercises=tuple(_exercises(entries)),
        diagnoses=diagnoses,
        clusters=clusters,
        flags=flags,
        faults=faults,
        problems=tuple(_clipped(problem) for problem in problems if problem.is_serious),
        notes=tuple(_clipped(problem) for problem in problems if not problem.is_serious),
        rows=rows,
        filters=tags.filters(),
    )


class _Tags:
    """The tags that students can be filtered by. They are generated here, so no text of a student's is ever one."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._owners: dict[str, set[int]] = defaultdict(set)

    def give(self, entry: Entry, label: str) -> str:
        tag = self._names.setdefault(label, f"t{len(self._names)}")
        self._owners[tag].add(id(entry))
        return tag

    def of(self, entry: Entry) -> str:
        return " ".join(tag for tag, owners in self._owners.items() if id(entry) in owners)

    def filters(self) -> tuple[tuple[str, str, int], ...]:
        return tuple((tag, label, len(self._owners[tag])) for label, tag in self._names.items())


# ------------------------------------------------------------------------------------------------------------ parts


def _summary(entries: Sequence[Entry], decided: Sequence[ReadReport], problems: Sequence[Problem]) -> Iterable[str]:
    yield f"{len(decided):,} of {_count(len(entries), 'submission')} graded."
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
    if not scores or not top:
        return
    places = Counter(min(BINS, int(score / top * BINS + 1e-9)) for score in scores)
    most = max(places.values())
    for place in range(BINS + 1):
        low, high = top * place / BINS, top * (place + 1) / BINS
        label = f"{top:g}" if place == BINS else f"{low:g} to below {high:g}"
        yield Bar(label, places[place], places[place] / most)


def _exercises(entries: Sequence[Entry]) -> Iterable[ExerciseRow]:
    kinds: dict[str, Counter[str]] = {}
    for entry in entries:
        for finding in entry.report.findings:
            kinds.setdefault(finding.name, Counter())[VERDICTS[finding.outcome].kind] += 1
    for name, counts in kinds.items():
        total = counts.total()
        tried = total - counts["unknown"]
        yield ExerciseRow(
            name=clip(name, MAX_NAME),
            stretches=tuple(Bar(kind, counts[kind], counts[kind] / total, kind) for kind in KINDS if counts[kind]),
            right=f"{100 * counts['right'] / tried:.0f} %" if tried else "–",
        )


def _diagnoses(entries: Sequence[Entry], tags: _Tags) -> tuple[Group, ...]:
    having: dict[str, list[tuple[Entry, Finding]]] = defaultdict(list)
    for entry in entries:
        for finding in entry.report.findings:
            if finding.diagnoses:
                having[finding.diagnoses[0].id].append((entry, finding))
    return _ranked(
        Group(
            tag=_tag_all(tags, [entry for entry, _ in pairs], f"diagnosis: {name}"),
            title=clip(name.replace("_", " "), MAX_NAME),
            where=_exercise_counts(finding for _, finding in pairs),
            message=clip(pairs[0][1].diagnoses[0].message, MAX_MESSAGE),
            students=_students(entry for entry, _ in pairs),
            numbers=_numbers(finding for _, finding in pairs),
            example=_example(*pairs[0]),
        )
        for name, pairs in having.items()
    )


def _clusters(entries: Sequence[Entry], tags: _Tags) -> tuple[Group, ...]:
    """Wrong answers that several students share and that no diagnosis explains."""
    sharing: dict[tuple[str, str], list[tuple[Entry, Finding]]] = defaultdict(list)
    for entry in entries:
        for finding in entry.report.findings:
            if finding.fingerprint and not finding.diagnoses and finding.outcome.passed is False:
                sharing[finding.name, finding.fingerprint].append((entry, finding))
    shared = sorted((item for item in sharing.items() if len(item[1]) > 1), key=lambda item: -len(item[1]))
    counts: Counter[str] = Counter()
    groups = []
    for (exercise, fingerprint), pairs in shared:
        counts[exercise] += 1
        title = f"{clip(exercise, MAX_NAME)}, answer {counts[exercise]}"
        groups.append(
            Group(
                tag=_tag_all(tags, [entry for entry, _ in pairs], f"same answer: {title}"),
                title=title,
                where=clip(exercise, MAX_NAME),
                message=clip(pairs[0][1].message, MAX_MESSAGE),
                students=_students(entry for entry, _ in pairs),
                numbers=_numbers(finding for _, finding in pairs),
                cell=cell_to_name(exercise, fingerprint),
                example=_example(*pairs[0]),
            )
        )
    return tuple(groups)


def _flags(entries: Sequence[Entry], tags: _Tags) -> tuple[Group, ...]:
    raised: dict[str, list[tuple[Entry, str]]] = defaultdict(list)
    exercises: dict[str, dict[str, None]] = defaultdict(dict)
    for entry in entries:
        for flag in entry.report.flags:
            raised[flag.id].append((entry, flag.evidence))
            if flag.exercise is not None:
                exercises[flag.id][flag.exercise] = None
        for outcome in (Outcome.CRASHED, Outcome.TIMED_OUT, Outcome.OUT_OF_MEMORY):
            messages = [finding.message for finding in entry.report.findings if finding.outcome is outcome]
            if messages:
                raised[outcome.value].append((entry, messages[0]))
    named = {name: FLAGS.get(name, (clip(name.replace("_", " "), MAX_NAME), "")) for name in raised}
    return _ranked(
        Group(
            tag=_tag_all(tags, [entry for entry, _ in pairs], f"flag: {name}"),
            title=named[name][0],
            where=clip(", ".join(exercises[name]), MAX_NAME),
            message=clip(pairs[0][1][:1].upper() + pairs[0][1][1:], MAX_MESSAGE),
            note=named[name][1],
            students=_students(entry for entry, _ in pairs),
            example=_student(pairs[0][0]).link,
        )
        for name, pairs in raised.items()
    )


def _faults(entries: Sequence[Entry], tags: _Tags) -> tuple[Group, ...]:
    failed: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        if entry.report.is_undecided:
            failed[entry.fault or "The grader failed at an exercise."].append(entry)
    return _ranked(
        Group(
            tag=_tag_all(tags, having, "the grader failed"),
            title="",
            where="",
            message=clip(message, MAX_MESSAGE),
            students=_students(having),
            example=_student(having[0]).link,
        )
        for message, having in failed.items()
    )


def _row(entry: Entry, tags: _Tags) -> Row:
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
        student=_student(entry),
        display=clip(entry.received.display, MAX_NAME),
        score="–" if report.is_undecided else points(report.score).removesuffix(".00"),
        score_value=-1.0 if report.is_undecided else report.score,
        verdicts=tuple(VERDICTS[finding.outcome] for finding in report.findings),
        remarks=tuple(remarks),
        tags=tags.of(entry),
    )


# ------------------------------------------------------------------------------------------------------------ words


def _student(entry: Entry) -> Student:
    return Student(clip(entry.owner.student, MAX_NAME), quote(entry.file))


def _example(entry: Entry, finding: Finding) -> str:
    """The address of an exercise in a report; of the report itself, if that is JSON."""
    is_page = entry.file.endswith(".html") and finding.name.isidentifier()
    return _student(entry).link + (f"#exercise-{quote(finding.name)}" if is_page else "")


def _numbers(findings: Iterable[Finding]) -> CounterexampleView | None:
    """The first counterexample among what students got wrong."""
    views = (counterexample_view(finding.counterexample, finding.name, {}) for finding in findings)
    return next((view for view in views if view is not None), None)


def _students(entries: Iterable[Entry]) -> tuple[Student, ...]:
    return tuple(dict.fromkeys(_student(entry) for entry in entries))


def _tag_all(tags: _Tags, entries: Sequence[Entry], label: str) -> str:
    for entry in entries:
        tag = tags.give(entry, clip(label, MAX_NAME))
    return tag


def _ranked(groups: Iterable[Group]) -> tuple[Group, ...]:
    return tuple(sorted(groups, key=lambda group: (-len(group.students), group.title)))


def _exercise_counts(findings: Iterable[Finding]) -> str:
    counts = Counter(finding.name for finding in findings)
    return ", ".join(f"{clip(name, MAX_NAME)} ({count})" for name, count in counts.most_common(10))


def _clipped(problem: Problem) -> Problem:
    return dataclasses.replace(
        problem, where=clip(problem.where, MAX_MESSAGE), message=clip(problem.message, MAX_MESSAGE)
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
