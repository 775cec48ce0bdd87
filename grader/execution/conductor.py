"""
What the conductor does, in a sandbox of its own: it reads one submission, looks at its code, and runs it in kernels.

    judge (trusted) ── `messages` ──► conductor (confined, knows no secret) ── Jupyter, ZeroMQ ──► kernel

Everything that parses, or waits for, what a student controls is done here. Whoever takes the conductor over has a
process with nothing in it: the references, the solution, other submissions and the marks are with the judge.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from grader.errors import SandboxError
from grader.execution.execute import OpenKernel, execute
from grader.execution.messages import (
    Ask,
    Closed,
    Ended,
    Execute,
    FromJudge,
    KernelReady,
    Locate,
    Located,
    Messages,
    NeedKernel,
    NeedRequest,
    NoKernel,
    NoMore,
    Read,
    ReadFile,
)
from grader.model import Limits, Submission
from grader.notebook.functions import FunctionIndex, find_functions
from grader.notebook.read import Notebook, Unreadable, cell_lines, read_notebook
from grader.sandbox import CHANNELS, KernelEnds, RunningKernel, SandboxUnavailable, adopt_kernel, listen

__all__ = ["conduct", "conduct_here"]

_LIMIT_BYTES = 1 << 30  # the judge is trusted
_DESCRIPTORS = 2


def conduct(descriptor: int, listeners: Sequence[int]) -> None:
    """Serve the judge in the sandbox, on a socket with this descriptor, with listeners for all kernels."""
    names = _bind(listeners)  # first: as soon as the judge hears from us, a kernel may use those that are its own
    with socket.socket(fileno=descriptor) as channel:
        conductor = _Conductor(channel)
        conductor.run(_Kernels(conductor.messages, channel, names).open)


def conduct_here(channel: socket.socket, open_kernel: OpenKernel) -> None:
    """Serve the judge in this process, where no process can be confined."""
    with channel:
        _Conductor(channel).run(open_kernel)


class _Conductor:
    def __init__(self, channel: socket.socket) -> None:
        self.messages: Messages[Any] = Messages(channel, FromJudge)
        self.notebook = Notebook(cells=())
        self.functions: FunctionIndex | None = None

    def run(self, open_kernel: OpenKernel) -> None:
        """Serve the judge until it is satisfied."""
        with contextlib.suppress(Closed):
            while True:
                request = self.messages.receive(limit=_LIMIT_BYTES)
                if isinstance(request, ReadFile):
                    self.messages.send(self._read(request, self.messages.receive_bytes(request.size)))
                elif isinstance(request, Locate):
                    self._locate(request)
                elif isinstance(request, Execute):
                    try:
                        asyncio.run(self._execute(request.limits, request.files, open_kernel))
                    except (SandboxUnavailable, SandboxError) as error:
                        self.messages.send(NoKernel(problem=str(error)[:1_000]))

    def _locate(self, request: Locate) -> None:
        finder = self.functions.finder if self.functions is not None else None
        found = finder.at(request.name, request.place) if finder is not None else None
        self.messages.send(Located(definition=found))

    def _read(self, request: ReadFile, content: bytes) -> Read:
        submission = Submission.of(content, name=request.name, student="")
        parsed = read_notebook(submission)
        if isinstance(parsed, Unreadable):
            return Read(problem=parsed.problem)
        self.notebook, self.functions = parsed, find_functions(parsed, request.exercises)
        exercises = frozenset(request.exercises)
        return Read(
            notebook=parsed,
            definitions={
                name: definitions if name in exercises else ()
                for name, definitions in self.functions.definitions.items()
            },
            syntax_errors=self.functions.syntax_errors,
            broken_names=self.functions.broken_names,
            lines=cell_lines(submission, parsed) if request.with_lines else {},
        )

    async def _execute(self, limits: Limits, files: Mapping[str, bytes], open_kernel: OpenKernel) -> None:
        await execute(
            self.notebook,
            self._requests(),
            limits,
            open_kernel,
            files=files,
            on_cells=self.messages.send,
            on_reply=self.messages.send,
            on_end=lambda is_doubtful: self.messages.send(Ended(is_doubtful=is_doubtful)),
        )

    def _requests(self) -> Iterator[tuple[Ask, bytes]]:
        while True:
            self.messages.send(NeedRequest())
            request = self.messages.receive(limit=_LIMIT_BYTES)
            while isinstance(request, Locate):
                self._locate(request)
                request = self.messages.receive(limit=_LIMIT_BYTES)
            if isinstance(request, NoMore):
                return
            assert isinstance(request, Ask)
            yield request, self.messages.receive_bytes(request.size)


def _bind(listeners: Sequence[int]) -> Sequence[str]:
    """Have the listeners listen in our own scratch folder. Returns the name of each kernel's, without port numbers."""
    names: list[str] = []
    for first in range(0, len(listeners), len(CHANNELS)):
        names.append(str(Path(os.environ["HOME"], f"k{len(names)}")))
        with contextlib.ExitStack() as held:
            mine = [_socket(listener) for listener in listeners[first : first + len(CHANNELS)]]
            for each in mine:
                held.enter_context(each)
            listen(mine, names[-1])
    return names


class _Kernels:
    """Asks the judge for kernels, whose clients connect to sockets with these names."""

    def __init__(self, messages: Messages[Any], channel: socket.socket, names: Sequence[str]) -> None:
        self._messages = messages
        self._channel = channel
        self._names = iter(names)

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[RunningKernel]:
        name = next(self._names)
        self._messages.send(NeedKernel())
        ready = self._messages.receive(limit=_LIMIT_BYTES)
        assert isinstance(ready, KernelReady)
        control, channel = map(_socket, _receive_descriptors(self._channel))
        async with adopt_kernel(KernelEnds(control, channel, ready.key), name, layers=ready.layers) as kernel:
            yield kernel


def _socket(descriptor: int) -> socket.socket:
    return socket.socket(fileno=descriptor)


def _receive_descriptors(channel: socket.socket) -> Sequence[int]:
    _, ancillary, _, _ = channel.recvmsg(1, socket.CMSG_SPACE(_DESCRIPTORS * 4), socket.MSG_CMSG_CLOEXEC)
    descriptors = array.array("i")
    for _, _, data in ancillary:
        descriptors.frombytes(data)
    return descriptors.tolist()
