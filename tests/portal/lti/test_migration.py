"""A database of the version before, in SQLite and in PostgreSQL, with scores that wait."""

from __future__ import annotations

import contextlib
import datetime as dt
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from starlette.responses import JSONResponse, PlainTextResponse

from grader.classroom.gradebook import Gradebook
from grader.portal.database import migrate
from grader.portal.lti.delivery import deliver_due
from grader.portal.lti.lineitems import find_items, reserve_item
from grader.portal.lti.outbox import Offer, State, entries, offer
from grader.portal.lti.platforms import find_platform
from grader.portal.lti.tables import DEPLOYMENTS, ITEMS, PLATFORMS
from grader.portal.lti.tool import SCORE_SCOPE, digest
from grader.portal.tables import AUDIT
from tests.portal.lti.running import (
    AGS,
    DATABASES,
    Certificates,
    fake_platform,
    json_of,
    launch,
    open_empty,
    served_tool,
)

LISTED = "items?type=7"
MIGRATING = """
import os, sys
import sqlalchemy as sa
from grader.classroom.gradebook import Gradebook
from grader.portal.database import migrate

opened, left = Gradebook(sys.argv[1]), [int(sys.argv[2])]

@sa.event.listens_for(sa.Engine, "after_cursor_execute")
def count(connection, cursor, statement, *_):
    if statement.startswith("ALTER TABLE"):
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), 9)

print("ready", flush=True)
sys.stdin.readline()
migrate(opened)
"""


@pytest.fixture(params=DATABASES)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Engine]:
    """As version 3 of the tables left it."""
    with open_empty(request.param, tmp_path) as engine:
        config = Config()
        config.set_main_option("script_location", "grader.portal:migrations")
        with contextlib.closing(Gradebook(place_of(engine))) as opened, opened.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "0003")
        yield engine


def place_of(engine: sa.Engine) -> str:
    return engine.url.render_as_string(hide_password=False)


def finish(engine: sa.Engine) -> None:
    with contextlib.closing(Gradebook(place_of(engine))) as opened:
        migrate(opened)


def migrating(engine: sa.Engine, *, killed_after: int = 0) -> subprocess.Popen[str]:
    """A server that has opened the database, and migrates it when it is told to."""
    command = [sys.executable, "-c", MIGRATING, place_of(engine), str(killed_after)]
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    started = subprocess.Popen(command, **pipes, text=True)
    assert started.stdout is not None
    started.stdout.readline()
    return started


def insert(engine: sa.Engine, table: str, **values: Any) -> int:
    with engine.begin() as connection:
        known = sa.Table(table, sa.MetaData(), autoload_with=connection)
        return int(connection.execute(sa.insert(known).values(**values).returning(known.c.number)).scalar_one())


@pytest.mark.slow
def test_servers_that_start_at_once(old: sa.Engine) -> None:
    """One of them migrates, and all of them start."""
    servers = [migrating(old) for _ in range(3)]
    for server in servers:
        assert server.stdin is not None
        server.stdin.write("\n")
        server.stdin.flush()

    assert [(server.communicate(timeout=60)[1], server.returncode) for server in servers] == 3 * [("", 0)]


@pytest.mark.slow
def test_a_server_that_is_killed_while_it_migrates(old: sa.Engine) -> None:
    """The next one does all of it."""
    with migrating(old, killed_after=3) as server:
        server.communicate("\n", timeout=60)
    assert server.returncode == -9

    finish(old)

    assert {column["name"] for column in sa.inspect(old).get_columns(ITEMS.name)} == {each.name for each in ITEMS.c}


