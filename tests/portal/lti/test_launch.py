"""A login and a launch, and every check of them: each test breaks one thing of a launch that is accepted otherwise."""

from __future__ import annotations

import base64
import hmac
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.responses import JSONResponse, PlainTextResponse, Response

from grader.portal.lti.deployments import add_deployment, close_platform, deployments_of
from grader.portal.lti.platforms import Platform, platforms
from grader.portal.lti.tables import LOGINS
from grader.portal.lti.tool import CLAIM, DEEP_LINKING
from tests.portal.lti.running import (
    ROLE,
    Asked,
    Claims,
    FakePlatform,
    Served,
    acts_of,
    finish,
    form_of,
    launch,
    redirected,
    start,
)


def assert_refused(served: Served, response: httpx.Response, words: str) -> None:
    """A page with one sentence, and nobody is signed in."""
    assert 400 <= response.status_code < 500 or response.status_code == 502
    assert words in response.text
    assert served.launches == []
    assert response.headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'nonce-")


def test_a_launch(served: Served, platform: FakePlatform) -> None:
    response = launch(served, platform)

    assert response.text == "welcome student-1"
    (found,) = served.launches
    assert (found.name, found.email, found.context, found.context_title) == ("A. Student", "", "course-1", "Gradients")
    assert (found.is_learner, found.is_staff) == (True, False)
    assert (found.assignment, found.resource_link, found.deployment) == ("week1", "link-1", "deployment-1")
    assert (found.items_address, found.item_address) == (f"{platform.base}/items?type=7", "")
    assert found.roster_address == f"{platform.base}/members"
    assert len(found.grade_scopes) == 3


RETURNS = {
    "elsewhere": ("https://School.example/courses/1;frame-ancestors *", "https://school.example"),
    "with a port": ("https://school.example:8443/", "https://school.example:8443"),
    "without https": ("http://127.0.0.1/", None),
    "not an address": ("https://*/", None),
    "what a policy cannot name": ("https://[::1]/", None),
    "no text": (["https://school.example"], None),
    "nothing": (None, None),
}


@pytest.mark.parametrize(("address", "origin"), RETURNS.values(), ids=RETURNS)
def test_whose_pages_may_have_the_frame(
    served: Served, platform: FakePlatform, address: Any, origin: str | None
) -> None:
    """Those that the browser returns to, and those of the login; none is known if the platform does not say."""
    launch(served, platform, lambda claims: claims.update({f"{CLAIM}launch_presentation": {"return_url": address}}))

    assert served.launches[0].framed_by == (() if origin is None else (origin, platform.base))


def test_a_login_asks_for_what_the_standard_says(served: Served, platform: FakePlatform) -> None:
    """And its cookie also works in a frame on another site, where a browser allows it."""
    with served.browser() as browser:
        first = start(browser, served, platform)
        second = browser.post(
            f"{served.tool.base}/lti/login",
            data={"iss": platform.base, "login_hint": "h", "target_link_uri": served.tool.launch_address},
        )

    query = redirected(first)
    assert first.headers["Location"].startswith(f"{platform.base}/authorize?")
    assert len(query.pop("state")) == len(query.pop("nonce")) == 43
    assert query == {
        "scope": "openid",
        "response_type": "id_token",
        "response_mode": "form_post",
        "prompt": "none",
        "client_id": platform.client_id,
        "redirect_uri": served.tool.launch_address,
        "login_hint": "hint",
        "lti_message_hint": "message hint",
    }
    assert first.headers["Set-Cookie"].endswith("; Path=/; Secure; HttpOnly; SameSite=None; Partitioned")
    assert first.headers["Set-Cookie"] == second.headers["Set-Cookie"], (
        "two tabs of a browser do not disturb each other"
    )
    assert "lti_message_hint" not in redirected(second)


def of_claim(name: str, value: Any) -> Callable[[Claims], Any]:
    """One claim is another one, or missing."""
    return lambda claims: claims.pop(name) if value is None else claims.update({name: value})


