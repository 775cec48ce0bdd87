"""Columns in gradebooks, in SQLite and in PostgreSQL, of a platform that answers as it likes."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from starlette.responses import JSONResponse, PlainTextResponse, Response

from grader.portal.lti.delivery import GIVEN_UP_AFTER, deliver_due
from grader.portal.lti.launch import Launch
from grader.portal.lti.lineitems import RESERVED_FOR, find_items, reserve_item
from grader.portal.lti.outbox import Offer, State, entries, offer, resend
from grader.portal.lti.tables import ITEMS
from grader.portal.lti.tokens import TokenCache
from grader.portal.lti.tool import CLAIM, SCORE_SCOPE, Tool
from grader.portal.lti.web import Answer, Web
from tests.portal.lti.running import (
    AGS,
    DATABASES,
    LMS,
    Asked,
    FakePlatform,
    Served,
    json_of,
    launch,
    open_empty,
)

OURS: dict[str, Any] = {"tag": "grade", "resourceId": "week1"}


@pytest.fixture(scope="module", params=DATABASES)
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[sa.Engine]:
    with open_empty(request.param, tmp_path_factory.mktemp("database")) as engine:
        yield engine


class Gradebook:
    """The columns of a platform, which it lists, makes and loses, and the scores that come in."""

    def __init__(self, platform: FakePlatform) -> None:
        self.platform = platform
        self.columns: list[dict[str, Any]] = []
        self.made = 0
        self.scores: list[tuple[str, float]] = []
        platform.answers = {name: answer for name, answer in platform.answers.items() if "/items" not in name}
        platform.answers["/items"] = self.answer
        platform.asked.clear()

    def answer(self, asked: Asked) -> Response:
        if asked.method == "GET":
            return JSONResponse(self.columns)
        self.made += 1
        return JSONResponse(self.add(f"c{self.made}", **json_of(asked)), status_code=201)

    def add(self, name: str, **values: Any) -> dict[str, Any]:
        def take(asked: Asked) -> Response:
            if not any(each["id"] == column["id"] for each in self.columns):
                return PlainTextResponse("no such column", status_code=404)
            self.scores.append((name, json_of(asked)["scoreGiven"]))
            return PlainTextResponse("")

        column = {**values, "id": f"{self.platform.base}/items/{name}?type=7"}
        self.columns.append(column)
        self.platform.answers[f"/items/{name}/scores"] = take
        return column


@pytest.fixture
def gradebook(platform: FakePlatform) -> Gradebook:
    return Gradebook(platform)


def opened(served: Served, platform: FakePlatform, *, link: str = "link-1", **services: Any) -> Launch:
    """Somebody opens a link."""

    def change(claims: dict[str, Any]) -> None:
        claims[f"{CLAIM}resource_link"]["id"] = link
        claims[AGS].update(services)

    assert launch(served, platform, change).status_code == 200
    return served.launches[-1]


def reserve(tool: Tool, found: Launch, assignment: str = "week1") -> int:
    return reserve_item(tool, found, assignment=assignment, title="Week 1", maximum=4)


def give(tool: Tool, item: int, given: float, subject: str = "s") -> int:
    return offer(tool, Offer(item, subject, f"mark {given}", given, 4, submitted_at=tool.clock()))


def address_of(tool: Tool, item: int) -> str | None:
    with tool.database.begin() as connection:
        address: str | None = connection.execute(sa.select(ITEMS.c.address).where(ITEMS.c.number == item)).scalar_one()
    return address


class Interrupting(Web):
    """Does something after a request of a kind, before its answer is read."""

    def __init__(self, web: Web, method: str, then: Callable[[], Any]) -> None:
        self.web = web
        self.method = method
        self.then = then

    def send(self, method: str, address: str, **options: Any) -> Answer:
        answer = self.web.send(method, address, **options)
        if method == self.method and "/items" in address:
            self.then()
        return answer


def interrupted(tool: Tool, method: str, then: Callable[[], Any]) -> Tool:
    return dataclasses.replace(tool, web=Interrupting(tool.web, method, then))


def kill() -> None:
    raise KeyboardInterrupt


def test_a_column_that_a_later_launch_names(served: Served, tool: Tool, gradebook: Gradebook) -> None:
    """Platforms name a column that we made in later launches of its link. It is the same one: no mark is sent twice."""
    first = reserve(tool, opened(served, gradebook.platform))
    assert find_items(tool) == 1
    named = opened(served, gradebook.platform, lineitem=address_of(tool, first))

    assert reserve(tool, named) == first


def test_a_column_that_a_launch_names_while_it_is_looked_for(served: Served, tool: Tool, gradebook: Gradebook) -> None:
    """Then there is nothing to ask for."""
    first = reserve(tool, opened(served, gradebook.platform))
    give(tool, first, 3)
    address = str(gradebook.add("own")["id"])

    assert reserve(tool, opened(served, gradebook.platform, lineitem=address)) == first
    assert (find_items(tool), deliver_due(tool)) == (0, 1)
    assert (gradebook.scores, gradebook.made) == ([("own", 3)], 0)


def test_a_link_whose_column_changes(served: Served, tool: Tool, gradebook: Gradebook) -> None:
    """Marks go to the one that it has now."""
    items = []
    for name in ("old", "new"):
        address = gradebook.add(name)["id"]
        items.append(reserve(tool, opened(served, gradebook.platform, lineitem=address)))
    give(tool, items[1], 2)
    deliver_due(tool)

    assert items[0] != items[1]
    assert gradebook.scores == [("new", 2)]


def test_two_links_to_one_assignment(served: Served, tool: Tool, gradebook: Gradebook) -> None:
    """Each has a column of its own."""
    items = [reserve(tool, opened(served, gradebook.platform, link=f"link-{n}")) for n in (1, 2)]

    assert find_items(tool) == 2
    assert [each["resourceLinkId"] for each in gradebook.columns] == ["link-1", "link-2"]
    assert [address_of(tool, item) for item in items] == [each["id"] for each in gradebook.columns]


def test_columns_of_another_tool(served: Served, tool: Tool, gradebook: Gradebook) -> None:
    """A platform may list all that it has, whatever it was asked for, and things that are no columns."""
    for n, wrong in enumerate(({"tag": "quiz"}, {"resourceId": "week10"}, {"tag": ["grade"]}, {"resourceLinkId": 1})):
        gradebook.add(f"wrong{n}", **{**OURS, **wrong})
    gradebook.columns += [7, None, [], {}]  # type: ignore[list-item]
    gradebook.platform.answers["/items"] = lambda asked: (
        JSONResponse(gradebook.columns)
        if asked.method == "GET"
        else JSONResponse({"id": f"{gradebook.platform.base}/items/mine"}, status_code=201)
    )
    item = reserve(tool, opened(served, gradebook.platform))

    assert find_items(tool) == 1
    assert address_of(tool, item) == f"{gradebook.platform.base}/items/mine"


LISTS: dict[str, tuple[Callable[[str], Response], str]] = {
    "goes on elsewhere": (
        lambda base: JSONResponse([], headers={"Link": f'<https://{LMS}/items>; rel="next"'}),
        "another host",
    ),
    "goes on at another port": (
        lambda base: JSONResponse([], headers={"Link": '<https://localhost:1/items>; rel="next"'}),
        "another host",
    ),
    "goes on without https": (
        lambda base: JSONResponse([], headers={"Link": f'<{base.replace("https", "http")}/items>; rel="next"'}),
        "another host",
    ),
    "goes on nowhere": (lambda base: JSONResponse([], headers={"Link": '<https://[x/>; rel="next"'}), "another host"),
    "goes in a circle": (lambda base: JSONResponse([], headers={"Link": '<?page=2>; rel="next"'}), "does not end"),
    "is too long": (lambda base: PlainTextResponse(" " * 2_000_000), "too long"),
    "is an object": (lambda base: JSONResponse({"id": f"{base}/items/1"}), "columns is none"),
    "is deep": (lambda base: PlainTextResponse("[" * 100_000), "not JSON"),
    "is empty": (lambda base: PlainTextResponse(""), "not JSON"),
    "is refused": (lambda base: PlainTextResponse("", status_code=403), "403"),
    "has a column at another host": (lambda base: JSONResponse([{**OURS, "id": f"https://{LMS}/1"}]), "another host"),
    "has a column without https": (
        lambda base: JSONResponse([{**OURS, "id": f"{base.replace('https', 'http')}/1"}]),
        "another host",
    ),
    "has a column with a password": (
        lambda base: JSONResponse([{**OURS, "id": base.replace("://", "://a:b@")}]),
        "no address",
    ),
    "has a column with half a character": (
        lambda base: PlainTextResponse(f'[{{"tag": "grade", "resourceId": "week1", "id": "{base}/\\ud800"}}]'),
        "cannot be saved",
    ),
    "has a column with a zero": (lambda base: JSONResponse([{**OURS, "id": f"{base}/\0"}]), "cannot be saved"),
    "has a column with a long address": (lambda base: JSONResponse([{**OURS, "id": base + 3000 * "x"}]), "no address"),
    "has a column with a long path": (
        lambda base: JSONResponse([{**OURS, "id": f"{base}/{3000 * 'x'}"}]),
        "cannot be saved",
    ),
}


@pytest.mark.parametrize("name", LISTS)
def test_a_list_that_is_none(served: Served, tool: Tool, gradebook: Gradebook, name: str) -> None:
    """The score waits and says why, no column is made instead, and other columns are found all the same."""
    answer, words = LISTS[name]
    gradebook.platform.answers["/bad"] = lambda asked: answer(gradebook.platform.base)
    bad = reserve(tool, opened(served, gradebook.platform, lineitems=f"{gradebook.platform.base}/bad"))
    good = reserve(tool, opened(served, gradebook.platform))
    give(tool, bad, 3)

    found = [find_items(tool) for _ in range(2)]

    assert (sum(found), address_of(tool, bad), bool(address_of(tool, good))) == (1, None, True)
    (waiting,) = entries(tool, item=bad)
    assert waiting.state is State.WAITING
    assert words in waiting.reason
    assert [asked.method for asked in gradebook.platform.asked if asked.path == "/bad"].count("POST") == 0


def test_a_list_that_comes_slowly(
    served: Served, tool: Tool, gradebook: Gradebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is left, since the marks for all other platforms wait meanwhile."""
    monkeypatch.setattr("grader.portal.lti.services.LIST_S", 0)
    gradebook.platform.answers["/slow"] = lambda asked: JSONResponse(
        [], headers={"Link": f'<?page={int(asked.query.get("page", 0)) + 1}>; rel="next"'}
    )
    item = reserve(tool, opened(served, gradebook.platform, lineitems=f"{gradebook.platform.base}/slow"))
    give(tool, item, 3)

    assert find_items(tool) == 0
    assert "too slowly" in entries(tool)[0].reason
    assert gradebook.platform.count("/slow") == 1


