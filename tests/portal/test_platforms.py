"""From a learning platform that others wrote into the portal, and the mark back into its gradebook."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from grader.cli import main
from grader.portal.lti.delivery import LEASE
from grader.portal.lti.lineitems import RESERVED_FOR
from tests.portal.lti.running import Certificates, form_of, make_certificates
from tests.portal.server import Portal, form_secret, notebook, wait_until_done, write_course
from tests.portal.tls import free_port, proxy

PYTHON = Path(sys.prefix) / "lti-platform" / "bin" / "python"
SCRIPT = Path(__file__).parent / "lti" / "openedx_platform.py"
PAGE = "/assignments/two_layer_mse"
WRONG = "def grad_b1(dz1):\n    return dz1.mean(0, keepdim=True)\n"
SECONDS = 180

pytestmark = pytest.mark.skipif(
    not PYTHON.exists(), reason="the platform is not installed: `make test-slow` installs it"
)


@dataclass(frozen=True)
class World:
    """A portal behind a proxy, a platform, and the certificates that both trust."""

    portal: Portal
    address: str
    platform: str
    certificates: Certificates

    def browser(self) -> httpx.Client:
        return httpx.Client(
            verify=self.certificates.trusting(), base_url=self.address, timeout=SECONDS, trust_env=False
        )

    def launch(self, browser: httpx.Client, **who: str) -> httpx.Response:
        """A click on the platform, and what follows."""
        click = httpx.get(f"{self.platform}/click", params=who, trust_env=False).json()
        address, fields = form_of(browser.get(click["address"], follow_redirects=True))
        return browser.post(address, data=fields)

    def state(self) -> Any:
        return httpx.get(f"{self.platform}/state", trust_env=False).json()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
    certificates = make_certificates(folder)
    outside, port = free_port(), free_port()
    address = f"https://localhost:{outside}"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["SSL_CERT_FILE"] = str(certificates.authority)
    command = [str(PYTHON), str(SCRIPT), str(folder / "platform.db"), str(port), address]
    course = write_course(folder / "course", f'address = "{address}"')
    with contextlib.ExitStack() as stack:
        log = stack.enter_context((folder / "log").open("w"))
        platform = stack.enter_context(
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=environment)
        )
        stack.callback(platform.communicate)
        assert platform.stdout is not None
        line = platform.stdout.readline()
        assert line, (folder / "log").read_text()
        base = json.loads(line)["base"]
        state = httpx.get(f"{base}/state", trust_env=False).json()
        service = f"{base}/api/lti_consumer/v1"
        added = ["lti", "add", str(course), "--issuer", base, "--client", state["client_id"], "--deployment", "1"]
        added += ["--login", f"{service}/launch/", "--token", f"{service}/token/{state['passport']}"]
        assert main([*added, "--keys", f"{service}/public_keysets/{state['passport']}"]) == 0
        portal = Portal(course, port=free_port())
        stack.callback(portal.stop)
        stack.enter_context(proxy(outside, certificates.chain, portal.port))
        portal.wait_ready()
        yield World(portal, address, base, certificates)


def wait_for(condition: Callable[[], Any], *, seconds: float = SECONDS) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


def allow_course(world: World) -> None:
    """An instructor who signed in by a link allows the platform's course, unless that was done."""
    with world.browser() as teacher:
        if world.launch(teacher, user="0", role="staff").status_code == 303:
            return
    with world.browser() as prof:
        secret = world.portal.link("prof").rpartition("/")[2]
        assert prof.post("/sign-in", data={"secret": secret}).status_code == 303
        page = prof.get("/platforms").text
        number = re.search(r'name="number" value="(\d+)"', page)
        assert number is not None, page
        assert "Gradients by hand" in page
        values = {"form_secret": form_secret(prof, "/platforms"), "number": number[1], "allowed": "yes"}
        assert prof.post("/platforms/courses", data=values).status_code == 303


def connect(world: World) -> None:
    """The course is allowed, and a teacher makes a link to the assignment, unless that was done."""
    allow_course(world)
    if world.state()["links"]:
        return
    with world.browser() as teacher:
        page = world.launch(teacher, user="0", role="staff", makes_link="yes")
        address, fields = form_of(page)
        answer = teacher.post(f"{world.address}{address}", data={**fields, "assignment": "two_layer_mse"})
        address, fields = form_of(answer)
        assert teacher.post(address, data=fields).status_code == 200


