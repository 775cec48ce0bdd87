"""Messages are packed and unpacked unchanged, and bytes that are not messages are refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.harness.wire import PREFIX, WireError, pack, unpack_all, unpack_header, unpack_prefix

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
