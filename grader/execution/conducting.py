"""
The judge's side of a conductor: starts it, asks it to read and to run one submission, and ends it in any case.

Nothing here parses what a student wrote, and nothing waits without a limit: each submission has one deadline, after
which all of its processes are killed, and what has come back so far is judged.
"""

from __future__ import annotations

import array
import contextlib
import hashlib
import json
import socket
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from grader.errors import SandboxError
from grader.execution.border import read_records, safe_text
from grader.execution.channel import Reply, Request, Requests
from grader.execution.course import Course, safe_error
from grader.execution.kernels import ASK_DOCTOR, ORDINARY_LAYERS, bounds_of, sandbox_errors
from grader.execution.messages import (
    RESTARTS,
    Ask,
    CellsRan,
    DeadlinePassed,
    Ended,
    Execute,
    FromConductor,
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
from grader.execution.record import Execution, Reading
from grader.execution.warm import CONDUCT, forkserver, reading_forkserver
from grader.model import Limits, Submission
from grader.notebook.functions import Definition, FunctionIndex, Place
from grader.notebook.read import Notebook, Unreadable
from grader.sandbox import (
    CHANNELS,
    Bounds,
    ConfinedProcess,
    ForkServer,
    KernelEnds,
    Level,
    fork_kernel,
    give_seed,
    layers_in,
    level_of,
    refusal,
    start_confined,
    temporary_folder,
)

__all__ = ["Conductor", "longest_s", "read_alone", "start_conductor"]

READ_S = 60.0
"""The wall time that reading a file may take."""
_BOUNDS = Bounds(memory_mib=2048, processes=32, cpu_s=300, file_size_mib=1, scratch_mib=1)
_KERNELS = RESTARTS + 1
_MESSAGE_BYTES = 16 << 20
_LONGEST_READ_BYTES = 64 << 20  # in memory, it may take twenty times as much
_START_S = 30.0
_END_S = 10.0
_SLACK_S = 60.0
_TEXT = 2_000
_EMPTY = b'{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'
_REASON_S = 0.5
_PACKET = 1 << 16
UNREADABLE = "The file cannot be read: reading it {why}. Is it the notebook that you wanted to hand in?"


class Conductor:
    """
    One submission's conductor, as the judge sees it.

    Args:
        channel: To the conductor.
        process: Its process; None if no process can be confined here.
        require: The sandbox that each kernel must have.
        secrets: Files and folders that no kernel may see, besides the answers that came with the grader.
    """

    def __init__(
        self,
        channel: socket.socket,
        process: ConfinedProcess | None,
        *,
        require: Level = Level.NONE,
        secrets: Sequence[Path] = (),
    ) -> None:
        self._deadline = time.monotonic() + READ_S
        self._messages: Messages[object] = Messages(channel, FromConductor, until=lambda: self._deadline)
        self._channel = channel
        self._process = process
        self._require = require
        self._secrets = tuple(secrets)
        self._seed = 0
        self._layers: tuple[str, ...] = () if process is not None else ORDINARY_LAYERS
        self.kernels: list[KernelEnds] = []
        self._given = 0
        self._folders = contextlib.ExitStack()
        self._located = dict[tuple[str, Place], Definition | None]()
        self._is_broken = self._is_control = False

    def begin_kernel(self, limits: Limits) -> None:
        """Have the first kernel enter its sandbox while the conductor starts and reads. Its limits are those."""
        self._fork_kernel(limits, seed=None)

    def read_empty(self) -> Reading | Unreadable:
        """Read an empty notebook: if that or its execution fails, no submission is at fault."""
        self._is_control = True
        return self.read(Submission.of(_EMPTY, name="empty.ipynb", student=""))

    def read(
        self, submission: Submission, exercises: Collection[str] = (), *, with_lines: bool = False
    ) -> Reading | Unreadable:
        """
        Read a submission, and look at its code. It may be read once.

        Args:
            exercises: The names of the functions to look at in full.
            with_lines: Whether to find the lines of the file where the lines of the cells stand.
        """
        self._deadline = time.monotonic() + READ_S
        size = len(submission.content)
        try:
            self._messages.send(
                ReadFile(name=submission.name, exercises=tuple(exercises), with_lines=with_lines, size=size),
                submission.content,
            )
            read = self._messages.receive(limit=min(_MESSAGE_BYTES + 4 * size, _LONGEST_READ_BYTES))
            if not isinstance(read, Read) or (read.notebook is None and not read.problem):
                raise MessageError
        except DeadlinePassed:
            return Unreadable(UNREADABLE.format(why="takes too long"))
        except MessageError:
            why = {"memory": "needs too much memory", "cpu": "takes too long"}.get(self._why_ended())
            if why is None and self._process is not None:
                self._check_reading()
            return Unreadable(UNREADABLE.format(why=why or "fails"))
        if read.notebook is None:
            return Unreadable(safe_text(read.problem, _TEXT))
        self._seed = _seed_of(read.notebook)
        for ends in self.kernels:
            give_seed(ends, self._seed)
        functions = FunctionIndex(
            definitions=read.definitions,
            syntax_errors={number: safe_error(error) for number, error in read.syntax_errors.items()},
            broken_names=read.broken_names,
            finder=self,
        )
        return Reading(notebook=read.notebook, functions=functions, lines=read.lines)

    def at(self, name: str, place: Place) -> Definition | None:
        """The function that begins at a place of the notebook, as the definition of a name."""
        if (name, place) not in self._located and not self._is_broken:
            try:
                self._messages.send(Locate(name=name, place=place))
                located = self._messages.receive(limit=_MESSAGE_BYTES)
            except MessageError:
                self._is_broken = True
                return None
            self._located[name, place] = located.definition if isinstance(located, Located) else None
        return self._located.get((name, place))

    def execute(
        self, requests: Requests, limits: Limits, *, most_requests: int, files: Mapping[str, bytes] | None = None
    ) -> Execution:
        """
        Run the notebook that was read, and send requests to the harness in its kernel.

        Args:
            most_requests: How many requests there may be: the deadline depends on it.
            files: What the notebook finds in its folder.

        Raises:
            SandboxError: A kernel could not be started, or not with the required sandbox.
        """
        self._deadline = time.monotonic() + longest_s(limits, most_requests=most_requests)
        course = Course(requests)
        try:
            self._messages.send(Execute(limits=limits, files=dict(files or {})))
            while not course.has_ended:
                self._follow(course, limits)
        except DeadlinePassed:
            course.break_off("The notebook kept the grader waiting and was stopped.")
            self._is_broken = True
        except MessageError:
            course.break_off("The process that talked to the notebook's kernel broke off.")
            self._is_broken = True
        self._deadline = time.monotonic() + _END_S
        return course.execution(self._layers)

    def _follow(self, course: Course, limits: Limits) -> None:
        """Receive a message of the conductor, and do what it says."""
        message = self._messages.receive(limit=_MESSAGE_BYTES)
        if isinstance(message, NeedKernel):
            self._give_kernel(limits)
        elif isinstance(message, CellsRan):
            course.ran(message)
        elif isinstance(message, NeedRequest) and course.current is None:
            self._send_request(course.next())
        elif isinstance(message, Replied) and course.current is not None:
            course.note(self._receive_reply(message, limits))
        elif isinstance(message, Ended):
            course.has_ended, course.is_doubtful = True, message.is_doubtful
        elif isinstance(message, NoKernel):
            self._check_kernels(limits, message.problem)
            raise MessageError("a kernel that does not get ready")
        else:
            raise MessageError("a message that does not belong here")

    def end(self) -> None:
        """End every kernel, and wait until all that it started has ended, whoever else holds its sockets."""
        until = time.monotonic() + _END_S
        for ends in self.kernels:
            ends.channel.close()
            with ends.control, contextlib.suppress(OSError):
                ends.control.shutdown(socket.SHUT_WR)
                while (left := until - time.monotonic()) > 0:
                    ends.control.settimeout(left)
                    if not ends.control.recv(_PACKET):
                        break
        self._folders.close()

    def _give_kernel(self, limits: Limits) -> None:
        """Wait until the next kernel is in its sandbox, and hand it over to the conductor."""
        if self._given == len(self.kernels):
            self._fork_kernel(limits, seed=self._seed)
        ends = self.kernels[self._given]
        self._given += 1
        with sandbox_errors():
            self._layers = _layers_of(ends)
            if level_of(self._layers) < self._require:
                raise refusal(self._layers, self._require)
        self._messages.send(KernelReady(key=ends.key, layers=self._layers))
        descriptors = array.array("i", [ends.control.fileno(), ends.channel.fileno()])
        with contextlib.suppress(OSError):
            self._channel.sendmsg([b"\0"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)])

    def _fork_kernel(self, limits: Limits, *, seed: int | None) -> None:
        """Start the next kernel, and do not wait for it."""
        process, number = self._process, len(self.kernels)
        if process is None or number >= _KERNELS:
            raise MessageError("no more kernels")
        listeners = process.listeners[number * len(CHANNELS) : (number + 1) * len(CHANNELS)]
        # Used only if the kernel has no private root. It is not inside of the conductor's, whose user is another one.
        with sandbox_errors():
            ends = fork_kernel(
                forkserver(),
                bounds_of(limits),
                listeners,
                scratch=self._folders.enter_context(temporary_folder()),
                name=f"kernel{number}",
                quiet=True,
                seed=seed,
                secrets=self._secrets,
            )
        self.kernels.append(ends)

    def _check_reading(self) -> None:
        """Raise that nothing can be read, unless an empty notebook can be."""
        if not self._is_control:
            with start_conductor(require=self._require, secrets=self._secrets) as control:
                if isinstance(control.read_empty(), Reading):
                    return
        raise SandboxError("The process that reads submissions has ended.", ASK_DOCTOR)

    def _check_kernels(self, limits: Limits, problem: str) -> None:
        """Raise that a kernel did not get ready, unless one does for an empty notebook."""
        if not self._is_control:
            with start_conductor(limits=limits, require=self._require, secrets=self._secrets) as control:
                control.read_empty()
                if control.execute(lambda _: (), limits, most_requests=0).stopped is None:
                    return
        raise SandboxError(safe_text(problem, _TEXT), ASK_DOCTOR)

    def _send_request(self, request: Request | None) -> None:
        if request is None:
            self._messages.send(NoMore())
            return
        self._messages.send(Ask(header=request.header, size=len(request.payload)), request.payload)

    def _receive_reply(self, message: Replied, limits: Limits) -> Reply:
        if message.size > limits.result_bytes:
            raise MessageError("a reply that is too large")
        records, is_odd = read_records(self._messages.receive_bytes(message.size))
        return Reply(
            status=message.status, detail=message.detail, is_fatal=message.is_fatal, is_odd=is_odd, records=records
        )

    def _why_ended(self) -> str:
        return self._process.why_ended(within_s=_REASON_S) if self._process is not None else ""


