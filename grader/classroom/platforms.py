"""
Recognises what a course platform exports by the names in it, and finds out whose each file is.

    canvas        lovelaceada_LATE_4021_998877_notebook.ipynb
    moodle        Ada Lovelace_12345_assignsubmission_file/notebook.ipynb
    gradescope    submission_metadata.yml, submission_123456/notebook.ipynb
    nbgrader      submitted/ada/two_layer_mse/notebook.ipynb
    repositories  two-layer-ada/.git, two-layer-ada/notebook.ipynb
    plain         anything else: notebooks, each named after its student; of a portal's download, those in `submissions`
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from grader.classroom import PLATFORMS
from grader.classroom.archives import find_repositories
from grader.classroom.canvas import canvas_name, contested, why_not_canvas
from grader.classroom.records import File, Owner, Problem, Received
from grader.errors import UsageError
from grader.notebook.read import NOTEBOOK_SUFFIXES, Unreadable, notebook_stem, notebook_suffix

__all__ = ["ARCHIVE", "plain", "recognise"]

ARCHIVE = ".zip"
MOODLE = re.compile(
    r"(?P<prefix>(?P<name>[^/]*?)_(?P<user>\d+)_assignsubmission_(?P<plugin>[a-z]+)(?:_/|/|_))(?P<file>.+)"
)
GRADESCOPE = "submission_metadata.yml"
DOWNLOAD = ("marks.csv", "gradebook.csv", "gradebook.json")
"""What lies at the top of a portal's download, beside its folders."""
COUNTING, OTHERS, PAGES = "submissions/", "other-attempts/", ("reports/", "withheld/")
"""The folders of a portal's download: the attempt of each student that counts, all others, and reports."""
DOCUMENTS = (".html", ".htm", ".pdf", ".docx", ".doc", ".odt", ".rar", ".7z", ".tar", ".gz", ".tgz", ".xz")
"""What people hand in by mistake. Other files in a plain folder are taken for data."""


def _is_work(name: str) -> bool:
    """Whether a file is a notebook, or an archive that may contain one."""
    return notebook_suffix(name) in (*NOTEBOOK_SUFFIXES, ARCHIVE)


def recognise(
    path: Path, files: Sequence[File], *, assignment_id: str | None, platform: str | None
) -> Iterable[Received | Problem]:
    """
    Find the owner of each file.

    A platform is recognised by the names that it gives itself, never by names that a student may choose. Students
    choose names below the top level. So the level below counts only if a single folder contains everything. In doubt,
    each file is taken for another student's, and a problem says so.

    Args:
        path: The folder or archive that the files are in.
        platform: One of `PLATFORMS`, if somebody named it.

    Raises:
        UsageError: The platform that was named does not name files like these, or an nbgrader course has several
            assignments.
    """
    asked = PLATFORMS if platform is None else (platform,)
    wrapper = _wrapper(files)
    repositories = find_repositories(path) if "repositories" in asked else []
    # A single repository is a student's: what its files are named says nothing.
    roots = ("",) if wrapper and wrapper[:-1] in repositories else ("", wrapper)
    for root in dict.fromkeys(roots):
        if "moodle" in asked and _is_moodle(files, root, is_asked=platform is not None):
            return _moodle(files, root)
    for root in dict.fromkeys(roots):
        metadata = next((file for file in files if file.name == root + GRADESCOPE), None)
        if "gradescope" in asked and metadata is not None:
            return _gradescope(files, metadata)
        course = "" if path.name == "submitted" and not root else f"{root}submitted/"
        inside = [(file.name[len(course) :], file) for file in files if file.name.startswith(course)]
        if "nbgrader" in asked and any(name.count("/") > 1 for name, _ in inside):
            return _nbgrader(inside, assignment_id)
    if repositories and (platform or _are_most(repositories, files, wrapper)):
        return _repositories(files, repositories)
    if "canvas" in asked:
        named = [name for file in files if (name := canvas_name(file.name)) is not None]
        if named and (platform or 2 * len(named) > len(files)):
            doubt = "" if platform else why_not_canvas(named)
            return [Problem(path.name, doubt, is_serious=False), *plain(files)] if doubt else _canvas(files)
    if "plain" in asked:
        names = {file.name for file in files}
        places = [place for place in roots if {f"{place}{name}" for name in DOWNLOAD} <= names]
        return _download(files, places[0]) if places else plain(files)
    raise UsageError(
        f"{path} does not look like a download for --platform {platform}.",
        "Choose another platform, or leave the option out.",
    )


