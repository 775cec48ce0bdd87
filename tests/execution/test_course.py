"""What the judge keeps of an execution."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from grader.execution import course
from grader.execution.channel import Reply, Request
from grader.execution.course import Course


def _requests(_: Mapping[str, Reply]) -> Iterator[Request]:
    for key in ("first", "second", "third"):
        yield Request(key=key, header={"cases": ["a", "b"]}, payload=b"")


def test_replies_that_are_too_large_together_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(course, "MOST_KEPT_BYTES", 5_000)
    going = Course(_requests)
    for _ in range(3):
        assert going.next() is not None
        going.note(Reply(status="done", records={name: ({"case": name}, bytes(1_000)) for name in ("a", "b")}))
    replies = going.execution(()).replies

    assert [replies[key].status for key in ("first", "second", "third")] == ["done", "done", "too_large"]
    assert [len(reply.records) for reply in replies.values()] == [2, 2, 0]
