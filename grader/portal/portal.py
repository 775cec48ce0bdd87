"""
A running course: its file, its assignments, its database, and the topics that pages subscribe to.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import hashlib
import secrets
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import sqlalchemy as sa

from grader.authoring.misconceptions import problems_of_misconceptions
from grader.classroom.gradebook import Gradebook
from grader.errors import DraftError, UsageError
from grader.portal.changes import Changes
from grader.portal.course import FILE, Course, open_course
from grader.portal.database import open_database
from grader.portal.people import enrol
from grader.portal.readings import Readings
from grader.portal.roster import read_roster
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
        readings: The reports that were read lately.
    """

    folder: Path
    course: Course
    gradebook: Gradebook
    served: dict[str, Served]
    secret: bytes
    clock: Callable[[], dt.datetime] = now_utc
    changes: Changes = dataclasses.field(default_factory=Changes)
    readings: Readings = dataclasses.field(default_factory=Readings)
    reloading: threading.Lock = dataclasses.field(default_factory=threading.Lock)

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

    def reload(self) -> list[Served]:
        """
        Read the source notebooks again, and use them from now on.

        Returns:
            list: The assignments that have changed. Their results have to be judged again.

        Raises:
            GraderError: One cannot be used, or a mistake is named in it that would never be recognised. Then all
                assignments stay as they were.
        """
        with self.reloading:
            fresh = load_assignments(self.course, self.folder)
            changed = [each for each in fresh.values() if each.differs_from(self.served[each.id])]
            for each in changed:
                for problem in problems_of_misconceptions(each.assignment):
                    raise UsageError(f"{each.source.name}: {problem}", "Correct the source notebook.")
            self.served.update({each.id: each for each in changed})
        return changed

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
    folder = folder.absolute()  # while an assignment with data is loaded, the working directory is another one
    course = open_course(folder)
    try:
        served = load_assignments(course, folder)
    except DraftError as error:
        hint = f"{error.hint} Or leave it out until it is finished: delete its [[assignment]] in {folder / FILE}."
        raise DraftError(error.message, hint) from error
    with contextlib.closing(open_database(course, folder)) as gradebook:
        with gradebook.begin() as connection:
            secret = _secret(connection)
            if course.roster:
                _enrol_file(connection, folder / course.roster, clock())
        yield Portal(folder=folder, course=course, gradebook=gradebook, served=served, secret=secret, clock=clock)


def _enrol_file(connection: sa.Connection, path: Path, now: dt.datetime) -> None:
    """Enrol the people in a file, unless it was done with the same file before: since then the portal may know more."""
    try:
        content = path.read_bytes()
        listed = read_roster(content.decode("utf-8-sig"), where=str(path))
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}).", "Correct `roster` in course.toml.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not in UTF-8.", "Save it as CSV UTF-8.") from error
    digest, is_it = hashlib.sha256(content).digest(), SECRETS.c.name == "roster"
    before = connection.execute(sa.select(SECRETS.c.value).where(is_it)).scalar_one_or_none()
    if before is None or bytes(before) != digest:
        enrol(connection, listed, by=path.name, now=now)
        connection.execute(sa.delete(SECRETS).where(is_it))
        connection.execute(sa.insert(SECRETS).values(name="roster", value=digest))


def _secret(connection: sa.Connection) -> bytes:
    found = connection.execute(sa.select(SECRETS.c.value).where(SECRETS.c.name == "receipts")).scalar_one_or_none()
    if found is not None:
        return bytes(found)
    made = secrets.token_bytes(32)
    connection.execute(sa.insert(SECRETS).values(name="receipts", value=made))
    return made
