"""Scores on their way, in SQLite and in PostgreSQL, to a platform that answers as it likes."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import sqlalchemy as sa
from starlette.responses import JSONResponse, PlainTextResponse, Response

from grader.portal.lti.delivery import deliver_due
from grader.portal.lti.lineitems import reserve_item
from grader.portal.lti.outbox import Entry, Offer, State, entries, offer, resend
from grader.portal.lti.tables import CELLS, SCORES
from grader.portal.lti.tokens import TokenCache
from grader.portal.lti.tool import SCORE_SCOPE, Tool
from tests.portal.lti.running import (
    AGS,
    DATABASES,
    Asked,
    CrashingWeb,
    FakePlatform,
    Served,
    acts_of,
    json_of,
    launch,
    open_empty,
)

HANDED_IN = datetime(2026, 3, 1, 12, 0, tzinfo=timezone(timedelta(hours=2)))


@pytest.fixture(scope="module", params=DATABASES)
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[sa.Engine]:
    with open_empty(request.param, tmp_path_factory.mktemp("database")) as engine:
        yield engine


@dataclasses.dataclass
class Column:
    """A column in the platform's gradebook, and what comes in for it."""

    tool: Tool
    platform: FakePlatform
    number: int
    name: str

    def offer(self, mark: str, given: float = 3, subject: str = "s", **more: Any) -> int:
        values = {"item": self.number, "subject": subject, "mark": mark, "given": given, "maximum": 4}
        return offer(self.tool, Offer(**({"submitted_at": HANDED_IN} | values | more)))  # type: ignore[arg-type]

    def answer(self, answer: Callable[[Asked], Response]) -> None:
        self.platform.answers[f"/items/{self.name}/scores"] = answer

    def shows(self, *results: Any) -> None:
        self.platform.answers[f"/items/{self.name}/results"] = lambda asked: JSONResponse(list(results))

    def posted(self) -> list[Asked]:
        return [asked for asked in self.platform.asked if asked.path == f"/items/{self.name}/scores"]

    def states(self) -> list[tuple[str, State]]:
        return [(entry.mark, entry.state) for entry in reversed(entries(self.tool, item=self.number))]

    def entry(self, number: int) -> Entry:
        return next(entry for entry in entries(self.tool) if entry.number == number)


def status(code: int, body: str = "", **headers: str) -> Callable[[Asked], Response]:
    return lambda asked: PlainTextResponse(body, status_code=code, headers=headers)


@pytest.fixture
def column(served: Served, platform: FakePlatform, request: pytest.FixtureRequest) -> Column:
    return make_column(served, platform, request.node.name.replace("[", "-").replace("]", ""))


def make_column(served: Served, platform: FakePlatform, name: str, **services: Any) -> Column:
    with served.tool.database.begin() as connection:
        connection.execute(sa.delete(SCORES))  # those of other tests
    address = f"{platform.base}/items/{name}?type=7"
    assert launch(served, platform, lambda claims: claims[AGS].update(lineitem=address, **services)).status_code == 200
    number = reserve_item(served.tool, served.launches[-1], assignment="week1", title="Week 1", maximum=4)
    made = Column(served.tool, platform, number, name)
    made.answer(status(200))
    return made


def test_a_score_as_the_standard_says(column: Column) -> None:
    column.offer("m", 2.5, comment="A sign is wrong. ∂")

    assert deliver_due(column.tool) == 1

    (asked,) = column.posted()
    assert asked.query == {"type": "7"}
    assert asked.headers["content-type"] == "application/vnd.ims.lis.v1.score+json"
    assert asked.headers["authorization"].startswith("Bearer token-")
    sent = json_of(asked)
    moment = datetime.fromisoformat(sent.pop("timestamp"))
    assert abs((moment - column.tool.clock()).total_seconds()) < 60
    assert sent == {
        "userId": "s",
        "scoreGiven": 2.5,
        "scoreMaximum": 4,
        "activityProgress": "Completed",
        "gradingProgress": "FullyGraded",
        "submission": {"submittedAt": "2026-03-01T10:00:00.000+00:00"},
        "comment": "A sign is wrong. ∂",
    }
    assert deliver_due(column.tool) == 0


