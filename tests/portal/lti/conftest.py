"""The tool, a platform that does what it is told, and Open edX's, each started once for the tests of a file."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from grader.portal.lti.tables import CELLS, ITEMS, SCORES
from grader.portal.lti.tokens import TokenCache
from grader.portal.lti.tool import Tool
from tests.portal.lti.running import Certificates, FakePlatform, Served, fake_platform, make_certificates, served_tool


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sa.Engine]:
    place: Path = tmp_path_factory.mktemp("database") / "portal.db"
    engine = sa.create_engine(f"sqlite:///{place}", connect_args={"timeout": 30})
    try:
        yield engine
    finally:
        engine.dispose()


@pytest.fixture(scope="module")
def running(certificates: Certificates, database: sa.Engine) -> Iterator[Served]:
    with served_tool(certificates, database) as made:
        yield made


@pytest.fixture
def served(running: Served) -> Served:
    """The tool, at the present time and without launches of other tests."""
    running.clock.ahead *= 0
    running.launches.clear()
    running.network.hosts.clear()
    running.network.public.clear()
    return running


@pytest.fixture
def tool(served: Served) -> Tool:
    """Without tokens and columns of other tests."""
    with served.tool.database.begin() as connection:
        for table in (SCORES, CELLS, ITEMS):
            connection.execute(sa.delete(table))
    return dataclasses.replace(served.tool, tokens=TokenCache())


@pytest.fixture(scope="module")
def platform(certificates: Certificates, running: Served) -> Iterator[FakePlatform]:
    with fake_platform(certificates) as made:
        made.add_to(running.tool)
        yield made
