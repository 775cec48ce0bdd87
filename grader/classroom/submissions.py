"""
Finds the submissions of a class in what a course platform exports: first all files, then the one of each student.
"""

from __future__ import annotations

import dataclasses
import re
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from grader.classroom.archives import open_archive_in, open_file, open_tree
from grader.classroom.platforms import ARCHIVE, plain, recognise
from grader.classroom.records import Owner, Problem, Received
from grader.errors import UsageError
from grader.execution.conducting import read_alone
from grader.notebook.read import NOTEBOOK_SUFFIX, NOTEBOOK_SUFFIXES, Unreadable, notebook_suffix
from grader.notebook.relevance import Relevance, relevance

__all__ = ["Gathered", "Roster", "find_submissions", "gather"]

TYPED_IN = re.compile(r"_(text|link)\.html$|onlinetext")
MOST_READ = 40
"""How many files of one student are read to find out which one to grade."""
MOST_READ_S = 120.0
"""After how many seconds no other one is read."""


@dataclasses.dataclass(frozen=True, slots=True)
class Roster:
    """The files to grade, one for each student, and the problems: what could not be read or was left out."""

    received: tuple[Received, ...]
    problems: tuple[Problem, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Gathered:
    """All notebooks of a class, with several for some students, and the problems with the other files."""

    received: tuple[Received, ...]
    problems: tuple[Problem, ...]

    def settle(self, assignment_id: str | None = None, exercises: Sequence[str] = ()) -> Roster:
        """
        Choose the notebook of each student that is graded.

        Of those that were handed in together, it is the one of the assignment: by its mark, and by how many of the
        functions it defines. Of several attempts, it is the newest one with such a notebook.

        Args:
            assignment_id, exercises: The assignment and its functions. Without them, nothing is read: the kind of
                file decides.

        Raises:
            UsageError: There is no submission at all.
        """
        by_owner = defaultdict[Owner, list[Received]](list)
        for received in self.received:
            by_owner[received.owner].append(received)
        chosen, left_out = list[Received](), list[Problem]()
        for attempts in by_owner.values():
            choice = _Choice(attempts, assignment_id, exercises)
            if refused := choice.why_refused():
                left_out.append(refused)
                continue
            chosen.append(choice.best)
            left_out += choice.left_out()
        owners = {received.owner for received in chosen}
        # A student's other files are only a problem if the student handed in no notebook.
        problems = [problem for problem in self.problems if problem.owner not in owners]
        if not chosen:
            raise _nothing(", ".join(sorted({each.where for each in left_out})), [*left_out, *problems])
        return Roster(tuple(chosen), (*problems, *left_out))


def gather(paths: Sequence[Path], *, assignment_id: str | None = None, platform: str | None = None) -> Gathered:
    """
    Find all notebooks of a class.

    Args:
        paths: Folders, zip archives and single notebooks.
        assignment_id: If an nbgrader course has several assignments, the one to grade.
        platform: Who named the files, one of `PLATFORMS`; None to recognise it.

    Raises:
        UsageError: A path does not exist, or there is no submission in any of them.
    """
    found, problems = list[Received](), list[Problem]()
    for path in paths:
        try:
            received, refused = _find_in(path, assignment_id, platform)
        except UsageError as error:
            if len(paths) == 1 or not path.exists():
                raise
            problems.append(Problem(str(path), str(error)))
            continue
        found += received
        problems += refused
    if not found:
        raise _nothing(", ".join(map(str, paths)), problems)
    return Gathered(tuple(found), tuple(problems))


def find_submissions(paths: Sequence[Path], *, assignment_id: str | None = None, platform: str | None = None) -> Roster:
    """Find one submission of every student by the names of the files alone; the arguments are those of `gather`."""
    return gather(paths, assignment_id=assignment_id, platform=platform).settle()


def _nothing(names: str, problems: Sequence[Problem]) -> UsageError:
    hint = f"Notebooks end in {', '.join(NOTEBOOK_SUFFIXES)}."
    if serious := [problem for problem in problems if problem.is_serious]:
        hint = f"{len(serious)} files could not be read; the first is {serious[0].where}: {serious[0].message}"
    return UsageError(f"There is no submission in {names}.", hint)


def _find_in(path: Path, assignment_id: str | None, platform: str | None) -> tuple[list[Received], list[Problem]]:
    if path.is_file() and notebook_suffix(path.name) in NOTEBOOK_SUFFIXES:
        return [
            dataclasses.replace(found, attempt=str(path.resolve()))
            for found in plain([open_file(path)])
            if isinstance(found, Received)
        ], []
    files, problems = open_tree(path)
    submissions = list[Received]()
    for found in _with_archives_opened(recognise(path, files, assignment_id=assignment_id, platform=platform)):
        if isinstance(found, Problem):
            problems.append(found)
        elif notebook_suffix(found.name) in NOTEBOOK_SUFFIXES:
            submissions.append(dataclasses.replace(found, attempt=f"{path.resolve()}\0{found.attempt}"))
        else:
            problems.append(_not_a_notebook(found))
    return submissions, problems + list(_two_names(submissions))


def _with_archives_opened(everything: Iterable[Received | Problem]) -> Iterator[Received | Problem]:
    """Replace a zip archive that a student handed in by the notebooks in it. Archives inside it are not opened."""
    for found in everything:
        if isinstance(found, Problem) or notebook_suffix(found.name) != ARCHIVE:
            yield found
            continue
        files, problems = open_archive_in(found.file)
        notebooks = [file for file in files if notebook_suffix(file.name) in NOTEBOOK_SUFFIXES]
        if not (notebooks or problems):
            problems = [Problem(found.file.name, "There is no notebook in the archive.")]
        for problem in problems:
            yield dataclasses.replace(problem, owner=found.owner)
        for file in notebooks:
            name = PurePosixPath(file.name).name
            yield dataclasses.replace(found, file=file, name=name, archive=found.file.name)


def _two_names(submissions: Iterable[Received]) -> Iterator[Problem]:
    """A platform knows each of its students by one name. Where it does not, two students may have become one."""
    names = defaultdict[Owner, set[str]](set)
    for received in submissions:
        names[received.owner].add(received.display)
    for owner, known in names.items():
        if len(known - {""}) > 1:
            who = " and ".join(sorted(known - {""})[:3])
            yield Problem(owner.student, f"Two students seem to have this id: {who}. Only one of them was graded.")


def _not_a_notebook(received: Received) -> Problem:
    message = "It is not a notebook."
    if TYPED_IN.search(received.file.name):
        message = "The student typed in text."
    elif notebook_suffix(received.name) in (".html", ".htm"):
        message = "It is a web page, not the notebook itself."
    message += f" There is nothing to grade: notebooks end in {', '.join(NOTEBOOK_SUFFIXES)}."
    return Problem(received.file.name, message, received.owner)


class _Choice:
    """Which notebook of one student is graded, and what to say about the others."""

    def __init__(self, found: Sequence[Received], assignment_id: str | None, exercises: Sequence[str]) -> None:
        self._found = sorted(found, key=_by_name, reverse=True)
        self._codes = dict[int, tuple[str, ...]]()
        self._relevance = dict[int, Relevance]()
        self._is_informed = assignment_id is not None
        if assignment_id is not None and len(found) > 1:
            until = time.monotonic() + MOST_READ_S
            for place, received in enumerate(self._found[:MOST_READ]):
                if time.monotonic() < until:
                    self._read(place, received, assignment_id, exercises)
        attempts = defaultdict[str, list[int]](list)
        for place, received in enumerate(self._found):
            attempts[received.attempt].append(place)
        leaders = [
            (max(places, key=self._rank), max(self._found[place].order for place in places))
            for places in attempts.values()
        ]
        self._chosen, _ = max(leaders, key=lambda leader: (self._of(leader[0]).is_ours, leader[1]))
        self.best = self._found[self._chosen]

    def _read(self, place: int, received: Received, assignment_id: str, exercises: Sequence[str]) -> None:
        submission = received.read()
        reading = submission if isinstance(submission, Unreadable) else read_alone(submission, exercises)
        if isinstance(reading, Unreadable):
            self._relevance[place] = Relevance()
        else:
            self._relevance[place] = relevance(reading.notebook, reading.functions, assignment_id, exercises)
            self._codes[place] = tuple(cell.code.strip() for cell in reading.notebook.cells)

    def _of(self, place: int) -> Relevance:
        return self._relevance.get(place, Relevance())

    def _rank(self, place: int) -> tuple[Relevance, tuple[float, ...]]:
        return self._of(place), _by_name(self._found[place])

    def why_refused(self) -> Problem | None:
        """Why an archive in a plain folder is not one student's; None if it may be."""
        if self.best.owner.platform != "plain" or not self.best.archive:
            return None
        inside = [place for place, each in enumerate(self._found) if each.archive == self.best.archive]
        if self._is_informed:
            several = len({self._codes.get(place) for place in inside if self._of(place).has_answers}) > 1
        else:
            several = sum(notebook_suffix(self._found[place].name) == NOTEBOOK_SUFFIX for place in inside) > 1
        message = "It contains several notebooks. If they are a class, name this archive as a SOURCE."
        return Problem(self.best.archive, message) if several else None

    def left_out(self) -> Iterator[Problem]:
        for place, other in enumerate(self._found):
            if place != self._chosen and not self._is_beside_the_point(place):
                message, is_serious = f"{self.best.file.name} was graded in its place.", False
                if self._is_another_students(place):
                    message, is_serious = f"{message} If it is another student's, that student has no points yet.", True
                elif self._is_as_good(place):
                    message, is_serious = f"{message} Both answer the same number of exercises, but differently.", True
                yield Problem(other.file.name, message, other.owner, is_serious=is_serious)

    def _is_beside_the_point(self, place: int) -> bool:
        """Whether nobody could have taken it for the submission: a repository has tests, pages and helpers as well."""
        return self.best.owner.platform == "repositories" and self._is_informed and not self._of(place).is_ours

    def _is_another_students(self, place: int) -> bool:
        """Whether files from two places bear one student's name, and only the name says that they are one student's."""
        other = self._found[place]
        return self.best.owner.platform == "plain" and other.attempt != self.best.attempt and not self._is_same(place)

    def _is_as_good(self, place: int) -> bool:
        other, best = self._of(place), self._of(self._chosen)
        together = self._found[place].attempt == self.best.attempt
        return together and other.has_answers and other.answers >= best.answers and not self._is_same(place)

    def _is_same(self, place: int) -> bool:
        if place in self._codes and self._chosen in self._codes:
            return self._codes[place] == self._codes[self._chosen]
        return self._found[place].file.read() == self.best.file.read()


def _by_name(received: Received) -> tuple[float, ...]:
    """
    The order of a student's files as far as their names and times tell: the last one is the likeliest.

    Canvas numbers attachments. Elsewhere, times change when files are copied, and what is not in a folder counts first.
    """
    kind, depth = NOTEBOOK_SUFFIXES.index(notebook_suffix(received.name)), received.file.name.count("/")
    if received.owner.platform == "canvas":
        return -kind, received.order, -depth
    return -kind, -depth, received.order
