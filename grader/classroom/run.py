"""
Grades a class, from its submissions to its reports: only here do reading, grading, saving and writing meet.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from grader.assignment.find import find_assignment
from grader.assignment.load import Assignment
from grader.assignment.source import read_source
from grader.classroom.batch import Batch
from grader.classroom.decisions import adjustments_by_owner, stale
from grader.classroom.fill import Filled, fill_gradebook
from grader.classroom.gradebook import Gradebook
from grader.classroom.keys import Basis
from grader.classroom.outputs import WITHHELD, name_reports, write_feedback, write_gradebook, write_reports
from grader.classroom.overview import build_overview
from grader.classroom.page import render_overview
from grader.classroom.pool import Workers
from grader.classroom.progress import show_progress
from grader.classroom.records import Entry, Owner, Problem, Received
from grader.classroom.submissions import Roster
from grader.classroom.tasks import SourceFile, deadline_of
from grader.errors import UsageError
from grader.files import remove_leftovers, write_atomically
from grader.model import Adjustment
from grader.notebook.read import Unreadable
from grader.pipeline import choose_assignment
from grader.reference.cases import build_cases
from grader.reports.reading import parse_report
from grader.version import __version__
from grader.visibility import Visibility, is_released, released_at

__all__ = ["ClassOptions", "ClassResult", "choose_for_class", "grade_class"]

ASKED, MOST_ASKED = 25, 200
"""How many notebooks must say which assignment the class has, and how many are asked at most."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ClassOptions:
    """
    How a class is graded, and what is written.

    Attributes:
        output: The folder for the reports, the gradebook's tables and the class's page.
        gradebook: A file or a database URL to save results in. [default: `output/gradebook.db`]
        hidden_seed: Replaces the seed in the source notebook.
        release: Replaces the release date in the source notebook; see `grader.visibility.released_at`.
        regrade: Execute and grade everything, also what the gradebook has already.
        sources: Where the submissions are: besides the output and the source notebooks, what no notebook may see.
        fill, fill_column: The instructor's own gradebooks to fill in, and the heading of the column in them.
    """

    output: Path
    workers: Workers
    gradebook: str | None = None
    hidden_seed: int | None = None
    release: str | None = None
    regrade: bool = False
    sources: Sequence[Path] = ()
    formats: Sequence[str] = ("html", "json")
    fill: Sequence[Path] = ()
    fill_column: str | None = None
    is_quiet: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ClassResult:
    """The results of a class in the order of its submissions, the problems, and the files besides the reports."""

    entries: tuple[Entry, ...]
    problems: tuple[Problem, ...]
    written: tuple[Path, ...]
    filled: tuple[Filled, ...]


def choose_for_class(received: Sequence[Received], directory: Path, assignment_id: str | None) -> Path:
    """
    Choose the source notebook of a class: that of the named assignment, or else the one that most notebooks belong to.

    Raises:
        UsageError: There is no such assignment, or the notebooks do not say which one it is.
    """
    if assignment_id is not None:
        return find_assignment(assignment_id, directory)
    votes, reason = (
        Counter[Path](),
        UsageError("No notebook says which assignment it belongs to.", "Name the assignment with -a."),
    )
    for handed_in in received[:MOST_ASKED]:
        if votes.total() == ASKED:
            break
        submission = handed_in.read()
        if not isinstance(submission, Unreadable):
            try:
                votes[choose_assignment(submission, directory, None)] += 1
            except UsageError as error:
                reason = error
    if not votes:
        raise reason
    (chosen, most), *others = votes.most_common(2)
    if others and others[0][1] == most:
        raise UsageError("Equally many notebooks belong to two assignments.", "Choose one with -a.")
    return chosen