def _wrapper(files: Sequence[File]) -> str:
    """The single folder that contains everything, with a slash; empty if there is none."""
    tops = {file.name.partition("/")[0] for file in files}
    return f"{tops.pop()}/" if len(tops) == 1 and all("/" in file.name for file in files) else ""


def _is_moodle(files: Sequence[File], root: str, *, is_asked: bool) -> bool:
    """
    Whether most files and folders in `root` have names from Moodle; if somebody said so, one is enough.

    After the numbers that Canvas puts before each name, a student may have written whatever Moodle writes.
    """
    inside = [name for file in files if _is_listed(name := file.name[len(root) :])]
    tops = {name.partition("/")[0]: bool(MOODLE.fullmatch(name)) for name in inside}
    named = [top for top, is_named in tops.items() if is_named and canvas_name(top) is None]
    return bool(named) and (is_asked or 2 * len(named) > len(tops))


def _is_listed(name: str) -> bool:
    return _is_work(name) or MOODLE.fullmatch(name) is not None


def _are_most(repositories: Sequence[str], files: Sequence[File], wrapper: str) -> bool:
    """Whether there are several, in most of the folders: a student may hand in a repository, or many."""
    units = {file.name[len(wrapper) :].partition("/")[0] for file in files if _is_work(file.name)}
    cloned = {folder[len(wrapper) :].partition("/")[0] for folder in repositories if folder.startswith(wrapper)}
    return len(repositories) > 1 and 2 * len(cloned) > len(units | cloned)


def plain(files: Iterable[File]) -> Iterator[Received]:
    """Each file is the work of the student whose name it bears; those with the same name but for the suffix belong."""
    for file in files:
        path = PurePosixPath(file.name)
        owner = Owner("plain", str(path.with_name(notebook_stem(path.name) or path.name)))
        if (_is_work(path.name) and path.name.lower() != "readme.md") or path.suffix.lower() in DOCUMENTS:
            yield Received(owner=owner, file=file, name=path.name, order=file.modified)


def _download(files: Iterable[File], root: str) -> Iterator[Received | Problem]:
    """Of a portal's download, the attempts that count; the portal has named everything in it."""
    has_others = False
    for file in files:
        place = file.name[len(root) :]
        if place.startswith(COUNTING):
            for found in plain([file]):
                student = PurePosixPath(found.owner.student).relative_to(f"{root}{COUNTING}")
                yield dataclasses.replace(found, owner=Owner("plain", str(student)))
        elif place.startswith(OTHERS):
            has_others = True
        elif not place.startswith(PAGES):
            yield from _of_nobody(file, "The portal did not put it there, so its owner is unknown.")
    if has_others:
        yield Problem(f"{root}{OTHERS}", "These attempts do not count, and were not graded.", is_serious=False)


def _canvas(files: Sequence[File]) -> Iterator[Received | Problem]:
    forged = contested([name for file in files if (name := canvas_name(file.name)) is not None])
    for file in files:
        named = canvas_name(file.name)
        if named in forged:
            yield from _of_nobody(file, "Its name can be read in two ways, so its owner is unknown.")
            continue
        if named is None:
            yield from _of_nobody(file, "Canvas does not name files like this, so its owner is unknown.")
            continue
        yield Received(
            owner=Owner("canvas", named.user),
            file=file,
            name=named.file,
            display=named.name or "",
            is_late=named.is_late,
            order=float(named.attachment),
            give_back=str(PurePosixPath(file.name).with_suffix(".html").name),
        )


def _moodle(files: Iterable[File], root: str) -> Iterator[Received | Problem]:
    for file in files:
        match = MOODLE.fullmatch(file.name[len(root) :])
        if match is None:
            yield from _of_nobody(file, "Moodle does not name files like this, so its owner is unknown.")
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
    shared = _shared_ids(described)
    for file in files:
        path = PurePosixPath(file.name)
        if not path.is_relative_to(root) or len(path.relative_to(root).parts) < 2:
            if file is not metadata:
                yield from _of_nobody(file, "It is not in the folder of a submission, so its owner is unknown.")
            continue
        folder = path.relative_to(root).parts[0]
        entry = described.get(folder)
        entry = entry if isinstance(entry, dict) else {}
        for person in _submitters(entry) or [{}]:
            sid, email = _text(person.get(":sid")), _text(person.get(":email"))
            student = (email if sid.lower() in shared else sid) or email or folder
            yield Received(
                owner=Owner("gradescope", student),
                file=file,
                name=path.name,
                display=_text(person.get(":name")),
                order=_seconds(entry.get(":created_at")) or file.modified,
                attempt=folder,
            )


