"""Messages arrive unchanged, and bytes that are not a message are refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.harness.wire import (
    HEADER_LIMIT_BYTES,
    PREFIX,
    ChannelClosed,
    WireError,
    pack,
    read_message,
    receive_message,
    unpack_all,
    unpack_header,
    unpack_prefix,
)

headers = st.dictionaries(st.text(max_size=10), st.one_of(st.integers(), st.text(max_size=20), st.none()), max_size=4)


@given(st.lists(st.tuples(headers, st.binary(max_size=200)), max_size=5))
def test_packed_messages_are_unpacked_in_order(messages: list[tuple[dict, bytes]]) -> None:
    content = b"".join(pack(header, payload) for header, payload in messages)

    assert list(unpack_all(content)) == messages


@given(st.binary(max_size=400))
def test_arbitrary_bytes_never_raise(content: bytes) -> None:
    """A hostile process can only send messages or nothing."""
    assert all(isinstance(header, dict) for header, _ in unpack_all(content))


@given(headers, st.binary(max_size=50), st.integers(1, 40))
def test_a_message_cut_off_is_left_out(header: dict, payload: bytes, cut: int) -> None:
    """The messages before it are kept."""
    whole = pack({"n": 1}, b"first")
    second = pack(header, payload)

    assert list(unpack_all(whole + second[: -min(cut, len(second))])) == [({"n": 1}, b"first")]


def test_lengths_are_checked_before_anything_is_read() -> None:
    """A prefix that announces exabytes is refused."""
    with pytest.raises(WireError):
        unpack_prefix(PREFIX.pack(10, 2**60), payload_limit=1000)
    with pytest.raises(WireError):
        unpack_prefix(PREFIX.pack(2**31, 0), payload_limit=1000)


@pytest.mark.parametrize("words", [b"", b"[]", b"3", b"{", b"\xff", b"[" * 100_000])
def test_a_header_that_is_not_a_json_object_is_refused(words: bytes) -> None:
    """Even if it is nested deeply."""
    with pytest.raises(WireError):
        unpack_header(words)


def reading(content: bytes, sizes: list[int]) -> Callable[[int], bytes]:
    """A function that reads from these bytes, at most so many at a time, in turn."""
    rest = [content]
    turns = iter(range(1 << 30))

    def read(wanted: int) -> bytes:
        assert wanted > 0
        size = min(wanted, sizes[next(turns) % len(sizes)])
        chunk, rest[0] = rest[0][:size], rest[0][size:]
        return chunk

    return read


chunk_sizes = st.lists(st.integers(1, 300), min_size=1, max_size=5)


@given(st.lists(st.tuples(headers, st.binary(max_size=200)), min_size=1, max_size=3), chunk_sizes)
def test_a_message_may_arrive_in_any_pieces(messages: list[tuple[dict, bytes]], sizes: list[int]) -> None:
    """Reading it leaves the next message unread."""
    read = reading(b"".join(pack(header, payload) for header, payload in messages), sizes)

    assert [receive_message(read, payload_limit=200) for _ in messages] == messages
    with pytest.raises(ChannelClosed):
        receive_message(read, payload_limit=200)


@given(headers, st.binary(max_size=200), chunk_sizes, st.data())
def test_a_channel_may_close_within_a_message(
    header: dict, payload: bytes, sizes: list[int], data: st.DataObject
) -> None:
    whole = pack(header, payload)
    cut = data.draw(st.integers(0, len(whole) - 1))

    with pytest.raises(ChannelClosed):
        receive_message(reading(whole[:cut], sizes), payload_limit=200)


@given(st.binary(max_size=400), chunk_sizes)
def test_bytes_that_are_not_a_message_are_refused(content: bytes, sizes: list[int]) -> None:
    """The error is always a `WireError`."""
    try:
        header, payload = receive_message(reading(content, sizes), payload_limit=1000)
    except WireError:
        return
    assert isinstance(header, dict)
    assert len(payload) <= 1000


@pytest.mark.parametrize(
    ("prefix", "is_read"),
    [
        ((2, 1000), True),
        ((2, 1001), False),
        ((HEADER_LIMIT_BYTES, 0), True),
        ((HEADER_LIMIT_BYTES + 1, 0), False),
        ((2, 2**63), False),
    ],
)
def test_a_message_that_is_too_long_is_not_read(prefix: tuple[int, int], is_read: bool) -> None:
    """Only its prefix is read."""
    reader = read_message(payload_limit=1000)
    assert next(reader) == PREFIX.size

    if is_read:
        assert reader.send(PREFIX.pack(*prefix)) == prefix[0]
    else:
        with pytest.raises(WireError, match="too large") as error:
            reader.send(PREFIX.pack(*prefix))
        assert not isinstance(error.value, ChannelClosed)


def test_a_long_message_is_read_piece_by_piece() -> None:
    """No memory is needed for bytes that have not arrived."""
    payload = bytes(3 << 20)
    sizes: list[int] = []
    content = memoryview(pack({}, payload))
    place = 0

    def read(wanted: int) -> bytes:
        nonlocal place
        sizes.append(wanted)
        place += wanted
        return bytes(content[place - wanted : place])

    assert receive_message(read, payload_limit=len(payload)) == ({}, payload)
    assert max(sizes) <= 1 << 20
