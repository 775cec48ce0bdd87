"""
The messages between the judge and the conductor, and the only place where the judge's side decodes them.

    4 bytes   length of the message, big-endian
    message   MessagePack of one of the classes below
    bytes     as many as the message's `size` says, if it has one

The judge trusts nothing that a conductor says. Which messages there are, and which fields with which types they have,
is a closed set that `msgspec` checks; lengths are limited before anything is read. After that, everything is typed.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec
from msgspec import Meta

from grader.execution.border import whole_characters
from grader.model import CallError, Limits
from grader.notebook.functions import Definition, Place
from grader.notebook.read import Notebook

__all__ = [
    "RESTARTS",
    "Ask",
    "CellsRan",
    "Closed",
    "DeadlinePassed",
    "Ended",
    "Execute",
    "FromConductor",
    "FromJudge",
    "KernelReady",
    "Locate",
    "Located",
    "MessageError",
    "Messages",
    "NeedKernel",
    "NeedRequest",
    "NoKernel",
    "NoMore",
    "Read",
    "ReadFile",
    "Replied",
    "Status",
]

RESTARTS = 3
"""How often a notebook runs again, each time in a new kernel, if a cell or a function killed the one before."""

_LENGTH = struct.Struct(">I")
_CHUNK_BYTES = 1 << 20

_Name = Annotated[str, Meta(max_length=200)]
_Detail = Annotated[str, Meta(pattern=r"^((signal|exit) -?[0-9]{1,4}|and the notebook's process with it)?$")]
_Sentence = Annotated[str, Meta(max_length=2_000)]
_Size = Annotated[int, Meta(ge=0, le=1 << 30)]
_Count = Annotated[int, Meta(ge=0, le=1 << 20)]
Status = Literal["done", "timed_out", "too_large", "out_of_memory", "crashed"]
_Errors = Annotated[dict[int, CallError], Meta(max_length=4_000)]
_Names = Meta(max_length=20_000)
"""A name in a message takes a few bytes, and some twenty times as much in memory."""


class MessageError(Exception):
    """What arrived is no message, or the wrong one."""


class Closed(MessageError):  # noqa: N818 - an end, not an error
    """The other side has gone."""


class DeadlinePassed(MessageError):  # noqa: N818 - likewise
    """Nothing more is awaited."""


class _Message(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A message. Its tag is the name of its class."""


# ------------------------------------------------------------------------------------------ from judge to conductor


class ReadFile(_Message, frozen=True, kw_only=True, tag=True):
    """Read the file whose `size` bytes follow; look in full at the functions called `exercises`."""

    name: str
    exercises: tuple[str, ...]
    with_lines: bool
    size: int


class Locate(_Message, frozen=True, kw_only=True, tag=True):
    """Find the function that begins at a place in the notebook, as the definition of a name."""

    name: str
    place: Place


class Execute(_Message, frozen=True, kw_only=True, tag=True):
    """Run the notebook that was read, in a folder with these files."""

    limits: Limits
    files: dict[str, bytes] = {}


class KernelReady(_Message, frozen=True, kw_only=True, tag=True):
    """A kernel is in its sandbox. A byte with the descriptors of its control socket and its channel follows."""

    key: str
    layers: tuple[str, ...]


class Ask(_Message, frozen=True, kw_only=True, tag=True):
    """Pass a request on to the harness; its payload follows."""

    header: dict[str, Any]
    size: int


class NoMore(_Message, frozen=True, kw_only=True, tag=True):
    """There are no more requests."""


FromJudge = ReadFile | Locate | Execute | KernelReady | Ask | NoMore


# ------------------------------------------------------------------------------------------ from conductor to judge


class Read(_Message, frozen=True, kw_only=True, tag=True):
    """
    What is in the file.

    Attributes:
        problem: Why it cannot be read; empty if it can be.
        notebook: None if it cannot be read.
        definitions, syntax_errors, broken_names: As in `FunctionIndex`. Only exercises have their definitions.
        lines: As in `Reading`.
    """

    problem: _Sentence = ""
    notebook: Notebook | None = None
    definitions: Annotated[dict[str, tuple[Definition, ...]], _Names] = {}
    syntax_errors: _Errors = {}
    broken_names: Annotated[dict[str, int], _Names] = {}
    lines: Annotated[dict[int, tuple[_Count, ...]], Meta(max_length=4_000)] = {}


