"""Handing in by a program: the portal's interface for programs, and `grader submit`, over a real connection."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import http.server
import json
import os
import socket
import stat
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import nbformat
import pytest
import sqlalchemy as sa

from grader.classroom.keys import Keys
from grader.classroom.records import Graded, Owner
from grader.errors import UsageError
from grader.model import Report
from grader.portal.access import revoke
from grader.portal.arrangements import hold, let_go
from grader.portal.attempts import attempts_of, find_attempt, finish, judge_again
from grader.portal.people import PLATFORM
from grader.portal.receipts import verify
from grader.portal.tables import ATTEMPTS
from grader.reports.json import report_to_dict
from grader.submitting.saved import UserPortal
from tests.conftest import ROOT, handed_in
from tests.report_samples import perfect
from tests.served_portal import ServedPortal, served_portal

pytestmark = pytest.mark.xdist_group("served portal")

WRONG = "# %%\ndef grad_w1(x, dz1):\n    return dz1.T @ x\n"
NAME = {"content-disposition": "attachment; filename*=UTF-8''l%C3%B6sung%20a.ipynb"}


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedPortal]:
    """A portal where nobody grades."""
    with served_portal(tmp_path_factory.mktemp("idle") / "course", grades=False) as served:
        yield served


def with_key(key: str, **headers: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}", **headers}


def notebook(answers: str = "", extra: str = "") -> bytes:
    node = handed_in(answers)
    node.cells.append(nbformat.v4.new_markdown_cell(extra))
    return nbformat.writes(node).encode()


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def post(served: ServedPortal, key: str, content: bytes, assignment: str = "two_layer_mse") -> httpx.Response:
    address = f"{served.address}/api/submissions/{assignment}"
    return httpx.post(address, content=content, headers=with_key(key) | NAME)


# ------------------------------------------------------------------------------------------------------ the interface


def test_a_file_is_accepted_with_a_receipt(idle: ServedPortal) -> None:
    key, content = idle.key("ada"), notebook(extra="receipt")

    answer = post(idle, key, content)

    assert answer.status_code == 201
    said = answer.json()
    assert (said["file"], said["sha256"]) == ("lösung a.ipynb", hashlib.sha256(content).hexdigest())
    assert said["page"] == f"{idle.address}/attempts/{said['id']}"
    assert verify(said["receipt"], idle.portal.secret)
    assert said["state"] == "queued"
    assert said["place"] >= 1
    again = post(idle, key, content)
    assert (again.status_code, again.json()["id"], again.json()["is_new"]) == (200, said["id"], False)


def test_a_refusal_is_a_sentence(idle: ServedPortal) -> None:
    key = idle.key("ada")
    assert post(idle, key, notebook(extra="first"), "layernorm").status_code == 201

    second = post(idle, key, notebook(extra="second"), "layernorm")

    assert (second.status_code, second.json()) == (409, {"error": "All 1 attempts have been used."})
    picture = httpx.post(
        f"{idle.address}/api/submissions/two_layer_mse",
        content=b"x",
        headers=with_key(key, **{"content-disposition": 'attachment; filename="a.png"'}),
    )
    assert (picture.status_code, "not a notebook" in picture.json()["error"]) == (409, True)
    assert post(idle, key, b"", "two_layer_mse").status_code == 409
    for unknown in ("nothing", "attention"):  # the second one is not open yet
        assert post(idle, key, b"x", unknown).status_code == 404


def test_a_file_without_a_name_is_refused(idle: ServedPortal) -> None:
    address, key = f"{idle.address}/api/submissions/two_layer_mse", idle.key("ada")

    for header in ("", "attachment", "attachment; filename*=no-such-charset''a.png", "\xff"):
        headers = with_key(key).items() | {("content-disposition", header)}
        raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
        assert httpx.post(address, content=b"x", headers=raw).status_code in (400, 409)


def test_only_keys_count_for_programs_and_only_cookies_for_pages(idle: ServedPortal) -> None:
    key = idle.key("ada")
    with httpx.Client(follow_redirects=True) as browser:
        link = idle.link("ada")
        browser.post(f"{idle.address}/sign-in", data={"secret": link.rpartition("/")[2]})
        assert "Sign out" in browser.get(f"{idle.address}/").text

        assert browser.get(f"{idle.address}/api/assignments").status_code == 401

    page = httpx.get(f"{idle.address}/", headers=with_key(key))
    assert page.headers["location"] == "/sign-in"
    listed = httpx.get(f"{idle.address}/api/assignments", headers=with_key(key)).json()
    assert [each["id"] for each in listed["assignments"]] == ["two_layer_mse", "layernorm"]


def test_unknown_replaced_and_revoked_keys_get_the_same_answer(idle: ServedPortal) -> None:
    replaced = idle.key("bob")
    idle.key("bob")
    revoked = idle.key("eve")
    with idle.portal.begin() as connection:
        revoke(connection, idle.person("eve"), by="max", now=idle.portal.clock())

    headers = [with_key(key) for key in (replaced, revoked, "x" * 43)]
    headers += [{}, {"authorization": "Bearer"}, {"authorization": "Basic YTpi"}]
    answers = [httpx.get(f"{idle.address}/api/assignments", headers=each) for each in headers]

    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1
    assert post(idle, revoked, b"x").status_code == 401


def test_somebody_elses_attempt_looks_like_one_that_does_not_exist(idle: ServedPortal) -> None:
    attempt = post(idle, idle.key("ada"), notebook(extra="mine")).json()["id"]
    key = idle.key("bob")

    answers = [
        httpx.get(f"{idle.address}/api/submissions/{number}?wait=20", headers=with_key(key))
        for number in (attempt, attempt + 1_000, 999_999_999)
    ]

    assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert len({answer.text for answer in answers}) == 1


def test_too_large_a_file_is_refused_before_it_has_arrived(idle: ServedPortal) -> None:
    key = idle.key("ada")

    def endless() -> Iterator[bytes]:
        while True:
            yield b" " * (1 << 20)

    try:
        endless_answer = httpx.post(
            f"{idle.address}/api/submissions/two_layer_mse", content=endless(), headers=with_key(key) | NAME, timeout=60
        )
        assert endless_answer.status_code == 413
    except (httpx.WriteError, httpx.RemoteProtocolError, httpx.ReadError):  # it has closed the connection
        pass

    just_too_large = post(idle, key, b" " * ((32 << 20) + 1))
    assert just_too_large.status_code == 413
    assert "more than 32 MiB" in just_too_large.json()["error"]


def test_an_upload_that_breaks_off_leaves_nothing(idle: ServedPortal) -> None:
    key = idle.key("ada")
    headers = "".join(f"{name}: {value}\r\n" for name, value in {**with_key(key), **NAME}.items())
    host, port = idle.address.removeprefix("http://").split(":")
    before = httpx.get(f"{idle.address}/api/assignments", headers=with_key(key)).json()

    with socket.create_connection((host, int(port))) as connection:
        head = f"POST /api/submissions/two_layer_mse HTTP/1.1\r\nhost: {host}:{port}\r\ncontent-length: 9999\r\n"
        connection.sendall(f"{head}{headers}\r\n".encode() + b"x" * 100)
        time.sleep(0.2)

    assert httpx.get(f"{idle.address}/api/assignments", headers=with_key(key)).json() == before


def test_waiting_ends_with_the_time_and_with_a_change(idle: ServedPortal) -> None:
    key = idle.key("eve")
    attempt = post(idle, key, notebook(extra="wait")).json()["id"]
    address = f"{idle.address}/api/submissions/{attempt}"

    began = time.monotonic()
    assert httpx.get(f"{address}?wait=1&while=queued", headers=with_key(key)).json()["state"] == "queued"
    assert 0.9 < time.monotonic() - began < 15
    assert httpx.get(f"{address}?wait=x", headers=with_key(key)).status_code == 400
    began = time.monotonic()
    httpx.get(f"{address}?wait=20&while=running", headers=with_key(key))  # it is not running: there is no wait
    assert time.monotonic() - began < 15


def test_a_server_that_stops_answers_those_who_wait(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        served = stack.enter_context(served_portal(tmp_path / "course", grades=False))
        key = served.key("ada")
        attempt = post(served, key, notebook()).json()["id"]
        address = f"{served.address}/api/submissions/{attempt}?wait=25"
        answers: list[httpx.Response] = []
        waiting = threading.Thread(target=lambda: answers.append(httpx.get(address, headers=with_key(key), timeout=60)))
        waiting.start()
        time.sleep(0.5)
        began = time.monotonic()
        stack.pop_all().close()
        waiting.join()

    assert time.monotonic() - began < 15
    assert [answer.json()["state"] for answer in answers] == ["queued"]


def test_too_many_requests_are_refused(tmp_path: Path) -> None:
    with served_portal(tmp_path / "course", grades=False) as served:
        headers = with_key(served.key("ada"))
        with httpx.Client(headers=headers) as client:
            statuses = [client.get(f"{served.address}/api/assignments").status_code for _ in range(70)]

        assert statuses == [200] * 60 + [429] * 10
        others = httpx.get(f"{served.address}/api/assignments", headers=with_key(served.key("bob")))
        assert others.status_code == 200, "those who share an address do not share the limit"


# ------------------------------------------------------------------------------------------------------ grader submit


@dataclasses.dataclass(frozen=True)
class Desk:
    """A student's folder and settings."""

    folder: Path

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "grader", "submit", *arguments],
            cwd=self.folder,
            env=os.environ | {"XDG_CONFIG_HOME": str(self.folder / "settings"), "PYTHONPATH": str(ROOT), **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    @property
    def saved(self) -> Path:
        return self.folder / "settings" / "grader" / "portal.json"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.mark.slow
def test_a_student_hands_in_from_a_terminal(graded_portal: ServedPortal, desk: Desk) -> None:
    key = graded_portal.key("ada")
    (desk.folder / "ada.ipynb").write_bytes(notebook(WRONG))
    (desk.folder / "right.ipynb").write_bytes(notebook())

    saved = desk.run("--portal", f"{graded_portal.address}/", "--key", key)
    assert saved.returncode == 0, saved.stderr
    assert "knows you as ada" in saved.stderr
    assert stat.S_IMODE(desk.saved.stat().st_mode) == 0o600

    wrong = desk.run("ada.ipynb")
    assert wrong.returncode == 1, wrong.stderr
    lines = wrong.stderr.splitlines()
    assert lines[0] == "ada.ipynb is handed in as attempt 1 of two_layer_mse."
    assert lines[1].startswith(f"  Page: {graded_portal.address}/attempts/")
    assert lines[2] == f"  Receipt: SHA-256 {sha256_of(desk.folder / 'ada.ipynb')}"
    assert "It is being graded." in lines
    assert any(line.startswith("✗ grad_w1: Wrong shape. ") for line in lines)
    assert lines[-1] == "8 of 10 points."

    right = desk.run("right.ipynb")
    assert (right.returncode, right.stderr.splitlines()[-1]) == (0, "10 of 10 points.")
    again = desk.run("right.ipynb")
    assert (again.returncode, again.stderr.splitlines()[-1]) == (0, "10 of 10 points.")
    assert "was handed in before, as attempt 2" in again.stderr


@pytest.mark.slow
def test_what_is_withheld_is_not_said(graded_portal: ServedPortal, desk: Desk) -> None:
    key = graded_portal.key("bob")
    (desk.folder / "bob.ipynb").write_bytes(notebook(WRONG))
    desk.run("--portal", graded_portal.address, "--key", key)
    with graded_portal.portal.begin() as connection:
        hold(connection, "two_layer_mse", graded_portal.person("bob"), by="max", now=graded_portal.portal.clock())

    done = desk.run("bob.ipynb")

    assert done.returncode == 0
    assert "withheld" in done.stderr.splitlines()[-1]
    assert not {"points", "✗", "grad_w1"} & set(done.stderr.split())
    attempt = int(done.stderr.partition("/attempts/")[2].split()[0])
    address = f"{graded_portal.address}/api/submissions/{attempt}"
    said = httpx.get(address, headers=with_key(key)).json()
    assert not {"score", "max_score", "exercises", "problem"} & said.keys()
    assert "exercises" in httpx.get(address, headers=with_key(graded_portal.key("max"))).json()
    with graded_portal.portal.begin() as connection:
        let_go(connection, "two_layer_mse", graded_portal.person("bob"), by="max", now=graded_portal.portal.clock())
    assert desk.run("bob.ipynb").returncode == 1


def test_without_a_wait_or_an_assignment(idle: ServedPortal, desk: Desk) -> None:
    (desk.folder / "mine.py").write_text("# %%\na = 1\n")
    desk.run("--portal", idle.address, "--key", idle.key("fay"))

    unnamed = desk.run("mine.py")
    assert (unnamed.returncode, "-a" in unnamed.stderr) == (2, True)
    unknown = desk.run("mine.py", "-a", "attention")
    assert (unknown.returncode, "Open are: two_layer_mse, layernorm." in unknown.stderr) == (2, True)
    queued = desk.run("mine.py", "-a", "two_layer_mse", "--no-wait")
    assert (queued.returncode, len(queued.stderr.splitlines())) == (0, 3)


def give_result(served: ServedPortal, number: int, report: Report) -> None:
    """An attempt that waits gets this result."""
    portal, key = served.portal, f"result of {number}"
    with portal.begin() as connection:
        attempt = find_attempt(connection, number)
        assert attempt is not None
        connection.execute(sa.update(ATTEMPTS).where(ATTEMPTS.c.id == number).values(state="running", holder="test"))
        given = {"score": report.score, "max_score": report.max_score, "now": portal.clock()}
        assert finish(connection, attempt, "test", result=key, status="graded", **given)
    basis = portal.served[attempt.assignment].basis(portal.clock())
    graded = Graded(report=json.dumps(report_to_dict(report)), page=zlib.compress(b""))
    portal.gradebook.keep(Keys(key, "e"), Owner(PLATFORM, attempt.student), attempt.sha256, basis, graded)


def test_a_result_that_another_one_will_replace(idle: ServedPortal, desk: Desk) -> None:
    """The points that there are, and that they may change. Nobody waits for the others."""
    key, file = idle.key("gil"), desk.folder / "gil.ipynb"
    file.write_bytes(notebook())
    desk.run("--portal", idle.address, "--key", key)
    desk.run("gil.ipynb", "--no-wait")
    with idle.portal.begin() as connection:
        (attempt,) = attempts_of(connection, person=idle.person("gil").id)
    give_result(idle, attempt.id, perfect())
    address = f"{idle.address}/api/submissions/{attempt.id}?wait=20"

    def said() -> tuple[int, str, bool]:
        done = desk.run("gil.ipynb")
        answer = httpx.get(address, headers=with_key(key)).json()
        assert (answer["state"], answer["score"]) == ("done", 10)
        return done.returncode, done.stderr.splitlines()[-1], answer["is_judged_again"]

    assert said() == (0, "10 of 10 points.", False)
    with idle.portal.begin() as connection:
        assert judge_again(connection, [attempt.id]) == 1
    again = (
        "10 of 10 points. It is being judged again, so that may change: the attempt's page will show the new result."
    )
    assert said() == (0, again, True)
    with idle.portal.begin() as connection:
        hold(connection, "two_layer_mse", idle.person("gil"), by="max", now=idle.portal.clock())
    assert desk.run("gil.ipynb").stderr.splitlines()[-1].startswith("The result is withheld")


def test_a_key_that_does_not_count_is_not_saved(idle: ServedPortal, desk: Desk) -> None:
    old = idle.key("ada")
    idle.key("ada")

    refused = desk.run("--portal", idle.address, "--key", old)

    assert refused.returncode == 2
    assert "replaced or revoked" in refused.stderr
    assert not desk.saved.exists()
    assert old not in refused.stderr


def test_what_cannot_be_handed_in_is_said_in_a_sentence(idle: ServedPortal, desk: Desk) -> None:
    (desk.folder / "a.ipynb").write_bytes(notebook())
    (desk.folder / "picture.ipynb").write_bytes(b"\x89PNG")
    cases = [
        ([], "There is nothing to hand in."),
        (["a.ipynb"], "No key for handing in is saved on this machine."),
        (["--portal", "http://grader.school.example", "--key", "x" * 43], "others could read your key"),
        (["--portal", "https://a@b.example/x", "--key", "x" * 43], "is not the address of a portal"),
        (["--portal", idle.address, "--key", "short"], "This is not a key of a portal."),
        (["--portal", idle.address], "There is no key."),
    ]
    for arguments, says in cases:
        done = desk.run(*arguments)
        assert (done.returncode, says in done.stderr) == (2, True), done.stderr

    desk.run("--portal", idle.address, "--key", idle.key("ada"))
    assert "cannot be handed in" in desk.run("picture.ipynb").stderr
    assert "There is no file" in desk.run("none.ipynb").stderr


def test_a_notebook_with_the_key_in_it_is_not_handed_in(idle: ServedPortal, desk: Desk) -> None:
    key = idle.key("ada")
    (desk.folder / "a.ipynb").write_bytes(notebook(extra=f"!grader submit --key {key}"))
    desk.run("--portal", idle.address, "--key", key)

    done = desk.run("a.ipynb", "--no-wait")

    assert (done.returncode, "a.ipynb contains your key" in done.stderr) == (2, True)
    assert key not in done.stderr


def test_a_portal_that_is_off_is_a_fault(desk: Desk) -> None:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]

    done = desk.run("--portal", f"http://127.0.0.1:{port}", "--key", "x" * 43)

    assert (done.returncode, "cannot be reached" in done.stderr) == (3, True)