def test_scores_and_columns_of_the_version_before(old: sa.Engine, certificates: Certificates) -> None:
    """What waited is sent. A column that was not found yet is looked for once somebody opens its link."""
    now = dt.datetime.now(dt.timezone.utc).replace(tzinfo=None)
    with fake_platform(certificates) as platform:
        listed, column = f"{platform.base}/{LISTED}", f"{platform.base}/items/1"
        texts = {"issuer": platform.base, "client_id": platform.client_id, "title": "LMS"}
        addresses = {f"{name}_address": f"{platform.base}/{name}" for name in ("authorization", "token")}
        flags = {"is_registered_by_itself": False, "expects_deployment": True}
        more = {"token_audience": f"{platform.base}/token", "keys_address": f"{platform.base}/jwks", "added_at": now}
        number = insert(old, "portal_lti_platforms", **texts, **addresses, **flags, **more)
        known = {"platform": number, "scopes": SCORE_SCOPE, "reserved_until": now}
        there = insert(old, "portal_lti_items", **known, place=digest("link", column), address=column)
        place = digest("made", listed, "link-1", "week1")
        missing = insert(old, "portal_lti_items", **known, place=place, address=None)
        cell = insert(old, "portal_lti_cells", item=there, subject="s")
        times = dict.fromkeys(("submitted_at", "due_at", "offered_at"), now)
        score = {"mark": "m", "given": 3, "maximum": 4, "comment": "", "state": "waiting", "reason": "", "tries": 0}
        insert(old, "portal_lti_scores", cell=cell, **score, **times)
        finish(old)
        platform.answers["/items/1/scores"] = lambda asked: PlainTextResponse("")
        platform.answers["/items"] = lambda asked: JSONResponse(
            [{"tag": "grade", "resourceId": "week1", "id": f"{platform.base}/items/2"}]
        )

        with served_tool(certificates, old) as served:
            tool = served.tool
            assert find_platform(tool, number).title == "LMS"
            assert (find_items(tool), deliver_due(tool)) == (0, 1)
            offer(tool, Offer(missing, "s", "m", 3, 4, submitted_at=tool.clock()))
            assert deliver_due(tool) == 0
            assert [each.state for each in entries(tool)] == [State.WAITING, State.DELIVERED]
            assert "no column" in entries(tool)[0].reason
            assert launch(served, platform, lambda claims: claims[AGS].update(lineitems=listed)).status_code == 200
            assert reserve_item(tool, served.launches[-1], assignment="week1", title="W", maximum=4) == missing
            assert find_items(tool) == 1

    (sent,) = (json_of(asked) for asked in platform.asked if asked.path == "/items/1/scores")
    assert sent["scoreGiven"] == 3


DEPLOYMENT = "deployment {} of platform {}"


def test_deployments_of_the_version_before(old: sa.Engine) -> None:
    """Where one was named by hand, no launch adds another one, as it is now. What the audit trail says is known."""
    now = dt.datetime.now(dt.timezone.utc).replace(tzinfo=None)
    texts = dict.fromkeys(("authorization_address", "token_address", "token_audience", "keys_address", "issuer"), "i")

    def platform(client: str, *known: str, waits: bool, by_itself: bool = False) -> int:
        flags = {"is_registered_by_itself": by_itself, "expects_deployment": waits}
        number = insert(old, PLATFORMS.name, **texts, **flags, client_id=client, title=client, added_at=now)
        for each in known:
            insert(old, DEPLOYMENTS.name, platform=number, deployment_id=each)
        return number

    hand, launch, alone, unknown = (
        platform("hand", "h1", "h2", waits=True),
        platform("launch", "l1", waits=False),
        platform("alone", waits=True),
        platform("unknown", "u1", waits=False),
    )
    itself = platform("itself", "r1", "r2", waits=False, by_itself=True)
    allowed = "deployment allowed"
    with old.begin() as connection:
        for by, what, about in (
            ("max", allowed, DEPLOYMENT.format("h1", hand)),
            (f"platform {launch}", allowed, DEPLOYMENT.format("l1", launch)),
            ("lms", "platform registered", f"platform {itself}: client c of i; login x"),
            ("lms", allowed, DEPLOYMENT.format("r1", itself)),
            ("max", allowed, DEPLOYMENT.format("r2", itself)),
        ):
            connection.execute(
                sa.insert(AUDIT).values(at=dt.datetime.now(dt.timezone.utc), by=by, what=what, about=about)
            )

    finish(old)

    with old.begin() as connection:
        waiting = (
            connection.execute(sa.select(PLATFORMS.c.number).where(PLATFORMS.c.expects_deployment)).scalars().all()
        )
        rows = connection.execute(sa.select(DEPLOYMENTS).order_by(DEPLOYMENTS.c.number)).all()
    assert waiting == [alone]
    assert unknown
    assert [(row.deployment_id, row.named_by, row.closed_at) for row in rows] == [
        ("h1", "hand", None),
        ("h2", "hand", None),
        ("l1", "launch", None),
        ("u1", "", None),
        ("r1", "registration", None),
        ("r2", "hand", None),
    ]
