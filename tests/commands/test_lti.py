"""`grader lti`, with the database of a course."""

from __future__ import annotations

import contextlib
import functools
import getpass
import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from grader.commands.lti import lti_commands
from grader.errors import UsageError
from grader.portal.lti.outbox import Offer, State, entries, offer
from grader.portal.lti.platforms import find_platform
from grader.portal.lti.tables import ITEMS, METADATA, SCORES
from grader.portal.lti.tool import Tool
from grader.portal.lti.web import Web, open_client
from grader.portal.tables import AUDIT
from tests.conftest import ROOT
from tests.portal.lti.running import acts_of

ADD = ["add", "--issuer", "https://lms.example.org", "--client", "c1", "--login", "https://lms.example.org/auth"]
ADD += ["--token", "https://lms.example.org/token", "--keys", "https://lms.example.org/keys"]


@contextlib.contextmanager
def open_tool(folder: Path, base: str = "https://grader.example.org") -> Iterator[Tool]:
    engine = sa.create_engine(f"sqlite:///{folder / 'portal.db'}")
    METADATA.create_all(engine)
    AUDIT.create(engine, checkfirst=True)
    with open_client() as client:
        yield Tool(base=base, title="Gradients", database=engine, web=Web(client))
    engine.dispose()


def run(folder: Path, *words: str) -> Result:
    command, *rest = words
    return CliRunner().invoke(lti_commands(open_tool), [command, str(folder), *rest])


def said(folder: Path, *words: str) -> str:
    result = run(folder, *words)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.output


def test_a_platform_is_added(tmp_path: Path) -> None:
    """Once, and without a deployment the first launch decides."""
    assert "lms.example.org is platform number 1." in said(tmp_path, *ADD)
    again = run(tmp_path, *ADD)

    assert isinstance(again.exception, UsageError)
    assert "--change" in str(again.exception)
    changed = [word.replace("org/keys", "org/other-keys") for word in ADD]
    assert "is platform number 1." in said(tmp_path, *changed, "--change")
    with open_tool(tmp_path) as tool:
        assert find_platform(tool, 1).keys_address == "https://lms.example.org/other-keys"
    listed = said(tmp_path, "platforms")
    assert "1. lms.example.org: client c1 of https://lms.example.org, and the first launch says" in listed
    assert "The deployment d1 of lms.example.org may open the portal." in said(tmp_path, "deployment", "1", "d1")
    assert said(tmp_path, "platforms").endswith("client c1 of https://lms.example.org, deployment d1\n")
    assert isinstance(run(tmp_path, "deployment", "2", "d1").exception, UsageError)


def test_a_platform_is_closed(tmp_path: Path) -> None:
    """One deployment of it, or all, also before the first launch; a deployment opens it again."""
    said(tmp_path, *ADD, "--deployment", "d1", "--deployment", "typo")

    assert isinstance(run(tmp_path, "close", "1", "other").exception, UsageError)
    assert "The deployment typo of lms.example.org may no longer" in said(tmp_path, "close", "1", "typo")
    assert said(tmp_path, "platforms").endswith("lms.example.org, deployment d1\n")
    assert "lms.example.org may no longer open the portal." in said(tmp_path, "close", "1")
    assert said(tmp_path, "platforms").endswith("lms.example.org, closed\n")
    said(tmp_path, "deployment", "1", "d2")
    assert said(tmp_path, "platforms").endswith("lms.example.org, deployment d2\n")
    with open_tool(tmp_path) as tool:
        closed = [about for _, what, about in acts_of(tool, most=100) if what == "closed"]
    assert closed == ["deployment typo of platform 1", "platform 1"]


def test_addresses_are_those_of_the_page(tmp_path: Path) -> None:
    """In the documentation stands what the command says."""
    page = (ROOT / "docs" / "lti.md").read_text(encoding="utf-8")

    found = re.findall(r"https://\S+", said(tmp_path, "addresses"))

    assert len(found) == 4
    assert all(f"`{address}`" in page for address in found)


def test_an_invitation_is_printed_alone(tmp_path: Path) -> None:
    output = said(tmp_path, "invite", "--days", "1")

    assert re.fullmatch(r"https://grader\.example\.org/lti/register\?code=[\w-]{43}\n", output)


@pytest.mark.parametrize("command", ["addresses", "invite"])
def test_a_course_without_an_address(tmp_path: Path, command: str) -> None:
    """A platform could not use what is printed, and the command says what to do."""
    commands = lti_commands(functools.partial(open_tool, base="http://127.0.0.1:8642"))

    assert "into course.toml: `address`" in CliRunner().invoke(commands, [command, str(tmp_path)]).output


def test_keys_are_changed(tmp_path: Path) -> None:
    first = said(tmp_path, "keys")
    both = said(tmp_path, "keys", "--new")

    assert len(first.splitlines()) == 1
    assert len(both.splitlines()) == 2
    assert first in both
    assert said(tmp_path, "keys", "--remove-old") == (
        f"No key is old enough: one is removed when its successor has signed for two days.\n{both}"
    )


