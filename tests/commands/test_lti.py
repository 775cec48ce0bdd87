"""`grader lti`, with the database of a course."""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Iterator
from datetime import datetime, timezone
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
from tests.conftest import ROOT

ADD = ["add", "--issuer", "https://lms.example.org", "--client", "c1", "--login", "https://lms.example.org/auth"]
ADD += ["--token", "https://lms.example.org/token", "--keys", "https://lms.example.org/keys"]


@contextlib.contextmanager
def open_tool(folder: Path, base: str = "https://grader.example.org") -> Iterator[Tool]:
    engine = sa.create_engine(f"sqlite:///{folder / 'portal.db'}")
    METADATA.create_all(engine)
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
    assert "of https://lms.example.org, deployment d1, and the first" in said(tmp_path, "platforms")
    assert isinstance(run(tmp_path, "deployment", "2", "d1").exception, UsageError)


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


def test_scores_that_are_not_delivered(tmp_path: Path) -> None:
    said(tmp_path, *ADD)
    assert "All scores are delivered." in said(tmp_path, "scores")
    with open_tool(tmp_path) as tool:
        now = datetime.now(timezone.utc)
        with tool.database.begin() as connection:
            column = {"platform": 1, "place": "p", "scopes": "", "reserved_until": now, "tries": 0, "reason": ""}
            sought = {"list_address": "", "resource_link": "r", "assignment": "m", "title": "M", "maximum": 4}
            connection.execute(sa.insert(ITEMS).values(**column, **sought))
        offer(tool, Offer(item=1, subject="s-1", mark="m", given=2.5, maximum=4, submitted_at=now))
        with tool.database.begin() as connection:
            connection.execute(sa.update(SCORES).values(state=State.CONFLICT.value, reason="It has another one."))

    assert "1. s-1, 2.5 of 4, conflict: It has another one." in said(tmp_path, "scores")
    assert isinstance(run(tmp_path, "scores", "--resend", "7").exception, UsageError)
    assert "within a minute" in said(tmp_path, "scores", "--resend", "1")
    with open_tool(tmp_path) as tool:
        assert [entry.state for entry in entries(tool)] == [State.WAITING]


@pytest.mark.parametrize("words", [["--help"], ["add", "--help"]])
def test_help(words: list[str]) -> None:
    assert CliRunner().invoke(lti_commands(open_tool), words).exit_code == 0
