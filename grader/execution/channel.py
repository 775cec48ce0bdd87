"""
Sends requests to the harness in a kernel and receives its replies, one at a time, over the kernel's channel.
"""

from __future__ import annotations

import asyncio
import dataclasses
import socket
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, get_args

from grader.execution.border import read_records
from grader.harness.wire import Message, WireError, pack, read_message

__all__ = [
    "Reply",
    "Request",
    "Requests",
    "combine",
    "receive",
    "receive_reply",
    "reply_from",
    "send_request",
]

Sent = Literal["done", "timed_out", "too_large", "crashed"]
STATUSES: tuple[Sent, ...] = get_args(Sent)
"""The statuses that a reply of the harness may have."""
_STATUS_CHARACTERS = 40
_MOST_NUMBER = 10_000
_UNNAMED = ("chain", "training")
"""The records that a reply has if its request names no cases."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """
    A request to the harness: see `grader.harness`.

    Attributes:
        key: The key of the reply. Replies to several requests with the same key are combined.
        header: Data for the harness. `seconds` is the wall time that the reply may take.
        payload: Tensors in the safetensors format.
        is_hidden: Whether it has hidden numbers. Such requests come last: nothing that is said before can depend on
            them, and of what is said after them only a word counts.
    """

    key: str
    header: dict[str, Any]
    payload: bytes
    is_hidden: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """
    The reply to a request. The student's process wrote it, so nothing in it is trusted.

    Attributes:
        status: One of done, timed_out, too_large, out_of_memory, crashed and unreachable.
        detail: How the process ended, such as `signal 9`; or empty.
        is_fatal: Whether the kernel is lost.
        records: A header and a payload for each case that was called, by the case's name.
        is_odd: Whether it had parts that the harness does not send. They were left out.
    """

    status: str
    detail: str = ""
    is_fatal: bool = False
    is_odd: bool = False
    records: dict[str, Message] = dataclasses.field(default_factory=dict, repr=False)


Requests = Callable[[Mapping[str, Reply]], Iterable[Request]]
"""Yields requests. Each of them may depend on the replies so far, which it is given."""


def combine(earlier: Reply | None, later: Reply, request: Request) -> Reply:
    """The replies to two requests with the same key, as one. Of the later one, only the cases of its request count."""
    asked = request.header.get("cases", _UNNAMED)
    records = {case: record for case, record in later.records.items() if case in asked}
    if earlier is not None:
        records = earlier.records | {case: record for case, record in records.items() if case not in earlier.records}
        later = dataclasses.replace(later, is_odd=earlier.is_odd or later.is_odd)
    return dataclasses.replace(later, records=records)


async def send_request(channel: socket.socket, header: dict[str, Any], payload: bytes) -> None:
    """Send a request over a channel that does not block."""
    await asyncio.get_running_loop().sock_sendall(channel, pack(header, payload))


async def receive_reply(channel: socket.socket, *, limit: int) -> tuple[Sent, str, bytes]:
    """
    Receive the reply to a request.

    Args:
        limit: The largest payload in bytes.

    Returns:
        Its status, how the process ended, such as `signal 9`, and its records, which are not parsed.

    Raises:
        WireError: The message is not a reply, or the channel was closed.
    """
    header, payload = await receive(channel, limit=limit)
    return (*_status_of(header), payload)


def reply_from(message: Message) -> Reply:
    """
    The reply in a message, within its bounds.

    Raises:
        WireError: The message is not a reply.
    """
    header, payload = message
    status, detail = _status_of(header)
    records, is_odd = read_records(payload)
    return Reply(status=status, detail=detail, records=records, is_odd=is_odd)


def _status_of(header: Mapping[str, Any]) -> tuple[Sent, str]:
    status = next((known for known in STATUSES if known == header.get("status")), None)
    if status is None:
        raise WireError(f"unknown status {ascii(header.get('status'))[:_STATUS_CHARACTERS]}")
    numbers = [f"{key} {header[key]}" for key in ("signal", "exit") if _is_number(header.get(key))]
    return status, numbers[0] if numbers else ""


def _is_number(value: object) -> bool:
    return type(value) is int and abs(value) < _MOST_NUMBER


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
