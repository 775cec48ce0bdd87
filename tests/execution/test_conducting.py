"""The judge's side of a conductor: whatever a conductor says, and whenever it stops, there is an execution."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.errors import SandboxError
from grader.execution import conducting
from grader.execution.channel import Request
from grader.execution.conducting import Conductor, start_conductor
from grader.execution.messages import (
    CellsRan,
    Ended,
    FromConductor,
    Located,
    NeedKernel,
    NeedRequest,
    Read,
    Replied,
)
from grader.execution.record import Reading
from grader.harness.wire import pack
from grader.model import CallError, Limits, Submission
from grader.notebook.functions import Place
from grader.notebook.read import Notebook, Unreadable
from grader.sandbox import ForkServer
from tests.conftest import raw_submission, submission_of

NOTEBOOK = Notebook.of(["x = 1"])
SUBMISSION = submission_of("x = 1")
REQUESTS = [Request(key=key, header={"seconds": 1.0, "cases": ["a"]}, payload=b"p") for key in ("f", "g", "f hidden")]


@contextlib.contextmanager
def facing(says: Callable[[socket.socket], object], process: Any = None) -> Iterator[Conductor]:
    """A judge's conductor whose other side does this in a thread, and then says no more."""
    ours, theirs = socket.socketpair()

    def run() -> None:
        with theirs, contextlib.suppress(OSError):
            says(theirs)
            theirs.shutdown(socket.SHUT_WR)
            theirs.settimeout(0.5)
            while theirs.recv(1 << 16):
                pass

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    with ours:
        yield Conductor(ours, process)
    thread.join(10)
    assert not thread.is_alive()


def frame(message: Any, payload: bytes = b"") -> bytes:
    content = message if isinstance(message, bytes) else msgspec.msgpack.encode(message)
    return len(content).to_bytes(4, "big") + content + payload


def test_a_file_is_read() -> None:
    with facing(lambda channel: channel.sendall(frame(Read(notebook=NOTEBOOK, broken_names={"f": 1})))) as conductor:
        reading = conductor.read(SUBMISSION, ["f"])

    assert isinstance(reading, Reading)
    assert reading.notebook == NOTEBOOK
    assert reading.functions.broken_names == {"f": 1}


MESSAGES = st.sampled_from(
    [
        Read(notebook=NOTEBOOK),
        Read(problem="It is a photograph."),
        Read(),
        Located(definition=None),
        NeedKernel(),
        NeedRequest(),
        CellsRan(executed=3, errors={2: CallError(type="E" * 9_000, message="m")}, stopped="so"),
        Ended(is_doubtful=True),
    ]
).map(frame)
REPLIES = st.builds(
    lambda status, payload, size: frame(Replied(status=status, size=len(payload) + size), payload),
    st.sampled_from(["done", "timed_out", "crashed"]),
    st.one_of(st.just(pack({"case": "a"}, b"x")), st.binary(max_size=50)),
    st.sampled_from([0, 0, 0, 1, 1 << 20]),
)
NESTED = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
TAGGED = st.builds(
    lambda kind, fields: frame(msgspec.msgpack.encode({**fields, "type": kind.__name__})),
    st.sampled_from(FromConductor.__args__),
    st.dictionaries(
        st.sampled_from(["notebook", "problem", "definitions", "errors", "executed", "status", "size", "definition"]),
        NESTED,
    ),
)
ANYTHING = st.one_of(MESSAGES, REPLIES, TAGGED, NESTED.map(msgspec.msgpack.encode).map(frame), st.binary(max_size=40))


@given(st.lists(ANYTHING, max_size=12))
def test_whatever_a_conductor_says_there_is_an_execution(said: list[bytes]) -> None:
    """Every request has a reply, and nothing is raised, whether the conductor is honest, broken or taken over."""

    def says(channel: socket.socket) -> None:
        for message in said:
            channel.sendall(message)

    with facing(says) as conductor:
        read = conductor.read(SUBMISSION, ["f"])
        assert isinstance(read, (Reading, Unreadable))
        execution = conductor.execute(lambda _: iter(REQUESTS), Limits(), most_requests=3)
        conductor.at("f", Place(1, 1))

    assert set(execution.replies) == {request.key for request in REQUESTS}
    for reply in execution.replies.values():
        assert set(reply.records) <= {"a"}
    assert all(len(error.type) <= 2_100 for error in execution.errors.values())


