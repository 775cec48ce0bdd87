"""Requests are sent over a channel. Replies are bounded and checked, since the student's process writes them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.execution.border import read_records
from grader.execution.channel import Reply, Request, combine, receive_reply, send_request
from grader.harness.wire import ChannelClosed, Message, WireError, pack, receive_message


def request_for(*cases: str) -> Request:
    return Request(key="grad_w", header={"cases": list(cases)}, payload=b"")


def reply_with(status: str = "done", **records: Message) -> Reply:
    return Reply(status=status, records=records)


def record(number: int) -> Message:
    return {"number": number}, b""


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Our end of a channel, which does not block, and the harness's end."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.settimeout(20)
    with ours, theirs:
        yield ours, theirs


def received(content: bytes, *, limit: int = 1 << 16) -> Reply:
    """The reply that arrives when the harness writes these bytes and closes the channel."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours:
        with theirs:
            theirs.sendall(content)
        status, detail, payload = asyncio.run(receive_reply(ours, limit=limit))
    records, is_odd = read_records(payload)
    return Reply(status=status, detail=detail, records=records, is_odd=is_odd)


def reply_of(header: dict[str, Any], *records: Message) -> bytes:
    return pack(header, b"".join(pack(*each) for each in records))


# --------------------------------------------------------------------------------------------------------- combining


def test_only_requested_cases_are_kept() -> None:
    reply = reply_with(a=record(1), b=record(2))

    assert combine(None, reply, request_for("a")) == reply_with(a=record(1))
    assert combine(None, reply, request_for("a", "c")) == reply_with(a=record(1))


def test_a_later_reply_adds_cases_but_changes_none() -> None:
    """A function that knows the hidden cases cannot correct what it returned for a public one."""
    earlier = reply_with(a=record(1))
    later = reply_with("crashed", a=record(3), b=record(4), c=record(5))

    combined = combine(earlier, later, request_for("b"))

    assert combined == reply_with("crashed", a=record(1), b=record(4))
    assert combine(earlier, later, request_for("a", "b")).records["a"] == record(1)


def test_the_status_is_that_of_the_later_reply() -> None:
    later = Reply(status="crashed", detail="signal 9", is_fatal=True)

    combined = combine(reply_with(a=record(1)), later, request_for("b"))

    assert (combined.status, combined.detail, combined.is_fatal) == ("crashed", "signal 9", True)
    assert combined.records == {"a": record(1)}


def test_a_request_without_cases_keeps_every_record() -> None:
    reply = reply_with(chain=record(1), training=record(2))

    assert combine(None, reply, Request(key="chain", header={}, payload=b"")) == reply


# --------------------------------------------------------------------------------------------------- over a channel


def test_a_request_arrives_whole(ends: tuple[socket.socket, socket.socket]) -> None:
    """It may be larger than the buffer of the channel."""
    ours, theirs = ends
    request = Request(key="grad_w", header={"cases": ["a"]}, payload=b"x" * (1 << 20))

    async def exchange() -> Message:
        receiving = asyncio.to_thread(receive_message, theirs.recv, payload_limit=1 << 20)
        message, _ = await asyncio.gather(receiving, send_request(ours, request.header, request.payload))
        return message

    assert asyncio.run(exchange()) == (request.header, request.payload)


def test_a_reply_has_a_record_for_each_case() -> None:
    """The first record of a case counts. A record without a case is left out; of one without a status, only notes."""
    returned = {"status": "returned"}
    reply = received(
        reply_of(
            {"status": "done"},
            ({"case": "a", **returned, "parts": 1}, b"one"),
            ({"case": "b", **returned}, b""),
            ({"case": "a", **returned, "parts": 2}, b"two"),
            ({"case": 3}, b""),
            ({}, b""),
            ({"case": "b", "parts": 9, "did": ["called C"]}, b"three"),
        )
    )

    records = {
        "a": ({"case": "a", **returned, "parts": 1}, b"one"),
        "b": ({"case": "b", **returned, "did": ["called C"]}, b""),
    }
    assert reply == Reply(status="done", records=records, is_odd=True)


def test_a_record_that_is_cut_off_ends_the_records() -> None:
    whole = pack({"case": "a"}) + pack({"case": "b"}, b"cut off")[:-1]

    assert set(received(pack({"status": "too_large"}, whole)).records) == {"a"}


@pytest.mark.parametrize(
    ("header", "detail"),
    [
        ({"status": "done"}, ""),
        ({"status": "timed_out"}, ""),
        ({"status": "crashed", "signal": 9}, "signal 9"),
        ({"status": "crashed", "exit": 3}, "exit 3"),
        ({"status": "crashed", "exit": 3, "signal": 9}, "signal 9"),
        ({"status": "crashed", "exit": "<b>3</b>"}, ""),
        ({"status": "crashed", "signal": True}, ""),
        ({"status": "crashed", "signal": [9], "exit": 3}, "exit 3"),
    ],
)
def test_how_a_process_ended(header: dict[str, Any], detail: str) -> None:
    """The detail has a number, or is empty."""
    assert received(reply_of(header)) == Reply(status=header["status"], detail=detail)


@pytest.mark.parametrize("status", ["ready", "unreachable", "out_of_memory", "", None, 3, ["done"], {"done": 1}])
def test_a_status_that_the_harness_never_sends_is_refused(status: Any) -> None:
    """Some statuses are for the grader to give, such as `unreachable`."""
    with pytest.raises(WireError, match="unknown status"):
        received(reply_of({"status": status}))


@pytest.mark.parametrize("length", [0, 5, 20, -1])
def test_a_channel_may_close_within_a_reply(length: int) -> None:
    with pytest.raises(ChannelClosed):
        received(reply_of({"status": "done"}, ({"case": "a"}, b"one"))[:length])


@pytest.mark.parametrize(("limit", "is_read"), [(100, True), (99, False)])
def test_the_size_of_a_reply_is_limited(limit: int, is_read: bool) -> None:
    content = pack({"status": "done"}, b"x" * 100)

    if is_read:
        assert received(content, limit=limit).records == {}
    else:
        with pytest.raises(WireError, match="too large"):
            received(content, limit=limit)


def test_replies_may_arrive_in_pieces(ends: tuple[socket.socket, socket.socket]) -> None:
    """One reply is read at a time."""
    ours, theirs = ends
    content = b"".join(reply_of({"status": "done"}, ({"case": name}, b"x")) for name in "ab")

    async def exchange() -> list[bytes]:
        async def write() -> None:
            for place in range(0, len(content), 7):
                theirs.sendall(content[place : place + 7])
                await asyncio.sleep(0)

        writing = asyncio.create_task(write())
        payloads = [(await receive_reply(ours, limit=1000))[-1] for _ in "ab"]
        await writing
        return payloads

    assert [list(read_records(payload)[0]) for payload in asyncio.run(exchange())] == [["a"], ["b"]]


@given(st.binary(max_size=300))
def test_arbitrary_records_never_raise(payload: bytes) -> None:
    """A payload of any bytes is a reply, with or without records."""
    reply = received(pack({"status": "crashed"}, payload))

    assert all(isinstance(header, dict) for header, _ in reply.records.values())
