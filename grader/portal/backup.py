"""
Copies a course while it is being served.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
import zipfile
from pathlib import Path

from grader.errors import UsageError
from grader.files import replace_atomically
from grader.portal.course import FILE, open_course
from grader.portal.database import VARIABLE

__all__ = ["back_up"]


def back_up(folder: Path, archive: Path) -> list[str]:
    """
    Write `course.toml`, the roster and the database into a zip archive, as they are at one moment.

    Returns:
        list: The names in the archive. To restore, unpack it into an empty folder.

    Raises:
        UsageError: The course cannot be read, its database is not a file, or the archive cannot be written.
    """
    course = open_course(folder)
    place = os.environ.get(VARIABLE) or course.gradebook
    if "://" in place:
        raise UsageError("The database is not a file in the course's folder.", "Back it up with pg_dump.")
    database = folder / place
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
                return packed.namelist()
    except (OSError, sqlite3.Error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"The course cannot be copied to {archive} ({reason}).", "Name another file.") from error
