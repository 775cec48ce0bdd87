"""Tokens, rosters, columns and our keys, with a platform that answers as it likes."""

from __future__ import annotations

import base64
import dataclasses
import json
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet
from starlette.responses import JSONResponse, PlainTextResponse, Response

from grader.portal.lti.delivery import deliver_due
from grader.portal.lti.keys import make_key, public_keys, remove_old_keys, sign
from grader.portal.lti.launch import Launch
from grader.portal.lti.lineitems import RESERVED_FOR, find_items, reserve_item
from grader.portal.lti.outbox import Offer, State, entries, offer
from grader.portal.lti.platforms import Platform, platforms
from grader.portal.lti.refusals import PlatformFailure
from grader.portal.lti.roster import Member, read_roster
from grader.portal.lti.services import pages
from grader.portal.lti.tool import SCORE_SCOPE, Tool
from grader.portal.lti.web import Answer
from tests.portal.lti.running import (
    AGS,
    ROLE,
    Asked,
    CrashingWeb,
    FakePlatform,
    Served,
    acts_of,
    add_column,
    json_of,
    launch,
)


@pytest.fixture
def known(served: Served, platform: FakePlatform) -> Platform:
    platform.asked.clear()
    return next(each for each in platforms(served.tool) if each.client_id == platform.client_id)


def kid_of(token: str) -> str:
    header = token.split(".")[0]
    return str(json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))["kid"])


def test_a_token_is_asked_for_as_the_standard_says(tool: Tool, platform: FakePlatform, known: Platform) -> None:
    """Once for each client, until it is about to expire."""
    other = platform.add_to(tool, client_id="client-2")
    platform.answers["/members"] = lambda asked: JSONResponse({"members": []})

    for _ in range(2):
        read_roster(tool, known, f"{platform.base}/members")
        read_roster(tool, other, f"{platform.base}/members")

    first, second = (asked for asked in platform.asked if asked.path == "/token")
    used = [asked.headers["authorization"] for asked in platform.asked if asked.path == "/members"]
    assert used[0] == used[2] != used[1] == used[3]
    form = {name: values[0] for name, values in parse_qs(first.body.decode()).items()}
    assert form["grant_type"] == "client_credentials"
    assert form["scope"] == "https://purl.imsglobal.org/spec/lti-nrps/scope/contextmembership.readonly"
    keys = KeySet.import_key_set(public_keys(tool))  # type: ignore[arg-type]
    claims = jwt.decode(form["client_assertion"], keys, algorithms=["RS256"]).claims
    assert (claims["iss"], claims["sub"], claims["aud"]) == ("client-1", "client-1", f"{platform.base}/token")
    assert claims["iat"] < tool.clock().timestamp() < claims["exp"]
    again = parse_qs(second.body.decode())["client_assertion"][0]
    assert jwt.decode(again, keys, algorithms=["RS256"]).claims["jti"] != claims["jti"]


def test_a_token_that_is_about_to_expire_is_replaced(
    tool: Tool, served: Served, platform: FakePlatform, known: Platform
) -> None:
    platform.answers["/members"] = lambda asked: JSONResponse({"members": []})
    read_roster(tool, known, f"{platform.base}/members")
    served.clock.move(minutes=58)
    read_roster(tool, known, f"{platform.base}/members")
    assert platform.count("/token") == 1
    served.clock.move(minutes=1, seconds=30)
    read_roster(tool, known, f"{platform.base}/members")
    assert platform.count("/token") == 2


def test_a_token_that_is_not_taken_is_replaced_once(tool: Tool, platform: FakePlatform, known: Platform) -> None:
    platform.answers["/members"] = lambda asked: JSONResponse({}, status_code=401)

    with pytest.raises(PlatformFailure, match="401"):
        read_roster(tool, known, f"{platform.base}/members")

    assert (platform.count("/members"), platform.count("/token")) == (2, 2)


TOKENS: dict[str, Callable[[Asked], Response]] = {
    "none": lambda asked: JSONResponse({"token_type": "Bearer"}),
    "of another type": lambda asked: JSONResponse({"access_token": "x", "token_type": "mac"}),
    "with a line of its own": lambda asked: JSONResponse({"access_token": "x\r\nX-Y: z", "token_type": "Bearer"}),
    "a list": lambda asked: JSONResponse([]),
    "no JSON": lambda asked: PlainTextResponse("token"),
    "refused": lambda asked: JSONResponse({"error": "invalid_client"}, status_code=400),
    "too long": lambda asked: JSONResponse({"access_token": "x" * 300_000, "token_type": "Bearer"}),
}