def grade_class(roster: Roster, source: Path, options: ClassOptions) -> ClassResult:
    """
    Grade a class, and write a report for each student, the gradebook's tables, and the class's page.

    Args:
        source: The source notebook of the assignment.

    Raises:
        SourceError, SolutionError: The source notebook cannot be used for grading.
        UsageError: The gradebook, the output folder or a file to fill in cannot be used.
        GraderFault: The worker processes keep dying.
    """
    file = SourceFile(source.name, source.read_bytes(), read_source(source).files)
    assignment = file.load(options.hidden_seed)
    build_cases(assignment)  # raises if the solution disagrees with autograd, instead of once for each submission
    visibility = released_at(assignment.visibility, options.release)
    now = dt.datetime.now(dt.timezone.utc)
    withheld = None if is_released(visibility, now) else visibility
    output = options.output
    with _writing(output):
        output.mkdir(parents=True, exist_ok=True)
        remove_leftovers(output)
    with contextlib.closing(Gradebook(options.gradebook or str(output / "gradebook.db"))) as gradebook:
        adjustments = adjustments_by_owner(gradebook, assignment.id)
        batch = Batch(
            gradebook=gradebook,
            basis=Basis.of(assignment, withheld=withheld),
            source=file,
            workers=options.workers,
            now=now,
            deadline_s=deadline_of(assignment),
            visibility=visibility,
            adjustments=adjustments,
            regrade=options.regrade,
            secrets=tuple(path.absolute() for path in (source.parent, *options.sources, output)),
        )
        entries, keys, unread = _grade_and_write(batch, roster, options)
        problems = [*roster.problems, *_stale(adjustments, assignment), *unread]
        in_order = tuple(entries[received.owner] for received in roster.received if received.owner in entries)

        def read_page(entry: Entry) -> bytes:
            kept = gradebook.find(keys[entry.owner])
            return zlib.decompress(kept.shown_page or kept.page) if kept else b""

        with _writing(output):
            archives = write_feedback(output, in_order, read_page) if "html" in options.formats else []
    with _writing(output):
        write_gradebook(output, in_order, problems)
        index = _write_index(output, in_order, problems, assignment, withheld)
        filled = tuple(fill_gradebook(path, in_order, output, column=options.fill_column) for path in options.fill)
    if withheld is not None:
        note = f"Students will see marks from {withheld.release} on: do not upload this file before then."
        filled = tuple(dataclasses.replace(sheet, notes=(*sheet.notes, note)) for sheet in filled)
    written = (index, output / "gradebook.csv", output / "gradebook.json", *archives, *(sheet.path for sheet in filled))
    return ClassResult(entries=in_order, problems=tuple(problems), written=written, filled=filled)


def _grade_and_write(
    batch: Batch, roster: Roster, options: ClassOptions
) -> tuple[dict[Owner, Entry], dict[Owner, str], list[Problem]]:
    """
    Grade all submissions, and write the reports of each as soon as it is graded.

    Returns:
        tuple: The entries; the keys of their results in the gradebook; and the files that could not be read.
    """
    entries, keys, problems = dict[Owner, Entry](), dict[Owner, str](), list[Problem]()
    linked = "html" if "html" in options.formats else "json"
    stems = name_reports(roster.received)
    assignment_id = batch.basis.assignment_id
    with (
        show_progress(len(roster.received), assignment_id=assignment_id, is_quiet=options.is_quiet) as tally,
        contextlib.closing(batch.grade(roster.received)) as graded,
    ):
        for done in graded:
            if isinstance(done, Problem):
                problems.append(done)
                tally.add(is_new=True, has_failed=True)
                continue
            owner = done.received.owner
            folder = f"{WITHHELD}/" if done.graded.shown_report else ""
            entry = Entry(
                received=done.received,
                file=f"{folder}{stems[owner]}.{linked}",
                report=parse_report(done.graded.report),
                fault=done.graded.fault,
            )
            entries[owner], keys[owner] = entry, done.key
            with _writing(options.output):
                write_reports(options.output, stems[owner], done.graded, options.formats)
            tally.add(is_new=done.is_new, has_failed=entry.status != "graded", was_executed=done.was_executed)
    return entries, keys, problems


def _stale(by_owner: Mapping[Owner, Sequence[Adjustment]], assignment: Assignment) -> Iterator[Problem]:
    worth = {exercise.name: exercise.points for exercise in assignment.exercises}
    for owner, adjustments in by_owner.items():
        for message in stale(adjustments, worth):
            yield Problem(owner.student, message, owner, is_serious=False)


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
        when = f"{withheld.release}; until then, this page links to the complete reports in `{WITHHELD}`"
        facts.append(("Students see everything from", when))
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