CLAIMS = {
    "another issuer": (of_claim("iss", "https://lms.test"), "another learning platform"),
    "no issuer": (of_claim("iss", None), "another learning platform"),
    "another audience": (of_claim("aud", "client-2"), "another tool"),
    "no audience": (of_claim("aud", None), "another tool"),
    "several audiences, none authorized": (of_claim("aud", ["client-1", "client-2"]), "another tool"),
    "several audiences, another authorized": (
        lambda claims: claims.update(aud=["client-1", "client-2"], azp="client-2"),
        "another tool",
    ),
    "one audience, another authorized": (of_claim("azp", "client-2"), "another tool"),
    "expired": (of_claim("exp", time.time() - 61), "has expired"),
    "no expiry": (of_claim("exp", None), "how long it is valid"),
    "endless": (of_claim("exp", float("inf")), "how long it is valid"),
    "expiry beyond all numbers": (of_claim("exp", 10**400), "how long it is valid"),
    "expiry is no number": (of_claim("exp", True), "how long it is valid"),
    "made in the future": (of_claim("iat", time.time() + 3600), "clocks"),
    "no time": (of_claim("iat", None), "when it was made"),
    "not valid yet": (of_claim("nbf", time.time() + 3600), "clocks"),
    "another nonce": (of_claim("nonce", "x" * 43), "answers another login"),
    "no nonce": (of_claim("nonce", None), "answers another login"),
    "a nonce that is no text": (of_claim("nonce", "\ud800"), "answers another login"),
    "another version": (of_claim(f"{CLAIM}version", "1.1.0"), "another version"),
    "no version": (of_claim(f"{CLAIM}version", None), "another version"),
    "another deployment": (of_claim(f"{CLAIM}deployment_id", "deployment-2"), "not connected to this part"),
    "no deployment": (of_claim(f"{CLAIM}deployment_id", None), "in which deployment"),
    "nobody": (of_claim("sub", None), "who you are"),
    "a subject that is too long": (of_claim("sub", "s" * 256), "who you are"),
    "a subject that no database keeps": (of_claim("sub", "a\0b"), "who you are"),
    "another target": (of_claim(f"{CLAIM}target_link_uri", "https://127.0.0.1/lti/launch"), "something else"),
    "no target": (of_claim(f"{CLAIM}target_link_uri", None), "something else"),
    "no link": (of_claim(f"{CLAIM}resource_link", None), "which link"),
    "a link without an id": (of_claim(f"{CLAIM}resource_link", {"title": "x"}), "which link"),
    "another message": (of_claim(f"{CLAIM}message_type", "LtiStartProctoring"), "does not offer"),
    "a deep link without settings": (of_claim(f"{CLAIM}message_type", "LtiDeepLinkingRequest"), "where the new link"),
}


@pytest.mark.parametrize("name", CLAIMS)
def test_each_claim_is_checked(served: Served, platform: FakePlatform, name: str) -> None:
    change, words = CLAIMS[name]

    assert_refused(served, launch(served, platform, change), words)


def test_several_audiences_are_right_with_an_authorized_party(served: Served, platform: FakePlatform) -> None:
    response = launch(served, platform, lambda claims: claims.update(aud=["client-1", "client-2"], azp="client-1"))

    assert response.text == "welcome student-1"


def test_claims_of_any_shape_are_no_fault_of_ours(served: Served, platform: FakePlatform) -> None:
    """What is not needed and not usable counts as missing."""
    names = ["resource_link", "context", "custom", "roles"]
    odd: Claims = dict.fromkeys([f"{CLAIM}{name}" for name in names[1:]], 7) | {"name": ["x"], "email": "\ud800"}
    odd |= {"https://purl.imsglobal.org/spec/lti-ags/claim/endpoint": {"scope": "x", "lineitems": "http://lms.test/"}}
    odd |= {"https://purl.imsglobal.org/spec/lti-nrps/claim/namesroleservice": []}

    assert launch(served, platform, lambda claims: claims.update(odd)).text == "welcome student-1"

    (found,) = served.launches
    assert (found.name, found.email, found.context, found.assignment, found.items_address) == ("", "", "", "", "")
    assert (found.is_staff, found.is_learner, found.grade_scopes, found.roster_address) == (False, False, (), "")


