"""The border between conductor and judge takes memory in proportion to what arrives, whatever that says."""

from __future__ import annotations

import socket
import threading
import tracemalloc
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from grader.execution.messages import FromConductor, MessageError, Messages

SIZE = 2 << 20
MOST_TIMES = 12


def _read(name: str, value: bytes) -> bytes:
    """A `Read` with one field besides its tag, whose value is given in MessagePack."""
    return b"\x82" + b"".join(map(msgspec.msgpack.encode, ("type", "Read", name))) + value


def _map(entries: list[bytes]) -> bytes:
    return b"\xdf" + len(entries).to_bytes(4, "big") + b"".join(entries)


def _array(entries: list[bytes]) -> bytes:
    return b"\xdd" + len(entries).to_bytes(4, "big") + b"".join(entries)


def _hostile() -> Iterator[tuple[str, bytes]]:
    """Messages of this size in which each byte takes as much memory as can be."""
    names = [b"\xa4" + f"{number:4x}".encode() for number in range(min(SIZE // 6, 1 << 16))]
    names += [b"\xa5" + f"{number:5x}".encode() for number in range(1 << 16, SIZE // 7)]
    numbers = [b"\xce" + (1 << 16 | number).to_bytes(4, "big") for number in range(SIZE // 6)]
    error = msgspec.msgpack.encode({"type": "", "message": ""})
    cell = msgspec.msgpack.encode({"number": 1, "index": 1, "code": ""})
    yield "names", _read("broken_names", _map([name + b"\x01" for name in names]))
    yield "definitions", _read("definitions", _map([name + b"\x90" for name in names]))
    yield "lines", _read("lines", _map([number + b"\x90" for number in numbers]))
    yield "numbers", _read("lines", _map([b"\x01" + _array(numbers)]))
    yield "errors", _read("syntax_errors", _map([number + error for number in numbers[: SIZE // 25]]))
    yield "cells", _read("notebook", b"\x81" + msgspec.msgpack.encode("cells") + _array([cell] * (SIZE // len(cell))))
    yield "texts", _read("problem", b"\xdb" + SIZE.to_bytes(4, "big") + b"x" * SIZE)


HOSTILE = dict(_hostile())


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_message_takes_no_more_memory_than_its_length_allows(kind: str) -> None:
    content = HOSTILE[kind]
    ours, theirs = socket.socketpair()
    with ours, theirs:
        messages: Messages[Any] = Messages(ours, FromConductor)
        sender = threading.Thread(target=theirs.sendall, args=(len(content).to_bytes(4, "big") + content,))
        sender.start()
        tracemalloc.start()
        try:
            messages.receive(limit=2 * SIZE)
        except MessageError:
            pass  # that is a bound, too
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            sender.join()

    assert peak < MOST_TIMES * len(content), f"{peak / len(content):.0f} times its length"
