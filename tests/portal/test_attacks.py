"""Attacks on a running portal. Each is refused, and the portal goes on."""

from __future__ import annotations

import asyncio
import contextlib
import io
import re
import socket
import time
import zipfile
from collections.abc import Iterator

import httpx
import pytest

from grader.classroom.gradebook import Gradebook
from grader.portal.arrangements import hold, let_go
from grader.portal.portal import now_utc
from grader.portal.web.live import MOST_STREAMS
from tests.portal.server import Portal, form_secret, notebook, wait_until_done

PAGE = "/assignments/two_layer_mse"


@pytest.fixture(scope="module")
def ada(portal: Portal) -> Iterator[httpx.Client]:
    with contextlib.closing(portal.signed_in("ada")) as client:
        yield client


@pytest.fixture(scope="module")
def ben(portal: Portal) -> Iterator[httpx.Client]:
    with contextlib.closing(portal.signed_in("ben")) as client:
        yield client


@pytest.fixture(scope="module")
def attempt(portal: Portal, ada: httpx.Client) -> str:
    """The path of an attempt of Ada's that is graded."""
    path = str(portal.hand_in(ada, notebook("", mark="attack")).headers["location"])
    wait_until_done(ada, path)
    return path


@pytest.fixture(autouse=True)
def _still_there(portal: Portal) -> Iterator[None]:
    yield
    assert httpx.get(f"{portal.address}/health").status_code == 200


@pytest.mark.parametrize("part", ["", "/report.html", "/report.json", "/file", "/receipt"])
def test_reports_of_others(attempt: str, ada: httpx.Client, ben: httpx.Client, portal: Portal, part: str) -> None:
    """Somebody else's attempt looks like one that does not exist; without a session, the way leads to signing in."""
    assert ada.get(f"{attempt}{part}").status_code == 200
    other, none = ben.get(f"{attempt}{part}"), ben.get(f"/attempts/987654{part}")

    assert (other.status_code, other.text) == (none.status_code, none.text) == (404, none.text)
    assert httpx.get(f"{portal.address}{attempt}{part}").headers["location"] == "/sign-in"
    assert httpx.get(f"{portal.address}{attempt}{part}", cookies={"grader": "a" * 43}).status_code == 303


def test_a_withheld_mark_shows_in_nothing(portal: Portal, attempt: str, ada: httpx.Client) -> None:
    """Not even in the colour of a badge."""
    pages, shown = ("/", PAGE, attempt), 'badge right">Done'
    assert all(shown in ada.get(page).text for page in pages)

    with contextlib.closing(Gradebook(str(portal.folder / "gradebook.db"))) as gradebook:
        with gradebook.begin() as connection:
            hold(connection, "two_layer_mse", None, by="test", now=now_utc())
        try:
            withheld = [ada.get(page).text for page in pages]
        finally:
            with gradebook.begin() as connection:
                let_go(connection, "two_layer_mse", None, by="test", now=now_utc())

    assert all("Done" in page and "badge right" not in page for page in withheld)
    assert [ada.get(f"{attempt}/report.{kind}").status_code for kind in ("html", "json")] == [200, 200]


@pytest.mark.parametrize("path", ["/class", "/roster", "/audit", "/class/two_layer_mse", "/receipts"])
def test_pages_of_staff(ada: httpx.Client, path: str) -> None:
    """They do not exist for students."""
    assert ada.get(path).status_code == 404
    assert ada.post(path, data={"form_secret": form_secret(ada)}).status_code in (404, 405)


def test_a_link_works_once(portal: Portal) -> None:
    """Opening it does nothing, however often; of many who use it at the same time, one gets in."""
    link = portal.link("ada")
    secret = link.rpartition("/")[2]
    assert [httpx.get(link).status_code for _ in range(3)] == [200] * 3

    answers = [httpx.post(f"{portal.address}/sign-in", data={"secret": secret}).status_code for _ in range(3)]

    assert answers == [303, 404, 404]
    assert httpx.get(link).status_code == 404
    assert secret not in portal.log