def test_the_same_mark_is_offered_once(column: Column) -> None:
    """A mark that came back after another one is sent again. One that nobody sent is replaced by a newer one."""
    first = column.offer("a", 1)
    assert column.offer("a", 1) == first
    deliver_due(column.tool)
    assert column.offer("a", 1) == first
    column.offer("b", 2)
    column.offer("a", 1)
    deliver_due(column.tool)

    assert column.states() == [("a", State.DELIVERED), ("b", State.SUPERSEDED), ("a", State.DELIVERED)]
    assert [json_of(asked)["scoreGiven"] for asked in column.posted()] == [1, 1]


def test_the_same_mark_again_waits_for_nobody(column: Column) -> None:
    """It changes nothing, so that all marks may be offered all the time, also while others write."""
    number = column.offer("a", 1)
    with column.tool.database.begin() as writing:
        writing.execute(sa.update(CELLS).values(subject=CELLS.c.subject))

        assert column.offer("a", 1) == number


def test_timestamps_grow(served: Served, column: Column) -> None:
    """Also if our clock is set back; and regrading does not look like handing in again."""
    for given in (1, 2, 3):
        column.offer(f"m{given}", given)
        deliver_due(column.tool)
        served.clock.move(seconds=-5)

    sent = [json_of(asked) for asked in column.posted()]
    moments = [datetime.fromisoformat(each["timestamp"]) for each in sent]
    assert moments[1] - moments[0] == moments[2] - moments[1] == timedelta(milliseconds=1)
    assert len({each["submission"]["submittedAt"] for each in sent}) == 1


@pytest.mark.parametrize("code", [408, 429, 500, 503])
def test_a_platform_that_fails_for_a_while(served: Served, column: Column, code: int) -> None:
    """The pauses grow, the timestamp stays, and what it says about waiting counts."""
    number = column.offer("m")
    column.answer(status(code))
    tried = []
    for _ in range(4):
        deliver_due(column.tool)
        tried.append(len(column.posted()))
        served.clock.move(seconds=31)
    column.answer(status(code, **{"Retry-After": "7200"}))
    served.clock.move(seconds=120)
    deliver_due(column.tool)
    served.clock.move(minutes=119)
    assert deliver_due(column.tool) == 0
    column.answer(status(201))
    served.clock.move(minutes=2)
    deliver_due(column.tool)

    assert tried == [1, 2, 2, 3]
    assert len({json_of(asked)["timestamp"] for asked in column.posted()}) == 1
    assert column.entry(number).state is State.DELIVERED
    assert column.entry(number).reason == ""


def test_given_up_after_two_weeks(served: Served, column: Column) -> None:
    number = column.offer("m")
    column.answer(status(503, **{"Retry-After": "9" * 30}))
    for _ in range(5):
        deliver_due(column.tool)
        served.clock.move(days=5)

    assert column.entry(number).state is State.REFUSED
    assert column.entry(number).reason == "Given up after 14 days. The platform answered with status 503."
    assert len(column.posted()) == 4
    column.answer(status(200))
    assert resend(column.tool, number, by="prof")
    deliver_due(column.tool)
    assert column.entry(number).state is State.DELIVERED


def test_a_platform_that_is_away(column: Column) -> None:
    number = column.offer("m")
    usual, column.platform.answers["/token"] = column.platform.answers["/token"], status(503)
    try:
        deliver_due(dataclasses.replace(column.tool, tokens=TokenCache()))
    finally:
        column.platform.answers["/token"] = usual

    assert column.entry(number).state is State.WAITING
    assert column.entry(number).reason == "localhost answered with status 503."


def test_a_platform_that_fails_is_asked_once_at_a_time(served: Served, column: Column) -> None:
    """So that the time-outs of many scores do not add up; and all come when it is back."""
    for n in range(3):
        column.offer("m", subject=f"s{n}")
    column.answer(status(503))

    assert [deliver_due(column.tool), deliver_due(column.tool)] == [1, 1]
    column.answer(status(200))
    served.clock.move(minutes=1)
    assert deliver_due(column.tool) == 3
    assert {state for _, state in column.states()} == {State.DELIVERED}


