"""
Signing in: personal links, sessions, and keys for programs. Only digests of secrets are saved.

A link is used up by a POST, not by opening it, since mail programs open links to look for malware.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import secrets
from collections.abc import Sequence

import sqlalchemy as sa

from grader.portal.audit import note
from grader.portal.people import Person, find_person, lock_person
from grader.portal.tables import KEYS, LINKS, SESSIONS

__all__ = [
    "Access",
    "Session",
    "accesses",
    "end_session",
    "look_at_link",
    "make_key",
    "make_link",
    "person_of_key",
    "revoke",
    "session_of",
    "start_session",
    "use_link",
]

SECRET_BYTES = 32
LINK_LASTS = dt.timedelta(days=7)
SESSION_LASTS = dt.timedelta(days=14)
STAFF_SESSION_LASTS = dt.timedelta(hours=12)


@dataclasses.dataclass(frozen=True, slots=True)
class Session:
    """
    A signed-in browser.

    Attributes:
        form_secret: Every form of the session contains it; a form from elsewhere cannot.
        is_framed: Whether it began in a frame of a learning platform.
        framed_by: The origins of the platform's pages, as far as they are known.
    """

    digest: str
    person: Person
    form_secret: str
    is_framed: bool
    framed_by: tuple[str, ...]
    expires_at: dt.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class Access:
    """
    How somebody gets in.

    Attributes:
        sessions: In how many browsers they are signed in.
        open_links: How many personal links wait to be used.
        was_here: Whether they ever used a link, or are signed in.
    """

    sessions: int = 0
    open_links: int = 0
    was_here: bool = False


def accesses(connection: sa.Connection, now: dt.datetime) -> dict[int, Access]:
    """How each person gets in, by the numbers of persons; those who never had a link or a session are left out."""
    count = sa.func.count()
    lasting = sa.select(SESSIONS.c.person, count).where(SESSIONS.c.expires_at > now).group_by(SESSIONS.c.person)
    is_waiting = LINKS.c.used_at.is_(None) & LINKS.c.revoked_at.is_(None) & (LINKS.c.expires_at > now)
    waiting = sa.select(LINKS.c.person, count).where(is_waiting).group_by(LINKS.c.person)
    used = sa.select(LINKS.c.person).where(LINKS.c.used_at.is_not(None)).distinct()
    sessions = {row.person: row[1] for row in connection.execute(lasting)}
    links = {row.person: row[1] for row in connection.execute(waiting)}
    were_here = {*connection.execute(used).scalars(), *sessions}
    everybody = {*sessions, *links, *were_here}
    return {each: Access(sessions.get(each, 0), links.get(each, 0), each in were_here) for each in everybody}


def make_link(
    connection: sa.Connection, person: Person, *, by: str, now: dt.datetime, lasts: dt.timedelta = LINK_LASTS
) -> str:
    """
    Make a personal link. It replaces earlier ones that were not used; sessions stay.

    Returns:
        str: Its secret, which is saved nowhere.
    """
    lock_person(connection, person)
    secret = secrets.token_urlsafe(SECRET_BYTES)
    is_waiting = (LINKS.c.person == person.id) & LINKS.c.used_at.is_(None) & LINKS.c.revoked_at.is_(None)
    connection.execute(sa.update(LINKS).where(is_waiting).values(revoked_at=now))
    values = {"digest": _digest(secret), "person": person.id, "made_at": now, "expires_at": now + lasts}
    connection.execute(sa.insert(LINKS).values(values))
    note(connection, by=by, what="link", about=person.student, now=now)
    return secret


def look_at_link(connection: sa.Connection, secret: str, now: dt.datetime) -> Person | None:
    """Whose link it is; None if it is unknown, used, expired or revoked."""
    found = connection.execute(sa.select(LINKS.c.person).where(_is_open(secret, now))).scalar_one_or_none()
    return None if found is None else find_person(connection, found)


def use_link(connection: sa.Connection, secret: str, now: dt.datetime) -> Person | None:
    """Use a link up. Of two who use it at the same time, one gets in."""
    used = sa.update(LINKS).where(_is_open(secret, now)).values(used_at=now).returning(LINKS.c.person)
    found = connection.execute(used).scalar_one_or_none()
    return None if found is None else find_person(connection, found)


def start_session(
    connection: sa.Connection,
    person: Person,
    now: dt.datetime,
    *,
    is_framed: bool = False,
    framed_by: Sequence[str] = (),
) -> tuple[str, Session]:
    """
    Sign somebody in.

    Args:
        is_framed, framed_by: Whether it is in a frame, and the origins of pages that may have such a frame, if known.

    Returns:
        tuple: The session's secret, for the cookie, and the session.
    """
    secret = secrets.token_urlsafe(SECRET_BYTES)
    lasts = STAFF_SESSION_LASTS if person.is_staff else SESSION_LASTS
    form_secret = secrets.token_urlsafe(SECRET_BYTES)
    session = Session(_digest(secret), person, form_secret, is_framed, tuple(framed_by), now + lasts)
    connection.execute(sa.delete(SESSIONS).where(SESSIONS.c.expires_at < now))
    connection.execute(
        sa.insert(SESSIONS).values(
            digest=session.digest,
            person=person.id,
            form_secret=form_secret,
            is_framed=is_framed,
            framed_by=" ".join(framed_by),
            made_at=now,
            expires_at=session.expires_at,
        )
    )
    return secret, session


def session_of(connection: sa.Connection, secret: str, now: dt.datetime) -> Session | None:
    """The session with this secret, if it lasts and the person is still in the course."""
    is_it = (SESSIONS.c.digest == _digest(secret)) & (SESSIONS.c.expires_at > now)
    row = connection.execute(sa.select(SESSIONS).where(is_it)).one_or_none()
    person = None if row is None else find_person(connection, row.person)
    if row is None or person is None:
        return None
    return Session(row.digest, person, row.form_secret, row.is_framed, tuple(row.framed_by.split()), row.expires_at)


def end_session(connection: sa.Connection, session: Session) -> None:
    """Sign out."""
    connection.execute(sa.delete(SESSIONS).where(SESSIONS.c.digest == session.digest))


def revoke(connection: sa.Connection, person: Person, *, by: str, now: dt.datetime) -> None:
    """End all sessions, links and keys of somebody."""
    lock_person(connection, person)
    for table in (LINKS, KEYS):
        is_open = (table.c.person == person.id) & table.c.revoked_at.is_(None)
        connection.execute(sa.update(table).where(is_open).values(revoked_at=now))
    connection.execute(sa.delete(SESSIONS).where(SESSIONS.c.person == person.id))
    note(connection, by=by, what="revoke", about=person.student, now=now)


def make_key(connection: sa.Connection, person: Person, now: dt.datetime) -> str:
    """
    Make a key with which programs hand in for somebody. It replaces the earlier one.

    Returns:
        str: The key, which is saved nowhere.
    """
    lock_person(connection, person)
    key = secrets.token_urlsafe(SECRET_BYTES)
    is_open = (KEYS.c.person == person.id) & KEYS.c.revoked_at.is_(None)
    connection.execute(sa.update(KEYS).where(is_open).values(revoked_at=now))
    connection.execute(sa.insert(KEYS).values(digest=_digest(key), person=person.id, made_at=now))
    note(connection, by=person.student, what="key", about=person.student, now=now)
    return key


def person_of_key(connection: sa.Connection, key: str) -> Person | None:
    """Whose key it is, if it was not revoked."""
    is_it = (KEYS.c.digest == _digest(key)) & KEYS.c.revoked_at.is_(None)
    found = connection.execute(sa.select(KEYS.c.person).where(is_it)).scalar_one_or_none()
    return None if found is None else find_person(connection, found)


def _is_open(secret: str, now: dt.datetime) -> sa.ColumnElement[bool]:
    return (
        (LINKS.c.digest == _digest(secret))
        & LINKS.c.used_at.is_(None)
        & LINKS.c.revoked_at.is_(None)
        & (LINKS.c.expires_at > now)
    )


def _digest(secret: str) -> str:
    """The secrets are random and long: they need no salt."""
    return hashlib.sha256(secret.encode()).hexdigest()
