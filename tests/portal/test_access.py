"""Links and keys, in both databases."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor

import pytest

from grader.classroom.gradebook import Gradebook
from grader.portal.access import look_at_link, make_key, make_link, person_of_key
from grader.portal.people import Listed, Person, enrol, find_student

NOW = dt.datetime(2026, 10, 1, 12, tzinfo=dt.timezone.utc)
AT_ONCE = 6


@pytest.fixture
def ada(gradebook: Gradebook) -> Person:
    with gradebook.begin() as connection:
        enrol(connection, [Listed("ada", "Ada")], by="test", now=NOW)
        found = find_student(connection, "ada")
    assert found is not None
    return found


@pytest.mark.parametrize("kind", ["link", "key"])
def test_of_several_that_are_made_at_once_one_is_open(gradebook: Gradebook, ada: Person, kind: str) -> None:
    def make(_: int) -> str:
        with gradebook.begin() as connection:
            if kind == "link":
                return make_link(connection, ada, by="prof", now=NOW)
            return make_key(connection, ada, NOW)

    with ThreadPoolExecutor(AT_ONCE) as threads:
        secrets = list(threads.map(make, range(AT_ONCE)))

    with gradebook.begin() as connection:
        if kind == "link":
            opened = [look_at_link(connection, secret, NOW) for secret in secrets]
        else:
            opened = [person_of_key(connection, secret) for secret in secrets]
    assert [each for each in opened if each is not None] == [ada]
