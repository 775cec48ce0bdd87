"""
Packs and reads the messages between the grader and a student's process: JSON for words, safetensors for numbers.

    4 bytes   length of the header, big-endian
    8 bytes   length of the payload, big-endian
    header    JSON, UTF-8
    payload   safetensors, or messages of the same form one after another, or nothing

Anything may arrive from a student's process. The reader checks both lengths first, and raises a `WireError` for a
message that it cannot parse. That is the fault of the submission, not of the grader.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Generator, Iterator
from typing import Any

__all__ = [
    "CHANNEL_VARIABLE",
    "HEADER_LIMIT_BYTES",
    "PREFIX",
    "REQUEST_LIMIT_BYTES",
    "ChannelClosed",
    "Message",
    "WireError",
    "pack",
    "read_message",
    "receive_message",
    "unpack_all",
    "unpack_header",
    "unpack_prefix",
]

CHANNEL_VARIABLE = "GRADER_CHANNEL"
"""The environment variable that says which descriptor the channel has in the student's process: `fd:7`."""

PREFIX = struct.Struct(">IQ")
HEADER_LIMIT_BYTES = 1 << 20
REQUEST_LIMIT_BYTES = 1 << 30
"""How many bytes the payload of a request may have."""
_CHUNK_BYTES = 1 << 20

Message = tuple[dict[str, Any], bytes]
"""A header and a payload."""


class WireError(ValueError):
    """The bytes are not a message, or the message is too large."""


class ChannelClosed(WireError):  # noqa: N818 - an end, not an error
    """The channel was closed: there are no more bytes to read."""


def pack(header: dict[str, Any], payload: bytes = b"") -> bytes:
    """One message as bytes."""
    text = json.dumps(header).encode()
    return PREFIX.pack(len(text), len(payload)) + text + payload


def unpack_prefix(prefix: bytes, *, payload_limit: int) -> tuple[int, int]:
    """
    The lengths in bytes of header and payload.

    Raises:
        WireError: One of them is above its limit, or there are too few bytes.
    """
    if len(prefix) != PREFIX.size:
        raise WireError("the message ends in its prefix")
    header_length, payload_length = PREFIX.unpack(prefix)
    if header_length > HEADER_LIMIT_BYTES or payload_length > payload_limit:
        raise WireError(f"a message of {header_length} + {payload_length} bytes is too large")
    return header_length, payload_length


def unpack_header(text: bytes) -> dict[str, Any]:
    """
    The header of a message, a JSON object.

    Raises:
        WireError: The bytes are not a JSON object.
    """
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WireError("the header is not JSON") from error
    if not isinstance(header, dict):
        raise WireError("the header is not a JSON object")
    return header


def read_message(*, payload_limit: int) -> Generator[int, bytes, Message]:
    """
    Read one message, without deciding how bytes are read: the caller may block or await.

    Yields:
        The largest number of bytes to read next. The caller sends the bytes that it read: at least one, or none at the
        end.

    Returns:
        The message, as the value of `StopIteration`.

    Raises:
        ChannelClosed: There are no more bytes.
        WireError: The bytes are not a message, or one of its lengths is above its limit.
    """
    header_length, payload_length = unpack_prefix((yield from _exactly(PREFIX.size)), payload_limit=payload_limit)
    header = unpack_header((yield from _exactly(header_length)))
    return header, (yield from _exactly(payload_length))


def receive_message(read: Callable[[int], bytes], *, payload_limit: int) -> Message:
    """
    Read one message with a function that blocks until there are bytes.

    Args:
        read: Takes the largest number of bytes to read, and returns at least one byte, or none at the end.

    Raises:
        WireError: As for `read_message`.
    """
    reader = read_message(payload_limit=payload_limit)
    wanted = next(reader)
    while True:
        try:
            wanted = reader.send(read(wanted))
        except StopIteration as message:
            result: Message = message.value
            return result


def _exactly(length: int) -> Generator[int, bytes, bytes]:
    content = bytearray()
    while len(content) < length:
        chunk = yield min(_CHUNK_BYTES, length - len(content))
        if not chunk:
            raise ChannelClosed("the channel was closed")
        content += chunk
    return bytes(content)


def unpack_all(content: bytes) -> Iterator[Message]:
    """The messages in some bytes, in order, until one is cut off. The header of one that is no JSON object is empty."""
    view = memoryview(content)
    while len(view) >= PREFIX.size:
        try:
            header_length, payload_length = unpack_prefix(bytes(view[: PREFIX.size]), payload_limit=len(view))
        except WireError:
            yield {}, b""
            return
        begin, end = PREFIX.size + header_length, PREFIX.size + header_length + payload_length
        if end > len(view):
            return
        try:
            header = unpack_header(bytes(view[PREFIX.size : begin]))
        except WireError:
            header = {}
        yield header, bytes(view[begin:end])
        view = view[end:]
