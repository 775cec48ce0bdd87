"""
Sends requests to the harness in a kernel and receives its replies, one at a time, over the kernel's channel.
"""

from __future__ import annotations

import asyncio
import dataclasses
import re
import socket
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from grader.harness.wire import Message, WireError, pack, read_message, unpack_all

__all__ = ["Reply", "Request", "Requests", "combine", "receive", "receive_reply", "safe_text", "send_request"]

STATUSES = ("done", "timed_out", "too_large", "crashed")
"""The statuses that a reply of the harness may have."""
_STATUS_CHARACTERS = 40
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,}\b")
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """
    A request to the harness: see `grader.harness`.

    Attributes:
        key: The key of the reply. Replies to several requests with the same key are combined.
        header: Data for the harness. `seconds` is the wall time that the reply may take.
        payload: Tensors in the safetensors format.
        is_evidence: Whether it serves only a diagnosis. Such requests come last, and if one kills the kernel, the
            notebook is not run again.
    """

    key: str
    header: dict[str, Any]
    payload: bytes
    is_evidence: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """
    The reply to a request. The student's process wrote it, so nothing in it is trusted.

    Attributes:
        status: One of done, timed_out, too_large, out_of_memory, crashed and unreachable.
        detail: How the process ended, such as `signal 9`; or empty.
        is_fatal: Whether the kernel is lost.
        records: A header and a payload for each case that was called, by the case's name.
    """

    status: str
    detail: str = ""
    is_fatal: bool = False
    records: dict[str, Message] = dataclasses.field(default_factory=dict, repr=False)


Requests = Callable[[Mapping[str, Reply]], Iterable[Request]]
"""Yields requests. Each of them may depend on the replies so far, which it is given."""


def combine(earlier: Reply | None, later: Reply, request: Request) -> Reply:
    """The replies to two requests with the same key, as one. Of the later one, only the cases of its request count."""
    asked = request.header.get("cases")
    records = {case: record for case, record in later.records.items() if asked is None or case in asked}
    if earlier is not None:
        records |= earlier.records
    return dataclasses.replace(later, records=records)


def safe_text(value: object, limit: int) -> str:
    """
    Text from the student's process: without control characters and colours, and no longer than `limit` characters.

    Addresses of objects are left out, because they differ from run to run, and say nothing.

    >>> safe_text("<C object at 0x7f3a5c0d1e50> is not a tensor", 100)
    '<C object at 0x…> is not a tensor'
    """
    text = _ADDRESS.sub("0x…", _CONTROL.sub("", value)) if isinstance(value, str) else ""
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text) - limit} characters more)"


async def send_request(channel: socket.socket, request: Request) -> None:
    """Send a request over a channel that does not block."""
    await asyncio.get_running_loop().sock_sendall(channel, pack(request.header, request.payload))


async def receive_reply(channel: socket.socket, *, limit: int) -> Reply:
    """
    Receive the reply to a request.

    Args:
        limit: The largest payload in bytes.

    Raises:
        WireError: The message is not a reply, or the channel was closed.
    """
    header, payload = await receive(channel, limit=limit)
    status = header.get("status")
    if status not in STATUSES:
        raise WireError(f"unknown status {str(status)[:_STATUS_CHARACTERS]!r}")
    records: dict[str, Message] = {}
    for record, content in unpack_all(payload):
        case = record.get("case")
        if isinstance(case, str):
            records.setdefault(case, (record, content))
    detail = next((f"{key} {header[key]}" for key in ("signal", "exit") if type(header.get(key)) is int), "")
    return Reply(status=status, detail=detail, records=records)


async def receive(channel: socket.socket, *, limit: int) -> Message:
    """
    Receive one message over a channel that does not block.

    Args:
        limit: The largest payload in bytes.

    Raises:
        WireError: What arrived is not a message, or is too large, or the channel was closed.
    """
    loop = asyncio.get_running_loop()
    reader = read_message(payload_limit=limit)
    wanted = next(reader)
    while True:
        try:
            wanted = reader.send(await loop.sock_recv(channel, wanted))
        except StopIteration as message:
            result: Message = message.value
            return result
