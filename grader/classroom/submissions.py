"""
Finds the submissions of a class in what a course platform exports.

The export is a folder or a zip archive, and is recognised by the names in it:

    canvas      lovelaceada_LATE_4021_998877_notebook.ipynb
    moodle      Ada Lovelace_12345_assignsubmission_file/notebook.ipynb
    gradescope  submission_metadata.yml, submission_123456/notebook.ipynb
    nbgrader    submitted/ada/two_layer_mse/notebook.ipynb
    plain       anything else: notebooks, each named after its student
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from grader.classroom.archives import open_archive_in, open_file, open_tree
from grader.classroom.records import File, Owner, Problem, Received
from grader.errors import UsageError
from grader.notebook.read import NOTEBOOK_SUFFIX, NOTEBOOK_SUFFIXES, Unreadable

__all__ = ["Roster", "find_submissions"]

ARCHIVE = ".zip"
CANVAS = re.compile(r"(?P<name>[^/]*?)(?P<late>_LATE)?_(?P<user>\d+)_(?P<attachment>\d+)_(?P<file>[^/]+)")
CANVAS_ANONYMOUS = re.compile(r"(?P<user>anon_(?!LATE_)[^/_]+)(?P<late>_LATE)?_(?P<attachment>\d+)_(?P<file>[^/]+)")
MOODLE = re.compile(
    r"(?P<prefix>(?P<name>[^/]*?)_(?P<user>\d+)_assignsubmission_(?P<plugin>[a-z]+)(?:_/|/|_))(?P<file>.+)"
)
GRADESCOPE = "submission_metadata.yml"
TYPED_IN = re.compile(r"_(text|link)\.html$|onlinetext")


@dataclasses.dataclass(frozen=True, slots=True)
class Roster:
    """The files to grade, one for each student, and the problems: what could not be read or was left out."""

    received: tuple[Received, ...]
    problems: tuple[Problem, ...]


def find_submissions(paths: Sequence[Path], *, assignment_id: str | None = None) -> Roster:
    """
    Find the newest submission of every student.

    Args:
        paths: Folders, zip archives and single notebooks.
        assignment_id: If an nbgrader course has several assignments, the one to grade.

    Raises:
        UsageError: A path does not exist, or there is no submission in any of them.
    """
    found, problems = list[Received](), list[Problem]()
    for path in paths:
        try:
            received, refused = _find_in(path, assignment_id)
        except UsageError as error:
            if len(paths) == 1 or not path.exists():
                raise
            problems.append(Problem(str(path), str(error)))
            continue
        found += received
        problems += refused
    newest, left_out = _newest(found)
    if not newest:
        names = ", ".join(map(str, paths))
        hint = f"Notebooks end in {', '.join(NOTEBOOK_SUFFIXES)}."
        if serious := [problem for problem in problems if problem.is_serious]:
            hint = f"{len(serious)} files could not be read; the first is {serious[0].where}: {serious[0].message}"
        raise UsageError(f"There is no submission in {names}.", hint)
    owners = {received.owner for received in newest}
    # A student's other files are only a problem if the student handed in no notebook.
    problems = [problem for problem in problems if problem.owner not in owners]
    return Roster(tuple(newest), (*problems, *left_out))


def _find_in(path: Path, assignment_id: str | None) -> tuple[list[Received], list[Problem]]:
    if path.is_file() and _suffix(path.name) in NOTEBOOK_SUFFIXES:
        return [found for found in _plain([open_file(path)]) if isinstance(found, Received)], []
    files, problems = open_tree(path)
    submissions = list[Received]()
    for found in _with_archives_opened(_recognise(path, files, assignment_id)):
        if isinstance(found, Problem):
            problems.append(found)
        elif _suffix(found.name) in NOTEBOOK_SUFFIXES:
            submissions.append(found)
        else:
            problems.append(_not_a_notebook(found))
    return submissions, problems


def _with_archives_opened(everything: Iterable[Received | Problem]) -> Iterator[Received | Problem]:
    """Replace a zip archive that a student handed in by the notebooks in it. Archives inside it are not opened."""
    for found in everything:
        if isinstance(found, Problem) or _suffix(found.name) != ARCHIVE:
            yield found
            continue
        files, problems = open_archive_in(found.file)
        notebooks = [file for file in files if _suffix(file.name) in NOTEBOOK_SUFFIXES]
        originals = [file for file in notebooks if _suffix(file.name) == NOTEBOOK_SUFFIX]
        if found.owner.platform == "plain" and len(originals) > 1:
            yield Problem(
                found.file.name, "It contains several notebooks. If they are a class, name this archive as a SOURCE."
            )
            continue
        if not (notebooks or problems):
            problems = [Problem(found.file.name, "There is no notebook in the archive.")]
        for problem in problems:
            yield dataclasses.replace(problem, owner=found.owner)
        for file in notebooks:
            yield dataclasses.replace(found, file=file, name=PurePosixPath(file.name).name)


def _recognise(path: Path, files: list[File], assignment_id: str | None) -> Iterable[Received | Problem]:
    """
    Recognise a platform by the names that it gives itself, never by names that a student may choose.

    Students choose names below the top level. So the level below counts only if a single folder contains everything.
    """
    if any(MOODLE.fullmatch(file.name) for file in files):
        return _moodle(files)
    tops = {file.name.partition("/")[0] for file in files if "/" in file.name}
    wrapper = f"{tops.pop()}/" if len(tops) == 1 and all("/" in file.name for file in files) else ""
    for root in dict.fromkeys(("", wrapper)):
        metadata = next((file for file in files if file.name == root + GRADESCOPE), None)
        if metadata is not None:
            return _gradescope(files, metadata)
        course = "" if path.name == "submitted" and not root else f"{root}submitted/"
        submitted = [
            (parts, file)
            for file in files
            if file.name.startswith(course) and len(parts := tuple(file.name[len(course) :].split("/"))) == 3
        ]
        if submitted:
            return _nbgrader(submitted, assignment_id)
    named_by_canvas = [file for file in files if _canvas_match(file)]
    if 2 * len(named_by_canvas) > len(files):
        return _canvas(files)
    return _plain(files)


def _newest(found: Iterable[Received]) -> tuple[list[Received], list[Problem]]:
    by_owner = defaultdict[Owner, list[Received]](list)
    for received in found:
        by_owner[received.owner].append(received)
    newest, left_out = list[Received](), list[Problem]()
    for attempts in by_owner.values():
        best = max(attempts, key=lambda attempt: (-NOTEBOOK_SUFFIXES.index(_suffix(attempt.name)), attempt.order))
        newest.append(best)
        left_out += [
            Problem(attempt.file.name, f"{best.file.name} was graded in its place.", attempt.owner, is_serious=False)
            for attempt in attempts
            if attempt is not best
        ]
    return newest, left_out


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


def _not_a_notebook(received: Received) -> Problem:
    is_typed = TYPED_IN.search(received.file.name)
    message = "The student typed in text." if is_typed else "It is not a notebook."
    message += f" There is nothing to grade: notebooks end in {', '.join(NOTEBOOK_SUFFIXES)}."
    return Problem(received.file.name, message, received.owner)


# -------------------------------------------------------------------------------------------------------- platforms


def _plain(files: Iterable[File]) -> Iterator[Received | Problem]:
    for file in files:
        path = PurePosixPath(file.name)
        if path.suffix.lower() in (*NOTEBOOK_SUFFIXES, ARCHIVE) and path.name.lower() != "readme.md":
            student = str(path.with_suffix(""))
            yield Received(owner=Owner("plain", student), file=file, name=path.name, order=file.modified)


def _canvas_match(file: File) -> re.Match[str] | None:
    name = PurePosixPath(file.name).name
    return CANVAS_ANONYMOUS.fullmatch(name) or CANVAS.fullmatch(name)


def _canvas(files: Iterable[File]) -> Iterator[Received | Problem]:
    for file in files:
        match = _canvas_match(file)
        if match is None:
            if _suffix(file.name) in NOTEBOOK_SUFFIXES:
                yield Problem(file.name, "Canvas does not name files like this, so its owner is unknown.")
            continue
        groups = match.groupdict()
        yield Received(
            owner=Owner("canvas", groups["user"]),
            file=file,
            name=groups["file"],
            display=groups.get("name") or "",
            is_late=bool(groups["late"]),
            order=float(groups["attachment"]),
            give_back=str(PurePosixPath(file.name).with_suffix(".html").name),
        )


def _moodle(files: Iterable[File]) -> Iterator[Received | Problem]:
    for file in files:
        match = MOODLE.fullmatch(file.name)
        if match is None:
            if _suffix(file.name) in NOTEBOOK_SUFFIXES:
                yield Problem(file.name, "Moodle does not name files like this, so its owner is unknown.")
            continue
        yield Received(
            owner=Owner("moodle", match["user"]),
            file=file,
            name=PurePosixPath(match["file"]).name,
            display=match["name"],
            order=file.modified,
            give_back=f"{match['prefix']}feedback.html",
        )


def _gradescope(files: Iterable[File], metadata: File) -> Iterator[Received | Problem]:
    described = _described(metadata)
    if isinstance(described, Problem):
        yield described  # without it, the names of the folders stand for the students
    root = PurePosixPath(metadata.name).parent
    described = described if isinstance(described, dict) else {}
    for file in files:
        path = PurePosixPath(file.name)
        if file is metadata or not path.is_relative_to(root) or len(path.relative_to(root).parts) < 2:
            continue
        folder = path.relative_to(root).parts[0]
        entry = described.get(folder)
        entry = entry if isinstance(entry, dict) else {}
        submitters = entry.get(":submitters")
        people = [person for person in submitters if isinstance(person, dict)] if isinstance(submitters, list) else []
        for person in people or [{}]:
            student = _text(person.get(":sid")) or _text(person.get(":email")) or folder
            yield Received(
                owner=Owner("gradescope", student),
                file=file,
                name=path.name,
                display=_text(person.get(":name")),
                order=_seconds(entry.get(":created_at")) or file.modified,
            )


def _described(metadata: File) -> Any:
    content = metadata.read()
    if isinstance(content, Unreadable):
        return Problem(metadata.name, content.problem)
    try:
        return yaml.load(content, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe
    except (yaml.YAMLError, UnicodeError, ValueError, RecursionError) as error:
        return Problem(metadata.name, f"It cannot be read as YAML ({str(error).splitlines()[0][:200]}).")


def _nbgrader(files: Sequence[tuple[tuple[str, ...], File]], assignment_id: str | None) -> Iterator[Received | Problem]:
    folders = sorted({parts[1] for parts, _ in files})
    if len(folders) > 1:
        if assignment_id not in folders:
            raise UsageError(
                f"The course has several assignments: {', '.join(folders)}.", "Name the one to grade with -a."
            )
        folders = [assignment_id]
    stamps = {parts[:2]: file for parts, file in files if parts[2] == "timestamp.txt"}
    for parts, file in files:
        student, folder, name = parts
        if folder not in folders or name == "timestamp.txt":
            continue
        stamp = stamps.get(parts[:2])
        yield Received(
            owner=Owner("nbgrader", student),
            file=file,
            name=name,
            order=(_stamp(stamp) if stamp else 0.0) or file.modified,
            give_back=f"feedback/{student}/{folder}/{PurePosixPath(name).with_suffix('.html')}",
        )


def _text(value: Any) -> str:
    return str(value).strip() if isinstance(value, (str, int)) else ""


def _stamp(file: File) -> float:
    content = file.read()
    text = b"" if isinstance(content, Unreadable) else content[:100]
    words = text.decode("ascii", "replace").split()
    try:
        return _seconds(dt.datetime.fromisoformat(" ".join(words[:2])))
    except ValueError:
        return 0.0


def _seconds(moment: Any) -> float:
    """A moment from YAML, in seconds. YAML reads what Ruby writes, `2026-02-01 10:00:00 +0000`, as text."""
    if isinstance(moment, str):
        with contextlib.suppress(ValueError):
            moment = dt.datetime.strptime(moment.replace("UTC", "+0000"), "%Y-%m-%d %H:%M:%S %z")
    if not isinstance(moment, dt.datetime):
        return 0.0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.timezone.utc)
    return float(moment.timestamp())