def test_a_conductor_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The deadline does not depend on anything that the conductor does."""
    for name in ("READ_S", "_START_S", "_SLACK_S", "_END_S"):
        monkeypatch.setattr(conducting, name, 0.2)
    limits = Limits(cell_s=0.1, notebook_s=0.1, call_s=0.1)

    def drips(channel: socket.socket) -> None:
        for byte in frame(CellsRan(executed=1)) * 1_000:
            channel.send(bytes([byte]))
            time.sleep(0.01)

    started = time.monotonic()
    with facing(drips) as conductor:
        unread = conductor.read(SUBMISSION)
    with facing(drips) as conductor:
        execution = conductor.execute(lambda _: iter(REQUESTS), limits, most_requests=3)

    assert time.monotonic() - started < 20
    assert unread == Unreadable(conducting.UNREADABLE.format(why="takes too long"))
    assert execution.is_doubtful
    assert execution.stopped == "The notebook kept the grader waiting and was stopped."
    assert {reply.status for reply in execution.replies.values()} == {"unreachable"}


def test_what_came_back_before_the_conductor_broke_off_counts() -> None:
    said = [CellsRan(executed=1), NeedRequest()]
    payload = pack({"case": "a"}, b"x")

    def says(channel: socket.socket) -> None:
        for message in said:
            channel.sendall(frame(message))
        channel.sendall(frame(Replied(status="done", size=len(payload)), payload))

    with facing(says) as conductor:
        execution = conductor.execute(lambda _: iter(REQUESTS), Limits(), most_requests=3)

    assert execution.executed == 1
    assert [reply.status for reply in execution.replies.values()] == ["done", "unreachable", "unreachable"]
    assert list(execution.replies["f"].records) == ["a"]


@pytest.mark.skipif(not ForkServer.is_available(), reason="processes are confined on Linux only")
class TestInItsSandbox:
    @pytest.mark.parametrize("size", [0, 1, 1 << 24])
    def test_files_of_any_size_arrive(self, size: int) -> None:
        with start_conductor() as conductor:
            read = conductor.read(raw_submission(b"#" * size, name="a.py"))
        assert isinstance(read, (Reading, Unreadable))

    def test_a_parser_without_end_costs_its_own_file(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(conducting, "READ_S", 0.0)
        with start_conductor() as conductor:
            assert conductor.read(SUBMISSION) == Unreadable(conducting.UNREADABLE.format(why="takes too long"))

    def test_a_kernel_that_waits_for_its_seed_ends_with_its_conductor(self) -> None:
        with start_conductor(limits=Limits()) as conductor:
            kernels = [ends.control for ends in conductor.kernels]
            assert len(kernels) == 1
            assert isinstance(conductor.read(raw_submission(b"\0", name="a.ipynb")), Unreadable)
        assert conductor.kernels[0].control.fileno() == -1

    @pytest.mark.parametrize("limits", [None, Limits()])
    def test_random_numbers_depend_on_the_code_alone(self, limits: Limits | None) -> None:
        """Whether the kernel has waited for its seed, or was forked with it."""
        code = "import random, sys\nsys.exit(random.getrandbits(30))"
        numbers = set()
        for content in (code, f"# %%\n{code}"):
            with start_conductor(limits=limits) as conductor:
                conductor.read(raw_submission(content.encode(), name="a.py"))
                execution = conductor.execute(lambda _: iter(()), Limits(), most_requests=0)
            numbers.add(execution.errors[1].message)
        assert len(numbers) == 1
        assert numbers.pop() != "0"

    def test_nothing_is_left(self) -> None:
        with start_conductor() as conductor:
            conductor.read(SUBMISSION)
            execution = conductor.execute(lambda _: iter(()), Limits(), most_requests=0)
            kernels = [ends.control for ends in conductor.kernels]
        assert execution.executed == 1
        assert len(kernels) == 1
        assert all(control.fileno() == -1 for control in kernels)


@pytest.mark.skipif(not ForkServer.is_available(), reason="conductors are forked on Linux only")
@pytest.mark.parametrize("code", ["x = '\ud800'", "def f(x):\n    return '\udcff'", "x\ud800 = 1"])
def test_half_characters_are_replaced(code: str) -> None:
    """JSON and names of files can contain them, and messages cannot."""
    content = json.dumps({"cells": [{"cell_type": "code", "source": code}], "nbformat": 4, "nbformat_minor": 5})
    with start_conductor() as conductor:
        reading = conductor.read(Submission.of(content.encode(), name="a\udcff.ipynb", student=""), ["f"])

    assert isinstance(reading, Reading)
    assert [cell.code for cell in reading.notebook.cells] == [re.sub("[\ud800-\udfff]", "\ufffd", code)]


class EndedProcess:
    """A conductor's process that has ended, and nobody knows why."""

    def why_ended(self, *, within_s: float) -> str:
        return ""


@pytest.mark.skipif(not ForkServer.is_available(), reason="conductors are forked on Linux only")
def test_only_if_an_empty_notebook_can_be_read_is_a_file_at_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = cast("Any", EndedProcess())
    with facing(lambda _: None, ended) as conductor:
        assert isinstance(conductor.read(SUBMISSION), Unreadable)

    monkeypatch.setattr(conducting, "start_conductor", lambda **_: facing(lambda _: None, ended))
    with facing(lambda _: None, ended) as conductor, pytest.raises(SandboxError, match="process that reads"):
        conductor.read(SUBMISSION)
