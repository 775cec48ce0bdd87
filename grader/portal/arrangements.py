"""
What an instructor arranges: extensions for a student, and marks that are withheld.
"""

from __future__ import annotations

import dataclasses
import datetime as dt

import sqlalchemy as sa

from grader.portal.audit import note
from grader.portal.people import Person
from grader.portal.tables import EXTENSIONS, HOLDS

__all__ = ["Extension", "extend", "extension_of", "extensions", "held", "hold", "let_go"]


@dataclasses.dataclass(frozen=True, slots=True)
class Extension:
    """A later due date, and more attempts, for one student."""

    due: dt.datetime | None = None
    attempts: int = 0


def extend(
    connection: sa.Connection, person: Person, assignment: str, extension: Extension, *, by: str, now: dt.datetime
) -> None:
    """Give a student an extension; it replaces an earlier one."""
    values = {"person": person.id, "assignment": assignment, "due": extension.due, "attempts": extension.attempts}
    connection.execute(sa.insert(EXTENSIONS).values(**values, made_at=now))
    due = f"due {extension.due.isoformat()}" if extension.due else "no other due date"
    about = f"{person.student}, {assignment}: {due}, {extension.attempts} more attempts"
    note(connection, by=by, what="extension", about=about, now=now)


def extension_of(connection: sa.Connection, person: Person, assignment: str) -> Extension:
    """The extension that counts for a student; an empty one if there is none."""
    return extensions(connection, assignment, person.id).get(person.id, Extension())


def extensions(connection: sa.Connection, assignment: str, person: int | None = None) -> dict[int, Extension]:
    """The extensions that count for an assignment, by person."""
    found = sa.select(EXTENSIONS).where(EXTENSIONS.c.assignment == assignment).order_by(EXTENSIONS.c.id)
    if person is not None:
        found = found.where(EXTENSIONS.c.person == person)
    return {row.person: Extension(row.due, row.attempts) for row in connection.execute(found)}


def hold(connection: sa.Connection, assignment: str, person: Person | None, *, by: str, now: dt.datetime) -> None:
    """Withhold marks and reports: from one student, or from all."""
    if person is not None and person.id in held(connection, assignment):
        return
    if person is None and None in held(connection, assignment):
        return
    values = {"person": None if person is None else person.id, "assignment": assignment, "made_at": now}
    connection.execute(sa.insert(HOLDS).values(values))
    about = f"{assignment}, {'everybody' if person is None else person.student}"
    note(connection, by=by, what="withhold", about=about, now=now)


def let_go(connection: sa.Connection, assignment: str, person: Person | None, *, by: str, now: dt.datetime) -> None:
    """Release what was withheld."""
    is_it = HOLDS.c.person.is_(None) if person is None else HOLDS.c.person == person.id
    is_it &= (HOLDS.c.assignment == assignment) & HOLDS.c.released_at.is_(None)
    if connection.execute(sa.update(HOLDS).where(is_it).values(released_at=now)).rowcount:
        about = f"{assignment}, {'everybody' if person is None else person.student}"
        note(connection, by=by, what="release", about=about, now=now)


def held(connection: sa.Connection, assignment: str) -> set[int | None]:
    """From whom marks are withheld, by the numbers of persons; None stands for all."""
    found = sa.select(HOLDS.c.person).where(HOLDS.c.assignment == assignment, HOLDS.c.released_at.is_(None))
    return set(connection.execute(found).scalars())