class Located(_Message, frozen=True, kw_only=True, tag=True):
    """The function that begins at a place, if there is one."""

    definition: Definition | None


class NeedKernel(_Message, frozen=True, kw_only=True, tag=True):
    """The next kernel is needed."""


class NoKernel(_Message, frozen=True, kw_only=True, tag=True):
    """The kernel did not get ready."""

    problem: _Sentence


class CellsRan(_Message, frozen=True, kw_only=True, tag=True):
    """How the cells ran, in the kernel that the following requests go to."""

    executed: _Count = 0
    errors: _Errors = {}
    stopped: _Sentence | None = None


class NeedRequest(_Message, frozen=True, kw_only=True, tag=True):
    """The harness is ready for the next request."""


class Replied(_Message, frozen=True, kw_only=True, tag=True):
    """The harness's reply to the last request, or why there is none; its payload follows."""

    status: Status
    detail: _Detail = ""
    is_fatal: bool = False
    size: _Size = 0


class Ended(_Message, frozen=True, kw_only=True, tag=True):
    """No more requests can be answered."""

    is_doubtful: bool


FromConductor = Read | Located | NeedKernel | NoKernel | CellsRan | NeedRequest | Replied | Ended

Incoming = TypeVar("Incoming")


class Messages(Generic[Incoming]):
    """
    One side's end of the stream.

    Args:
        channel: A stream socket that blocks.
        incoming: The type of the messages that may arrive.
        until: The time, by `time.monotonic`, at which waiting ends; None for never.
    """

    def __init__(self, channel: socket.socket, incoming: Any, *, until: Callable[[], float] | None = None) -> None:
        self._channel = channel
        self._decoder = msgspec.msgpack.Decoder(incoming)
        self._until = until

    def send(self, message: _Message, payload: bytes = b"") -> None:
        """
        Send a message, and its payload.

        Raises:
            Closed: The other side has gone.
            DeadlinePassed: It took nothing until the time was up.
        """
        content = _encoded(message)
        view = memoryview(b"".join((_LENGTH.pack(len(content)), content, payload)))
        while view:
            with self._in_time():
                sent = self._channel.send(view[:_CHUNK_BYTES])
            view = view[sent:]

    def receive(self, *, limit: int) -> Incoming:
        """
        Receive a message.

        Args:
            limit: How many bytes it may have, without its payload.

        Raises:
            MessageError: It is none of those that may arrive; or it is too large, or there is none.
        """
        (length,) = _LENGTH.unpack(self.receive_bytes(_LENGTH.size))
        if length > limit:
            raise MessageError(f"a message of {length} bytes is too large")
        try:
            message: Incoming = self._decoder.decode(self.receive_bytes(length))
        except (msgspec.MsgspecError, ValueError, RecursionError, OverflowError, MemoryError) as error:
            raise MessageError(f"this is not a message ({type(error).__name__})") from None
        return message

    def receive_bytes(self, size: int) -> bytes:
        """
        Receive a payload of this size.

        Raises:
            MessageError: It does not arrive.
        """
        content = bytearray()
        while len(content) < size:
            with self._in_time():
                chunk = self._channel.recv(min(_CHUNK_BYTES, size - len(content)))
            if not chunk:
                raise Closed
            content += chunk
        return bytes(content)

    @contextlib.contextmanager
    def _in_time(self) -> Iterator[None]:
        """Limit how long the channel may block in this context."""
        if self._until is not None:
            left = self._until() - time.monotonic()
            if left <= 0:
                raise DeadlinePassed
            self._channel.settimeout(left)
        try:
            yield
        except TimeoutError:
            raise DeadlinePassed from None
        except OSError:
            raise Closed from None


def _encoded(message: _Message) -> bytes:
    """The message in MessagePack. Half characters, which only Python's strings can contain, are replaced."""
    try:
        return msgspec.msgpack.encode(message)
    except UnicodeEncodeError:
        return msgspec.msgpack.encode(_with_whole_characters(msgspec.to_builtins(message)))


def _with_whole_characters(value: Any) -> Any:
    if isinstance(value, str):
        return whole_characters(value)
    if isinstance(value, dict):
        return {_with_whole_characters(key): _with_whole_characters(item) for key, item in value.items()}
    return [_with_whole_characters(item) for item in value] if isinstance(value, (list, tuple)) else value
