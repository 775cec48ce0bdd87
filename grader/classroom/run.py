"""
A class from its sources to its reports: the one place where reading, grading, keeping and writing meet.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from grader import __version__
from grader.assignment.load import Assignment, find_assignment
from grader.classroom.batch import Batch
from grader.classroom.decisions import adjustments_by_student, stale
from grader.classroom.fill import Filled, fill_gradebook
from grader.classroom.gradebook import Gradebook
from grader.classroom.keys import Settings
from grader.classroom.outputs import WITHHELD, name_reports, write_feedback, write_gradebook, write_reports
from grader.classroom.overview import build_overview
from grader.classroom.page import render_overview
from grader.classroom.pool import OpenWorkers, local_workers
from grader.classroom.progress import show_progress
from grader.classroom.records import Entry, Owner, Problem, Received
from grader.classroom.submissions import Roster
from grader.classroom.tasks import Source
from grader.errors import UsageError
from grader.files import remove_leftovers, write_atomically
from grader.notebook.read import Unreadable
from grader.pipeline import choose_assignment
from grader.policies import Adjustment, Visibility
from grader.reference.cases import build_cases
from grader.reports.reading import parse_report
from grader.sandbox import Level
from grader.visibility import is_released, released_at

__all__ = ["ClassResult", "choose_for_class", "grade_class"]

ASKED = 25
"""How many notebooks are asked which assignment they are."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ClassResult:
    """What came of a class, in the order of its sources, and what was written besides the reports."""

    entries: tuple[Entry, ...]
    problems: tuple[Problem, ...]
    written: tuple[Path, ...]
    filled: tuple[Filled, ...]


def choose_for_class(received: Sequence[Received], directory: Path, assignment_id: str | None) -> Path:
    """
    The source notebook to grade a class by: the one that was named, else the one that most of its notebooks are of.

    Raises:
        UsageError: There is no such assignment, or nothing says which one it is.
    """
    if assignment_id is not None:
        return find_assignment(assignment_id, directory)
    votes, reason = Counter[Path](), UsageError("No notebook says which assignment it is.", "Name it with -a.")
    for each in received[:ASKED]:
        submission = each.read()
        if not isinstance(submission, Unreadable):
            try:
                votes[choose_assignment(submission, directory, None)] += 1
            except UsageError as error:
                reason = error
    if not votes:
        raise reason
    (chosen, most), *others = votes.most_common(2)
    if others and others[0][1] == most:
        raise UsageError("As many notebooks are of one assignment as of another.", "Name the one to grade with -a.")
    return chosen


