"""
Students of a class who have something in common: a mistake, a wrong answer, a flag.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from urllib.parse import quote

from grader.assignment.misconceptions import cell_to_name
from grader.classroom.measures import FEWEST_STUDENTS, compared_totals
from grader.classroom.records import Entry
from grader.model import Outcome
from grader.reports.counterexamples import CounterexampleView, counterexample_view
from grader.reports.reading import Finding
from grader.reports.words import clip

__all__ = [
    "MAX_MESSAGE",
    "MAX_NAME",
    "Group",
    "Student",
    "Tags",
    "clusters",
    "diagnosed",
    "failures",
    "flagged",
    "in_words",
    "same_rare_answers",
    "student_of",
]

MAX_NAME, MAX_MESSAGE = 80, 300
FLAGS = {
    "autograd": ("Used autograd", "The assignment's setting autograd decides whether it costs points."),
    "odd_reply": ("Changed the grader's own code", "In their notebook's process only. By itself, it costs no points."),
    "source_mentions_autograd": ("Mentions autograd", "It costs no points: it may be a branch that never runs."),
    "unexplained": ("Could not be explained", "The grader failed at that. The outcome stands, without a diagnosis."),
    "unusual": ("Does what no gradient needs", "It costs no points, and there may be a good reason: ask the student."),
}
"""What a flag is called, and what it means."""
MOST_RARE = 0.01
"""A wrong answer is rare if two students give it, or at most this share of a class."""


@dataclasses.dataclass(frozen=True, slots=True)
class Student:
    """A link to a student: the name on the page, and the relative address of the report."""

    name: str
    link: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """
    Students who have something in common: a diagnosis, a wrong answer, a flag.

    Attributes:
        tag: What the table is filtered by to show only these students.
        where: The exercises.
        example: The address of the first student's report, if possible of the exercise in it.
        note: What it means, or how these students' points compare with those of the others.
        numbers: A call with few numbers on which one of them is wrong.
        cell: A cell for the source notebook that would name this wrong answer.
        exercise, fingerprint: The exercise of this wrong answer, and what is equal for equal answers.
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
    exercise: str = ""
    fingerprint: str = ""