def test_a_column_within_a_network(served: Served, tool: Tool, gradebook: Gradebook) -> None:
    """A platform that registered itself leads the portal to no machine that is not on the internet."""
    platform = gradebook.platform
    made = platform.add_to(tool, client_id="stranger", is_registered_by_itself=True)
    served.network.public.add("127.0.0.1")
    for n, (host, address) in enumerate({"inside.test": "10.0.0.7", "meta.test": "169.254.169.254"}.items()):
        served.network.hosts[host] = [address]
        found = opened(served, platform, lineitems=f"https://{host}/items")
        item = reserve(tool, dataclasses.replace(found, platform=made.number), f"week{n}")
        give(tool, item, 3)

        assert find_items(tool) == 0
        assert f"{host} is not on the public internet" in entries(tool, item=item)[0].reason
    named = dataclasses.replace(opened(served, platform, lineitem="https://inside.test/1"), platform=made.number)
    give(tool, reserve(tool, named), 3)
    assert deliver_due(tool) == 1
    assert "inside.test is not on the public internet" in entries(tool)[0].reason


def test_killed_after_a_column_was_made(served: Served, tool: Tool, gradebook: Gradebook) -> None:
    """Whoever comes next finds it, and makes no second one."""
    reserve(tool, opened(served, gradebook.platform))
    with contextlib.suppress(KeyboardInterrupt):
        find_items(interrupted(tool, "POST", kill))
    served.clock.move(seconds=RESERVED_FOR.total_seconds() + 1)

    assert find_items(tool) == 1
    assert gradebook.made == 1