def _described(metadata: File) -> Any:
    content = metadata.read()
    if isinstance(content, Unreadable):
        return Problem(metadata.name, content.problem)
    try:
        return yaml.load(content, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe
    except (yaml.YAMLError, UnicodeError, ValueError, RecursionError) as error:
        return Problem(metadata.name, f"It cannot be read as YAML ({str(error).splitlines()[0][:200]}).")


def _submitters(entry: dict[str, Any]) -> list[dict[str, Any]]:
    people = entry.get(":submitters")
    return [person for person in people if isinstance(person, dict)] if isinstance(people, list) else []


def _shared_ids(described: dict[str, Any]) -> set[str]:
    """Ids that several people have, such as `0` or `none`, or that are another person's address or folder."""
    emails = defaultdict[str, set[str]](set)
    for folder, entry in described.items():
        emails[_text(folder).lower()].add(_text(folder))
        for person in _submitters(entry) if isinstance(entry, dict) else ():
            email = _text(person.get(":email")).lower()
            emails[_text(person.get(":sid")).lower()].add(email)
            emails[email].add(email)
    return {sid for sid, people in emails.items() if len(people - {""}) > 1}


def _nbgrader(inside: Sequence[tuple[str, File]], assignment_id: str | None) -> Iterator[Received | Problem]:
    placed = [(tuple(name.split("/", 2)), file) for name, file in inside]
    folders = sorted({parts[1] for parts, _ in placed if len(parts) > 2})
    if len(folders) > 1:
        if assignment_id not in folders:
            raise UsageError(
                f"The course has several assignments: {', '.join(folders)}.", "Name the one to grade with -a."
            )
        folders = [assignment_id]
    stamps = {parts[:2]: file for parts, file in placed if parts[2:] == ("timestamp.txt",)}
    for parts, file in placed:
        if len(parts) < 3:
            yield from _of_nobody(file, "It is not in the folder of an assignment, so it was not graded.")
            continue
        student, folder, name = parts
        if folder not in folders or name == "timestamp.txt":
            continue
        stamp = stamps.get(parts[:2])
        yield Received(
            owner=Owner("nbgrader", student),
            file=file,
            name=PurePosixPath(name).name,
            order=(_stamp(stamp) if stamp else 0.0) or file.modified,
            give_back=f"feedback/{student}/{folder}/{PurePosixPath(name).with_suffix('.html')}",
        )


def _repositories(files: Iterable[File], repositories: Sequence[str]) -> Iterator[Received | Problem]:
    """Each repository is a student's, whatever else lies in it."""
    names = _names_of(repositories)
    empty = dict.fromkeys(repositories)
    for file in files:
        repository = next((folder for folder in repositories if file.name.startswith(f"{folder}/")), None)
        if repository is None:
            yield from _of_nobody(file, "It is in none of the repositories, so its owner is unknown.")
        elif _is_work(file.name):
            empty.pop(repository, None)
            owner, name = Owner("repositories", names[repository]), PurePosixPath(file.name).name
            yield Received(owner=owner, file=file, name=name, order=file.modified)
    for repository in empty:
        owner = Owner("repositories", names[repository])
        yield Problem(repository, "There is no notebook in this repository.", owner)


def _names_of(repositories: Sequence[str]) -> dict[str, str]:
    """The student of each repository: `ada` for `two-layer-submissions/two-layer-ada`, as `gh classroom` clones it."""
    parent = os.path.commonpath([PurePosixPath(folder).parent for folder in repositories])
    short = {folder: PurePosixPath(folder).relative_to(parent).as_posix() for folder in repositories}
    slug = f"{PurePosixPath(parent).name.removesuffix('-submissions')}-"
    if parent.endswith("-submissions") and all(
        len(name) > len(slug) and name.startswith(slug) for name in short.values()
    ):
        return {folder: name.removeprefix(slug) for folder, name in short.items()}
    return short


def _of_nobody(file: File, message: str) -> Iterator[Problem]:
    if _is_work(file.name):
        yield Problem(file.name, message)


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
