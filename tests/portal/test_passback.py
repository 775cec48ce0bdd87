"""Marks on their way to platforms: what cannot be sent keeps nothing else back, nor does a platform keep the portal."""

from __future__ import annotations

import contextlib
import dataclasses
import http.server
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import sqlalchemy as sa

from grader.portal.attempts import accept, claim, finish
from grader.portal.lti.delivery import LEASE, deliver_due
from grader.portal.lti.outbox import Offer, State, entries, offer
from grader.portal.lti.tool import RESULT_SCOPE, SCORE_SCOPE, Tool
from grader.portal.members import allow_context, is_allowed
from grader.portal.passback import Passback, connect_column, offer_marks
from grader.portal.people import find_student
from grader.portal.platforms import open_tool
from grader.portal.portal import Portal, open_portal
from grader.portal.tables import COLUMNS
from tests.portal import server
from tests.portal.lti.running import add_column
from tests.portal.server import form_secret, write_course

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
        item = add_column(tool, "https://platform.example")
        graded(portal, "ada", -3.0, item)
        graded(portal, "ben", 7.0, item + 1)
        graded(portal, "cleo", 9.0, item)

        assert offer_marks(portal, tool) == 1
        assert [(entry.subject, entry.given) for entry in entries(tool)] == [("cleo", 9.0)]


class Hanging:
    """A platform that takes a score, and then answers so slowly that its answer does not end. Later it is well."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.scores: list[dict[str, Any]] = []
        self.is_well = threading.Event()

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        if path == "/token":
            return 200, {"access_token": "t", "token_type": "Bearer", "expires_in": 3600}
        if method == "GET":
            return 200, [
                {"userId": each["userId"], "resultScore": each["scoreGiven"], "resultMaximum": 4}
                for each in self.scores
            ]
        score = json.loads(body)
        is_newer = all(each["timestamp"] < score["timestamp"] for each in self.scores)
        self.scores.append(score)
        return (200, {}) if is_newer else (409, {})

    def add_to(self, tool: Tool) -> int:
        """Returns the number of a column in its gradebook."""
        return add_column(tool, self.base, scopes=f"{SCORE_SCOPE} {RESULT_SCOPE}")


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            status, content = made.answer(self.command, self.path, body)
            with contextlib.suppress(OSError):  # the portal may be gone
                self.send_response(status)
                self.flush_headers()
                while urlsplit(self.path).path.endswith("/scores") and not made.is_well.wait(0.5):
                    self.send_header("X-Wait", "a moment")
                    self.flush_headers()
                self.send_header("Content-Length", str(len(json.dumps(content))))
                self.end_headers()
                self.wfile.write(json.dumps(content).encode())

        do_GET = do_POST

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        made = Hanging(f"http://127.0.0.1:{listening.server_address[1]}")
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        try:
            yield made
        finally:
            made.is_well.set()
            listening.shutdown()
            thread.join()


def offer_score(tool: Tool, item: int, subject: str) -> None:
    offer(tool, Offer(item, subject, "m", 3, 4, submitted_at=tool.clock()))


def wait_for_a_score(platform: Hanging) -> None:
    deadline = time.monotonic() + 60
    while not platform.scores:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_server_that_stops_does_not_wait_for_a_platform(tmp_path: Path, hanging: Hanging) -> None:
    """The score whose answer was not seen is sent again after a pause, with the same timestamp: it counts once."""
    course = write_course(tmp_path / "course")
    with open_portal(course) as portal, open_tool(portal, port=1) as tool:
        offer_score(tool, hanging.add_to(tool), "s")
    served = server.Portal(course)
    try:
        wait_for_a_score(hanging)
    finally:
        served.stop()  # which has some patience, and looks that the process ended well
    hanging.is_well.set()

    with open_portal(course) as portal, open_tool(portal, port=1) as tool:
        assert [entry.state for entry in entries(tool)] == [State.WAITING]
        assert deliver_due(tool) == 0, "it is not due yet"
        later = dataclasses.replace(tool, clock=lambda: portal.clock() + LEASE)
        assert deliver_due(later) == 1
        assert [entry.state for entry in entries(tool)] == [State.DELIVERED]
        assert deliver_due(later) == 0
    first, second = hanging.scores
    assert first == second


def test_a_server_that_stops_does_not_wait_for_pages_that_wait_for_a_platform(tmp_path: Path, hanging: Hanging) -> None:
    """An instructor reads rosters, each of which would take half a minute."""
    course = write_course(tmp_path / "course")
    with open_portal(course) as portal, open_tool(portal, port=1) as tool:
        add_column(tool, hanging.base)
        with portal.begin() as connection:
            for number in range(3):
                address = f"{hanging.base}/{number}/scores"
                is_allowed(connection, 1, str(number), title="", roster_address=address)
                allow_context(connection, number + 1, True, by="test", now=portal.clock())
    served = server.Portal(course)
    try:
        with contextlib.closing(served.signed_in("prof")) as browser:
            form = {"form_secret": form_secret(browser, "/platforms")}
            with pytest.raises(httpx.ReadTimeout):
                browser.post("/platforms/roster", data=form, timeout=2)
        started = time.monotonic()
    finally:
        served.stop()
    assert time.monotonic() - started < 15


def test_nothing_more_is_sent_after_the_end(tmp_path: Path, hanging: Hanging, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even by a thread for which nobody has waited; what it hears of the score on its way is saved."""
    monkeypatch.setattr("grader.portal.passback.STOP_S", 0.2)
    with open_portal(write_course(tmp_path)) as portal, open_tool(portal, port=1) as tool:
        item = hanging.add_to(tool)
        for subject in ("first", "second"):
            offer_score(tool, item, subject)
        passback = Passback(portal, tool)
        passback.start()
        wait_for_a_score(hanging)
        passback.stop()
        (left,) = (thread for thread in threading.enumerate() if thread.name == "passback")
        hanging.is_well.set()
        left.join(60)

        assert not left.is_alive()
        states = {entry.subject: (entry.state, entry.tries) for entry in entries(tool)}
        assert states == {"first": (State.DELIVERED, 1), "second": (State.WAITING, 0)}
        assert [each["userId"] for each in hanging.scores] == ["first"]
