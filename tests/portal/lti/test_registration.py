"""Dynamic registration: with an invitation, by https, at public addresses, and at the address that was checked."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest
from starlette.responses import JSONResponse, Response, StreamingResponse

from grader.errors import UsageError
from grader.portal.lti.platforms import add_platform, platforms
from grader.portal.lti.refusals import PlatformFailure
from grader.portal.lti.registration import LTI, invite
from grader.portal.lti.tool import Tool
from grader.portal.lti.web import Web, is_public, open_client, wait_of
from tests.portal.lti.running import (
    LMS,
    Asked,
    FakePlatform,
    Served,
    acts_of,
    finish,
    form_of,
    json_of,
    redirected,
    start,
)


@pytest.fixture
def lms(served: Served, platform: FakePlatform) -> Iterator[FakePlatform]:
    """The platform under a name of its own, at what counts as a public address."""
    usual, base = dict(platform.answers), platform.base
    platform.asked.clear()
    platform.base = base.replace("localhost", LMS)
    served.network.hosts[LMS] = ["127.0.0.1"]
    served.network.public.add("127.0.0.1")
    platform.answers["/configuration"] = lambda asked: JSONResponse(configuration(platform))
    platform.answers["/registration"] = lambda asked: JSONResponse(
        {"client_id": "new-client", LTI: {"deployment_id": "deployment-9"}}
    )
    try:
        yield platform
    finally:
        platform.answers, platform.base = usual, base


def configuration(lms: FakePlatform, **changes: Any) -> dict[str, Any]:
    return {
        "issuer": lms.base,
        "authorization_endpoint": f"{lms.base}/authorize",
        "token_endpoint": f"{lms.base}/token",
        "jwks_uri": f"{lms.base}/jwks",
        "registration_endpoint": f"{lms.base}/registration",
    } | changes


def register(served: Served, lms: FakePlatform, address: str = "", invitation: str = "") -> httpx.Response:
    """The platform opens the address that it was given, and somebody presses the button."""
    asked = {"openid_configuration": address or f"{lms.base}/configuration", "registration_token": "secret-token"}
    with served.browser() as browser:
        page = browser.get(httpx.URL(invitation or invite(served.tool, by="prof")).copy_merge_params(asked))
        if page.status_code != 200:
            return page
        action, fields = form_of(page)
        return browser.post(f"{served.tool.base}{action}", data=fields)


def test_a_platform_registers(served: Served, lms: FakePlatform) -> None:
    """Nothing is fetched before the button is pressed. Then both know each other, and a launch works."""
    invitation = invite(served.tool, by="prof")
    with served.browser() as browser:
        seen = browser.get(f"{invitation}&openid_configuration={lms.base}/configuration")
    assert LMS in seen.text
    assert lms.asked == []

    page = register(served, lms, invitation=invitation)

    assert page.status_code == 200, page.text
    assert "org.imsglobal.lti.close" in page.text
    asked = next(each for each in lms.asked if each.path == "/registration")
    assert asked.headers["authorization"] == "Bearer secret-token"
    assert asked.headers["host"] == lms.base.removeprefix("https://")
    sent = json_of(asked)
    assert sent["initiate_login_uri"] == f"{served.tool.base}/lti/login"
    assert sent["redirect_uris"] == [served.tool.launch_address]
    assert sent["jwks_uri"] == f"{served.tool.base}/lti/jwks"
    assert sent["token_endpoint_auth_method"] == "private_key_jwt"
    assert len(sent["scope"].split()) == 4
    assert [message["type"] for message in sent[LTI]["messages"]] == ["LtiResourceLinkRequest", "LtiDeepLinkingRequest"]
    assert f"https://{sent[LTI]['domain']}" == served.tool.base
    known = platforms(served.tool)[-1]
    assert (known.issuer, known.client_id, known.is_registered_by_itself) == (lms.base, "new-client", True)
    with served.browser() as browser:
        started = redirected(start(browser, served, lms, client_id="new-client"))
        claims = lms.claims(started, served.tool, served.clock().timestamp())
        claims |= {"aud": "new-client", "https://purl.imsglobal.org/spec/lti/claim/deployment_id": "deployment-9"}
        assert finish(browser, served, lms.sign(claims), started["state"]).text == "welcome student-1"

    invited, registered, deployment = acts_of(served.tool, most=3)
    assert invited[:2] == ("prof", "platform invited")
    assert registered[:2] == (LMS, "platform registered")
    assert registered[2].startswith(f"platform {known.number}: client new-client of {lms.base}; ")
    assert deployment == (LMS, "deployment allowed", f"deployment deployment-9 of platform {known.number}")

    again = register(served, lms, invitation=invitation)
    assert again.status_code == 403, "an invitation is for one platform"
    known_already = register(served, lms)
    assert "is known already" in known_already.text


def test_a_platform_says_where_it_shows_a_choice(served: Served, lms: FakePlatform) -> None:
    """We ask for the places that suit us, and for none if it names none."""
    supported = {"type": "LtiDeepLinkingRequest", "placements": ["editor_button", "link_selection", 7]}
    offered = {"https://purl.imsglobal.org/spec/lti-platform-configuration": {"messages_supported": [8, supported]}}
    lms.answers["/configuration"] = lambda asked: JSONResponse(configuration(lms, **offered))
    lms.answers["/registration"] = lambda asked: JSONResponse({"client_id": "with placements"})

    assert register(served, lms).status_code == 200

    sent = json_of(next(each for each in lms.asked if each.path == "/registration"))
    assert [message.get("placements") for message in sent[LTI]["messages"]] == [None, ["link_selection"]]


def test_without_an_invitation_nothing_is_fetched(served: Served, lms: FakePlatform) -> None:
    """Nor with one that has expired, or after five attempts."""
    old = invite(served.tool, by="prof")
    served.clock.move(days=4)
    tried = invite(served.tool, by="prof")
    lms.answers["/configuration"] = lambda asked: JSONResponse({}, status_code=404)
    assert [register(served, lms, invitation=tried).status_code for _ in range(6)] == [502] * 5 + [403]
    lms.asked.clear()

    assert register(served, lms, invitation=old).status_code == 403
    assert register(served, lms, invitation=f"{served.tool.base}/lti/register?code=guess").status_code == 403
    with served.browser() as browser:
        posted = browser.post(
            f"{served.tool.base}/lti/register", data={"openid_configuration": f"{lms.base}/configuration"}
        )
        empty = browser.get(invite(served.tool, by="prof"))

    assert posted.status_code == 403
    assert "Give this address to your learning platform" in empty.text
    assert lms.asked == []


Answers = Callable[[FakePlatform], dict[str, Any]]
REFUSED: dict[str, tuple[Answers, str]] = {
    "an issuer at another host": (lambda lms: {"issuer": "https://other.test"}, "does not belong"),
    "an issuer without https": (lambda lms: {"issuer": lms.base.replace("https", "http")}, "does not belong"),
    "no issuer": (lambda lms: {"issuer": None}, "did not send its issuer"),
    "no keys": (lambda lms: {"jwks_uri": 7}, "did not send its jwks_uri"),
    "a login without https": (lambda lms: {"authorization_endpoint": f"http://{LMS}/authorize"}, "not an https"),
    "a registration elsewhere": (lambda lms: {"registration_endpoint": "https://inner.test/"}, "public internet"),
    "a registration without https": (lambda lms: {"registration_endpoint": "http://127.0.0.1/"}, "not https"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_each_answer_is_checked(served: Served, lms: FakePlatform, name: str) -> None:
    changes, words = REFUSED[name]
    served.network.hosts["inner.test"] = ["10.0.0.1"]
    lms.answers["/configuration"] = lambda asked: JSONResponse(configuration(lms, **changes(lms)))
    lms.answers["/registration"] = lambda asked: JSONResponse({"client_id": f"client of {name}"})

    page = register(served, lms)

    assert words in page.text
    assert 400 <= page.status_code <= 502
    assert all(known.client_id != f"client of {name}" for known in platforms(served.tool))


ADDRESSES = {
    "http://lms.test/": "not https",
    "ftp://lms.test/": "not a web address",
    "https://": "Give this address",
    "https://user:word@lms.test/": "not a web address",
    "https://lms.test:99999/": "not a web address",
    "https://127.0.0.2/": "public internet",
    "https://[::1]/": "public internet",
    "https://0x7f000002/": "public internet",
    "https://inner.test/": "public internet",
    "https://mixed.test/": "public internet",
    "https://nowhere.test/": "no host",
    "https://lms.test/elsewhere": "status 302",
}


@pytest.mark.parametrize("address", ADDRESSES)
def test_only_public_addresses_are_fetched(served: Served, lms: FakePlatform, address: str) -> None:
    """Each address of a host is looked at, and nobody leads us on to another one."""
    served.network.hosts |= {"inner.test": ["192.168.1.1"], "mixed.test": ["93.184.216.34", "169.254.169.254"]}
    served.network.hosts["nowhere.test"] = []
    lms.answers["/elsewhere"] = lambda asked: Response(status_code=302, headers={"Location": "https://localhost/"})

    page = register(served, lms, address.replace(f"https://{LMS}/", f"{lms.base}/"))

    assert ADDRESSES[address] in page.text
    assert [asked.path for asked in lms.asked] == (["/elsewhere"] if "elsewhere" in address else [])


def test_a_host_that_changes_its_address_is_asked_at_the_old_one(served: Served, lms: FakePlatform) -> None:
    """The name is looked up once for each request, and the certificate must still be that of the name."""
    found = iter([["127.0.0.1"], ["10.0.0.1"]])
    looked_up = []

    def find(host: str, port: int) -> list[str]:
        looked_up.append(host)
        return next(found)

    with open_client(verify=served.certificates.trusting()) as client:
        web = Web(client, find_addresses=find, allows=served.network.allows)
        assert web.send("GET", f"{lms.base}/configuration", is_guarded=True).status == 200
        assert looked_up == [LMS]
        with pytest.raises(PlatformFailure, match="public internet"):
            web.send("GET", f"{lms.base}/configuration", is_guarded=True)
        served.network.hosts["other.test"] = ["127.0.0.1"]
        web = Web(client, find_addresses=served.network.find, allows=served.network.allows)
        with pytest.raises(PlatformFailure, match="could not be reached"):
            web.send("GET", lms.base.replace(LMS, "other.test"), is_guarded=True)


def test_later_requests_to_a_platform_that_registered_are_guarded_too(served: Served, lms: FakePlatform) -> None:
    """Its host may lead elsewhere by then."""
    lms.answers["/registration"] = lambda asked: JSONResponse({"client_id": "moving"})
    assert register(served, lms).status_code == 200
    served.network.hosts[LMS] = ["10.0.0.1"]
    with served.browser() as browser:
        started = redirected(start(browser, served, lms, client_id="moving"))
        claims = lms.claims(started, served.tool, served.clock().timestamp()) | {"aud": "moving"}
        page = finish(browser, served, lms.sign(claims), started["state"])

    assert page.status_code == 502
    assert "public internet" in page.text


def test_an_answer_that_drips_is_left(served: Served, platform: FakePlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each part comes in time, but the whole does not."""

    def drip(asked: Asked) -> Response:
        async def parts() -> AsyncIterator[bytes]:
            for _ in range(100):
                yield b" "
                await asyncio.sleep(0.05)

        return StreamingResponse(parts())

    monkeypatch.setattr("grader.portal.lti.web.DEADLINE_S", 0.3)
    platform.answers["/drip"] = drip

    with pytest.raises(PlatformFailure, match="too slowly"):
        served.tool.web.send("GET", f"{platform.base}/drip", is_guarded=False)


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nX-Long: ", b"HTTP/1.1 200 OK\r\n\r\n", b""])
def test_a_deadline_ends_every_wait(monkeypatch: pytest.MonkeyPatch, head: bytes) -> None:
    """In the head, in a body without a length, and before the first byte of either."""
    monkeypatch.setattr("grader.portal.lti.web.DEADLINE_S", 0.5)
    has_ended = threading.Event()

    def answer(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            connection.sendall(head)
            while not has_ended.wait(0.02):
                connection.sendall(b"x" if head else b"")

    with socket.create_server(("127.0.0.1", 0)) as listener, open_client() as client:
        thread = threading.Thread(target=answer, args=(listener,))
        thread.start()
        try:
            with pytest.raises(PlatformFailure, match="too slowly"):
                Web(client).send("GET", f"http://127.0.0.1:{listener.getsockname()[1]}/", is_guarded=False)
        finally:
            has_ended.set()
            thread.join()


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("64:ff9b::5db8:d822", True),
        ("127.0.0.1", False),
        ("0.0.0.0", False),
        ("10.1.2.3", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("172.16.0.1", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::a00:1", False),
        ("2002:a00:1::", False),
        ("fc00::1", False),
        ("fe80::1%eth0", False),
        ("ff02::1", False),
        ("lms.test", False),
    ],
)
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize(
    "changes",
    [
        {"token_address": "http://lms.test/token"},
        {"keys_address": "javascript:alert(1)"},
        {"authorization_address": "https://"},
        {"issuer": ""},
        {"deployments": ["d" * 256]},
    ],
)
def test_a_platform_that_is_entered_wrong(served: Served, changes: dict[str, Any]) -> None:
    addresses = {f"{name}_address": f"https://{LMS}/{name}" for name in ("authorization", "token", "keys")}
    before = platforms(served.tool)

    with pytest.raises(UsageError):
        add_platform(
            served.tool, **({"issuer": f"https://{LMS}", "client_id": "c", "by": "test"} | addresses | changes)
        )

    assert platforms(served.tool) == before


@pytest.mark.parametrize("base", ["http://grader.example.org", "https://grader.example.org/", "grader", "https://a/b"])
def test_the_portal_has_an_https_address(served: Served, base: str) -> None:
    with pytest.raises(ValueError):
        Tool(base=base, title="x", database=served.tool.database, web=served.tool.web)


def test_how_long_a_platform_asks_us_to_wait(served: Served) -> None:
    """In seconds or as a date, and never longer than a day."""
    now = served.clock().replace(year=2026, month=3, day=1, hour=12, minute=0, second=0, microsecond=0)

    assert wait_of("90", now) == 90
    assert wait_of("Sun, 01 Mar 2026 12:02:00 GMT", now) == 120
    assert wait_of("Sun, 01 Mar 2026 11:00:00 GMT", now) == 0
    assert wait_of("1e300", now) == wait_of("inf", now) == 24 * 3600
    assert [wait_of(text, now) for text in ("", "-5", "nan", "soon")] == [0, 0, 0, 0]
