"""
The people of a course, and the roster that they come from.
"""

from __future__ import annotations

import csv
import dataclasses
import datetime as dt
import io
from collections.abc import Iterable

import sqlalchemy as sa

from grader.errors import UsageError
from grader.portal.audit import note
from grader.portal.tables import PEOPLE

__all__ = [
    "PLATFORM",
    "Listed",
    "Person",
    "enrol",
    "find_person",
    "find_student",
    "lock_person",
    "people",
    "read_roster",
]

PLATFORM = "portal"
"""What the gradebook calls the platform of those who hand in here."""
TEXT_LIMIT = 200
COLUMNS = ("student", "name", "email", "role")
FROM_PLATFORMS = {
    "sis user id": "student",
    "sis id": "student",
    "sis login id": "student",
    "username": "student",
    "id number": "student",
    "user": "student",
    "id": "student",
    "full name": "name",
    "email address": "email",
    "e-mail": "email",
}
"""What learning platforms call these columns when they export a roster."""
STAFF = ("staff", "instructor", "teacher", "ta")
ROLES = ("", "student", "learner", *STAFF)


@dataclasses.dataclass(frozen=True, slots=True)
class Person:
    """Somebody of the course. `student` is the id in the roster and in the gradebook; staff have one, too."""

    id: int
    student: str
    name: str
    email: str
    is_staff: bool
    is_active: bool

    @property
    def display(self) -> str:
        """The name, or the id if no name is known."""
        return self.name or self.student


@dataclasses.dataclass(frozen=True, slots=True)
class Listed:
    """A line of a roster."""

    student: str
    name: str = ""
    email: str = ""
    is_staff: bool = False


def read_roster(text: str, *, where: str = "The roster") -> list[Listed]:
    """
    Read a roster: a CSV with a heading. Besides our own names of columns, those of Canvas and Moodle are known.

    Raises:
        UsageError: A column is missing, an id is missing or stands twice, or a role is unknown; it names the line.
    """
    text = text.removeprefix("\ufeff")
    first = text.partition("\n")[0]
    rows = csv.reader(io.StringIO(text), delimiter=max(",;\t", key=first.count))
    heading = [FROM_PLATFORMS.get(name.strip().lower(), name.strip().lower()) for name in next(rows, [])]
    if "student" not in heading:
        raise UsageError(f"{where} has no column `student`.", f"The columns are {', '.join(COLUMNS)}.")
    listed: dict[str, Listed] = {}
    for cells in rows:
        if not any(cell.strip() for cell in cells):
            continue
        row = dict(zip(reversed(heading), reversed([*cells, *[""] * (len(heading) - len(cells))]), strict=False))
        entry = _listed(row, f"{where}, line {rows.line_num}")
        if entry.student in listed:
            raise UsageError(f"{where}, line {rows.line_num}: {entry.student!r} stands twice.", "Remove one line.")
        listed[entry.student] = entry
    return list(listed.values())


def _listed(row: dict[str, str], where: str) -> Listed:
    student, role = row["student"].strip(), row.get("role", "").strip().lower()
    first_and_last = " ".join(row.get(key, "").strip() for key in ("first name", "last name")).strip()
    name = row.get("name", "").strip() or first_and_last
    if not student:
        raise UsageError(f"{where}: there is no id.", "Fill in the column `student`.")
    if role not in ROLES:
        raise UsageError(f"{where}: there is no role {role!r}.", "Write `student` or `staff`.")
    if max(map(len, (student, name, row.get("email", "")))) > TEXT_LIMIT or not (student + name).isprintable():
        raise UsageError(f"{where}: a text is too long or contains unprintable characters.", "Correct that line.")
    return Listed(student, name, row.get("email", "").strip(), role in STAFF)


def enrol(
    connection: sa.Connection, listed: Iterable[Listed], *, by: str, now: dt.datetime, is_whole: bool = False
) -> tuple[int, int, int]:
    """
    Add the people of a roster, and update those who are known.

    Args:
        is_whole: Whether students who are not listed have left: they can no longer sign in. Their attempts stay.

    Returns:
        tuple: How many were added, changed, and removed.
    """
    known = {person.student: person for person in people(connection)}
    added, changed = [], 0
    entries = list(listed)
    for entry in entries:
        values = {**dataclasses.asdict(entry), "is_active": True}
        before = known.get(entry.student)
        if before is None:
            added.append({**values, "added_at": now})
        elif any(getattr(before, name) != value for name, value in values.items()):
            connection.execute(sa.update(PEOPLE).where(PEOPLE.c.id == before.id).values(values))
            changed += 1
    if added:
        connection.execute(sa.insert(PEOPLE), added)
    removed = 0
    if is_whole:
        names = {entry.student for entry in entries}
        gone = [person.id for person in known.values() if person.is_active and not person.is_staff]
        gone = [number for number in gone if next(p for p in known.values() if p.id == number).student not in names]
        removed = len(gone)
        connection.execute(sa.update(PEOPLE).where(PEOPLE.c.id.in_(gone)).values(is_active=False))
    if added or changed or removed:
        note(connection, by=by, what="roster", about=f"{len(added)} added, {changed} changed, {removed} left", now=now)
    return len(added), changed, removed


def people(connection: sa.Connection, *, only_active: bool = False) -> list[Person]:
    """Everybody, in the order of their names and ids."""
    found = sa.select(PEOPLE).order_by(PEOPLE.c.name, PEOPLE.c.student)
    if only_active:
        found = found.where(PEOPLE.c.is_active)
    return [_person(row) for row in connection.execute(found)]


def find_person(connection: sa.Connection, number: int) -> Person | None:
    """The person with this number, if active."""
    row = connection.execute(sa.select(PEOPLE).where(PEOPLE.c.id == number, PEOPLE.c.is_active)).one_or_none()
    return None if row is None else _person(row)


def find_student(connection: sa.Connection, student: str) -> Person | None:
    """The person with this id of the roster, if active."""
    row = connection.execute(sa.select(PEOPLE).where(PEOPLE.c.student == student, PEOPLE.c.is_active)).one_or_none()
    return None if row is None else _person(row)


def lock_person(connection: sa.Connection, person: Person) -> None:
    """Let no other transaction do something for this person before this one ends."""
    connection.execute(sa.update(PEOPLE).where(PEOPLE.c.id == person.id).values(is_active=PEOPLE.c.is_active))


def _person(row: sa.Row[tuple[object, ...]]) -> Person:
    values = row._mapping
    return Person(**{field.name: values[field.name] for field in dataclasses.fields(Person)})