def test_unknown_links_look_like_used_ones(portal: Portal) -> None:
    """So that nobody learns which ones exist."""
    used = portal.link("ada")
    httpx.post(f"{portal.address}/sign-in", data={"secret": used.rpartition("/")[2]})

    assert httpx.get(used).text == httpx.get(f"{portal.address}/sign-in/{'x' * 43}").text


def test_session_fixation(portal: Portal) -> None:
    """A cookie that was there before signing in is worth nothing afterwards, and an old session ends."""
    with httpx.Client(base_url=portal.address, cookies={"grader": "chosen-by-the-attacker"}) as victim:
        victim.post("/sign-in", data={"secret": portal.link("ada").rpartition("/")[2]})
        first = victim.cookies.get("grader", domain="127.0.0.1") or list(victim.cookies.jar)[-1].value
        victim.post("/sign-in", data={"secret": portal.link("ada").rpartition("/")[2]})

    for cookie in ("chosen-by-the-attacker", first):
        assert httpx.get(f"{portal.address}/", cookies={"grader": str(cookie)}).status_code == 303


def test_signing_out_ends_the_session(portal: Portal) -> None:
    """At the server, and not only in the browser."""
    with contextlib.closing(portal.signed_in("ben")) as client:
        cookie = {"grader": next(iter(client.cookies.jar)).value}
        client.post("/sign-out", data={"form_secret": form_secret(client)})

    assert httpx.get(f"{portal.address}/", cookies=cookie).status_code == 303


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://["},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_forms_from_other_sites(portal: Portal, ada: httpx.Client, headers: dict[str, str]) -> None:
    """Even with the right secret."""
    data = {"form_secret": form_secret(ada)}

    assert ada.post("/key", data=data, headers=headers).status_code == 403
    assert ada.post("/key", data={}).status_code == 403
    assert ada.post("/key", data={"form_secret": "x"}).status_code == 403


def test_a_form_of_somebody_else(ada: httpx.Client, ben: httpx.Client) -> None:
    """The secret of another session is not enough."""
    assert ada.post("/key", data={"form_secret": form_secret(ben)}).status_code == 403


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1", "", "127.0.0.1:1"])
def test_other_host_names(portal: Portal, host: str) -> None:
    """Addresses in pages and rebinding of names cannot be played with."""
    assert httpx.get(f"{portal.address}/sign-in", headers={"host": host}).status_code in (400, 421)


@pytest.mark.parametrize(
    "path",
    [
        "/static/../../course.toml",
        "/static/..%2f..%2fportal.py",
        "/static/%2e%2e/%2e%2e/serve.py",
        "/static//etc/passwd",
        "/attempts/1/../../static/..%2f",
        "/assignments/..%2f..%2fetc%2fpasswd",
        "/assignments/two_layer_mse/notebook.py",
        "/assignments/two_layer_mse/notebook.%00",
        "/attempts/99999999999999999999999",
        "/attempts/-1",
        "/attempts/1/report.html%00",
    ],
)
def test_tricks_with_paths(portal: Portal, ada: httpx.Client, path: str) -> None:
    """Sent as they are, which httpx does not do."""
    cookie = next(iter(ada.cookies.jar)).value
    with socket.create_connection(("127.0.0.1", portal.port), timeout=20) as connection:
        host = f"127.0.0.1:{portal.port}"
        connection.sendall(
            f"GET {path} HTTP/1.1\r\nhost: {host}\r\ncookie: grader={cookie}\r\nconnection: close\r\n\r\n".encode()
        )
        status = int(connection.makefile("rb").readline().split()[1])

    assert status in (303, 400, 404)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("my.exe", b"MZ", "not a notebook"),
        ("my.html", b"<script>", "not a notebook"),
        ("my.ipynb\x00.png", b"{}", "not a notebook"),
        ("my.ipynb", b"", "empty"),
    ],
)
def test_what_is_not_taken(portal: Portal, ada: httpx.Client, name: str, content: bytes, says: str) -> None:
    """It is refused in a sentence, and nothing is put into the queue."""
    before = ada.get(PAGE).text.count("/attempts/")
    answer = portal.hand_in(ada, content, name=name)

    assert answer.status_code in (400, 409)
    assert says in answer.text or "Choose a file" in answer.text
    assert ada.get(PAGE).text.count("/attempts/") == before


