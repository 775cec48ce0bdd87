"""
The people of a course.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Collection, Iterable

import sqlalchemy as sa

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
    "remove_person",
    "set_staff",
]

PLATFORM = "portal"
"""What the gradebook calls the platform of those who hand in here."""
MOST_NAMES = 50
"""How many people a line of the audit trail names."""
FEW = 100
"""So many people are looked up by their names; for more, everybody is."""


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
    entries = list(listed)
    few = [entry.student for entry in entries] if not is_whole and len(entries) <= FEW else None
    known = {person.student: person for person in people(connection, named=few)}
    added, changed = [], []
    for entry in entries:
        values = {**dataclasses.asdict(entry), "is_active": True}
        before = known.get(entry.student)
        if before is None:
            added.append({**values, "added_at": now})
        elif any(getattr(before, name) != value for name, value in values.items()):
            connection.execute(sa.update(PEOPLE).where(PEOPLE.c.id == before.id).values(values))
            changed.append(entry.student)
    if added:
        connection.execute(sa.insert(PEOPLE), added)
    gone: list[Person] = []
    if is_whole:
        names = {entry.student for entry in entries}
        gone = [each for each in known.values() if each.is_active and not each.is_staff and each.student not in names]
        numbers = [person.id for person in gone]
        connection.execute(sa.update(PEOPLE).where(PEOPLE.c.id.in_(numbers)).values(is_active=False))
    if added or changed or gone:
        about = (
            f"{_counted([str(each['student']) for each in added])} added, {_counted(changed)} changed, "
            f"{_counted([person.student for person in gone])} left"
        )
        note(connection, by=by, what="roster", about=about, now=now)
    return len(added), len(changed), len(gone)


def remove_person(connection: sa.Connection, person: Person, *, by: str, now: dt.datetime) -> None:
    """Let somebody no longer sign in. Their attempts stay, and the roster may bring them back."""
    connection.execute(sa.update(PEOPLE).where(PEOPLE.c.id == person.id).values(is_active=False))
    note(connection, by=by, what="remove", about=person.student, now=now)


def set_staff(connection: sa.Connection, person: Person, is_staff: bool, *, by: str, now: dt.datetime) -> None:
    """Make somebody staff, or a student."""
    connection.execute(sa.update(PEOPLE).where(PEOPLE.c.id == person.id).values(is_staff=is_staff))
    note(connection, by=by, what="role", about=f"{person.student}: {'staff' if is_staff else 'student'}", now=now)


def _counted(names: list[str]) -> str:
    more = ", …" if len(names) > MOST_NAMES else ""
    return f"{len(names)}" + (f" ({', '.join(names[:MOST_NAMES])}{more})" if names else "")


def people(
    connection: sa.Connection, *, only_active: bool = False, named: Collection[str] | None = None
) -> list[Person]:
    """Everybody, or those with these ids of the roster, in the order of their names and ids."""
    found = sa.select(PEOPLE).order_by(PEOPLE.c.name, PEOPLE.c.student)
    if named is not None:
        found = found.where(PEOPLE.c.student.in_(named))
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