class Tags:
    """The tags that students can be filtered by. They are generated here, so no text of a student's is ever one."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._owners: dict[str, set[int]] = defaultdict(set)

    def give(self, entry: Entry, label: str) -> str:
        """Tag a student, and return the tag."""
        tag = self._names.setdefault(label, f"t{len(self._names)}")
        self._owners[tag].add(id(entry))
        return tag

    def of(self, entry: Entry) -> str:
        """The tags of a student, with spaces between."""
        return " ".join(tag for tag, owners in self._owners.items() if id(entry) in owners)

    def filters(self) -> tuple[tuple[str, str, int], ...]:
        """Each tag, what it means, and how many students have it."""
        return tuple((tag, label, len(self._owners[tag])) for label, tag in self._names.items())


def diagnosed(entries: Sequence[Entry], tags: Tags) -> tuple[Group, ...]:
    """The explained mistakes: where parts of a result have points of their own, all of them, and else the first one."""
    having: dict[str, list[tuple[Entry, Finding, str]]] = defaultdict(list)
    for entry in entries:
        for finding in entry.report.findings:
            for diagnosis in finding.diagnoses if finding.parts else finding.diagnoses[:1]:
                having[diagnosis.id].append((entry, finding, diagnosis.message))
    decided = [entry for entry in entries if not entry.report.is_undecided and not entry.report.problem]
    return _ranked(
        Group(
            tag=_tag_all(tags, [entry for entry, *_ in found], f"diagnosis: {name}"),
            title=clip(name.replace("_", " "), MAX_NAME),
            where=_exercise_counts(finding for _, finding, _ in found),
            message=clip(found[0][2], MAX_MESSAGE),
            note=_compared(decided, [entry for entry, *_ in found]),
            students=_students(entry for entry, *_ in found),
            numbers=_numbers(finding for _, finding, _ in found),
            example=_example(found[0][0], found[0][1]),
        )
        for name, found in having.items()
    )


def _compared(decided: Sequence[Entry], having: Sequence[Entry]) -> str:
    """How the points of the students who make a mistake compare with those of the others, in a sentence."""
    means = compared_totals(decided, {entry.file for entry in having})
    if means is None:
        return ""
    own, others = means
    return f"Those who make it have {own:.1f} points on average, the others {others:.1f}."


def same_rare_answers(entries: Sequence[Entry], tags: Tags) -> tuple[Group, ...]:
    """
    Unexplained wrong answers that very few students share and nobody else gave, by those who share them.

    They are worth a look and prove nothing, and the page says so.
    """
    if len(entries) < FEWEST_STUDENTS:
        return ()
    together: dict[tuple[str, ...], list[tuple[Entry, Finding]]] = defaultdict(list)
    by_file = {entry.file: entry for entry in entries}
    for pairs in _sharing(entries).values():
        files = tuple(dict.fromkeys(entry.file for entry, _ in pairs))
        if 1 < len(files) <= max(2, MOST_RARE * len(entries)):
            together[files].append(pairs[0])
    return _ranked(
        Group(
            tag=_tag_all(tags, [by_file[file] for file in files], "same rare answer: " + ", ".join(files)),
            title="The same rare wrong answer",
            where=clip(", ".join(finding.name for _, finding in pairs), MAX_NAME),
            message=f"{in_words(len(pairs), 'wrong answer')} that nothing explains, and that nobody else gave.",
            note="That can have many reasons: one source, learning together, or the same slip. It proves nothing.",
            students=_students(by_file[file] for file in files),
            example=_example(*pairs[0]),
        )
        for files, pairs in together.items()
    )


def clusters(entries: Sequence[Entry], tags: Tags) -> tuple[Group, ...]:
    """Wrong answers that several students share and that no diagnosis explains."""
    shared = sorted((item for item in _sharing(entries).items() if len(item[1]) > 1), key=lambda item: -len(item[1]))
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
                exercise=exercise,
                fingerprint=fingerprint,
                example=_example(*pairs[0]),
            )
        )
    return tuple(groups)


def _sharing(entries: Sequence[Entry]) -> dict[tuple[str, str], list[tuple[Entry, Finding]]]:
    """Who gave each unexplained wrong answer, by exercise and fingerprint."""
    sharing: dict[tuple[str, str], list[tuple[Entry, Finding]]] = defaultdict(list)
    for entry in entries:
        for finding in entry.report.findings:
            if finding.fingerprint and not finding.diagnoses and finding.outcome.passed is False:
                sharing[finding.name, finding.fingerprint].append((entry, finding))
    return sharing


def flagged(entries: Sequence[Entry], tags: Tags) -> tuple[Group, ...]:
    """What an instructor should look at: flags, and functions that ended their process or never returned."""
    raised: dict[str, list[tuple[Entry, str]]] = defaultdict(list)
    exercises: dict[str, dict[str, None]] = defaultdict(dict)
    for entry in entries:
        for flag in entry.report.flags:
            raised[flag.id].append((entry, flag.evidence[:1].upper() + flag.evidence[1:]))
            if flag.exercise is not None:
                exercises[flag.id][flag.exercise] = None
        for outcome in (Outcome.CRASHED, Outcome.TIMED_OUT, Outcome.OUT_OF_MEMORY):
            # These are sentences, which begin with the name of a function.
            messages = [finding.message for finding in entry.report.findings if finding.outcome is outcome]
            if messages:
                raised[outcome.value].append((entry, messages[0]))
    named = {name: FLAGS.get(name, (clip(name.replace("_", " "), MAX_NAME), "")) for name in raised}
    return _ranked(
        Group(
            tag=_tag_all(tags, [entry for entry, _ in pairs], f"flag: {name}"),
            title=named[name][0],
            where=clip(", ".join(exercises[name]), MAX_NAME),
            message=clip(pairs[0][1], MAX_MESSAGE),
            note=named[name][1],
            students=_students(entry for entry, _ in pairs),
            example=student_of(pairs[0][0]).link,
        )
        for name, pairs in raised.items()
    )


def failures(entries: Sequence[Entry], tags: Tags) -> tuple[Group, ...]:
    """Those at whose submissions the grader failed, by what went wrong."""
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
            example=student_of(having[0]).link,
        )
        for message, having in failed.items()
    )


def student_of(entry: Entry) -> Student:
    """The link to a student's report."""
    return Student(clip(entry.owner.student, MAX_NAME), quote(entry.file))


def _example(entry: Entry, finding: Finding) -> str:
    """The address of an exercise in a report; of the report itself, if that is JSON."""
    is_page = entry.file.endswith(".html") and finding.name.isidentifier()
    return student_of(entry).link + (f"#exercise-{quote(finding.name)}" if is_page else "")


def _numbers(findings: Iterable[Finding]) -> CounterexampleView | None:
    """The first counterexample among what students got wrong."""
    views = (counterexample_view(finding.counterexample, finding.name, {}) for finding in findings)
    return next((view for view in views if view is not None), None)


def _students(entries: Iterable[Entry]) -> tuple[Student, ...]:
    return tuple(dict.fromkeys(student_of(entry) for entry in entries))


def _tag_all(tags: Tags, entries: Sequence[Entry], label: str) -> str:
    for entry in entries:
        tag = tags.give(entry, clip(label, MAX_NAME))
    return tag


def _ranked(groups: Iterable[Group]) -> tuple[Group, ...]:
    return tuple(sorted(groups, key=lambda group: (-len(group.students), group.title)))


def _exercise_counts(findings: Iterable[Finding]) -> str:
    counts = Counter(finding.name for finding in findings)
    return ", ".join(f"{clip(name, MAX_NAME)} ({count})" for name, count in counts.most_common(10))


def in_words(number: int, noun: str) -> str:
    """A number and a noun: `1 submission`, `2 submissions`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