@pytest.mark.parametrize(
    "name",
    [
        '"><script>alert(1)</script>.ipynb',
        "../../../etc/cron.d/x.ipynb",
        "C:\\Windows\\x.ipynb",
        "\u202e gpj.ipynb",
        "a" * 5_000 + ".ipynb",
        "'; DROP TABLE portal_attempts; --.ipynb",
    ],
)
def test_names_of_files(portal: Portal, ben: httpx.Client, name: str) -> None:
    """They are shown as text, cut to a name, and downloaded as data."""
    answer = portal.hand_in(ben, b"no notebook " + name.encode(), name=name)
    if answer.status_code != 303:
        assert answer.status_code in (400, 409)
        return
    text = wait_until_done(ben, answer.headers["location"])
    download = ben.get(f"{answer.headers['location']}/file")

    assert "<script>alert" not in text
    assert re.search(r"<dt>File</dt><dd><a [^>]*>([^<]*)</a>", text)[1].count("/") == 0  # type: ignore[index]
    assert download.headers["content-type"] == "application/octet-stream"
    assert download.headers["content-disposition"].startswith("attachment")
    assert download.headers["x-content-type-options"] == "nosniff"


def test_a_page_that_was_handed_in(portal: Portal, ben: httpx.Client) -> None:
    """HTML and scripts in a notebook, its name and its errors stay text; the report may run nothing."""
    evil = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    code = f"def grad_w1(x, dz1):\n    raise ValueError({evil!r})\n"
    path = str(portal.hand_in(ben, notebook(code, mark=evil)).headers["location"])
    page, report = wait_until_done(ben, path), ben.get(f"{path}/report.html")

    assert "<img src=x" not in page + report.text
    assert "<script>alert" not in page + report.text
    assert report.headers["content-security-policy"].startswith("sandbox")
    assert "allow-scripts" not in report.headers["content-security-policy"]
    assert "script-src 'self'" in ben.get(path).headers["content-security-policy"]
    assert "unsafe" not in ben.get(path).headers["content-security-policy"]


@pytest.mark.parametrize("codec", ["punycode", "undefined", "raw_unicode_escape", "utf-16"])
def test_forms_in_other_encodings(portal: Portal, ada: httpx.Client, codec: str) -> None:
    """Some take minutes for a long text, fail, or give texts that cannot be saved. Browsers send UTF-8."""
    part = b"--x\r\ncontent-disposition: form-data; name=%s\r\n\r\n-\\ud800%s\r\n--x--\r\n"
    headers = {"content-type": f"multipart/form-data; boundary=x; charset={codec}"}
    started = time.monotonic()

    outside = httpx.post(f"{portal.address}/sign-in", content=part % (b"secret", b"a" * 200_000), headers=headers)
    assert (outside.status_code, ada.post(PAGE, content=part % (b"form_secret", b""), headers=headers).status_code) == (
        415,
        415,
    )
    assert time.monotonic() - started < 4
    headers["content-type"] = "multipart/form-data; boundary=x; charset=UTF-8"
    assert ada.post(PAGE, content=part % (b"form_secret", b""), headers=headers).status_code == 403


def test_bodies_where_none_belong(ada: httpx.Client) -> None:
    """A stream would wait for the rest of the body, and fail in the middle."""
    assert ada.request("GET", "/events", content=b"a").status_code == 400
    assert ada.request("GET", "/", content=iter([b"a"])).status_code == 400
    assert ada.request("GET", "/", headers={"content-length": "0"}).status_code == 200


@pytest.mark.slow
def test_too_much(portal: Portal, ada: httpx.Client) -> None:
    """A file, a form, a head that is too large, and one that does not say how large it is."""

    def endless() -> Iterator[bytes]:
        yield b"--x\r\ncontent-disposition: form-data; name=file; filename=a.ipynb\r\n\r\n"
        while True:
            yield b"0" * (1 << 20)

    large = portal.hand_in(ada, b"0" * (34 << 20))
    assert large.status_code == 413
    assert ada.post("/key", content=b"a=" + b"0" * (1 << 20)).status_code == 413
    with contextlib.suppress(httpx.TransportError):  # the server may close while the browser still sends
        headers = {"content-type": "multipart/form-data; boundary=x"}
        assert ada.post(PAGE, content=endless(), headers=headers).status_code == 413
    with contextlib.suppress(httpx.TransportError):
        assert ada.get("/", headers={"x-long": "0" * (1 << 20)}).status_code == 400
    with contextlib.suppress(httpx.TransportError):
        many = "&".join(f"a{number}=1" for number in range(3_000))
        assert ada.post(
            "/key", content=many.encode(), headers={"content-type": "application/x-www-form-urlencoded"}
        ).status_code in (400, 403)


