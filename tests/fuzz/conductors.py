"""
Hostile conductors: they follow the protocol for a while, and then lie. The judge's side is the real one.

What is a conductor's in a grading is a thread here, at the other end of a pair of sockets.
"""

from __future__ import annotations

import array
import contextlib
import functools
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from unittest import mock

import msgspec

from grader.execution import conducting
from grader.execution.conducting import Conductor
from grader.execution.messages import (
    Ask,
    CellsRan,
    Ended,
    Execute,
    FromConductor,
    FromJudge,
    KernelReady,
    Locate,
    Located,
    MessageError,
    Messages,
    NeedKernel,
    NeedRequest,
    NoKernel,
    NoMore,
    Read,
    ReadFile,
    Replied,
)
from grader.execution.record import Reading
from grader.harness.wire import unpack_all
from grader.model import CallError, Report
from grader.notebook.functions import FunctionIndex, find_functions
from grader.notebook.read import Notebook, read_notebook
from grader.sandbox import ConfinedProcess, KernelEnds
from grader.sandbox.kernels import make_listeners
from tests.fuzz.honest import CHARACTERS, Answers, assignment, base_of, chosen, graded, submission_of_base
from tests.fuzz.running import Fuzzer, Step
from tests.fuzz.values import TEXTS, changed_bytes, changed_records, changed_tree, hostile_value, message

__all__ = ["CONDUCTORS", "encoded", "frame"]

LIMIT_S = 0.05
_PATIENCE_S = 50.0
_LARGE_BYTES = 1 << 20
_SCALED = {"READ_S": 0.3, "_START_S": 0.03, "_SLACK_S": 0.2, "_END_S": 0.3, "_REASON_S": 0.005}

Said = tuple[Any, bytes]
"""A message, as plain data or as an object, and its payload."""


def encoded(content: Any) -> bytes:
    """A message in MessagePack: an object, plain data, or bytes that are called so."""
    return content if isinstance(content, bytes) else msgspec.msgpack.encode(content)


def frame(content: Any, payload: bytes = b"") -> bytes:
    """A message as the stream has it."""
    text = encoded(content)
    return len(text).to_bytes(4, "big") + text + payload


# ------------------------------------------------------------------------------------------------------------ scripts

_LIES = {
    "twist": 8,
    "say": 4,
    "noise": 2,
    "cut": 1,
    "drip": 0.5,
    "trickle": 0.1,
    "flood": 0.5,
    "descriptors": 0.5,
    "kernels": 0.5,
    "no_kernel": 1,
    "sleep": 0.5,
    "deaf": 0.2,
    "close": 0.5,
}
_ENDS = {"follow": 6, "close": 3, "silence": 0.3, "deaf": 0.1}


def _script(rng: random.Random) -> list[Step]:
    lies = rng.choice((0.02, 0.05, 0.2, 0.6))
    is_subtle = rng.random() < 0.5  # only what the harness is said to have replied is a lie
    steps: list[Step] = [("be", rng.choice(CHARACTERS))]
    if rng.random() < 0.2:
        steps.append(("thoroughly", 0))
    for _ in range(rng.choice((1, 3, 10, 24))):
        kind = "follow"
        if rng.random() < lies:
            kind = "reply" if is_subtle else chosen(rng, _LIES)
        steps.append((kind, rng.getrandbits(32)))
    return [*steps, ("end", chosen(rng, _ENDS))]


# -------------------------------------------------------------------------------------------------------- a conductor


