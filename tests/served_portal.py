"""A portal that is served on loopback, with real workers and a course of its own."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from grader.classroom.pool import Workers
from grader.classroom.workers import local_workers
from grader.portal.access import make_key, make_link
from grader.portal.dispatcher import Dispatcher
from grader.portal.passback import Passback
from grader.portal.people import Person, find_student
from grader.portal.platforms import open_tool
from grader.portal.portal import Portal, open_portal
from grader.portal.serve import Server
from grader.portal.web.app import build_app
from grader.portal.web.guard import Hosts
from grader.portal.web.visit import Site
from grader.sandbox import Level

COURSE = """title = "By hand"
roster = "roster.csv"

[[assignment]]
id = "two_layer_mse"

[[assignment]]
id = "layernorm"
attempts = 1

[[assignment]]
id = "attention"
opens = 2999-01-01T00:00:00Z
"""
ROSTER = "student,name,email,role\nada,Ada,,\nbob,Bob,,\neve,Eve,,\nfay,Fay,,\ngil,Gil,,\nmax,Max,,staff\n"


@dataclasses.dataclass(frozen=True)
class ServedPortal:
    portal: Portal
    dispatcher: Dispatcher
    address: str

    def person(self, student: str) -> Person:
        with self.portal.begin() as connection:
            found = find_student(connection, student)
        assert found is not None
        return found

    def key(self, student: str) -> str:
        """A new key; the earlier one no longer counts."""
        with self.portal.begin() as connection:
            return make_key(connection, self.person(student), self.portal.clock())

    def link(self, student: str) -> str:
        with self.portal.begin() as connection:
            secret = make_link(connection, self.person(student), by="max", now=self.portal.clock())
        return f"{self.address}/sign-in/{secret}"

    @contextlib.contextmanager
    def signed_in(self, student: str) -> Iterator[httpx.Client]:
        """A browser without JavaScript in which somebody has signed in."""
        with httpx.Client(base_url=self.address, timeout=60) as browser:
            secret = self.link(student).rpartition("/")[2]
            assert browser.post("/sign-in", data={"secret": secret}).status_code == 303
            yield browser


@contextlib.contextmanager
def served_portal(folder: Path, *, grades: bool = True) -> Iterator[ServedPortal]:
    """
    Serve a course until the context ends.

    Args:
        grades: Whether somebody grades; otherwise all attempts stay in the queue.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "course.toml").write_text(COURSE, encoding="utf-8")
    (folder / "roster.csv").write_text(ROSTER, encoding="utf-8")
    with contextlib.ExitStack() as stack:
        portal = stack.enter_context(open_portal(folder))
        listener = stack.enter_context(contextlib.closing(socket.create_server(("127.0.0.1", 0))))
        port = listener.getsockname()[1]
        workers = Workers(open=local_workers, jobs=1, require=Level.NONE)
        tool = stack.enter_context(open_tool(portal, port=port))
        passback = Passback(portal, tool)
        dispatcher = Dispatcher(portal, workers, warm_up=False, finished=passback.wake)
        site = Site(portal=portal, dispatcher=dispatcher, hosts=Hosts.of("", port=port))
        config = uvicorn.Config(
            build_app(site, tool, passback), lifespan="off", log_config=None, timeout_graceful_shutdown=30
        )
        server = Server(config, portal, tool)
        if grades:
            dispatcher.start()
            stack.callback(dispatcher.stop)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        stack.callback(_stop, server, thread)
        yield ServedPortal(portal, dispatcher, f"http://127.0.0.1:{port}")


def _stop(server: Any, thread: threading.Thread) -> None:
    server.should_exit = True
    thread.join()
