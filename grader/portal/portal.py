"""
A running course: its file, its assignments, its database, and the topics that pages subscribe to.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import sqlalchemy as sa

from grader.classroom.gradebook import Gradebook
from grader.errors import UsageError
from grader.portal.changes import Changes
from grader.portal.course import Course, open_course
from grader.portal.database import open_database
from grader.portal.people import Listed, enrol, read_roster
from grader.portal.served import Served, load_assignments
from grader.portal.tables import SECRETS

__all__ = ["Portal", "now_utc", "open_portal", "topic_of"]

EVERYTHING = "everything"
"""The topic of those who watch the class."""


def now_utc() -> dt.datetime:
    """The time of this machine."""
    return dt.datetime.now(dt.timezone.utc)


def topic_of(person: int) -> str:
    """The topic of a person's own pages."""
    return f"person {person}"


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Portal:
    """
    A course that is served.

    Attributes:
        clock: Returns the moment; tests set it.
        secret: Signs receipts; it is in the database.
    """

    folder: Path
    course: Course
    gradebook: Gradebook
    served: dict[str, Served]
    secret: bytes
    clock: Callable[[], dt.datetime] = now_utc
    changes: Changes = dataclasses.field(default_factory=Changes)

    @property
    def secrets(self) -> tuple[Path, ...]:
        """Files and folders that no notebook may see."""
        named = [self.folder / name for name in (self.course.solutions, self.course.roster) if name]
        place = self.gradebook.place
        files = [] if "://" in place else [Path(f"{place}{suffix}") for suffix in ("", "-wal", "-shm")]
        return tuple(path.absolute() for path in (self.folder, *named, *files))

    def begin(self) -> contextlib.AbstractContextManager[sa.Connection]:
        """A transaction in the database."""
        return self.gradebook.begin()

    def tell(self, *people: int) -> None:
        """Say that something of these people has changed."""
        self.changes.publish(EVERYTHING, *map(topic_of, people))


@contextlib.contextmanager
def open_portal(folder: Path, *, clock: Callable[[], dt.datetime] = now_utc) -> Iterator[Portal]:
    """
    Open a course: check its file, load its assignments, migrate its database, and enrol its roster.

    Raises:
        UsageError: Something of it cannot be used.
    """
    course = open_course(folder)
    served = load_assignments(course, folder)
    with contextlib.closing(open_database(course, folder)) as gradebook:
        with gradebook.begin() as connection:
            secret = _secret(connection)
            if course.roster:
                enrol(connection, _roster(folder / course.roster), by=course.roster, now=clock(), is_whole=False)
        yield Portal(folder=folder, course=course, gradebook=gradebook, served=served, secret=secret, clock=clock)


def _roster(path: Path) -> list[Listed]:
    try:
        return read_roster(path.read_text(encoding="utf-8-sig"), where=str(path))
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}).", "Correct `roster` in course.toml.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not in UTF-8.", "Save it as CSV UTF-8.") from error


def _secret(connection: sa.Connection) -> bytes:
    found = connection.execute(sa.select(SECRETS.c.value).where(SECRETS.c.name == "receipts")).scalar_one_or_none()
    if found is not None:
        return bytes(found)
    made = secrets.token_bytes(32)
    connection.execute(sa.insert(SECRETS).values(name="receipts", value=made))
    return made