def test_a_bomb(portal: Portal, ben: httpx.Client) -> None:
    """A zip with much in it and little size is a file like any other."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.ipynb", b"0" * (64 << 20))
    path = portal.hand_in(ben, packed.getvalue()).headers["location"]

    assert "Cannot be graded" in wait_until_done(ben, path)


@pytest.mark.slow
def test_slow_browsers(portal: Portal) -> None:
    """A hundred that send the head of a request byte by byte keep nobody waiting, and are sent away."""
    slow = [socket.create_connection(("127.0.0.1", portal.port)) for _ in range(100)]
    try:
        for connection in slow:
            connection.sendall(b"GET / HTTP/1.1\r\nhost: ")
        started = time.monotonic()
        assert httpx.get(f"{portal.address}/sign-in").status_code == 200
        assert time.monotonic() - started < 5
        slow[0].settimeout(40)
        assert slow[0].recv(1) == b""
    finally:
        for connection in slow:
            connection.close()


def test_too_many_open_pages(portal: Portal, ben: httpx.Client) -> None:
    """Somebody who opens many leaves room for others, and may open new ones when old ones are closed."""
    cookie = f"grader={next(iter(ben.cookies.jar)).value}"
    head = f"GET /events HTTP/1.1\r\nhost: 127.0.0.1:{portal.port}\r\ncookie: {cookie}\r\n\r\n".encode()
    streams = [socket.create_connection(("127.0.0.1", portal.port), timeout=20) for _ in range(20)]
    try:
        for stream in streams:
            stream.sendall(head)
            assert b" 200 " in stream.recv(100)
        assert ben.get("/events").status_code == 429
    finally:
        for stream in streams:
            stream.close()
    deadline = time.monotonic() + 20
    while True:
        with ben.stream("GET", "/events") as answer:
            if answer.status_code == 200:
                break
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_too_often(portal: Portal) -> None:
    """Trying links by chance ends soon. Those who are signed in do not notice."""
    with contextlib.closing(portal.signed_in("prof")) as prof:
        answers = [httpx.get(f"{portal.address}/sign-in/{number:043}").status_code for number in range(40)]

        assert answers[-1] == 429
        assert prof.get("/sign-in").status_code == 303


def test_nothing_secret_is_logged(portal: Portal, ada: httpx.Client) -> None:
    """Neither cookies nor keys."""
    key = re.search(r"--key (\S+)<", ada.post("/key", data={"form_secret": form_secret(ada)}).text)
    assert key is not None

    assert next(iter(ada.cookies.jar)).value not in portal.log
    assert key[1] not in portal.log
    assert "Traceback" not in portal.log


def test_pages_that_are_opened_at_the_same_moment(portal: Portal, ada: httpx.Client) -> None:
    """The bound on streams of events holds for them, too, and those that have ended do not count."""
    cookies = dict(ada.cookies)

    async def ask(client: httpx.AsyncClient, done: asyncio.Event) -> int:
        async with client.stream("GET", "/events") as answer:
            if answer.status_code == 200:
                await done.wait()
            return answer.status_code

    async def ask_all(number: int) -> list[int]:
        done, limits = asyncio.Event(), httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=portal.address, cookies=cookies, limits=limits, timeout=60) as client:
            asked = [asyncio.create_task(ask(client, done)) for _ in range(number)]
            await asyncio.wait(asked, timeout=5)
            done.set()
            return list(await asyncio.gather(*asked))

    answers = asyncio.run(ask_all(3 * MOST_STREAMS))
    assert answers.count(200) == MOST_STREAMS
    time.sleep(1)
    assert asyncio.run(ask_all(3)) == [200] * 3