@contextlib.contextmanager
def other_server(answer: Any) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """A server that is no portal: its address, and the headers of the requests that reached it."""
    seen: list[dict[str, str]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append({name.lower(): value for name, value in self.headers.items()})
            answer(self)

        do_POST = do_GET

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_key_does_not_follow_a_redirect(desk: Desk) -> None:
    with other_server(lambda request: request.send_error(404)) as (target, reached):

        def redirect(request: Any) -> None:
            request.send_response(307)
            request.send_header("location", f"{target}/api/assignments")
            request.end_headers()

        with other_server(redirect) as (address, asked):
            done = desk.run("--portal", address, "--key", "k" * 43)

    assert (len(asked), reached) == (1, [])
    assert done.returncode == 2
    assert "Your key was not sent there." in done.stderr


def test_a_proxy_does_not_get_what_is_for_this_machine(idle: ServedPortal, desk: Desk) -> None:
    with other_server(lambda request: request.send_error(502)) as (proxy, reached):
        done = desk.run("--portal", idle.address, "--key", idle.key("ada"), http_proxy=proxy, no_proxy="")

    assert (done.returncode, reached) == (0, []), done.stderr


def test_a_strange_answer_is_a_fault(desk: Desk) -> None:
    def endless(request: Any) -> None:
        request.send_response(200)
        request.end_headers()
        with contextlib.suppress(OSError):
            while True:
                request.wfile.write(b"[" * 65_536)

    def text(content: bytes) -> Any:
        def answer(request: Any) -> None:
            request.send_response(200)
            request.end_headers()
            request.wfile.write(content)

        return answer

    nested = json.dumps({"student": "\x1b[31mx", "assignments": 3}).encode()
    for answer in (endless, text(b"<html>"), text(b"[" * 10_000), text(nested)):
        with other_server(answer) as (address, _):
            done = desk.run("--portal", address, "--key", "k" * 43)
        assert (done.returncode, "is not the answer of a portal" in done.stderr) == (3, True), done.stderr


def test_handing_in_needs_neither_torch_nor_what_grading_needs(idle: ServedPortal, desk: Desk) -> None:
    (desk.folder / "a.ipynb").write_bytes(notebook(extra="light"))
    script = (
        "import sys\n"
        "from grader.execution.installed import GRADING\n"
        "sys.modules.update(dict.fromkeys((*GRADING, 'torch', 'httpx', 'starlette')))\n"
        "from grader.cli import main\n"
        f"assert main(['submit', '--portal', {idle.address!r}, '--key', {idle.key('gil')!r}]) == 0\n"
        "assert main(['submit', 'a.ipynb', '--no-wait']) == 0\n"
    )
    environment = os.environ | {"XDG_CONFIG_HOME": str(desk.folder / "settings"), "PYTHONPATH": str(ROOT)}

    done = subprocess.run(
        [sys.executable, "-c", script], cwd=desk.folder, env=environment, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("https://grader.school.example", "https://grader.school.example"),
        ("HTTPS://Grader.School.Example:8443/", "https://grader.school.example:8443"),
        ("http://localhost:8642", "http://localhost:8642"),
        ("http://[::1]:8642", "http://[::1]:8642"),
    ],
)
def test_addresses_of_portals(given: str, address: str) -> None:
    assert UserPortal.of(given, "k" * 43).address == address


@pytest.mark.parametrize(
    "given",
    [
        "grader.school.example",
        "ftp://localhost",
        "http://localhost.evil.example",
        "http://127.0.0.1@evil.example",
        "https://evil.example\\@school.example",
        "https://school.example?x",
        "https://school.example:port",
        "https://",
        "http://192.168.1.1",
    ],
)
def test_addresses_where_a_key_must_not_go(given: str) -> None:
    with pytest.raises(UsageError):
        UserPortal.of(given, "k" * 43)