@pytest.mark.parametrize("name", TOKENS)
def test_what_is_no_token(tool: Tool, platform: FakePlatform, known: Platform, name: str) -> None:
    usual, platform.answers["/token"] = platform.answers["/token"], TOKENS[name]
    try:
        with pytest.raises(PlatformFailure):
            read_roster(tool, known, f"{platform.base}/members")
    finally:
        platform.answers["/token"] = usual
    assert platform.count("/members") == 0


def member(subject: Any, **more: Any) -> dict[str, Any]:
    return {"user_id": subject, "roles": [f"{ROLE}Learner"], "status": "Active"} | more


def test_a_roster_in_pages(tool: Tool, platform: FakePlatform, known: Platform) -> None:
    """With the platform's own query. What is no member is left out, and somebody on two pages is there once."""

    def answer(asked: Asked) -> Response:
        if asked.query.get("page") == "2":
            return JSONResponse({"members": [member("b"), member("c", roles=["Instructor"], status="Inactive")]})
        link = f'<{platform.base}/members?course=7&page=2>; rel="next", <{platform.base}/members>; rel="first"'
        odd: list[Any] = [7, {}, member(""), member("x" * 300), member("\0"), member(["d"])]
        entries = [member("a", name="A. B.", email="a@example.org"), member("b"), *odd]
        return JSONResponse({"members": entries}, headers={"Link": link})

    platform.answers["/members"] = answer

    roster = read_roster(tool, known, f"{platform.base}/members?course=7", per_page=50)

    assert roster == (
        Member("a", "A. B.", "a@example.org", is_staff=False, is_learner=True, is_active=True),
        Member("b", "", "", is_staff=False, is_learner=True, is_active=True),
        Member("c", "", "", is_staff=True, is_learner=False, is_active=False),
    )
    first = next(asked for asked in platform.asked if asked.path == "/members")
    assert first.query == {"course": "7", "limit": "50"}
    assert first.headers["accept"] == "application/vnd.ims.lti-nrps.v2.membershipcontainer+json"


ROSTERS: dict[str, tuple[Callable[[FakePlatform], Callable[[Asked], Response]], str]] = {
    "goes on elsewhere": (
        lambda platform: (
            lambda asked: JSONResponse({"members": []}, headers={"Link": '<https://lms.test/members>; rel="next"'})
        ),
        "another host",
    ),
    "goes in a circle": (
        lambda platform: (
            lambda asked: JSONResponse(
                {"members": []}, headers={"Link": f'<{platform.base}{asked.path}?limit=200>; rel="next"'}
            )
        ),
        "does not end",
    ),
    "has no members": (lambda platform: lambda asked: JSONResponse({}), "no members"),
    "is too long": (lambda platform: lambda asked: PlainTextResponse(" " * 5_000_000), "too long"),
    "is compressed": (
        lambda platform: lambda asked: Response(b"\x1f\x8b", headers={"Content-Encoding": "gzip"}),
        "compressed",
    ),
    "is refused": (lambda platform: lambda asked: JSONResponse({}, status_code=403), "403"),
}


@pytest.mark.parametrize("name", ROSTERS)
def test_a_roster_that_is_none(tool: Tool, platform: FakePlatform, known: Platform, name: str) -> None:
    answer, words = ROSTERS[name]
    platform.answers["/members"] = answer(platform)

    with pytest.raises(PlatformFailure, match=words):
        read_roster(tool, known, f"{platform.base}/members")


def test_a_list_without_an_end_is_left(tool: Tool, platform: FakePlatform, known: Platform) -> None:
    platform.answers["/list"] = lambda asked: JSONResponse(
        [], headers={"Link": f'<?page={int(asked.query.get("page", 0)) + 1}>; rel="next"'}
    )

    with pytest.raises(PlatformFailure, match="does not end"):
        list(pages(tool, known, [SCORE_SCOPE], f"{platform.base}/list", accept="*/*", most=4, limit=100))

    assert platform.count("/list") == 4


