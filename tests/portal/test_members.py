"""Who somebody from a platform is: never anybody else by chance, and never somebody else on purpose."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from grader.classroom.gradebook import Gradebook
from grader.portal.members import Vouched, is_allowed, person_for, take_over
from grader.portal.people import Listed, Person, enrol, find_student

NOW = dt.datetime(2026, 10, 1, 12, tzinfo=dt.timezone.utc)


def come(gradebook: Gradebook, subject: str, email: str = "", *, platform: int = 1) -> Person:
    vouched = Vouched(platform=platform, subject=subject, name="", email=email, is_staff=False)
    with gradebook.begin() as connection:
        person = person_for(connection, vouched, by="test", now=NOW)
    assert person is not None
    return person


def listed(gradebook: Gradebook, student: str, email: str = "") -> Person:
    with gradebook.begin() as connection:
        enrol(connection, [Listed(student, "Name", email)], by="test", now=NOW)
        person = find_student(connection, student)
    assert person is not None
    return person


def test_the_same_number_is_not_the_same_person(gradebook: Gradebook) -> None:
    """Platforms count people, and schools do: a roster that is read later makes nobody somebody else."""
    came = come(gradebook, "17")

    assert listed(gradebook, "17").id != came.id
    assert come(gradebook, "17").id == came.id
    assert come(gradebook, "17", platform=2).id != came.id


def test_names_that_only_look_alike_when_they_are_cut(gradebook: Gradebook) -> None:
    """Long ones, and ones that differ in what cannot be printed."""
    names = ["x" * 250, "x" * 251, "x" * 252, "\u200b", "\u200b\u200b", "\u2060"]

    assert len({come(gradebook, name).id for name in names}) == len(names)


@pytest.mark.parametrize("email", ["\u212aarl@school.example", "karl@school.example\x00", "\ud800karl@school.example"])
def test_addresses_that_look_alike(gradebook: Gradebook, email: str) -> None:
    """Only the address itself is a match; a Kelvin sign in lower case is a k."""
    karl = listed(gradebook, "karl", "karl@school.example")

    assert come(gradebook, f"as {email!a}", email).id != karl.id


def test_the_address_of_the_roster(gradebook: Gradebook) -> None:
    """It is matched once."""
    lea = listed(gradebook, "lea", "lea@school.example")

    assert come(gradebook, "first", "Lea@School.example").id == lea.id
    assert come(gradebook, "second", "lea@school.example").id != lea.id


def test_opening_a_link_twice(gradebook: Gradebook) -> None:
    """Somebody who comes several times at the same moment is one person, and gets in each time."""
    with gradebook.begin() as connection:
        is_allowed(connection, 1, "course", title="Course", roster_address="")

    for number in range(3):
        with ThreadPoolExecutor(8) as threads:
            came = list(threads.map(lambda _, number=number: come(gradebook, f"twice {number}"), range(8)))
        assert len({person.id for person in came}) == 1


def test_a_roster_of_a_platform_does_not_read_everybody_for_each_person(gradebook: Gradebook) -> None:
    """Else a large one would keep others from handing in for minutes."""
    everybody = [Vouched(platform=9, subject=f"many-{n}", name="", email="", is_staff=False) for n in range(20)]
    asked: list[str] = []

    def note_statement(_: object, __: object, statement: str, *___: object) -> None:
        if "FROM portal_people" in statement and "WHERE" not in statement:
            asked.append(statement)

    with gradebook.begin() as connection:
        sa.event.listen(connection, "before_cursor_execute", note_statement)
        assert take_over(connection, everybody, by="max", now=NOW) == 20

    assert len(asked) == 2
