"""A portal as people run it: `grader serve` in a process of its own, with a course in a folder."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import nbformat

from grader.portal.access import make_link
from grader.portal.course import open_course
from grader.portal.database import open_database
from grader.portal.people import find_student
from grader.portal.portal import now_utc
from tests.conftest import ROOT, handed_in

__all__ = ["ROSTER", "Portal", "notebook", "write_course"]

ROSTER = """student,name,email,role
ada,Ada,ada@school.example,student
ben,Ben,,student
prof,Instructor,,staff
"""
READY_S = 120


def write_course(folder: Path, settings: str = "", *, rules: str = "", roster: str = ROSTER) -> Path:
    """A course with the smallest assignment."""
    folder.mkdir(parents=True, exist_ok=True)
    text = f'title = "Backprop"\nroster = "roster.csv"\n{settings}\n[[assignment]]\nid = "two_layer_mse"\n{rules}\n'
    (folder / "course.toml").write_text(text, encoding="utf-8")
    (folder / "roster.csv").write_text(roster, encoding="utf-8")
    return folder


def notebook(answers: str, *, mark: str = "") -> bytes:
    """The sample solution with these answers in it; `mark` makes it another file."""
    made = handed_in(answers)
    made.cells.append(nbformat.v4.new_markdown_cell(mark, id="mark"))
    return nbformat.writes(made).encode("utf-8")


class Portal:
    """A running `grader serve`."""

    def __init__(self, folder: Path, *, jobs: int = 1, port: int = 0, variables: dict[str, str] | None = None) -> None:
        self.folder = folder
        self._jobs = jobs
        self._variables = variables or {}
        self._log = folder / "server.log"
        self.start(port)

    def start(self, port: int = 0) -> None:
        """Start it, and wait until it answers."""
        command = [sys.executable, "-m", "grader", "serve", str(self.folder), "--port", str(port)]
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                [*command, "--jobs", str(self._jobs), "--debug"],
                cwd=ROOT,
                stderr=log,
                env={**os.environ, **self._variables},
                start_new_session=True,
            )
        self.address = self._wait(r"The portal is at (\S+?)\.? Press")
        self.port = port or int(self.address.rpartition(":")[2])

    def wait_ready(self) -> None:
        """Wait until the workers are warm."""
        deadline = time.monotonic() + READY_S
        while httpx.get(f"http://127.0.0.1:{self.port}/health").json()["status"] != "ok":
            assert time.monotonic() < deadline, self.log
            time.sleep(0.1)

    def link(self, student: str) -> str:
        """A new personal link, as `grader course links` makes it."""
        course = open_course(self.folder)
        os.environ.update(self._variables)
        database = open_database(course, self.folder)
        try:
            with database.begin() as connection:
                person = find_student(connection, student)
                assert person is not None
                return f"{self.address}/sign-in/{make_link(connection, person, by='test', now=now_utc())}"
        finally:
            database.close()
            for name in self._variables:
                del os.environ[name]

    def signed_in(self, student: str) -> httpx.Client:
        """A browser without JavaScript in which somebody has signed in."""
        client = httpx.Client(base_url=self.address, timeout=60)
        secret = self.link(student).rpartition("/")[2]
        assert client.post("/sign-in", data={"secret": secret}).status_code == 303
        return client

    def hand_in(self, client: httpx.Client, content: bytes, *, name: str = "my.ipynb") -> httpx.Response:
        """Send the form of the assignment."""
        files = {"file": (name, content, "application/octet-stream")}
        return client.post(
            "/assignments/two_layer_mse", data={"form_secret": form_secret(client)}, files=files, follow_redirects=False
        )

    def kill(self) -> None:
        """`kill -9`: the server, and nothing else."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """As a service is stopped; nobody is left behind, and no error is said."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise
            assert self.process.returncode == 0, self.log

    @property
    def log(self) -> str:
        """What it has said."""
        return self._log.read_text(errors="replace")

    def _wait(self, pattern: str) -> str:
        deadline = time.monotonic() + READY_S
        while not (found := re.search(pattern, self.log)):
            assert self.process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.05)
        return found[1]


def form_secret(client: httpx.Client, path: str = "/assignments/two_layer_mse") -> str:
    """The secret in the forms of a page."""
    found = re.search(r'name="form_secret" value="([^"]+)"', client.get(path).text)
    assert found is not None
    return found[1]


def wait_until_done(client: httpx.Client, path: str, *, seconds: float = 90) -> str:
    """The page of an attempt, once it has a result."""
    deadline = time.monotonic() + seconds
    while "data-poll" in (text := client.get(path).text):
        assert time.monotonic() < deadline, text
        time.sleep(0.1)
    return text