def test_from_the_platform_and_back(world: World) -> None:
    """
    Nobody gets in before the course is allowed, nor learns what a link could open.

    Then a teacher makes a link, a student opens it and hands in, and the best mark is in the platform's gradebook.
    """
    with world.browser() as browser:
        for to_make_a_link in ({}, {"makes_link": "yes"}):
            refused = world.launch(browser, user="0", role="staff", **to_make_a_link)
            assert (refused.status_code, "not connected" in refused.text) == (403, True)
            assert "two_layer_mse" not in refused.text
    connect(world)
    with world.browser() as teacher:
        assert world.launch(teacher, user="0", role="staff", made="yes").headers["location"] == "/class/two_layer_mse"
        assert "Learning platforms" in teacher.get("/platforms").text

    with world.browser() as student:
        opened = world.launch(student, user="1", role="student", made="yes")
        assert (opened.status_code, opened.headers["location"]) == (303, PAGE)
        assert "Secure" in opened.headers["set-cookie"]
        assert student.get("/platforms").status_code == 404
        for answers in (WRONG, "", WRONG + "\n"):
            path = world.portal.hand_in(student, notebook(answers, mark=answers)).headers["location"]
            wait_until_done(student, path)
            wait_for(lambda: world.state()["scores"])

    def scores() -> list[float]:
        return [score["score_given"] for score in world.state()["scores"]]

    wait_for(lambda: scores() == [10])
    published = [entry["score"] for entry in world.state()["gradebook"]]
    assert published in ([0.9, 1.0], [1.0])
    with world.browser() as prof:
        prof.post("/sign-in", data={"secret": world.portal.link("prof").rpartition("/")[2]})
        page = prof.get("/platforms").text
        assert "delivered" in page
        assert f"client {world.state()['client_id']}" in page


def test_what_is_withheld_is_not_sent(world: World) -> None:
    """It is sent when it is released, with the time of the hand-in."""
    connect(world)
    before = len(world.state()["scores"])
    with world.browser() as prof, world.browser() as student:
        prof.post("/sign-in", data={"secret": world.portal.link("prof").rpartition("/")[2]})
        secret = form_secret(prof, "/platforms")
        assert prof.post("/class/two_layer_mse", data={"form_secret": secret, "do": "hold"}).status_code == 303
        world.launch(student, user="2", role="student", made="yes")
        path = world.portal.hand_in(student, notebook(WRONG, mark="held")).headers["location"]
        wait_until_done(student, path)
        assert "withheld" in student.get(path).text
        time.sleep(3)
        assert len(world.state()["scores"]) == before
        assert prof.post("/class/two_layer_mse", data={"form_secret": secret, "do": "release"}).status_code == 303

        wait_for(lambda: len(world.state()["scores"]) == before + 1)


def test_keys_travel_by_https(world: World) -> None:
    """The command with a key names the course's address, even if a proxy does not say that browsers use https."""
    with world.browser() as student:
        secret = world.portal.link("ada").rpartition("/")[2]
        assert student.post("/sign-in", data={"secret": secret}).status_code == 303
        values = {"form_secret": form_secret(student, "/")}
        cookie = f"__Host-grader={next(iter(student.cookies.jar)).value}"
    answer = httpx.post(f"http://127.0.0.1:{world.portal.port}/key", data=values, headers={"cookie": cookie})

    assert f"--portal {world.address} --key " in answer.text


def test_in_a_frame(world: World) -> None:
    """The cookie and the pages work in a frame of the platform's, and the report in a frame of theirs."""
    connect(world)
    with world.browser() as student:
        student.headers["sec-fetch-dest"] = "iframe"
        opened = world.launch(student, user="3", role="student", made="yes")
        page = student.get(PAGE)

    assert "SameSite=None; Partitioned; Secure" in opened.headers["set-cookie"]
    assert "frame-ancestors 'self' https:;" in page.headers["content-security-policy"]


def test_in_a_frame_of_the_platform_alone(world: World) -> None:
    """If the platform says where its pages are, no others may show a session's pages and reports."""
    connect(world)
    with world.browser() as student:
        student.headers["sec-fetch-dest"] = "iframe"
        world.launch(student, user="3", role="student", made="yes", returns_to="https://school.example/courses/1?a=*")
        path = world.portal.hand_in(student, notebook(WRONG, mark="framed")).headers["location"]
        wait_until_done(student, path)
        policies = [student.get(each).headers["content-security-policy"] for each in (PAGE, f"{path}/report.html")]

    ancestors = [re.findall("frame-ancestors ([^;]+)", each) for each in policies]
    assert ancestors == 2 * [["'self' https://school.example"]]


def test_a_killed_server_sends_each_mark_once(world: World) -> None:
    """It is killed while it grades and sends; whatever it had done, the platform gets each better mark once."""
    worse = WRONG + "def grad_b2(dyhat):\n    return dyhat.mean(0, keepdim=True)\n"
    connect(world)
    dice = random.Random(5)
    longest_lease = max(LEASE, RESERVED_FOR).total_seconds()  # of what the killed server was doing

    def published() -> list[float]:
        return [entry["score"] for entry in world.state()["gradebook"] if entry["user"] == "subject-4"]

    with world.browser() as student:
        world.launch(student, user="4", role="student", made="yes")
        for count, (answers, score) in enumerate([(worse, 0.8), (WRONG, 0.9), ("", 1.0)], start=1):
            assert world.portal.hand_in(student, notebook(answers, mark="killed")).status_code == 303
            time.sleep(dice.uniform(0.3, 3.0))
            world.portal.kill()
            world.portal.start(world.portal.port)
            wait_for(lambda count=count: len(published()) >= count, seconds=SECONDS + longest_lease)
            assert published()[-1] == score
    time.sleep(3)

    assert published() == [0.8, 0.9, 1.0]
