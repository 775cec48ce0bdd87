"""
Reads rosters: our own CSV, and what learning platforms export. Says what a roster would change.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import re
from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from grader.errors import UsageError
from grader.portal.people import Listed, Person, people

__all__ = ["Plan", "Scan", "plan_roster", "read_roster", "scan_roster", "write_roster"]

TEXT_LIMIT = 200
MOST_LINES = 20_000
COLUMNS = ("student", "name", "email", "role")
IDS = (
    "student",
    "sis login id",
    "login id",
    "username",
    "id number",
    "user",
    "id",
    "sis user id",
    "sis id",
    "email address",
    "email",
)
"""What columns with an id are called, here and by platforms. Of several, the first one that is not empty counts."""
NAMES = ("name", "full name", "student name")
EMAILS = ("email", "email address", "e-mail")
STAFF = ("staff", "instructor", "teacher", "ta")
ROLES = ("", "student", "learner", *STAFF)
NO_STUDENT = re.compile(r"\s*(points possible|student, test|test student)", re.IGNORECASE)
"""Rows of Canvas's gradebook that are about nobody."""


@dataclasses.dataclass(frozen=True, slots=True)
class Scan:
    """
    What was found in a roster.

    Attributes:
        kind: Whose table it is, such as `Canvas`; empty for our own.
        problems: What is wrong, in sentences that name the line.
    """

    kind: str
    listed: tuple[Listed, ...]
    problems: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """
    What a roster would change.

    Attributes:
        changed: Those who are known, and what the roster says of them.
        gone: Students who are not listed.
        same: How many stay as they are.
    """

    added: tuple[Listed, ...]
    changed: tuple[tuple[Person, Listed], ...]
    gone: tuple[Person, ...]
    same: int


def read_roster(text: str, *, where: str = "The roster") -> list[Listed]:
    """
    Read a roster in which nothing may be wrong.

    Raises:
        UsageError: A column or an id is missing, an id is in two lines, or a role is unknown; it names the line.
    """
    scan = scan_roster(text)
    if scan.problems:
        first = scan.problems[0]
        raise UsageError(f"{where}, {first[0].lower()}{first[1:]}", f"The columns are {', '.join(COLUMNS)}.")
    return list(scan.listed)


def scan_roster(text: str) -> Scan:
    """Read a roster: a CSV with a heading. Besides our own names of columns, those of Canvas and Moodle are known."""
    text = text.removeprefix("\ufeff").replace("\0", "")
    first = text.partition("\n")[0]
    rows = csv.reader(io.StringIO(text), delimiter=max(",;\t", key=first.count))
    try:
        heading = [name.strip().lower() for name in next(rows, [])]
        lines = [(rows.line_num, cells) for cells in rows if any(cell.strip() for cell in cells)]
    except csv.Error as error:
        return Scan("", (), (f"Line {rows.line_num} is not CSV: {error}.",))
    if len(lines) > MOST_LINES:
        return Scan("", (), (f"The table has more than {MOST_LINES:,} lines.",))
    kind = _kind(heading)
    if kind == "Canvas":
        heading[0] = "name"
        lines = [(number, cells) for number, cells in lines if not NO_STUDENT.match(cells[0])]
    columns = {name: place for place, name in reversed(list(enumerate(heading)))}
    ids = [name for name in IDS if name in columns]
    filled = [name for name in ids if any(_cell(cells, columns, name) for _, cells in lines)]
    if not ids:
        return Scan(kind, (), ("Line 1: there is no column `student` with the ids.",))
    by_line: dict[str, int] = {}
    listed, problems = [], []
    for number, cells in lines:
        entry = _listed(cells, columns, (filled or ids)[0])
        if isinstance(entry, Listed) and entry.student in by_line:
            entry = f"the id {entry.student!r} is in line {by_line[entry.student]} already."
        if isinstance(entry, str):
            problems.append(f"Line {number}: {entry}")
            continue
        by_line[entry.student] = number
        listed.append(entry)
    return Scan(kind, tuple(listed), tuple(problems))


def write_roster(listed: Iterable[Listed]) -> str:
    """Our own table of these people."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    table.writerows([each.student, each.name, each.email, "staff" if each.is_staff else ""] for each in listed)
    return text.getvalue()


def plan_roster(connection: sa.Connection, listed: Sequence[Listed]) -> tuple[Plan, tuple[Listed, ...]]:
    """
    What a roster would change.

    It takes no rights from staff, since platforms list them as they list students. A name or an address that the roster
    does not have stays as it is.

    Returns:
        tuple: The plan, and the roster completed by what is known.
    """
    known = {person.student: person for person in people(connection)}
    entries = [_completed(entry, known.get(entry.student)) for entry in listed]
    names = {entry.student for entry in entries}
    changed = [(known[entry.student], entry) for entry in entries if entry.student in known]
    changed = [(person, entry) for person, entry in changed if not person.is_active or _differs(person, entry)]
    added = tuple(entry for entry in entries if entry.student not in known)
    plan = Plan(
        added=added,
        changed=tuple(changed),
        gone=tuple(p for p in known.values() if p.is_active and not p.is_staff and p.student not in names),
        same=len(entries) - len(added) - len(changed),
    )
    return plan, tuple(entries)


def _completed(entry: Listed, known: Person | None) -> Listed:
    if known is None:
        return entry
    is_staff = entry.is_staff or (known.is_staff and known.is_active)
    return Listed(entry.student, entry.name or known.name, entry.email or known.email, is_staff)


def _differs(person: Person, entry: Listed) -> bool:
    return any(getattr(person, name) != value for name, value in dataclasses.asdict(entry).items())


def _kind(heading: Sequence[str]) -> str:
    if heading[:1] == ["student"] and "id" in heading[1:2]:
        return "Canvas"
    if "email address" in heading and {"full name", "last name", "surname", "identifier"} & set(heading):
        return "Moodle"
    return ""


def _cell(cells: Sequence[str], columns: dict[str, int], *names: str) -> str:
    places = (columns[name] for name in names if name in columns)
    return next((cells[place].strip() for place in places if place < len(cells) and cells[place].strip()), "")


def _listed(cells: Sequence[str], columns: dict[str, int], id_column: str) -> Listed | str:
    """A line of a roster; or what is wrong with it."""
    student, role = _cell(cells, columns, id_column), _cell(cells, columns, "role").lower()
    first_and_last = (_cell(cells, columns, "first name"), _cell(cells, columns, "last name", "surname"))
    name = _cell(cells, columns, *NAMES) or " ".join(first_and_last).strip()
    email = _cell(cells, columns, *EMAILS)
    if not student:
        return f"there is no id in the column `{id_column}`."
    if role not in ROLES:
        return f"there is no role {role!r}. Write `student` or `staff`."
    if max(map(len, (student, name, email))) > TEXT_LIMIT:
        return f"a text is too long: it has more than {TEXT_LIMIT} characters."
    if not (student + name + email).isprintable():
        return "a text contains unprintable characters."
    return Listed(student, name, email, role in STAFF)