def grade_class(
    roster: Roster,
    source: Path,
    output: Path,
    *,
    gradebook: str | None = None,
    hidden_seed: int | None = None,
    jobs: int = 1,
    require: Level = Level.NONE,
    regrade: bool = False,
    formats: Sequence[str] = ("html", "json"),
    fill: Sequence[Path] = (),
    fill_column: str | None = None,
    release: str | None = None,
    is_quiet: bool = False,
    open_workers: OpenWorkers = local_workers,
) -> ClassResult:
    """
    Grade a class, and write into `output` a report for each student, the gradebook, and the class at a glance.

    Args:
        source: The source notebook of the assignment.
        gradebook: A file or a database URL. [default: `output/gradebook.db`]
        fill: The instructor's own gradebooks to fill in.
        release: When students see everything, in place of what the assignment says; see `released_at`.

    Raises:
        SourceError, SolutionError: Nothing can be graded with that source notebook.
        UsageError: The gradebook, the output folder or a file to fill in cannot be used.
        GraderFault: The worker processes keep dying.
    """
    read = Source(source.name, source.read_bytes())
    assignment = read.load(hidden_seed)
    build_cases(assignment)  # where the solution disagrees with autograd, better no report than a fault in each
    visibility = released_at(assignment.visibility, release)
    now = dt.datetime.now(dt.timezone.utc)
    withheld = None if is_released(visibility, now) else visibility
    settings = Settings.of(assignment, withheld=withheld)
    with _writing(output):
        output.mkdir(parents=True, exist_ok=True)
        remove_leftovers(output)
    linked = "html" if "html" in formats else "json"
    stems = name_reports(roster.received)
    entries, problems = dict[Owner, Entry](), list(roster.problems)
    keys = dict[Owner, str]()
    with contextlib.closing(Gradebook(gradebook or str(output / "gradebook.db"))) as kept:
        adjustments = adjustments_by_student(kept, assignment.id)
        problems += _stale(adjustments, assignment)
        batch = Batch(
            gradebook=kept,
            settings=settings,
            source=read,
            jobs=jobs,
            now=now,
            visibility=visibility,
            adjustments=adjustments,
            require=require,
            regrade=regrade,
            open_workers=open_workers,
        )
        with (
            show_progress(len(roster.received), assignment_id=assignment.id, is_quiet=is_quiet) as tally,
            contextlib.closing(batch.grade(roster.received)) as graded,
        ):
            for each in graded:
                if isinstance(each, Problem):
                    problems.append(each)
                    tally.add(is_new=True, has_failed=True)
                    continue
                owner = each.received.owner
                folder = f"{WITHHELD}/" if each.graded.shown_report else ""
                entry = Entry(
                    received=each.received,
                    file=f"{folder}{stems[owner]}.{linked}",
                    report=parse_report(each.graded.report),
                    fault=each.graded.fault,
                )
                entries[owner], keys[owner] = entry, each.key
                with _writing(output):
                    write_reports(output, stems[owner], each.graded, formats)
                has_failed = entry.status != "graded"
                tally.add(is_new=each.is_new, has_failed=has_failed, was_executed=each.was_executed)
        ordered = tuple(entries[owner] for owner in stems if owner in entries)

        def read_page(entry: Entry) -> bytes:
            document = kept.find(keys[entry.owner])
            return zlib.decompress(document.shown_page or document.page) if document else b""

        with _writing(output):
            archives = write_feedback(output, ordered, read_page) if "html" in formats else []
    with _writing(output):
        write_gradebook(output, ordered, problems)
        index = _write_index(output, ordered, problems, assignment, withheld)
        filled = tuple(fill_gradebook(path, ordered, output, column=fill_column) for path in fill)
    if withheld is not None:
        note = f"Students are to see marks from {withheld.release} on: take care not to upload these before."
        filled = tuple(dataclasses.replace(each, notes=(*each.notes, note)) for each in filled)
    written = (index, output / "gradebook.csv", output / "gradebook.json", *archives, *(each.path for each in filled))
    return ClassResult(entries=ordered, problems=tuple(problems), written=written, filled=filled)


def _stale(adjustments: Mapping[Owner, Sequence[Adjustment]], assignment: Assignment) -> Iterator[Problem]:
    worth = {exercise.name: exercise.points for exercise in assignment.exercises}
    for owner, theirs in adjustments.items():
        for said in stale(theirs, worth):
            yield Problem(owner.student, said, owner, is_serious=False)


def _write_index(
    output: Path,
    entries: Sequence[Entry],
    problems: Sequence[Problem],
    assignment: Assignment,
    withheld: Visibility | None,
) -> Path:
    facts = [
        ("Assignment", f"{assignment.id}, version {assignment.version}"),
        ("Graded by", f"grader {__version__}"),
        ("As a table", "gradebook.csv, gradebook.json"),
    ]
    if withheld is not None:
        told = f"{withheld.release}; until then the whole reports, to which this page leads, are in `{WITHHELD}`"
        facts.append(("Students see everything from", told))
    overview = build_overview(entries, problems, title=assignment.title or assignment.id, facts=facts)
    path = output / "index.html"
    write_atomically(path, render_overview(overview))
    return path


@contextlib.contextmanager
def _writing(output: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"The reports cannot be written to {output} ({error.strerror}).", "Name another folder with -o."
        ) from error