def test_a_slow_search(served: Served, tool: Tool, gradebook: Gradebook) -> None:
    """Somebody else took it for dead, and made the column. The slow one makes no second one, nor changes the first."""
    item = reserve(tool, opened(served, gradebook.platform))
    found: list[int] = []

    def overtake() -> None:
        if not found:
            found.append(0)
            served.clock.move(seconds=RESERVED_FOR.total_seconds() + 1)
            found.append(find_items(tool))

    assert find_items(interrupted(tool, "GET", overtake)) == 0
    assert (found, gradebook.made, address_of(tool, item)) == ([0, 1], 1, gradebook.columns[0]["id"])


def test_a_slow_failure(served: Served, tool: Tool, gradebook: Gradebook) -> None:
    """It does not make another one's search free, or its pause shorter."""
    item = reserve(tool, opened(served, gradebook.platform))
    gradebook.platform.answers["/items"] = lambda asked: PlainTextResponse("", status_code=500)
    calls: list[int] = []

    def overtake() -> None:
        calls.append(0)
        if len(calls) == 1:
            served.clock.move(seconds=RESERVED_FOR.total_seconds() + 1)
            find_items(tool)

    find_items(interrupted(tool, "GET", overtake))

    with tool.database.begin() as connection:
        row = connection.execute(sa.select(ITEMS).where(ITEMS.c.number == item)).one()
    assert row.tries == 2
    assert timedelta(seconds=25) < row.reserved_until - tool.clock() <= timedelta(seconds=30)