class _Peer(threading.Thread):
    """A conductor that does what a script says, and then follows the protocol, is silent, or goes."""

    def __init__(self, channel: socket.socket, script: Sequence[Step]) -> None:
        super().__init__(daemon=True)
        self._channel = channel
        self._script = script
        self._until = time.monotonic() + _PATIENCE_S
        self._messages: Messages[Any] = Messages(channel, FromJudge, until=lambda: self._until)
        self._character = "right"
        self._honest = Answers("right")
        self.over = threading.Event()

    def run(self) -> None:
        with self._channel, contextlib.suppress(MessageError, OSError):
            for kind, argument in self._script:
                if kind == "be":
                    self._character, self._honest = argument, Answers(argument)
                elif kind == "thoroughly":
                    pass
                elif kind == "end":
                    self._end(argument)
                else:
                    getattr(self, f"_{kind}")(random.Random(argument))
            self._end("close")

    def _end(self, how: str) -> None:
        while how == "follow":
            self._follow(None)
        if how == "silence":
            self._channel.settimeout(_PATIENCE_S)
            while self._channel.recv(1 << 16):
                pass
        elif how == "deaf":
            self.over.wait(_PATIENCE_S)
        raise MessageError

    def _send(self, content: bytes) -> None:
        self._channel.settimeout(max(0.001, self._until - time.monotonic()))
        self._channel.sendall(content)

    # ---------------------------------------------------------------------------------------------- honest

    def _follow(self, _: object) -> None:
        for said, payload in self._answers():
            self._send(frame(said, payload))

    def _answers(self) -> list[Said]:
        """What an honest conductor says to the judge's next message."""
        asked = self._messages.receive(limit=1 << 30)
        if isinstance(asked, ReadFile):
            self._messages.receive_bytes(asked.size)
            return [(_read(self._character), b"")]
        if isinstance(asked, Execute):
            return [(NeedKernel(), b"")]
        if isinstance(asked, KernelReady):
            self._take_descriptors()
            return [(CellsRan(executed=2, errors={1: CallError(type="E", message="m", cell=1)}), b""), _NEXT]
        if isinstance(asked, Ask):
            self._messages.receive_bytes(asked.size)
            payload = b"".join(message(*record) for record in self._honest.to(asked.header))
            return [(Replied(status="done", size=len(payload)), payload), _NEXT]
        if isinstance(asked, Locate):
            finder = _functions(self._character).finder
            return [(Located(definition=finder.at(asked.name, asked.place) if finder else None), b"")]
        assert isinstance(asked, NoMore)
        return [(Ended(is_doubtful=False), b"")]

    def _take_descriptors(self) -> None:
        _, ancillary, _, _ = self._channel.recvmsg(1, socket.CMSG_SPACE(8), socket.MSG_CMSG_CLOEXEC)
        for _, _, data in ancillary:
            for descriptor in array.array("i", data):
                socket.socket(fileno=descriptor).close()

    # ------------------------------------------------------------------------------------------------ lies

    def _twist(self, rng: random.Random) -> None:
        """Answer, but not quite as an honest one does."""
        answers = self._answers()
        place = rng.randrange(len(answers))
        said, payload = answers[place]
        if isinstance(said, Replied) and rng.random() < 0.7:
            payload = self._odd_payload(payload, rng)
            size = len(payload) if rng.random() < 0.9 else rng.choice((0, len(payload) + 1, 5 << 20, 1 << 30))
            answers[place] = msgspec.structs.replace(said, size=size), payload
        elif rng.random() < 0.2:
            answers[place] = changed_bytes(encoded(said), rng), payload
        else:
            plain = msgspec.to_builtins(said, str_keys=False)
            for _ in range(rng.choice((1, 1, 1, 4))):
                if len(encoded(plain)) < _LARGE_BYTES:  # else making it would take more memory than judging it may
                    plain = changed_tree(plain, rng)
            answers[place] = plain, payload
        for said, payload in answers:
            self._send(frame(said, payload))

    def _reply(self, rng: random.Random) -> None:
        """Answer, with another payload if it is a reply of the harness."""
        for said, payload in self._answers():
            if isinstance(said, Replied):
                odd = self._odd_payload(payload, rng)
                self._send(frame(msgspec.structs.replace(said, size=len(odd)), odd))
            else:
                self._send(frame(said, payload))

    def _odd_payload(self, payload: bytes, rng: random.Random) -> bytes:
        return changed_records(list(unpack_all(payload)), rng)

    def _say(self, rng: random.Random) -> None:
        """Say something that nobody has asked for."""
        said = rng.choice(_messages())
        if rng.random() < 0.5:
            said = changed_tree(msgspec.to_builtins(said, str_keys=False), rng)
        self._send(frame(said, rng.choice((b"", b"", b"p", rng.randbytes(300)))))

    def _noise(self, rng: random.Random) -> None:
        self._send(rng.choice(_NOISE)(rng))

    def _cut(self, rng: random.Random) -> None:
        """Say half of something, and go."""
        content = b"".join(frame(*said) for said in self._answers())
        self._send(content[: rng.randrange(len(content))])
        raise MessageError

    def _drip(self, rng: random.Random) -> None:
        content = b"".join(frame(*said) for said in self._answers())
        size = max(1, len(content) // rng.choice((3, 20)))
        for place in range(0, len(content), size):
            self._send(content[place : place + size])
            time.sleep(0.002)

    def _trickle(self, rng: random.Random) -> None:
        """Say it byte by byte, so that each wait is short and all together are long, until nobody reads any longer."""
        content = b"".join(frame(*said) for said in self._answers())
        for place in range(len(content)):
            self._send(content[place : place + 1])
            time.sleep(0.02)

    def _flood(self, rng: random.Random) -> None:
        """Say the same very often."""
        once = frame(rng.choice(_messages()))
        self._send(once * min(rng.choice((10, 1_000, 20_000)), 2_000_000 // len(once)))

    def _descriptors(self, rng: random.Random) -> None:
        """Send descriptors along with an answer."""
        with socket.socket(socket.AF_UNIX) as one:
            passed = array.array("i", [one.fileno()] * rng.choice((1, 5, 200)))
            content = frame(rng.choice(_messages()))
            self._channel.settimeout(1.0)
            self._channel.sendmsg([content], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, passed)])

    def _kernels(self, rng: random.Random) -> None:
        """Ask for kernels without end, and take none of them."""
        self._send(frame(NeedKernel()) * rng.choice((1, 2, 6, 50)))

    def _no_kernel(self, rng: random.Random) -> None:
        self._send(frame(NoKernel(problem=rng.choice(TEXTS)[:3_000])))

    def _sleep(self, rng: random.Random) -> None:
        time.sleep(rng.choice((0.001, 0.01, 0.1)))

    def _deaf(self, rng: random.Random) -> None:
        self._end("deaf")

    def _close(self, rng: random.Random) -> None:
        raise MessageError


_NEXT: Said = (NeedRequest(), b"")


@functools.cache
def _notebook(character: str) -> Notebook:
    notebook = read_notebook(submission_of_base(character))
    assert isinstance(notebook, Notebook)
    return notebook


@functools.cache
def _functions(character: str) -> FunctionIndex:
    return find_functions(_notebook(character), [e.name for e in assignment(LIMIT_S).exercises])


@functools.cache
def _read(character: str) -> Read:
    functions = _functions(character)
    return Read(
        notebook=_notebook(character),
        definitions=functions.definitions,
        syntax_errors={1: CallError(type="SyntaxError", message="?", cell=1, line=1)},
        broken_names={"grad_b1": 1},
        lines={1: (3, 4)},
    )


@functools.cache
def _messages() -> tuple[Any, ...]:
    """One of each message, and more of those that say much."""
    definition = _functions("right").last("grad_w1")
    error = CallError(type="ValueError", message="no", traceback="In [1]", cell=1, line=2)
    return (
        _read("right"),
        Read(problem="It is a photograph."),
        Read(),
        Located(definition=definition),
        Located(definition=None),
        NeedKernel(),
        NoKernel(problem="no reply"),
        CellsRan(executed=2, errors={1: error, 2: error}, stopped="In [2] took too long."),
        CellsRan(executed=1 << 20, errors={-5: error, 2**62: error}),
        CellsRan(),
        NeedRequest(),
        Replied(status="done"),
        Replied(status="crashed", detail="signal 9", is_fatal=True),
        Replied(status="timed_out", is_fatal=True),
        Ended(is_doubtful=True),
        Ended(is_doubtful=False),
    )


def _tagged(rng: random.Random) -> bytes:
    kind = rng.choice(FromConductor.__args__).__name__
    fields = rng.sample(("notebook", "problem", "definitions", "errors", "executed", "status", "size", "lines"), 3)
    return frame({"type": kind} | {name: hostile_value(rng) for name in fields})


_NOISE: tuple[Callable[[random.Random], bytes], ...] = (
    _tagged,
    _tagged,
    lambda rng: frame(hostile_value(rng)),
    lambda rng: rng.randbytes(rng.choice((1, 3, 4, 5, 400))),
    lambda rng: rng.choice((0, 1, 1 << 20, (16 << 20) + 1, 2**32 - 1)).to_bytes(4, "big") + rng.randbytes(9),
    lambda rng: frame(b"\x91" * rng.choice((100, 1_000, 1_000_000)) + b"\xc0"),
    lambda rng: frame(b"\x81\xa4type" * rng.choice((100, 100_000)) + b"\xc0"),
    lambda rng: frame(b"\xdd\xff\xff\xff\xff" + rng.randbytes(20)),
    lambda rng: frame(b"\xdf\xff\xff\xff\xff" + rng.randbytes(20)),
    lambda rng: frame(b"\xdb\x7f\xff\xff\xff" + rng.randbytes(20)),
    lambda rng: frame(b"\x82\xa4type\xa8CellsRan\xa7stopped\xa3\xed\xa0\x80"),
    lambda rng: frame(b"\x82\xa4type\xa8CellsRan\xa7stopped\xc7\x04\x05abcd"),
    lambda rng: frame(b"\x82\xa4type\xa8CellsRan\xa8executed\xcf" + b"\xff" * 8),
    lambda rng: frame(b"\x82\xa4type\xa7Replied\xa4size\xcb\x7f\xf8\0\0\0\0\0\0"),
    lambda rng: frame(b"\x82\xa4type\xa8CellsRan\xa6errors\xde\xff\xff" + b"\x01\xc0" * 65_535),
    lambda rng: frame({"type": "CellsRan", "errors": {i: {"type": "E", "message": "m"} for i in range(9_000)}}),
    lambda rng: frame({"type": "CellsRan", "stopped": "é" * rng.choice((2_000, 2_001, 900_000))}),
    lambda rng: frame(b"\x01" * rng.choice((1 << 16, 3 << 20))),
)


# ------------------------------------------------------------------------------------------------------------ the run


class _Control:
    """A conductor for an empty notebook that always runs it."""

    def read_empty(self) -> Reading:
        """It can be read."""
        notebook = Notebook(cells=())
        return Reading(notebook=notebook, functions=find_functions(notebook))

    def execute(self, *_: object, **__: object) -> Any:
        """It ran."""
        return mock.Mock(stopped=None)


@contextlib.contextmanager
def _control(**_: object) -> Iterator[_Control]:
    yield _Control()


def _fork_kernel(*_: object, **__: object) -> KernelEnds:
    """A kernel that is in its sandbox, and ends at once."""
    control, supervisor = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    channel, kernel = socket.socketpair()
    with supervisor, kernel:
        supervisor.send(b'{"layers": ["own_process"]}')
    return KernelEnds(control, channel, "key")


@contextlib.contextmanager
def _scaled() -> Iterator[None]:
    with contextlib.ExitStack() as patches:
        for name, value in _SCALED.items():
            patches.enter_context(mock.patch.object(conducting, name, value))
        patches.enter_context(mock.patch.object(conducting, "forkserver"))
        patches.enter_context(mock.patch.object(conducting, "fork_kernel", _fork_kernel))
        patches.enter_context(mock.patch.object(conducting, "start_conductor", _control))
        yield


def _run(script: Sequence[Step]) -> Sequence[str]:
    with _scaled():
        report, peer = _graded(script)
    peer.join(_PATIENCE_S)
    assert not peer.is_alive(), "the conductor's thread goes on"
    return how_it_ended(report)


def _graded(script: Sequence[Step]) -> tuple[Report, _Peer]:
    ours, theirs = socket.socketpair()
    peer = _Peer(theirs, script)

    @contextlib.contextmanager
    def started() -> Iterator[Conductor]:
        control, supervisor = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listeners = make_listeners(4)
        with contextlib.ExitStack() as held:
            for each in (ours, control, supervisor, *listeners):
                held.enter_context(each)
            conductor = Conductor(ours, ConfinedProcess(ours, tuple(listeners), control))
            peer.start()
            try:
                yield conductor
            finally:
                conductor.end()
                peer.over.set()

    return graded(started, submission_of_base("right"), LIMIT_S, thoroughly=("thoroughly", 0) in script), peer


def how_it_ended(report: Report) -> list[str]:
    """A few words about a report."""
    if report.notebook.problem:
        return ["not read: " + report.notebook.problem[:60]]
    stopped = report.notebook.first_error or "ran"
    outcomes = {result.outcome.value for result in report.exercises}
    flags = {flag.id for flag in report.flags}
    return [stopped.split(":")[0][:60], *outcomes, *(f"flag {flag}" for flag in flags)]


def _prepare() -> None:
    for character in CHARACTERS:
        _read(character)
        base_of(character)


CONDUCTORS = Fuzzer("conductors", _script, _run, _prepare)
