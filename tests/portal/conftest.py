"""A portal for the tests of a file, and courses without a server."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from grader.classroom.gradebook import Gradebook
from grader.portal.database import migrate
from tests.portal.server import Portal, write_course
from tests.postgresql import PROGRAMS, Server


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """A running portal."""
    made = Portal(write_course(tmp_path_factory.mktemp("course")))
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module", params=["SQLite", "PostgreSQL"])
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The place of an empty database."""
    if request.param == "SQLite":
        yield str(tmp_path_factory.mktemp("database") / "gradebook.db")
        return
    if PROGRAMS is None:
        pytest.skip("no PostgreSQL is installed")
    server = Server()
    try:
        yield server.url
    finally:
        server.close()


@pytest.fixture(scope="module")
def gradebook(database: str) -> Iterator[Gradebook]:
    """An empty gradebook with the portal's tables, in each database."""
    with contextlib.closing(Gradebook(database)) as opened:
        migrate(opened)
        yield opened