def result(given: Any, maximum: Any = 4, subject: str = "s") -> dict[str, Any]:
    return {"userId": subject, "resultScore": given, "resultMaximum": maximum}


OUTDATED: dict[str, tuple[int, list[Any], State, str]] = {
    "the same": (409, [result(3)], State.DELIVERED, ""),
    "the same, rounded": (400, [result(74.9999, 100)], State.DELIVERED, ""),
    "another": (409, [result(4)], State.CONFLICT, "another score that is newer: 4 of 4."),
    "another, and no status of its own": (400, [result(4)], State.CONFLICT, "another score that is newer"),
    "none, but newer": (409, [], State.CONFLICT, "shows no score"),
    "none": (400, [], State.REFUSED, "status 400: nobody &lt;knows&gt; them"),
    "somebody else's": (409, [result(3, subject="other")], State.CONFLICT, "shows no score"),
    "beyond all numbers": (409, [result(10**400), result(3, 10**400)], State.CONFLICT, "shows no score"),
    "nonsense": (409, [7, result("3"), result(3, 0), result(True), result(None)], State.CONFLICT, "shows no score"),
}


@pytest.mark.parametrize("name", OUTDATED)
def test_a_timestamp_that_is_not_newer(column: Column, name: str) -> None:
    """What the platform shows decides, and it is never sent again by itself."""
    code, shown, state, words = OUTDATED[name]
    number = column.offer("m", 3)
    column.answer(status(code, "nobody\n &lt;knows&gt;\x00 them"))
    column.shows(*shown)

    deliver_due(column.tool)

    assert column.entry(number).state is state
    assert words in column.entry(number).reason
    assert deliver_due(column.tool) == 0
    (asked,) = (asked for asked in column.platform.asked if asked.path == f"/items/{column.name}/results")
    assert asked.query == {"type": "7", "user_id": "s"}


def test_without_a_look_at_the_results(served: Served, platform: FakePlatform) -> None:
    column = make_column(served, platform, "no-results", scope=[SCORE_SCOPE])
    number = column.offer("m")
    column.answer(status(400))

    deliver_due(column.tool)

    assert column.entry(number).state is State.CONFLICT
    assert "does not let the portal see it" in column.entry(number).reason


def test_a_clock_that_was_far_ahead(served: Served, column: Column) -> None:
    """What waits since then does not wait until then."""
    column.answer(status(503))
    column.offer("m")
    served.clock.move(days=365)
    assert deliver_due(column.tool) == 1
    served.clock.move(days=-365)
    column.answer(status(200))

    assert deliver_due(column.tool) == 1
    assert column.states() == [("m", State.DELIVERED)]


@pytest.mark.parametrize("code", [302, 403, 404, 422])
def test_a_platform_that_does_not_want_a_score(column: Column, code: int) -> None:
    number = column.offer("m")
    column.answer(status(code, "x" * 5000))

    deliver_due(column.tool)

    assert column.entry(number).state is State.REFUSED
    assert f"status {code}" in column.entry(number).reason
    assert len(column.entry(number).reason) < 300


def test_a_conflict_holds_newer_marks_until_somebody_decides(served: Served, column: Column) -> None:
    column.answer(status(409))
    column.shows(result(4))
    first = column.offer("a", 1)
    deliver_due(column.tool)
    column.answer(status(200))
    second = column.offer("b", 2)
    served.clock.move(days=1)
    assert deliver_due(column.tool) == 0
    assert column.states() == [("a", State.SUPERSEDED), ("b", State.CONFLICT)]
    assert "4 of 4" in column.entry(second).reason

    trail = acts_of(column.tool, most=100)
    assert not resend(column.tool, first, by="prof")
    assert resend(column.tool, second, by="prof")
    assert deliver_due(column.tool) == 1
    assert not resend(column.tool, second, by="prof")
    assert acts_of(column.tool, most=len(trail) + 9) == [*trail, ("prof", "sent again", f"score {second}")]
    before, after = (datetime.fromisoformat(json_of(asked)["timestamp"]) for asked in column.posted())
    assert after > before