def launched(served: Served, platform: FakePlatform, **services: Any) -> Launch:
    assert launch(served, platform, lambda claims: claims[AGS].update(services)).status_code == 200
    return served.launches[-1]


def items(platform: FakePlatform, *found: dict[str, Any], made: Any = None) -> None:
    """The platform's columns, and the answer to a request for a new one."""

    def answer(asked: Asked) -> Response:
        return JSONResponse(list(found)) if asked.method == "GET" else JSONResponse(made, status_code=201)

    platform.answers["/items"] = answer


def test_the_column_of_a_link_is_used(served: Served, tool: Tool, platform: FakePlatform, known: Platform) -> None:
    """Without any request."""
    found = launched(served, platform, lineitem=f"{platform.base}/items/9?type=1")
    platform.asked.clear()

    first, again = (reserve_item(tool, found, assignment=name, title="W", maximum=1) for name in ("week1", "week1"))
    find_items(tool)

    assert first == again
    assert platform.asked == []


def test_a_column_is_found_again(served: Served, tool: Tool, platform: FakePlatform, known: Platform) -> None:
    """By tag and resource, and not one of another link; the platform's query is kept."""
    found = launched(served, platform, lineitems=f"{platform.base}/items?type=2")
    ours = {"tag": "grade", "resourceId": "week1"}
    items(
        platform,
        {**ours, "tag": "other", "id": f"{platform.base}/items/1"},
        {**ours, "resourceId": "week2", "id": f"{platform.base}/items/2"},
        {**ours, "resourceLinkId": "link-2", "id": f"{platform.base}/items/3"},
        {**ours, "resourceLinkId": "link-1", "id": f"{platform.base}/items/4"},
    )

    reserve_item(tool, found, assignment="week1", title="Week 1", maximum=10)

    assert find_items(tool) == 1
    (asked,) = (asked for asked in platform.asked if asked.path == "/items")
    assert asked.query == {"type": "2", "tag": "grade", "resource_id": "week1"}


