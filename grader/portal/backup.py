"""
Copies a course while it is being served.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from grader.errors import UsageError
from grader.files import replace_atomically
from grader.portal.course import FILE, open_course
from grader.portal.database import VARIABLE

__all__ = ["back_up", "sources_elsewhere"]


def back_up(folder: Path, archive: Path) -> list[str]:
    """
    Write `course.toml`, the roster, the source notebooks and the database into a zip archive.

    The database is as it is at one moment. Source notebooks are only in it if they are in the course's folder.

    Returns:
        list: The files and folders in the archive. To restore, unpack it into an empty folder.

    Raises:
        UsageError: The course cannot be read, its database is not a file, or the archive cannot be written.
    """
    course = open_course(folder)
    place = os.environ.get(VARIABLE) or course.gradebook
    if "://" in place:
        raise UsageError("The database is not a file in the course's folder.", "Back it up with pg_dump.")
    database, home = folder / place, folder.resolve()
    sources = (folder / course.solutions).resolve() if course.solutions and not sources_elsewhere(folder) else None
    if not database.is_file():
        raise UsageError(f"There is no {database} yet.", "It is made when the course is served or checked.")
    try:
        with replace_atomically(archive) as file, tempfile.TemporaryDirectory(dir=archive.parent) as scratch:
            copy = Path(scratch) / "copy.db"
            with (
                contextlib.closing(sqlite3.connect(database)) as source,
                contextlib.closing(sqlite3.connect(copy)) as target,
            ):
                source.backup(target)
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
                packed.write(folder / FILE, FILE)
                if course.roster:
                    packed.write(folder / course.roster, course.roster)
                packed.write(copy, place)
                names = packed.namelist()
                if sources is not None:
                    for path in _visible_in(sources):
                        packed.write(path, path.relative_to(home))
                    names.append(f"{sources.relative_to(home).as_posix()}/")
                return names
    except (OSError, sqlite3.Error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"The course cannot be copied to {archive} ({reason}).", "Name another file.") from error


def sources_elsewhere(folder: Path) -> Path | None:
    """
    The folder of source notebooks, if a backup of the course does not contain it.

    Raises:
        UsageError: The course cannot be read.
    """
    named = open_course(folder).solutions
    sources = (folder / named).resolve() if named else None
    return sources if sources is not None and folder.resolve() not in sources.parents else None


def _visible_in(directory: Path) -> Iterator[Path]:
    """All files in a folder and in the folders in it, but hidden ones."""
    for path in sorted(directory.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir() and not path.is_symlink():
            yield from _visible_in(path)
        elif path.is_file():
            yield path