@pytest.mark.parametrize("code", [200, 409, 503])
def test_a_mark_that_is_offered_while_another_is_on_its_way(served: Served, column: Column, code: int) -> None:
    """It waits. Then it is sent, or held by the conflict of the other one."""

    def answer(asked: Asked) -> Response:
        if len(column.posted()) == 1:
            column.offer("b", 2)
            deliver_due(column.tool)
            return PlainTextResponse("", status_code=code)
        return PlainTextResponse("")

    column.answer(answer)
    column.shows(result(4))
    column.offer("a", 1)

    deliver_due(column.tool)
    assert len(column.posted()) == 1
    deliver_due(column.tool)

    first = State.DELIVERED if code == 200 else State.SUPERSEDED
    second = State.CONFLICT if code == 409 else State.DELIVERED
    assert column.states() == [("a", first), ("b", second)]


def test_several_processes_send_each_score_once(column: Column) -> None:
    for n in range(12):
        column.offer("m", 1, subject=f"s{n}")
    barrier = threading.Barrier(3)

    def deliver() -> None:
        barrier.wait()
        deliver_due(column.tool)

    threads = [threading.Thread(target=deliver) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(json_of(asked)["userId"] for asked in column.posted()) == sorted(f"s{n}" for n in range(12))
    assert {state for _, state in column.states()} == {State.DELIVERED}


def test_after_a_crash_the_timestamp_is_the_same(served: Served, column: Column) -> None:
    """Not before the lease has ended, and with a newer mark after it."""
    crashing = dataclasses.replace(column.tool, web=CrashingWeb(column.tool.web))
    column.offer("a", 1)
    with contextlib.suppress(KeyboardInterrupt):
        deliver_due(crashing)
    column.offer("b", 2)
    assert deliver_due(column.tool) == 0
    column.answer(lambda asked: PlainTextResponse("", status_code=409 if len(column.posted()) == 2 else 200))
    column.shows(result(1))
    served.clock.move(minutes=6)

    assert deliver_due(column.tool) == 2

    moments = [json_of(asked)["timestamp"] for asked in column.posted()]
    assert moments[0] == moments[1] < moments[2]
    assert column.states() == [("a", State.DELIVERED), ("b", State.DELIVERED)]


@pytest.mark.parametrize(
    "changes",
    [
        {"given": None},
        {"given": math.nan},
        {"given": -1},
        {"given": "3"},
        {"maximum": 0},
        {"maximum": math.inf},
        {"subject": ""},
        {"mark": "m" * 201},
        {"comment": "\0"},
        {"submitted_at": datetime(2026, 3, 1, tzinfo=None)},
    ],
)
def test_what_is_no_score_is_not_accepted(column: Column, changes: dict[str, Any]) -> None:
    """In particular a mark without points: sent, it would erase the earlier one."""
    values = {"item": column.number, "subject": "s", "mark": "m", "given": 1, "maximum": 4, "submitted_at": HANDED_IN}

    with pytest.raises(ValueError):
        Offer(**(values | changes))

    assert column.states() == []


def test_a_column_must_exist(column: Column) -> None:
    with pytest.raises(ValueError, match="no column"):
        offer(column.tool, Offer(item=10**6, subject="s", mark="m", given=1, maximum=1, submitted_at=HANDED_IN))


def test_times_are_those_of_utc(column: Column) -> None:
    """Whatever zone they came with."""
    number = column.offer("m")

    with column.tool.database.begin() as connection:
        saved = connection.execute(sa.select(SCORES.c.submitted_at).where(SCORES.c.number == number)).scalar_one()
        raw = connection.execute(sa.text("SELECT max(submitted_at) FROM portal_lti_scores")).scalar_one()
    assert saved == HANDED_IN
    assert saved.tzinfo is timezone.utc
    assert str(raw).startswith("2026-03-01 10:00:00")