def test_several_servers_look_for_many_columns(served: Served, tool: Tool, gradebook: Gradebook) -> None:
    """Each column is made once."""
    found = opened(served, gradebook.platform)
    items = [reserve(tool, found, f"week{n}") for n in range(8)]
    barrier = threading.Barrier(3)
    counts: list[int] = []

    def find() -> None:
        barrier.wait()
        counts.append(find_items(dataclasses.replace(tool, tokens=TokenCache())))

    threads = [threading.Thread(target=find) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    served.clock.move(minutes=1)
    counts.append(find_items(tool))  # those for which a busy machine took no connection

    assert (sum(counts), gradebook.made) == (8, 8)
    assert {address_of(tool, item) for item in items} == {each["id"] for each in gradebook.columns}


def test_a_column_that_was_deleted(served: Served, tool: Tool, gradebook: Gradebook) -> None:
    """It is made once more, and nothing is lost."""
    item = reserve(tool, opened(served, gradebook.platform))
    for n in range(3):
        give(tool, item, n, f"s{n}")
    find_items(tool)
    gradebook.columns.clear()

    deliver_due(tool)
    assert gradebook.scores == []
    assert {each.reason for each in entries(tool)} == {
        "The gradebook has no column for it yet. The one that it had is gone."
    }
    assert find_items(tool) == 1
    served.clock.move(minutes=1)
    deliver_due(tool)

    assert {each.state for each in entries(tool)} == {State.DELIVERED}
    assert sorted(gradebook.scores) == [("c2", 0), ("c2", 1), ("c2", 2)]


def test_the_column_of_a_link_that_was_deleted(served: Served, tool: Tool, gradebook: Gradebook) -> None:
    """The portal does not make what the platform had made. It says so."""
    address = gradebook.add("own")["id"]
    give(tool, reserve(tool, opened(served, gradebook.platform, lineitem=address)), 3)
    gradebook.columns.clear()

    deliver_due(tool)

    assert entries(tool)[0].state is State.REFUSED
    assert "status 404: no such column" in entries(tool)[0].reason
    assert (find_items(tool), gradebook.made) == (0, 0)


def test_a_platform_that_has_every_column_and_takes_no_score(served: Served, tool: Tool, gradebook: Gradebook) -> None:
    """The column is looked for once more, and then it is the score that is not wanted, until somebody says so."""
    item = reserve(tool, opened(served, gradebook.platform))
    number = give(tool, item, 3)
    find_items(tool)
    gradebook.platform.answers["/items/c1/scores"] = lambda asked: PlainTextResponse("", status_code=404)

    for state, found in ((State.WAITING, 1), (State.REFUSED, 0)):
        deliver_due(tool)
        assert (entries(tool)[0].state, find_items(tool)) == (state, found)
        served.clock.move(minutes=1)
    assert resend(tool, number, by="prof")
    deliver_due(tool)

    assert (find_items(tool), gradebook.made) == (1, 1)


def test_marks_that_change_while_there_is_no_column(served: Served, tool: Tool, gradebook: Gradebook) -> None:
    """Only the last one is sent."""
    item = reserve(tool, opened(served, gradebook.platform))
    for given in (1, 2, 3):
        give(tool, item, given)
        deliver_due(tool)
    find_items(tool)
    deliver_due(tool)

    assert [each.state for each in entries(tool)] == [State.DELIVERED, State.SUPERSEDED, State.SUPERSEDED]
    assert gradebook.scores == [("c1", 3)]


def test_a_column_that_comes_late(served: Served, tool: Tool, gradebook: Gradebook) -> None:
    """A score is not given up because it waited for its column, when the platform fails for a moment then."""
    item = reserve(tool, opened(served, gradebook.platform))
    give(tool, item, 3)
    served.clock.move(days=GIVEN_UP_AFTER.days + 1)
    find_items(tool)
    usual = gradebook.platform.answers["/items/c1/scores"]
    gradebook.platform.answers["/items/c1/scores"] = lambda asked: PlainTextResponse("", status_code=503)
    deliver_due(tool)
    gradebook.platform.answers["/items/c1/scores"] = usual
    served.clock.move(minutes=1)
    deliver_due(tool)

    assert [each.state for each in entries(tool)] == [State.DELIVERED]


def test_pauses_grow_also_over_restarts(served: Served, tool: Tool, gradebook: Gradebook) -> None:
    """Neither a new server nor a launch makes the portal ask sooner."""
    found = opened(served, gradebook.platform)
    gradebook.platform.answers["/items"] = lambda asked: PlainTextResponse("", status_code=503)
    gradebook.platform.asked.clear()
    asked = []
    for _ in range(48):
        reserve(tool, found)
        find_items(dataclasses.replace(tool, tokens=TokenCache()))
        asked.append(gradebook.platform.count("/items"))
        served.clock.move(seconds=75)

    tried = [n for n, (before, after) in enumerate(itertools.pairwise([0, *asked])) if after > before]
    assert [after - before for before, after in itertools.pairwise(tried)] == [1, 1, 1, 2, 4, 7, 12, 12]


def test_columns_that_cannot_be_had_keep_no_other_one_back(served: Served, tool: Tool, gradebook: Gradebook) -> None:
    """Neither those that the platform does not allow, nor those at which it fails."""
    hopeless = opened(served, gradebook.platform, scope=[SCORE_SCOPE])
    for n in range(3):
        reserve(tool, hopeless, f"hopeless{n}")
    gradebook.platform.answers["/bad"] = lambda asked: PlainTextResponse("", status_code=500)
    failing = opened(served, gradebook.platform, lineitems=f"{gradebook.platform.base}/bad")
    for n in range(3):
        reserve(tool, failing, f"failing{n}")
    good = reserve(tool, opened(served, gradebook.platform))

    for _ in range(4):
        find_items(tool)
        served.clock.move(minutes=16)

    assert address_of(tool, good) is not None


def test_a_platform_that_is_down_keeps_no_other_one_back(served: Served, tool: Tool, gradebook: Gradebook) -> None:
    """However many scores wait for it."""
    platform = gradebook.platform
    down = platform.add_to(tool, client_id="down", token_address=f"{platform.base}/down", is_change=True)
    platform.answers["/down"] = lambda asked: PlainTextResponse("", status_code=503)
    found = opened(served, platform, lineitem=gradebook.add("own")["id"])
    other = reserve(tool, dataclasses.replace(found, platform=down.number))
    for n in range(5):
        give(tool, other, 1, f"s{n}")
    give(tool, reserve(tool, found), 2)

    assert deliver_due(tool, most=3) == 2
    assert gradebook.scores == [("own", 2)]
