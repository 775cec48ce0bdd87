"""The whole way, against a platform that others wrote: Open edX's plugin, with its own database."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from grader.portal.lti.delivery import deliver_due
from grader.portal.lti.launch import Launch
from grader.portal.lti.lineitems import find_items, reserve_item
from grader.portal.lti.outbox import Offer, State, entries, offer, resend
from grader.portal.lti.platforms import Platform, add_platform
from grader.portal.lti.roster import read_roster
from grader.portal.lti.tables import SCORES
from tests.portal.lti.running import Certificates, CrashingWeb, Served, form_of

HOME = Path(sys.prefix) / "lti-platform"
PYTHON = HOME / "bin" / "python"
IS_INSTALLED = any(HOME.glob("lib/python*/site-packages/lti_consumer"))
SCRIPT = Path(__file__).parent / "openedx_platform.py"

pytestmark = pytest.mark.skipif(not IS_INSTALLED, reason="the platform is not installed: `make test-slow` installs it")


@dataclass(frozen=True)
class OpenEdx:
    """The platform, and how the tool knows it."""

    base: str
    known: Platform

    def get(self, name: str, **query: str) -> Any:
        return httpx.get(f"{self.base}/{name}", params=query, trust_env=False).json()

    def open_link(self, browser: httpx.Client, **who: str) -> httpx.Response:
        """A click, and what follows until the tool's page."""
        page = browser.get(self.get("click", **who)["address"], follow_redirects=True)
        address, fields = form_of(page)
        return browser.post(address, data=fields)


@pytest.fixture(scope="module")
def openedx(running: Served, certificates: Certificates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenEdx]:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
    database = tmp_path_factory.mktemp("openedx") / "platform.db"
    command = [str(PYTHON), str(SCRIPT), str(database), str(port), running.tool.base]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["SSL_CERT_FILE"] = str(certificates.authority)
    log = database.with_suffix(".log")
    with (
        log.open("w") as errors,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=environment, text=True
        ) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, log.read_text()
            base = json.loads(line)["base"]
            state = httpx.get(f"{base}/state", trust_env=False).json()
            service = f"{base}/api/lti_consumer/v1"
            known = add_platform(
                running.tool,
                issuer=base,
                client_id=state["client_id"],
                authorization_address=f"{service}/launch/",
                token_address=f"{service}/token/{state['passport']}",
                keys_address=f"{service}/public_keysets/{state['passport']}",
                deployments=["1"],
                by="test",
            )
            yield OpenEdx(base, known)
        finally:
            process.communicate()  # closes its input, which ends it


def launched(served: Served, openedx: OpenEdx, **who: str) -> Launch:
    with served.browser() as browser:
        page = openedx.open_link(browser, **who)
    assert page.status_code == 200, page.text
    assert page.text == f"welcome subject-{who['user']}"
    return served.launches[-1]


def test_a_teacher_makes_a_link_and_a_student_opens_it(served: Served, openedx: OpenEdx) -> None:
    """The platform stores what the teacher chose, and the student's launch says it again."""
    with served.browser() as browser:
        page = openedx.open_link(browser, user="0", role="staff", makes_link="yes")
        assert "Week 1 &lt;gradients&gt;" in page.text
        address, fields = form_of(page)
        answer = browser.post(f"{served.tool.base}{address}", data={**fields, "assignment": "week1"})
        address, fields = form_of(answer)
        stored = browser.post(address, data=fields)
        again = browser.post(f"{served.tool.base}/lti/deep-link", data={**form_of(page)[1], "assignment": "week1"})

    assert stored.status_code == 200, stored.text
    (link,) = openedx.get("state")["links"]
    assert link["content_type"] == "ltiResourceLink"
    assert link["attributes"]["custom"] == {"assignment": "week1"}
    assert link["attributes"]["url"] == served.tool.launch_address
    assert link["attributes"]["lineItem"]["scoreMaximum"] == 10
    assert again.status_code == 400
    launch = launched(served, openedx, user="1", role="student", made="yes")
    assert (launch.assignment, launch.is_learner, launch.is_staff) == ("week1", True, False)
    assert launch.context_title == "Gradients by hand"


def test_a_student_cannot_make_a_link(served: Served, openedx: OpenEdx) -> None:
    """The platform keeps them from asking."""
    with served.browser() as browser:
        page = browser.get(openedx.get("click", user="1", role="student", makes_link="yes")["address"])
        page = browser.get(page.headers["Location"])

    assert page.status_code == 403
    assert served.launches == []