def test_a_column_is_made_once(served: Served, tool: Tool, platform: FakePlatform, known: Platform) -> None:
    """Also if several students open the assignment at the same time, at several servers."""
    found = launched(served, platform, lineitems=f"{platform.base}/items?type=3")
    items(platform, made={"id": f"{platform.base}/items/5?type=3"})
    numbers = set()
    barrier = threading.Barrier(4)

    def find() -> None:
        barrier.wait()
        numbers.add(reserve_item(tool, found, assignment="week1", title="W" * 200, maximum=7.5))
        find_items(tool)

    threads = [threading.Thread(target=find) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(numbers) == 1
    (made,) = (asked for asked in platform.asked if asked.path == "/items" and asked.method == "POST")
    assert made.headers["content-type"] == "application/vnd.ims.lis.v2.lineitem+json"
    assert json_of(made) == {
        "scoreMaximum": 100,
        "label": "W" * 100,
        "resourceId": "week1",
        "tag": "grade",
        "resourceLinkId": "link-1",
    }


COLUMNS: dict[str, tuple[dict[str, Any], Any, str]] = {
    "no columns allowed": ({"scope": [SCORE_SCOPE]}, {}, "look into"),
    "only to look": (
        {"scope": [SCORE_SCOPE, "https://purl.imsglobal.org/spec/lti-ags/scope/lineitem.readonly"]},
        {},
        "make a column",
    ),
    "at another host": ({}, {"id": "https://lms.test/items/1"}, "another host"),
    "without an address": ({}, {"id": 7}, "no address"),
    "no object": ({}, [], "object"),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_that_cannot_be_had(
    served: Served, tool: Tool, platform: FakePlatform, known: Platform, name: str
) -> None:
    """It is tried again after a while, and whoever looks at a score that waits for it reads why."""
    services, made, words = COLUMNS[name]
    found = launched(served, platform, lineitems=f"{platform.base}/items?case={len(name)}", **services)
    items(platform, made=made)

    number = reserve_item(tool, found, assignment="week1", title="Week 1", maximum=10)
    offer(tool, Offer(item=number, subject="s", mark="m", given=1, maximum=2, submitted_at=served.clock()))
    for _ in range(2):
        assert (find_items(tool), deliver_due(tool)) == (0, 0)
        (waiting,) = entries(tool, item=number)
        assert waiting.state is State.WAITING
        assert words in waiting.reason
        served.clock.move(minutes=16)


def test_scores_that_nobody_wants(served: Served, tool: Tool, platform: FakePlatform, known: Platform) -> None:
    found = launched(served, platform, lineitems=f"{platform.base}/items", scope=[])

    with pytest.raises(PlatformFailure, match="does not let the portal send"):
        reserve_item(tool, found, assignment="week1", title="Week 1", maximum=10)


def test_a_search_that_was_cut_off(served: Served, tool: Tool, platform: FakePlatform, known: Platform) -> None:
    """Whoever looked for the column was killed. Somebody else looks after a while, and no launch is needed."""
    found = launched(served, platform, lineitems=f"{platform.base}/items?type=4")
    items(platform, made={"id": f"{platform.base}/items/6?type=4"})
    reserve_item(tool, found, assignment="week1", title="Week 1", maximum=10)
    assert find_items(tool, is_over=lambda: True) == 0, "nobody has asked for it"

    with pytest.raises(KeyboardInterrupt):
        find_items(dataclasses.replace(tool, web=CrashingWeb(tool.web, at="/items")))
    assert find_items(tool) == 0, "somebody may still be looking"
    served.clock.move(seconds=RESERVED_FOR.total_seconds() + 1)

    assert find_items(tool) == 1


def test_our_keys_are_changed_without_a_gap(tool: Tool, served: Served) -> None:
    """The new one is published a day before it signs, and the old one stays for two days after."""
    old = kid_of(sign(tool, {}))
    published = {key["kid"] for key in public_keys(tool)["keys"]}
    assert published == {old}
    assert all(set(key) == {"kty", "n", "e", "kid", "use", "alg"} for key in public_keys(tool)["keys"])

    new = make_key(tool, by="prof")
    assert {key["kid"] for key in public_keys(tool)["keys"]} == {old, new}
    assert kid_of(sign(tool, {})) == old
    served.clock.move(hours=25)
    assert kid_of(sign(tool, {})) == new
    assert remove_old_keys(tool, by="prof") == []
    served.clock.move(hours=46)
    assert remove_old_keys(tool, by="prof") == []
    served.clock.move(hours=2)
    assert remove_old_keys(tool, by="prof") == [old]
    assert {key["kid"] for key in public_keys(tool)["keys"]} == {new}
    served.clock.move(days=9)
    assert remove_old_keys(tool, by="prof") == []
    assert [act for act in acts_of(tool) if "signing key" in act[1]] == [
        ("portal", "signing key made", old),
        ("prof", "signing key made", new),
        ("prof", "signing key removed", old),
    ]


def test_cookies_of_platforms_are_not_kept(tool: Tool, platform: FakePlatform, known: Platform) -> None:
    """They would grow as the platform likes, and be sent to others of its domain."""
    made = JSONResponse({"members": []}, headers={"Set-Cookie": "a=1; Path=/"})
    platform.answers["/members"] = lambda asked: made

    for _ in range(2):
        read_roster(tool, known, f"{platform.base}/members")

    assert not any("cookie" in asked.headers for asked in platform.asked)


def test_what_nobody_expected_of_a_platform_keeps_no_other_back(
    tool: Tool, platform: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scores of the next platform are sent; those of this one are tried again later."""
    items = [
        add_column(tool, f"{platform.base}/{name}", address=f"{platform.base}/{name}/1", scopes=SCORE_SCOPE)
        for name in ("odd", "well")
    ]
    for item in items:
        offer(tool, Offer(item, "s", "m", 3, 4, submitted_at=tool.clock()))
    for name in ("odd", "well"):
        platform.answers[f"/{name}/token"] = a_token
        platform.answers[f"/{name}/1/scores"] = lambda asked: PlainTextResponse("")
    send = tool.web.send

    def odd(method: str, address: str, **options: Any) -> Answer:
        if "/odd/1" in address:
            raise LookupError("a fault of the portal's")
        return send(method, address, **options)

    monkeypatch.setattr(tool.web, "send", odd)

    assert deliver_due(tool) == 2
    assert {entry.item: entry.state for entry in entries(tool)} == {
        items[0]: State.WAITING,
        items[1]: State.DELIVERED,
    }


def a_token(asked: Asked) -> Response:
    return JSONResponse({"access_token": "t", "token_type": "Bearer", "expires_in": 3600})
