"""
Messages between the grader and the student's process: JSON for words, safetensors for numbers, a length before each.

    4 bytes   length of the header, big-endian
    8 bytes   length of the payload, big-endian
    header    JSON, UTF-8
    payload   safetensors, or messages of the same form one after another, or nothing

What arrives from the student's process may be anything: whoever reads bounds both lengths first, and a message that
does not parse is a `WireError`, which is the submission's trouble and not the grader's.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import Any

__all__ = [
    "CHANNEL_VARIABLE",
    "HEADER_LIMIT_BYTES",
    "PREFIX",
    "WireError",
    "pack",
    "unpack_all",
    "unpack_header",
    "unpack_prefix",
]

CHANNEL_VARIABLE = "GRADER_CHANNEL"
"""The environment variable that says which descriptor the channel has in the student's process: `fd:7`."""

PREFIX = struct.Struct(">IQ")
HEADER_LIMIT_BYTES = 1 << 20


class WireError(ValueError):
    """The bytes are no message, or one larger than was allowed."""


def pack(header: dict[str, Any], payload: bytes = b"") -> bytes:
    """One message as bytes."""
    words = json.dumps(header).encode()
    return PREFIX.pack(len(words), len(payload)) + words + payload


def unpack_prefix(prefix: bytes, *, payload_limit: int) -> tuple[int, int]:
    """
    The lengths in bytes of header and payload.

    Raises:
        WireError: One of them is beyond its limit, or there are too few bytes.
    """
    if len(prefix) != PREFIX.size:
        raise WireError("the message ends in its prefix")
    header_length, payload_length = PREFIX.unpack(prefix)
    if header_length > HEADER_LIMIT_BYTES or payload_length > payload_limit:
        raise WireError(f"a message of {header_length} + {payload_length} bytes is too large")
    return header_length, payload_length


def unpack_header(words: bytes) -> dict[str, Any]:
    """
    The header, a JSON object.

    Raises:
        WireError: It is anything else.
    """
    try:
        header = json.loads(words)
    except (ValueError, RecursionError) as error:
        raise WireError("the header is not JSON") from error
    if not isinstance(header, dict):
        raise WireError("the header is not a JSON object")
    return header


def unpack_all(content: bytes) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Messages that follow one another; a last one that is cut off, or that does not parse, ends the sequence."""
    view = memoryview(content)
    while len(view) >= PREFIX.size:
        try:
            header_length, payload_length = unpack_prefix(bytes(view[: PREFIX.size]), payload_limit=len(view))
            end = PREFIX.size + header_length + payload_length
            if end > len(view):
                return
            header = unpack_header(bytes(view[PREFIX.size : PREFIX.size + header_length]))
        except WireError:
            return
        yield header, bytes(view[PREFIX.size + header_length : end])
        view = view[end:]