def test_roles_and_the_same_person_again(served: Served, openedx: OpenEdx) -> None:
    """Staff of the course are staff here; a person has one number, however often they come."""
    first = launched(served, openedx, user="1", role="student")
    again = launched(served, openedx, user="1", role="student")
    staff = launched(served, openedx, user="0", role="staff")

    assert first.person == again.person != staff.person
    assert (staff.is_staff, staff.is_learner) == (True, False)


def test_the_roster_comes_in_pages(served: Served, openedx: OpenEdx) -> None:
    launch = launched(served, openedx, user="0", role="staff")

    roster = read_roster(served.tool, openedx.known, launch.roster_address, per_page=3)

    assert sorted(member.subject for member in roster) == [f"subject-{n}" for n in range(7)]
    assert [member.subject for member in roster if member.is_staff] == ["subject-0"]
    assert all(member.is_learner for member in roster if member.subject != "subject-0")


def test_scores_arrive(served: Served, openedx: OpenEdx) -> None:
    """In one column, and the latest counts. What a teacher gave by hand is a conflict, until somebody decides."""
    tool, launch = served.tool, launched(served, openedx, user="2", role="student")
    item = reserve_item(tool, launch, assignment="week1", title="Week 1", maximum=7.5)
    assert reserve_item(tool, launch, assignment="week1", title="Week 1", maximum=7.5) == item
    assert (find_items(tool), find_items(tool)) == (1, 0)
    common: dict[str, Any] = {"item": item, "subject": launch.subject, "maximum": 7.5, "submitted_at": tool.clock()}

    first = offer(tool, Offer(mark="one", given=3, comment="a sign is wrong", **common))
    assert offer(tool, Offer(mark="one", given=3, comment="a sign is wrong", **common)) == first
    assert (deliver_due(tool), deliver_due(tool)) == (1, 0)
    offer(tool, Offer(mark="two", given=6, **common))
    assert deliver_due(tool) == 1

    state = openedx.get("state")
    (column,) = state["columns"]
    assert (column["resource_id"], column["tag"], column["label"]) == ("week1", "grade", "Week 1")
    (score,) = state["scores"]
    assert (score["user_id"], score["score_given"], score["score_maximum"]) == ("subject-2", 6, 7.5)
    assert [(entry["user"], entry["score"]) for entry in state["gradebook"]] == [("subject-2", 0.4), ("subject-2", 0.8)]
    assert state["gradebook"][0]["comment"] == "a sign is wrong"

    openedx.get("give", user="subject-2", points="7")
    offer(tool, Offer(mark="three", given=2, **common))
    deliver_due(tool)
    (conflict,) = entries(tool, [State.CONFLICT])
    assert conflict.reason == "The platform has another score that is newer: 7 of 7.5."
    served.clock.move(seconds=10)
    assert resend(tool, conflict.number, by="prof")
    deliver_due(tool)
    assert entries(tool, [State.CONFLICT]) == []
    assert openedx.get("state")["scores"][0]["score_given"] == 2


def test_a_repetition_after_a_crash_counts_as_delivered(served: Served, openedx: OpenEdx) -> None:
    """The platform refuses the same timestamp, and shows that the score is there."""
    tool, launch = served.tool, launched(served, openedx, user="3", role="student")
    item = reserve_item(tool, launch, assignment="week1", title="Week 1", maximum=10)
    find_items(tool)
    offer(tool, Offer(item=item, subject=launch.subject, mark="m", given=4, maximum=10, submitted_at=tool.clock()))

    with pytest.raises(KeyboardInterrupt):
        deliver_due(dataclasses.replace(tool, web=CrashingWeb(tool.web)))
    (sent,) = entries(tool, [State.SENDING], item=item)
    assert openedx.get("state")["scores"][-1]["score_given"] == 4
    assert deliver_due(tool) == 0, "somebody may still be sending it"
    with tool.database.begin() as connection:
        connection.execute(sa.update(SCORES).where(SCORES.c.number == sent.number).values(due_at=tool.clock()))

    assert deliver_due(tool) == 1
    (delivered,) = [entry for entry in entries(tool, [State.DELIVERED]) if entry.number == sent.number]
    assert delivered.tries == 2
    published = [entry for entry in openedx.get("state")["gradebook"] if entry["user"] == "subject-3"]
    assert len(published) == 1