def test_only_roles_in_the_course_count(served: Served, platform: FakePlatform) -> None:
    elsewhere = "http://purl.imsglobal.org/vocab/lis/v2/"
    roles = [f"{elsewhere}system/person#Administrator", f"{elsewhere}institution/person#Instructor", "Instructor"]

    launch(served, platform, of_claim(f"{CLAIM}roles", roles))
    launch(served, platform, of_claim(f"{CLAIM}roles", [*roles, f"{ROLE}Instructor"]))

    assert [found.is_staff for found in served.launches] == [False, True]


def written(*parts: Claims) -> str:
    """Parts of a token, before its signature."""
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)


def with_password(platform: FakePlatform, claims: Claims) -> str:
    """A token whose password is what everybody may know: the public key."""
    start = written({"alg": "HS256", "kid": platform.key.kid}, claims)
    mac = hmac.digest(platform.key.as_pem(private=False), start.encode(), "sha256")
    return f"{start}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"


def changed(platform: FakePlatform, claims: Claims) -> str:
    header, _, signature = platform.sign(claims).split(".")
    return f"{header}.{written(claims | {'sub': 'teacher'})}.{signature}"


SIGNATURES: dict[str, tuple[Callable[[FakePlatform, Claims], str], str]] = {
    "another key of the same name": (
        lambda platform, claims: jwt.encode(
            {"alg": "RS256", "kid": platform.key.kid}, claims, RSAKey.generate_key(2048)
        ),
        "signature",
    ),
    "changed afterwards": (changed, "signature"),
    "no signature": (lambda platform, claims: f"{written({'alg': 'none', 'kid': 'x'}, claims)}.", "not allowed"),
    "the public key as a password": (with_password, "not allowed"),
    "another algorithm of the same key": (
        lambda platform, claims: jwt.encode(
            {"alg": "RS512", "kid": platform.key.kid}, claims, platform.key, algorithms=["RS512"]
        ),
        "not allowed",
    ),
    "no key is named": (lambda platform, claims: jwt.encode({"alg": "RS256"}, claims, platform.key), "not allowed"),
    "nothing": (lambda platform, claims: "", "signature"),
    "no token": (lambda platform, claims: "a.b.c", "signature"),
    "no letters": (lambda platform, claims: "é" * 100, "signature"),
    "no claims": (lambda platform, claims: platform.sign(b"[]"), "signature"),
    "very deep": (lambda platform, claims: platform.sign(b"[" * 90_000), "signature"),
    "very long": (lambda platform, claims: platform.sign(claims | {"x": "y" * 150_000}), "signature"),
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_only_the_platform_signs(served: Served, platform: FakePlatform, name: str) -> None:
    make, words = SIGNATURES[name]
    with served.browser() as browser:
        started = redirected(start(browser, served, platform))
        claims = platform.claims(started, served.tool, served.clock().timestamp())

        response = finish(browser, served, make(platform, claims), started["state"])

    assert_refused(served, response, words)


def test_a_login_is_used_once(served: Served, platform: FakePlatform) -> None:
    """The same answer again is refused, also one with the same nonce that is signed anew."""
    with served.browser() as browser:
        started = redirected(start(browser, served, platform))
        claims = platform.claims(started, served.tool, served.clock().timestamp())
        first = finish(browser, served, platform.sign(claims), started["state"])
        served.launches.clear()
        again = finish(browser, served, platform.sign(claims), started["state"])
        other = redirected(start(browser, served, platform))
        replayed = finish(browser, served, platform.sign(claims), other["state"])

    assert first.text == "welcome student-1"
    assert_refused(served, again, "used already")
    assert_refused(served, replayed, "answers another login")


def test_a_login_belongs_to_one_browser(served: Served, platform: FakePlatform) -> None:
    """Another one is refused, with or without a cookie of its own, and without using the login up."""
    with served.browser() as browser, served.browser() as other:
        started = redirected(start(browser, served, platform))
        token = platform.sign(platform.claims(started, served.tool, served.clock().timestamp()))
        without = finish(other, served, token, started["state"])
        start(other, served, platform)
        with_another = finish(other, served, token, started["state"])
        guessed = finish(other, served, token, started["state"], stored="x" * 43)

        for response in (without, with_another, guessed):
            assert_refused(served, response, "another browser")
            assert 'target="_blank"' in response.text
        assert finish(browser, served, token, started["state"]).text == "welcome student-1"


def test_a_login_expires(served: Served, platform: FakePlatform) -> None:
    """After ten minutes, and then it is forgotten."""
    with served.browser() as browser:
        started = redirected(start(browser, served, platform))
        served.clock.move(minutes=11)
        claims = platform.claims(started, served.tool, served.clock().timestamp())
        response = finish(browser, served, platform.sign(claims), started["state"])
        start(browser, served, platform)

    assert_refused(served, response, "has expired")
    with served.tool.database.begin() as connection:
        assert connection.execute(sa.select(sa.func.min(LOGINS.c.expires_at))).scalar_one() > served.clock()


STARTS: dict[str, tuple[dict[str, str | None], str]] = {
    "an unknown platform": ({"iss": "https://lms.test"}, "not connected"),
    "an unknown client": ({"client_id": "client-2"}, "not connected"),
    "a client that no database keeps": ({"client_id": "a\0"}, "no text"),
    "no issuer": ({"iss": None}, "without saying"),
    "no hint": ({"login_hint": None}, "without saying"),
    "no target": ({"target_link_uri": None}, "without saying"),
    "a target elsewhere": ({"target_link_uri": "https://127.0.0.1.lms.test/"}, "does not belong"),
    "a hint that is too long": ({"login_hint": "h" * 8001}, "too long"),
}


@pytest.mark.parametrize("name", STARTS)
def test_each_start_is_checked(served: Served, platform: FakePlatform, name: str) -> None:
    changes, words = STARTS[name]
    with served.browser() as browser:
        response = start(browser, served, platform, **changes)

    assert_refused(served, response, words)
    assert "Set-Cookie" not in response.headers


def test_a_launch_that_nobody_started(served: Served, platform: FakePlatform) -> None:
    with served.browser() as browser:
        start(browser, served, platform)
        assert_refused(served, finish(browser, served, "a.b.c", "x" * 43), "has expired")
        assert_refused(served, finish(browser, served, "a.b.c", ""), "has expired")
        assert_refused(served, finish(browser, served, "a.b.c", "\0"), "has expired")


def test_a_platform_may_say_that_it_did_not_sign_in(served: Served, platform: FakePlatform) -> None:
    """Its words are not repeated, unless they are a name of an error."""
    with served.browser() as browser:
        state = redirected(start(browser, served, platform))["state"]
        named = finish(browser, served, "", state, error="login_required")
        strange = finish(browser, served, "", state, error="<script>call us")

    assert_refused(served, named, "login_required")
    assert_refused(served, strange, "an error without a name")


def test_what_is_posted_is_bounded(served: Served) -> None:
    address = f"{served.tool.base}/lti/launch"
    with served.browser() as browser:
        long = browser.post(address, data={"id_token": "x" * 300_000})
        many = browser.post(address, data={f"f{n}": "" for n in range(101)})
        other = browser.post(address, json={"state": "x"})
        binary = browser.post(address, content=b"\xff", headers={"Content-Type": "application/x-www-form-urlencoded"})
        got = browser.get(address)

    assert (long.status_code, many.status_code, other.status_code, binary.status_code) == (413, 400, 415, 400)
    assert got.status_code == 405


def test_a_new_key_of_a_platform_is_fetched(served: Served, platform: FakePlatform) -> None:
    """But for unknown keys, at most every ten seconds."""
    served.clock.move(minutes=30)
    before, old = platform.count("/jwks"), platform.key
    launch(served, platform)
    known = platform.count("/jwks")
    served.launches.clear()
    platform.key = RSAKey.generate_key(2048, auto_kid=True)
    try:
        served.clock.move(seconds=11)
        platform.answers["/jwks"] = lambda asked: JSONResponse(platform.keys(old))
        assert_refused(served, launch(served, platform), "not published")
        platform.answers["/jwks"] = lambda asked: JSONResponse(platform.keys(old, platform.key))
        assert_refused(served, launch(served, platform), "not published")
        assert platform.count("/jwks") == known + 1
        served.clock.move(seconds=11)
        assert launch(served, platform).text == "welcome student-1"
        assert platform.count("/jwks") == known + 2
    finally:
        platform.key = old
        platform.answers["/jwks"] = lambda asked: JSONResponse(platform.keys(old))
    assert known - before <= 1
    assert launch(served, platform).text == "welcome student-1"


def test_launches_at_the_same_time_wait_for_the_keys(served: Served, platform: FakePlatform) -> None:
    """Only one of them fetches them, and none is refused."""
    served.clock.move(days=5)
    usual, old = platform.answers["/jwks"], platform.key
    platform.key = RSAKey.generate_key(2048, auto_kid=True)
    platform.asked.clear()

    def take_time(asked: Asked) -> Response:
        time.sleep(0.4)
        return JSONResponse(platform.keys(platform.key))

    platform.answers["/jwks"] = take_time
    texts: list[str] = []
    threads = [threading.Thread(target=lambda: texts.append(launch(served, platform).text)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    platform.key, platform.answers["/jwks"] = old, usual

    assert texts == ["welcome student-1"] * 4
    assert platform.count("/jwks") == 1


def slow(asked: Asked) -> Response:
    time.sleep(1)
    return JSONResponse({"keys": []})


KEYS: dict[str, tuple[Callable[[FakePlatform], Callable[[Asked], Response]], str]] = {
    "too long": (lambda platform: lambda asked: PlainTextResponse(" " * 70_000), "too long"),
    "slow": (lambda platform: slow, "did not answer in time"),
    "broken": (lambda platform: lambda asked: PlainTextResponse("oh no", status_code=500), "status 500"),
    "no JSON": (lambda platform: lambda asked: PlainTextResponse("[" * 60_000), "not JSON"),
    "no object": (lambda platform: lambda asked: JSONResponse([1]), "not an object"),
    "somewhere else": (
        lambda platform: lambda asked: Response(status_code=302, headers={"Location": f"{platform.base}/other"}),
        "status 302",
    ),
    "strange": (
        lambda platform: lambda asked: JSONResponse({"keys": [7, {"kty": "RSA", "kid": "x"}]}),
        "not published",
    ),
    "for encryption": (
        lambda platform: lambda asked: JSONResponse({"keys": [{**platform.key.as_dict(private=False), "use": "enc"}]}),
        "not published",
    ),
}


@pytest.mark.parametrize("name", KEYS)
def test_keys_that_cannot_be_had(served: Served, platform: FakePlatform, name: str) -> None:
    """A sentence says why; and when the platform works again, so does the launch."""
    answer, words = KEYS[name]
    usual, key = platform.answers["/jwks"], platform.key
    served.clock.move(hours=2 * (list(KEYS).index(name) + 1))
    platform.key = RSAKey.generate_key(2048, auto_kid=True)
    platform.answers["/jwks"] = answer(platform)
    patience = served.client.timeout
    served.client.timeout = 0.5 if name == "slow" else patience
    try:
        assert_refused(served, launch(served, platform), words)
    finally:
        platform.key, platform.answers["/jwks"] = key, usual
        served.client.timeout = patience


def test_a_short_key_is_none(served: Served, platform: FakePlatform) -> None:
    """1024 bits can be broken."""
    usual, key = platform.answers["/jwks"], platform.key
    served.clock.move(days=2)
    with pytest.warns(Warning, match="."):
        platform.key = RSAKey.generate_key(1024, auto_kid=True)
    platform.answers["/jwks"] = lambda asked: JSONResponse(platform.keys(platform.key))
    try:
        assert_refused(served, launch(served, platform), "not published")
    finally:
        platform.key, platform.answers["/jwks"] = key, usual


def test_one_issuer_may_have_several_clients(served: Served, platform: FakePlatform) -> None:
    """As in hosted Canvas. Then the client decides, and the person of one is not the person of the other."""
    served.clock.move(days=3)
    platform.add_to(served.tool, client_id="client-7", deployments=["deployment-1"])
    with served.browser() as browser:
        unclear = start(browser, served, platform, client_id=None)
        started = redirected(start(browser, served, platform, client_id="client-7"))
        claims = platform.claims(started, served.tool, served.clock().timestamp())
        foreign = finish(browser, served, platform.sign(claims), started["state"])
        assert_refused(served, foreign, "another tool")
        started = redirected(start(browser, served, platform, client_id="client-7"))
        claims = platform.claims(started, served.tool, served.clock().timestamp()) | {"aud": "client-7"}
        finish(browser, served, platform.sign(claims), started["state"])
    launch(served, platform)

    assert unclear.status_code == 403
    first, second = served.launches
    assert first.subject == second.subject
    assert first.person != second.person


def launch_of(served: Served, platform: FakePlatform, client: str, deployment: str) -> httpx.Response:
    """A whole launch of a client, from a deployment."""
    with served.browser() as browser:
        started = redirected(start(browser, served, platform, client_id=client))
        claims = platform.claims(started, served.tool, served.clock().timestamp())
        claims |= {"aud": client, f"{CLAIM}deployment_id": deployment}
        return finish(browser, served, platform.sign(claims), started["state"])


def test_the_first_deployment_is_remembered(served: Served, platform: FakePlatform) -> None:
    """Of a platform that was added without one. A second one is refused."""
    served.clock.move(days=4)
    platform.add_to(served.tool, client_id="client-8", deployments=[])

    answers = [launch_of(served, platform, "client-8", deployment).status_code for deployment in ("d1", "d2", "d1")]

    assert answers == [200, 403, 200]
    (known,) = (each for each in platforms(served.tool) if each.client_id == "client-8")
    assert not known.expects_deployment
    act = (f"platform {known.number}", "deployment allowed", f"deployment d1 of platform {known.number}")
    assert [each for each in acts_of(served.tool) if each[0] == act[0]] == [act]


NAMED: dict[str, Callable[[Served, FakePlatform, Platform], object]] = {
    "by itself": lambda served, platform, known: add_deployment(served.tool, known.number, "d1", by="test"),
    "with other addresses": lambda served, platform, known: platform.add_to(
        served.tool, client_id=known.client_id, deployments=["d1"], is_change=True
    ),
}


@pytest.mark.parametrize("name", NAMED)
def test_after_a_deployment_was_named_no_launch_adds_one(served: Served, platform: FakePlatform, name: str) -> None:
    """Also if the platform was added without one, and nobody has come from it yet."""
    served.clock.move(days=5)
    client = f"client whose deployment is named {name}"
    known = platform.add_to(served.tool, client_id=client, deployments=[])
    assert known.expects_deployment

    NAMED[name](served, platform, known)

    assert launch_of(served, platform, client, "d2").status_code == 403
    assert launch_of(served, platform, client, "d1").status_code == 200
    assert deployments_of(served.tool, known.number) == ["d1"]


@pytest.mark.parametrize("deployment", ["d1", None])
def test_a_platform_that_was_closed_opens_nothing(
    served: Served, platform: FakePlatform, deployment: str | None
) -> None:
    """Neither the deployment that was known, nor another one."""
    served.clock.move(days=6)
    client = f"client that is closed by {deployment}"
    known = platform.add_to(served.tool, client_id=client, deployments=["d1"])
    assert launch_of(served, platform, client, "d1").status_code == 200

    close_platform(served.tool, known.number, deployment, by="test")

    assert [launch_of(served, platform, client, each).status_code for each in ("d1", "d2")] == [403, 403]


def deep(**settings: Any) -> Callable[[Claims], Any]:
    def change(claims: Claims) -> None:
        del claims[f"{CLAIM}resource_link"]
        claims[f"{CLAIM}message_type"] = "LtiDeepLinkingRequest"
        claims[f"{CLAIM}roles"] = [f"{ROLE}Instructor"]
        usual = {
            "deep_link_return_url": f"{claims['iss']}/return?x=1;2&y='\">",
            "accept_types": ["ltiResourceLink"],
            "data": "<opaque>\"'",
        }
        claims[f"{DEEP_LINKING}deep_linking_settings"] = usual | settings

    return change


def test_a_deep_link_is_answered(served: Served, platform: FakePlatform) -> None:
    """Everything is escaped, the form goes to that address only, and the answer is signed by a published key."""
    page = launch(served, platform, deep())
    address, fields = form_of(page)
    with served.browser() as browser:
        none = browser.post(f"{served.tool.base}{address}", data=fields)
        unknown = browser.post(f"{served.tool.base}{address}", data={**fields, "assignment": "week9"})
        answer = browser.post(f"{served.tool.base}{address}", data={**fields, "assignment": "week2"})
        published = browser.get(f"{served.tool.base}/lti/jwks").json()["keys"]

    assert_refused(served, none, "Choose an assignment")
    assert_refused(served, unknown, "Choose an assignment")
    where, sent = form_of(answer)
    assert where == f"{platform.base}/return?x=1;2&y='\">"
    assert f"form-action {platform.base}/return;" in answer.headers["Content-Security-Policy"]
    token = jwt.decode(sent["JWT"], RSAKey.import_key(published[0]), algorithms=["RS256"])
    assert token.header["kid"] == published[0]["kid"]
    assert (token.claims["iss"], token.claims["aud"]) == (platform.client_id, platform.base)
    assert token.claims[f"{DEEP_LINKING}data"] == "<opaque>\"'"
    (item,) = token.claims[f"{DEEP_LINKING}content_items"]
    assert item["custom"] == {"assignment": "week2"}
    assert item["lineItem"] == {"label": "Week 2", "scoreMaximum": 100, "resourceId": "week2", "tag": "grade"}


DEEP_LINKS: dict[str, tuple[Callable[[Claims], Any], str]] = {
    "a student": (
        lambda claims: (deep()(claims), claims.update({f"{CLAIM}roles": [f"{ROLE}Learner"]})),
        "Only teachers",
    ),
    "no address": (deep(deep_link_return_url=None), "where the new link"),
    "a script as an address": (deep(deep_link_return_url="javascript:alert(1)"), "where the new link"),
    "an address that is more than one": (
        deep(deep_link_return_url="https://a;script-src 'unsafe-inline'/"),
        "where the new link",
    ),
    "an address without https": (deep(deep_link_return_url="http://lms.test/"), "where the new link"),
    "no links": (deep(accept_types=["html"]), "does not accept"),
    "too much data": (deep(data="x" * 20_001), "cannot be sent back"),
}


@pytest.mark.parametrize("name", DEEP_LINKS)
def test_each_deep_link_is_checked(served: Served, platform: FakePlatform, name: str) -> None:
    change, words = DEEP_LINKS[name]

    assert_refused(served, launch(served, platform, change), words)


def test_only_one_link_where_one_is_taken(served: Served, platform: FakePlatform) -> None:
    two = {"assignment": ["week1", "week2"]}
    one_page, several_page = (launch(served, platform, deep(accept_multiple=several)) for several in (False, True))
    with served.browser() as browser:
        refused = browser.post(f"{served.tool.base}/lti/deep-link", data={**form_of(one_page)[1], **two})
        taken = browser.post(f"{served.tool.base}/lti/deep-link", data={**form_of(several_page)[1], **two})

    assert 'type="radio"' in one_page.text
    assert 'type="checkbox"' in several_page.text
    assert_refused(served, refused, "one assignment at a time")
    assert taken.status_code == 200
