"""The page *Platforms*: what became of the scores, and what somebody has to decide."""

from __future__ import annotations

import html
import re
from pathlib import Path

import sqlalchemy as sa

from grader.portal.lti.deployments import add_deployment, close_platform, knows_deployment
from grader.portal.lti.outbox import Offer, State, offer
from grader.portal.lti.platforms import add_platform
from grader.portal.lti.tables import SCORES
from grader.portal.platforms import open_tool
from grader.portal.tables import CONTEXTS
from tests.portal.lti.running import add_column
from tests.portal.server import form_secret
from tests.served_portal import served_portal

ROW = r'<th scope="row">(\w+)</th>\s*<td class="text"><span class="badge \w+">(\w+)</span>(.*?)</tr>'
NUMBER = r'name="number" value="(\d+)"'


def rows(page: str) -> list[tuple[str, str, str]]:
    """Whose score, its state, and the number by which it can be sent again, if it can."""
    return [
        (whose, state, "".join(re.findall(NUMBER, rest)))
        for whose, state, rest in re.findall(ROW, html.unescape(page), re.DOTALL)
    ]


def test_what_somebody_has_to_decide_stands_first(tmp_path: Path) -> None:
    """Then what is on its way, and last what is done; of each, the newest first. Who decides is in the audit trail."""
    with served_portal(tmp_path / "course", grades=False) as served, open_tool(served.portal, port=1) as tool:
        item, numbers = add_column(tool, "https://platform.example"), {}
        oldest_first = ("delivered", "conflict", "waiting", "refused", "superseded", "sending", "conflict")
        for place, state in enumerate(map(State, oldest_first)):
            subject = f"s{place}"
            number = offer(tool, Offer(item, subject, "m", 3, 4, submitted_at=tool.clock()))
            numbers[subject] = str(number)
            with tool.database.begin() as connection:
                connection.execute(sa.update(SCORES).where(SCORES.c.number == number).values(state=state.value))

        with served.signed_in("max") as browser:
            before = rows(browser.get("/platforms").text)
            form = {"form_secret": form_secret(browser, "/platforms"), "number": numbers["s1"]}
            assert browser.post("/platforms/scores", data=form).status_code == 303
            after = rows(browser.get("/platforms").text)
            trail = browser.get("/audit").text

    assert before == [
        ("s6", "conflict", numbers["s6"]),
        ("s3", "refused", numbers["s3"]),
        ("s1", "conflict", numbers["s1"]),
        ("s5", "sending", ""),
        ("s2", "waiting", ""),
        ("s4", "superseded", ""),
        ("s0", "delivered", ""),
    ]
    assert [row[:2] for row in after[2:5]] == [("s5", "sending"), ("s2", "waiting"), ("s1", "waiting")]
    assert ("max", "had a score sent to a platform again", f"score {numbers['s1']}") in re.findall(
        r"<td[^>]*>(.*?)</td>\s*" * 3, trail
    )


def test_which_deployments_are_open(tmp_path: Path) -> None:
    """Who named each is said, and what was closed. One that is opened again is open."""
    addresses = {f"{name}_address": "https://lms.example/x" for name in ("authorization", "token", "keys")}
    with served_portal(tmp_path / "course", grades=False) as served, open_tool(served.portal, port=1) as tool:
        one, two, three = (
            add_platform(tool, issuer="https://lms.example", client_id=f"c{n}", **addresses, by="max") for n in "123"
        )
        for deployment in ("d1", "d2", "d3"):
            add_deployment(tool, one.number, deployment, by="max")
        for deployment in ("d1", "d3"):
            close_platform(tool, one.number, deployment, by="max")
        add_deployment(tool, one.number, "d3", by="max")
        assert knows_deployment(tool, two.number, "e1")
        assert not knows_deployment(tool, two.number, "e2")
        with served.signed_in("max") as browser:
            first = states(browser.get("/platforms").text)
            close_platform(tool, three.number, by="max")
            close_platform(tool, two.number, by="max")
            later = states(browser.get("/platforms").text)

    assert first == [
        ("d1", "closed"),
        ("d2", "open, named by hand"),
        ("d3", "open, named by hand"),
        ("e1", "open, named by the first launch"),
        ("–", "waits: the first launch says which deployment"),
    ]
    assert later[3:] == [("e1", "closed"), ("–", "closed")]


def states(page: str) -> list[tuple[str, str]]:
    """Each deployment with its state, without the moment."""
    found = re.findall(r'data-label="Deployment">(.*?)</td>\s*<td data-label="State"[^>]*>(.*?)</td>', page, re.DOTALL)
    return [(name, state.partition(" since")[0]) for name, state in found]


def courses(page: str) -> list[str]:
    """The courses that the page shows, in their order."""
    table = html.unescape(page).partition('aria-label="Courses"')[2].partition("</table>")[0]
    return re.findall(r'<th scope="row">(.*?)</th>', table)


def test_of_many_courses_the_newest_are_shown(tmp_path: Path) -> None:
    """Those that wait stand first, take no room from those that are allowed, and are found by their names."""
    values = [
        {
            "platform": 1,
            "context": f"c{n}",
            "title": f"Course {n:04} (50_%)" if n else "",
            "roster_address": "https://lms.example/roster" if n == 1 else "",
            "is_allowed": 0 < n <= 60,
        }
        for n in range(1060)
    ]
    with served_portal(tmp_path / "course", grades=False) as served, served.signed_in("max") as browser:
        nothing = browser.get("/platforms").text
        with served.portal.begin() as connection:
            connection.execute(sa.insert(CONTEXTS), values)
        page = browser.get("/platforms").text
        one = browser.get("/platforms", params={"find": " course 0777"}).text
        signs = [browser.get("/platforms", params={"find": text}).text for text in ("0_%", "e%0", "Cours_")]
        none = browser.get("/platforms", params={"find": "<b>\0%"}).text
        untitled = browser.get("/platforms", params={"find": "C0"}).text

    assert courses(page) == [f"Course {n:04} (50_%)" for n in (*range(1059, 1009, -1), *range(60, 10, -1))]
    assert "… and 960 more: find them by their names." in page
    assert len(page) < 200_000
    assert "Add everybody of the allowed courses" in page, "one that is not shown has a roster"
    assert courses(one) == ["Course 0777 (50_%)"]
    assert [len(courses(text)) for text in signs] == [100, 0, 0]
    assert courses(none) == []
    assert "No course is called so." in none
    assert "<b>" not in none
    assert courses(untitled) == ["c0"]
    assert 'name="find"' not in nothing
