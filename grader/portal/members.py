"""
People whom a learning platform vouches for, as people of this course.

The first time, somebody is the person of the roster with the same email address and the same role, if there is exactly
one; otherwise somebody new. From then on, the platform's name for them decides.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from grader.portal.audit import note
from grader.portal.lti.tables import insert_if_new
from grader.portal.people import Listed, Person, enrol, find_person, find_student, people
from grader.portal.tables import ATTEMPTS, CONTEXTS, MEMBERS, PEOPLE

__all__ = [
    "Context",
    "Vouched",
    "allow_context",
    "contexts",
    "has_roster",
    "is_allowed",
    "number_of_contexts",
    "person_for",
    "take_over",
]

TEXT_LIMIT = 200


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Vouched:
    """
    Somebody, as a platform describes them.

    Attributes:
        platform: The platform's number.
        subject: What it calls the person.
        name, email: Empty if it does not share them.
    """

    platform: int
    subject: str
    name: str
    email: str
    is_staff: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Context:
    """A course of a platform; its teachers are staff here, once it is allowed."""

    id: int
    platform: int
    context: str
    title: str
    roster_address: str
    is_allowed: bool


def is_allowed(connection: sa.Connection, platform: int, context: str, *, title: str, roster_address: str) -> bool:
    """
    Whether those who come from a course of a platform get in. If it is new, it is noted, and nobody does.

    Whoever teaches any course of a platform is an instructor there, so that alone means nothing here.
    """
    values = {"title": _text(title), "roster_address": roster_address, "is_allowed": False}
    insert_if_new(connection, CONTEXTS, ["platform", "context"], platform=platform, context=context, **values)
    is_it = (CONTEXTS.c.platform == platform) & (CONTEXTS.c.context == context)
    if roster_address:
        connection.execute(sa.update(CONTEXTS).where(is_it).values(roster_address=roster_address))
    return bool(connection.execute(sa.select(CONTEXTS.c.is_allowed).where(is_it)).scalar_one())


def contexts(connection: sa.Connection, *, allowed: bool, find: str = "", most: int | None = None) -> list[Context]:
    """
    The courses of platforms from which somebody came, the newest first: those that are allowed, or those that are not.

    Args:
        find: A part of a title or an id, in upper or lower case; empty for all.
        most: How many are returned; None for all.
    """
    rows = sa.select(CONTEXTS).where(_is_such(allowed, find)).order_by(CONTEXTS.c.id.desc()).limit(most)
    return [
        Context(row.id, row.platform, row.context, row.title, row.roster_address, row.is_allowed)
        for row in connection.execute(rows)
    ]


def number_of_contexts(connection: sa.Connection, *, allowed: bool, find: str = "") -> int:
    """How many courses `contexts` would return."""
    counted = sa.select(sa.func.count()).select_from(CONTEXTS).where(_is_such(allowed, find))
    return int(connection.execute(counted).scalar_one())


def has_roster(connection: sa.Connection) -> bool:
    """Whether the platform of an allowed course has said where its roster is."""
    is_it = CONTEXTS.c.is_allowed.is_(True) & (CONTEXTS.c.roster_address != "")
    return connection.execute(sa.select(CONTEXTS.c.id).where(is_it).limit(1)).one_or_none() is not None


def _is_such(allowed: bool, find: str) -> sa.ColumnElement[bool]:
    named = (column.icontains(find, autoescape=True) for column in (CONTEXTS.c.title, CONTEXTS.c.context))
    return sa.and_(CONTEXTS.c.is_allowed.is_(allowed), *([sa.or_(*named)] if find else []))


def allow_context(connection: sa.Connection, number: int, allowed: bool, *, by: str, now: dt.datetime) -> bool:
    """
    Let those in who come from a course of a platform, or no longer.

    Returns:
        bool: Whether there is such a course.
    """
    changed = sa.update(CONTEXTS).where(CONTEXTS.c.id == number).values(is_allowed=allowed)
    if connection.execute(changed).rowcount != 1:
        return False
    row = connection.execute(sa.select(CONTEXTS).where(CONTEXTS.c.id == number)).one()
    about = f"course {number} of platform {row.platform}: {row.title or row.context}"
    note(connection, by=by, what="course allowed" if allowed else "course refused", about=about, now=now)
    return True


def person_for(connection: sa.Connection, vouched: Vouched, *, by: str, now: dt.datetime) -> Person | None:
    """The person, added if unknown; None if the person has left the course."""
    known = _known(connection, vouched)
    if known is None:  # whoever opens a link twice comes twice at the same time
        is_from = CONTEXTS.c.platform == vouched.platform
        connection.execute(sa.update(CONTEXTS).where(is_from).values(platform=CONTEXTS.c.platform))
        known = _known(connection, vouched)
    if known is not None:
        person = find_person(connection, known.person)
        if person is not None and known.is_ours:
            _update(connection, person, vouched)
        return None if person is None else find_person(connection, person.id)
    listed = _in_roster(connection, vouched)
    person = listed or _added(connection, vouched, by=by, now=now)
    values = {"platform": vouched.platform, "subject": vouched.subject, "person": person.id, "is_ours": listed is None}
    connection.execute(sa.insert(MEMBERS).values(values))
    note(connection, by=by, what="platform", about=f"{vouched.subject} is {person.student}", now=now)
    return person


def take_over(connection: sa.Connection, everybody: Iterable[Vouched], *, by: str, now: dt.datetime) -> int:
    """
    Add everybody of a platform's roster.

    Returns:
        int: How many were not known before.
    """
    before = len(people(connection))
    for vouched in everybody:
        person_for(connection, vouched, by=by, now=now)
    return len(people(connection)) - before


def _known(connection: sa.Connection, vouched: Vouched) -> sa.Row[Any] | None:
    is_it = (MEMBERS.c.platform == vouched.platform) & (MEMBERS.c.subject == vouched.subject)
    return connection.execute(sa.select(MEMBERS).where(is_it)).one_or_none()


def _in_roster(connection: sa.Connection, vouched: Vouched) -> Person | None:
    """
    Whoever has this address and this role, if it is one person whom no platform has named yet.

    Who has handed in already is not meant: where people can enter any address, that would give their work away.
    """
    if not vouched.email.isascii() or not vouched.email.isprintable() or not vouched.email:
        return None  # letters that only look like others, or become them in lower case, are no match
    named = sa.select(MEMBERS.c.person)
    found = connection.execute(
        sa.select(PEOPLE.c.id).where(
            sa.func.lower(PEOPLE.c.email) == vouched.email.lower(),
            PEOPLE.c.is_staff == vouched.is_staff,
            PEOPLE.c.is_active,
            PEOPLE.c.id.not_in(named),
            PEOPLE.c.id.not_in(sa.select(ATTEMPTS.c.person)),
        )
    ).scalars()
    numbers = list(found)
    return find_person(connection, numbers[0]) if len(numbers) == 1 else None


def _added(connection: sa.Connection, vouched: Vouched, *, by: str, now: dt.datetime) -> Person:
    student = _new_name(connection, vouched)
    enrol(connection, [Listed(student, _text(vouched.name), _text(vouched.email), vouched.is_staff)], by=by, now=now)
    person = find_student(connection, student)
    assert person is not None
    return person


def _new_name(connection: sa.Connection, vouched: Vouched) -> str:
    """
    An id that nobody has, and that no roster will give to somebody else.

    Platforms count their people, and schools count theirs: the same number is not the same person.
    """
    name = f"{vouched.platform}:{_text(vouched.subject)}"[:TEXT_LIMIT]
    if connection.execute(sa.select(PEOPLE.c.id).where(PEOPLE.c.student == name)).one_or_none() is None:
        return name
    digest = hashlib.sha256(vouched.subject.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{name[: TEXT_LIMIT - len(digest) - 1]}:{digest}"


def _update(connection: sa.Connection, person: Person, vouched: Vouched) -> None:
    """Names and roles of those whom the platform brought may change there."""
    values = {"name": _text(vouched.name), "email": _text(vouched.email), "is_staff": vouched.is_staff}
    connection.execute(sa.update(PEOPLE).where(PEOPLE.c.id == person.id).values(values))


def _text(text: str) -> str:
    return "".join(character for character in text if character.isprintable())[:TEXT_LIMIT]