def longest_s(limits: Limits, *, most_requests: int) -> float:
    """
    The wall time that the execution of one submission may take, in seconds.

    Each wait of a conductor is shorter. This is for one that does not end its waits, or was taken over.
    """
    cells_s = limits.notebook_s + 2 * limits.cell_s + (1 + _KERNELS) * _START_S
    return cells_s + most_requests * 2 * limits.call_s + _SLACK_S


def read_alone(
    submission: Submission, exercises: Collection[str] = (), *, with_lines: bool = False
) -> Reading | Unreadable:
    """
    Read a submission that is not executed, in a process of its own. The arguments are those of `Conductor.read`.

    Raises:
        SandboxError: The process could not be started.
    """
    server = reading_forkserver() if ForkServer.is_available() else None
    with start_conductor(server=server) as conductor:
        return conductor.read(submission, exercises, with_lines=with_lines)


@contextlib.contextmanager
def start_conductor(
    *,
    limits: Limits | None = None,
    require: Level = Level.NONE,
    secrets: Sequence[Path] = (),
    server: ForkServer | None = None,
) -> Iterator[Conductor]:
    """
    A conductor for one submission. When the context is left, it and its kernels have ended.

    Args:
        limits: Those of the execution; None if nothing may be executed. The first kernel starts at once.
        require: The sandbox that it and each kernel must have.
        secrets: Files and folders that they may not see, besides the answers that came with the grader.
        server: The forkserver to ask; None for the one from which kernels are forked.

    Raises:
        SandboxError: It could not be started, or not with that sandbox.
    """
    with sandbox_errors():
        if ForkServer.is_available():
            with start_confined(server or forkserver(), CONDUCT, _BOUNDS, kernels=_KERNELS, secrets=secrets) as process:
                conductor = Conductor(process.channel, process, require=require, secrets=secrets)
                try:
                    if limits is not None:
                        conductor.begin_kernel(limits)
                    process.wait_until_confined(require)
                    yield conductor
                finally:
                    conductor.end()
        elif require > Level.NONE:
            raise refusal((), require)
        else:
            with _conductor_here() as channel:
                yield Conductor(channel, None)


@contextlib.contextmanager
def _conductor_here() -> Iterator[socket.socket]:
    """A conductor in a thread, with ordinary kernels."""
    from grader.execution.conductor import conduct_here
    from grader.execution.kernels import start_ordinary_kernel

    ours, theirs = socket.socketpair()
    thread = threading.Thread(target=conduct_here, args=(theirs, start_ordinary_kernel), daemon=True)
    thread.start()
    try:
        yield ours
    finally:
        ours.close()
        thread.join(_END_S)


def _layers_of(ends: KernelEnds) -> tuple[str, ...]:
    """Wait until a kernel is in its sandbox."""
    ends.control.settimeout(_START_S)
    try:
        message = json.loads(ends.control.recv(_PACKET) or b"{}")
    except OSError:
        message = {}
    return layers_in(message, of="A kernel")


def _seed_of(notebook: Notebook) -> int:
    """What the generators of random numbers start from: the same for the same code, so that its marks are the same."""
    code = "\0".join(cell.code for cell in notebook.cells)
    return int.from_bytes(hashlib.sha256(code.encode(errors="surrogatepass")).digest()[:4], "big")
