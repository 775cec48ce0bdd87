"""Extensions on the pages: asked for once, and shown where they change something."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from grader.portal.arrangements import Extension, extend
from grader.portal.attempts import Attempt, accept, claim, finish
from grader.portal.tables import EXTENSIONS
from tests.served_portal import ServedPortal, served_portal

ASSIGNMENT = "two_layer_mse"


def graded_attempt(served: ServedPortal, student: str) -> Attempt:
    """An attempt with points, but without a report."""
    portal, now = served.portal, served.portal.clock()
    with portal.begin() as connection:
        offer = portal.served[ASSIGNMENT].offer
        accept(connection, served.person(student), offer, file="a.ipynb", content=b"a", now=now)
        taken = claim(connection, "test", [ASSIGNMENT], now)
        assert taken is not None
        finish(connection, taken, "test", result="r", status="graded", score=7, max_score=10, now=now)
    return taken


@pytest.mark.parametrize("path", ["/attempts/{}", "/api/submissions/{}"], ids=["page", "program"])
def test_an_attempt_asks_the_database_for_the_extension_once(tmp_path: Path, path: str) -> None:
    """For its lateness and its points together."""
    asked = []
    with served_portal(tmp_path / "course", grades=False) as served, served.signed_in("ada") as browser:
        browser.headers["authorization"] = f"Bearer {served.key('ada')}"
        address = path.format(graded_attempt(served, "ada").id)

        def count(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            if EXTENSIONS.name in statement:
                asked.append(statement)

        sa.event.listen(sa.Engine, "before_cursor_execute", count)
        try:
            assert browser.get(address).status_code == 200
        finally:
            sa.event.remove(sa.Engine, "before_cursor_execute", count)

    assert len(asked) == 1


def test_what_is_due_at_any_time_has_no_later_due_date(tmp_path: Path) -> None:
    """More attempts are all that an extension gives there."""
    with served_portal(tmp_path / "course", grades=False) as served, served.signed_in("max") as browser:
        person, now = served.person("ada"), served.portal.clock()
        with served.portal.begin() as connection:
            extend(connection, person, ASSIGNMENT, Extension(now, 2), by="max", now=now)

        page = browser.get(f"/class/{ASSIGNMENT}/{person.id}").text

    assert "<dd>at any time</dd>" in page
    assert page.count('value="extend"') == 1
