"""
Opens a course's database: the gradebook, with the portal's tables in it, migrated to this version.
"""

from __future__ import annotations

import os
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError

from grader.classroom.gradebook import Gradebook, lock_tables
from grader.errors import UsageError
from grader.portal.course import Course

__all__ = ["VERSION_TABLE", "open_database"]

VERSION_TABLE = "portal_version"
"""Where Alembic notes how far a database was migrated."""
VARIABLE = "GRADER_GRADEBOOK"


def open_database(course: Course, folder: Path) -> Gradebook:
    """
    Open the gradebook of a course, and migrate it. A gradebook that `grader batch` made keeps all that it has.

    Raises:
        UsageError: The database cannot be used, or was made by a newer version.
    """
    place = os.environ.get(VARIABLE) or course.gradebook
    gradebook = Gradebook(place if "://" in place else str(folder / place))
    try:
        migrate(gradebook)
    except BaseException:
        gradebook.close()
        raise
    return gradebook


def migrate(gradebook: Gradebook) -> None:
    """
    Bring the portal's tables to this version. Several servers may do this at once.

    Raises:
        UsageError: The database was made by a newer version.
    """
    config = Config()
    config.set_main_option("script_location", "grader.portal:migrations")
    with gradebook.begin() as connection:
        lock_tables(connection)
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise UsageError(
                f"The gradebook {gradebook.place} was made by a newer grader.", "Use that version of the grader."
            ) from error
