"""Marks on their way to platforms: one that cannot be sent keeps no other one back."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from grader.portal.attempts import accept, claim, finish
from grader.portal.lti.outbox import entries
from grader.portal.lti.tables import ITEMS, PLATFORMS
from grader.portal.passback import connect_column, offer_marks
from grader.portal.people import find_student
from grader.portal.platforms import open_tool
from grader.portal.portal import Portal, open_portal
from grader.portal.tables import COLUMNS
from tests.portal.server import write_course

ASSIGNMENT = "two_layer_mse"


def graded(portal: Portal, student: str, score: float, item: int) -> None:
    """A mark of a student, which belongs into a column."""
    now, offer = portal.clock(), portal.course.assignment[0]
    with portal.begin() as connection:
        person = find_student(connection, student)
        assert person is not None
        accept(connection, person, offer, file="a.ipynb", content=b"a", now=now)
        taken = claim(connection, "test", [offer.id], now)
        assert taken is not None
        finish(connection, taken, "test", result="r", status="graded", score=score, max_score=10.0, now=now)
        connect_column(connection, item=item, subject=student, person=person.id, assignment=offer.id)


def test_a_link_that_opens_another_assignment(tmp_path: Path) -> None:
    """From then on, the mark for that one goes into its column."""
    with open_portal(write_course(tmp_path, roster="student\nada\n")) as portal, portal.begin() as connection:
        person = find_student(connection, "ada")
        assert person is not None
        for assignment in ("before", "now", "now"):
            connect_column(connection, item=1, subject="ada", person=person.id, assignment=assignment)

        assert connection.execute(sa.select(COLUMNS.c.assignment)).scalars().all() == ["now"]


def test_a_mark_that_is_no_score(tmp_path: Path) -> None:
    """One below 0 points, and one whose column is gone."""
    roster = "student\nada\nben\ncleo\n"
    with open_portal(write_course(tmp_path, roster=roster)) as portal, open_tool(portal, port=1) as tool:
        now, texts = portal.clock(), ("issuer", "client_id", "title", "authorization_address", "token_address")
        values = dict.fromkeys((*texts, "token_audience", "keys_address"), "https://platform.example")
        flags = {"is_registered_by_itself": False, "expects_deployment": False}
        with portal.begin() as connection:
            added = sa.insert(PLATFORMS).values(**values, **flags, added_at=now).returning(PLATFORMS.c.number)
            platform = connection.execute(added).scalar_one()
            made = sa.insert(ITEMS).values(platform=platform, place="p", scopes="", reserved_until=now)
            item = connection.execute(made.returning(ITEMS.c.number)).scalar_one()
        graded(portal, "ada", -3.0, item)
        graded(portal, "ben", 7.0, item + 1)
        graded(portal, "cleo", 9.0, item)

        assert offer_marks(portal, tool) == 1
        assert [(entry.subject, entry.given) for entry in entries(tool)] == [("cleo", 9.0)]