def add_conflict(folder: Path) -> None:
    """A score, number 1, beside which the first platform has a newer one."""
    with open_tool(folder) as tool:
        now = datetime.now(timezone.utc)
        with tool.database.begin() as connection:
            column = {"platform": 1, "place": "p", "scopes": "", "reserved_until": now, "tries": 0, "reason": ""}
            sought = {"list_address": "", "resource_link": "r", "assignment": "m", "title": "M", "maximum": 4}
            connection.execute(sa.insert(ITEMS).values(**column, **sought))
        offer(tool, Offer(item=1, subject="s-1", mark="m", given=2.5, maximum=4, submitted_at=now))
        with tool.database.begin() as connection:
            connection.execute(sa.update(SCORES).values(state=State.CONFLICT.value, reason="It has another one."))


def test_scores_that_are_not_delivered(tmp_path: Path) -> None:
    said(tmp_path, *ADD)
    assert "All scores are delivered." in said(tmp_path, "scores")
    add_conflict(tmp_path)

    assert "1. s-1, 2.5 of 4, conflict: It has another one." in said(tmp_path, "scores")
    assert isinstance(run(tmp_path, "scores", "--resend", "7").exception, UsageError)
    assert "within a minute" in said(tmp_path, "scores", "--resend", "1")
    with open_tool(tmp_path) as tool:
        assert [entry.state for entry in entries(tool)] == [State.WAITING]


def test_each_change_is_in_the_audit_trail(tmp_path: Path) -> None:
    """By the login of whoever ran the command. What only looks, and what changes nothing, is not."""
    who = getpass.getuser()
    addresses = [f"{name} https://lms.example.org/{end}" for name, end in (("login", "auth"), ("token", "token"))]
    about = f"platform 1: client c1 of https://lms.example.org; {', '.join(addresses)}, keys "

    said(tmp_path, *ADD)
    said(tmp_path, *[word.replace("org/keys", "org/other") for word in ADD], "--change", "--deployment", "d1")
    for deployment in ("d1", "d2"):
        said(tmp_path, "deployment", "1", deployment)
    said(tmp_path, "invite", "--days", "1")
    first = said(tmp_path, "keys").split()[0]
    (second,) = {line.split()[0] for line in said(tmp_path, "keys", "--new").splitlines()} - {first}
    add_conflict(tmp_path)
    said(tmp_path, "scores", "--resend", "1")
    for looking in (["addresses"], ["platforms"], ["scores"], ["keys", "--remove-old"]):
        said(tmp_path, *looking)

    with open_tool(tmp_path) as tool:
        trail = acts_of(tool, most=100)
        invited = trail.pop(4)
        until = tool.clock() + timedelta(days=1)
    assert invited[:2] == (who, "platform invited")
    assert re.fullmatch(rf"one platform, until {until:%Y-%m-}\d\d \d\d:\d\d UTC", invited[2])
    assert trail == [
        (who, "platform added", f"{about}https://lms.example.org/keys"),
        (who, "platform changed", f"{about}https://lms.example.org/other"),
        (who, "deployment allowed", "deployment d1 of platform 1"),
        (who, "deployment allowed", "deployment d2 of platform 1"),
        ("portal", "signing key made", first),
        (who, "signing key made", second),
        (who, "sent again", "score 1"),
    ]


@pytest.mark.parametrize(
    "words",
    [
        [word.replace("c1", "c2") for word in ADD],
        [*[word.replace("org/keys", "org/other") for word in ADD], "--change"],
        ["deployment", "1", "d1"],
        ["close", "1"],
        ["invite"],
        ["keys"],
        ["scores", "--resend", "1"],
    ],
    ids=["add", "change", "deployment", "close", "invite", "key", "resend"],
)
def test_what_cannot_be_noted_is_not_done(tmp_path: Path, words: list[str]) -> None:
    """The line in the trail is in the transaction of the change."""
    said(tmp_path, *ADD)
    add_conflict(tmp_path)
    before = content(tmp_path)
    with open_tool(tmp_path) as tool, tool.database.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER full BEFORE INSERT ON portal_audit BEGIN SELECT RAISE(ABORT, 'the trail is full'); END"
        )

    assert "the trail is full" in str(run(tmp_path, *words).exception)

    assert content(tmp_path) == before


def content(folder: Path) -> dict[str, list[tuple[object, ...]]]:
    """Everything in the database."""
    with open_tool(folder) as tool, tool.database.begin() as connection:
        return {
            name: [tuple(row) for row in connection.execute(sa.select(table))]
            for name, table in METADATA.tables.items()
        }


@pytest.mark.parametrize("words", [["--help"], ["add", "--help"]])
def test_help(words: list[str]) -> None:
    assert CliRunner().invoke(lti_commands(open_tool), words).exit_code == 0
