"""
Requests to the harness in a kernel, and its replies: one at a time, over the kernel's channel.
"""

from __future__ import annotations

import asyncio
import dataclasses
import socket
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from grader.harness.wire import Message, WireError, pack, read_message, unpack_all

__all__ = ["Reply", "Request", "Requests", "combine", "receive", "receive_reply", "send_request"]

STATUSES = ("done", "timed_out", "too_large", "crashed")
"""What the harness may say of a request."""
_STATUS_CHARACTERS = 40


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """
    What the harness is asked: see `grader.harness`.

    Attributes:
        key: The reply is kept under it. Replies to several requests with one key are combined.
        header: Plain data for the harness; `seconds` is the wall time that the reply may take.
        payload: Tensors in the safetensors format.
        is_evidence: It serves a diagnosis only and comes after all others: it is not worth running the notebook again.
    """

    key: str
    header: dict[str, Any]
    payload: bytes
    is_evidence: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """
    What came back for a request. The student's process wrote it: nothing in it is believed yet.

    Attributes:
        status: One of done, timed_out, too_large, out_of_memory, crashed and unreachable.
        detail: How a process ended, such as `signal 9`; or nothing.
        is_fatal: The kernel is lost, too.
        records: A header and a payload for each case that was called.
    """

    status: str
    detail: str = ""
    is_fatal: bool = False
    records: dict[str, Message] = dataclasses.field(default_factory=dict, repr=False)


Requests = Callable[[Mapping[str, Reply]], Iterable[Request]]
"""Yields requests, each of which may depend on the replies so far."""


def combine(earlier: Reply | None, later: Reply, request: Request) -> Reply:
    """The replies to two requests with one key; from the later one only the cases that its request asked for."""
    asked = request.header.get("cases")
    records = {case: record for case, record in later.records.items() if asked is None or case in asked}
    if earlier is not None:
        records |= earlier.records
    return dataclasses.replace(later, records=records)


async def send_request(channel: socket.socket, request: Request) -> None:
    """Send a request over a channel that does not block."""
    await asyncio.get_running_loop().sock_sendall(channel, pack(request.header, request.payload))


async def receive_reply(channel: socket.socket, *, limit: int) -> Reply:
    """
    Receive the reply to a request.

    Args:
        limit: How many bytes its payload may have.

    Raises:
        WireError: It is not a reply, or the channel was closed.
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
        limit: How many bytes its payload may have.

    Raises:
        WireError: It is not a message, it is too large, or the channel was closed.
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
