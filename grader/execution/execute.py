"""
Runs a notebook with nbclient, then lets the harness in its kernel answer requests, one after the other.

Requests are sent one at a time, each only when the answer to the one before is in: what one exercise is given may be
the answer to another one.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import logging
import queue
import re
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from typing import Any

from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode

from grader.execution.kernels import RunningKernel, start_kernel
from grader.harness.wire import PREFIX, WireError, pack, unpack_all, unpack_header, unpack_prefix
from grader.model import CallError, Limits
from grader.notebook.read import code_cells
from grader.sandbox import Level

__all__ = ["Answer", "Execution", "Request", "execute", "put_together"]

SERVE = "__import__('grader.harness.serve', fromlist=['serve']).serve()"
_READY_S = 30.0
_GRACE_S = 3.0
_RESTARTS = 3
_IOPUB_S = 2
_VERDICT_S = 0.2
_SILENT = logging.getLogger("grader.nbclient")
_SILENT.disabled = True
_TIMED_OUT = {"ename": "<the cell took too long>", "evalue": "", "traceback": []}
_ENDS = {
    "memory": ("MemoryError", "the notebook took more memory than it may have"),
    "cpu": ("TimeoutError", "the notebook took more CPU time than it may have"),
    "": ("KernelDied", "the notebook's process ended here"),
}
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """
    What the harness is asked: see `grader.harness.serve`. `key` tells the answers apart.

    One that is only evidence, and comes after all others, is not worth another run of the notebook.
    """

    key: str
    header: dict[str, Any]
    payload: bytes
    is_evidence: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """
    What came back, not yet believed.

    `status` is done, timed_out, too_large, out_of_memory, crashed or unreachable; `records` are headers and payloads by
    case. `is_fatal` where the kernel is lost too.
    """

    status: str
    detail: str = ""
    is_fatal: bool = False
    records: dict[str, tuple[dict[str, Any], bytes]] = dataclasses.field(default_factory=dict, repr=False)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """
    How a notebook ran.

    `errors` maps the number of a cell, `In [n]`, to what it raised; `seconds` is wall time, from the start of its
    kernel to the last answer.
    """

    executed: int
    errors: dict[int, CallError]
    stopped: str | None
    answers: dict[str, Answer]
    layers: tuple[str, ...]
    seconds: float = 0.0


class _Stuck(Exception):  # noqa: N818 - a signal, not an error
    """A cell that does not stop when it is interrupted."""


def put_together(earlier: Answer | None, later: Answer, request: Request) -> Answer:
    """The answers to two requests with one key; of the later one only what was asked for, and not asked before."""
    asked = request.header.get("cases")
    records = {case: record for case, record in later.records.items() if asked is None or case in asked}
    if earlier is not None:
        records |= earlier.records
    return dataclasses.replace(later, records=records)


Requests = Callable[[Mapping[str, Answer]], Iterable[Request]]
"""Yields requests, each of which may depend on the answers so far; answers to the same key are put together."""


@contextlib.asynccontextmanager
async def execute(
    notebook: NotebookNode, requests: Requests, limits: Limits, *, require: Level = Level.NONE
) -> AsyncIterator[Execution]:
    """
    Execute every cell, whatever the ones before it raised, and then every request.

    What came of it is there while the kernel, told to end, is still on its way: it is gone when the context is left.

    A cell that kills the kernel, or that nothing can stop, must not cost more than itself: the notebook is run again
    without it, in a new kernel, as often as there is time. So must a function that takes the kernel with it: the
    notebook is run again, and the calls go on with the next one.

    Args:
        require: The sandbox that the kernel must have.

    Raises:
        SandboxError: No kernel could be started, or none with that sandbox.
    """
    started = time.monotonic()
    deadline = started + limits.notebook_s
    lost: dict[int, CallError] = {}
    answers: dict[str, Answer] = {}
    pending = iter(requests(answers))
    for restart in itertools.count():
        is_last = restart >= _RESTARTS or time.monotonic() > deadline
        async with start_kernel(limits, require=require) as kernel:
            run = _Run(notebook, kernel, limits, without=lost)
            culprit = await run.cells(deadline)
            if culprit is not None and not is_last:
                lost[culprit] = run.errors[culprit]
                continue
            if await run.ask(pending, answers) or is_last:
                # Where the kernel is gone for good, there are no more answers to be had.
                for request in pending:
                    answers[request.key] = put_together(answers.get(request.key), Answer(status="unreachable"), request)
                await kernel.manager.signal_kernel(signal.SIGKILL)
                yield Execution(
                    executed=run.executed,
                    errors=run.errors | lost,
                    stopped=run.stopped,
                    answers=answers,
                    layers=kernel.layers,
                    seconds=time.monotonic() - started,
                )
                return


class _ErrorsOnly(NotebookClient):
    """Keeps what cells raise and drops what they show: a notebook may print without end."""

    def output(self, outs: list[NotebookNode], msg: dict[str, Any], _: str | None, cell_index: int) -> None:
        if msg["msg_type"] == "error" and not outs:
            super().output(outs, msg, None, cell_index)


class _Run:
    """One notebook in one kernel, some of its cells left out."""

    def __init__(
        self, notebook: NotebookNode, kernel: RunningKernel, limits: Limits, *, without: Mapping[int, CallError]
    ) -> None:
        self.notebook = notebook
        self.kernel = kernel
        self.limits = limits
        self.without = without
        self.executed = 0
        self.errors: dict[int, CallError] = {}
        self.stopped: str | None = None
        self._running = 0

    async def cells(self, deadline: float) -> int | None:
        """Run the cells; returns the number of the one that the kernel did not survive, if there is one."""
        client = _ErrorsOnly(
            self.notebook,
            km=self.kernel.manager,
            timeout=self.limits.cell_s,
            interrupt_on_timeout=True,
            error_on_timeout=_TIMED_OUT,
            iopub_timeout=_IOPUB_S,
            allow_errors=True,
            store_widget_state=False,
            record_timing=False,
            coalesce_streams=False,
            log=_SILENT,
        )
        client.reset_execution_trackers()
        client.kc = self.kernel.client
        try:
            await asyncio.wait_for(self._cells(client), max(0.1, deadline - time.monotonic()))
        except asyncio.TimeoutError:
            self.stopped = f"The notebook took longer than {self.limits.notebook_s:g} seconds and was stopped."
            self._fail("TimeoutError", "stopped: the notebook's time was up")
            await self.kernel.manager.interrupt_kernel()
            return None
        except _Stuck:
            self.stopped = f"In [{self._running}] took too long, and could not be interrupted."
        except DeadKernelError:
            self.stopped = f"The kernel died while In [{self._running}] was running."
            self._fail(*_ENDS[_why_ended(self.kernel)])
        except Exception as error:  # nbclient lets through whatever a message that is none makes it raise
            self.stopped = f"In [{self._running}] sent what is no Jupyter message."
            self._fail("KernelDied", f"the notebook's process sent what is no Jupyter message ({type(error).__name__})")
        else:
            return None
        return self._running

    async def _cells(self, client: NotebookClient) -> None:
        for number, cell in code_cells(self.notebook):
            if number in self.without:
                continue
            self._running = number
            self._allow_cpu(self.limits.cell_cpu_s, then=signal.SIGINT)
            await client.async_execute_cell(cell, self.notebook.cells.index(cell))
            self.executed += 1
            assert client.task_poll_for_reply is not None
            reply = client.task_poll_for_reply.result()
            if reply["content"].get("ename") == _TIMED_OUT["ename"]:
                self._fail("TimeoutError", f"stopped after {self.limits.cell_s:g} seconds")
                await self._settle()
            elif self.kernel.sandbox is not None and self.kernel.sandbox.is_over_allowance:
                self._fail("TimeoutError", f"stopped after {self.limits.cell_cpu_s:g} seconds of CPU time")
            elif cell.outputs:
                self.errors[number] = _cell_error(cell.outputs[0], number)
            cell.outputs = []

    async def _settle(self) -> None:
        """After an interrupt: does the kernel answer again?"""
        client = self.kernel.client
        asked = client.kernel_info()
        while True:
            try:
                reply = await client.get_shell_msg(timeout=_GRACE_S)
            except queue.Empty:
                raise _Stuck from None
            if reply["parent_header"].get("msg_id") == asked:
                return

    def _fail(self, kind: str, message: str) -> None:
        self.errors[self._running] = CallError(type=kind, message=message, cell=self._running)

    async def ask(self, pending: Iterator[Request], answers: dict[str, Answer]) -> bool:
        """Put requests to the harness; False where one of them took the kernel with it, and the next may go on."""
        if not await self._serve():
            return True
        for request in pending:
            answer = await self._exchange(request)
            answers[request.key] = put_together(answers.get(request.key), answer, request)
            if answer.is_fatal:
                return request.is_evidence
        return True

    async def _serve(self) -> bool:
        """Start the harness. A kernel that is still busy with a cell gets less patience than one that has to import."""
        if not await self.kernel.manager.is_alive():
            return False
        self.kernel.client.execute(SERVE, silent=True, store_history=False)
        try:
            await asyncio.wait_for(_receive(self.kernel.channel, limit=0), _GRACE_S if self.stopped else _READY_S)
        except (asyncio.TimeoutError, WireError, OSError):
            return False
        return True

    async def _exchange(self, request: Request) -> Answer:
        channel, seconds = self.kernel.channel, float(request.header["seconds"])
        # The harness sees to it; this is for one that does not.
        self._allow_cpu(self.limits.call_cpu_s + _GRACE_S, then=signal.SIGKILL)
        sending = asyncio.get_running_loop().sock_sendall(channel, pack(request.header, request.payload))
        try:
            await asyncio.wait_for(sending, seconds)
            return await asyncio.wait_for(_answer(channel, limit=self.limits.result_bytes), seconds + _GRACE_S)
        except asyncio.TimeoutError:
            return Answer(status="timed_out", is_fatal=True)
        except (WireError, OSError):
            await asyncio.sleep(_VERDICT_S)  # until whoever ended it has said why
            status = {"memory": "out_of_memory", "cpu": "timed_out"}.get(_why_ended(self.kernel), "crashed")
            return Answer(status=status, detail="and the notebook's process with it", is_fatal=True)

    def _allow_cpu(self, seconds: float, *, then: signal.Signals) -> None:
        if self.kernel.sandbox is not None:
            self.kernel.sandbox.allow_cpu(seconds, then=then)


def _why_ended(kernel: RunningKernel) -> str:
    """What the sandbox ended a kernel for, if it did."""
    return kernel.sandbox.end if kernel.sandbox is not None else ""


async def _answer(channel: socket.socket, *, limit: int) -> Answer:
    header, payload = await _receive(channel, limit=limit)
    status = header.get("status")
    records: dict[str, tuple[dict[str, Any], bytes]] = {}
    for record, content in unpack_all(payload):
        case = record.get("case")
        if isinstance(case, str) and case not in records:
            records[case] = (record, content)
    if status not in ("done", "timed_out", "too_large", "crashed"):
        raise WireError(f"unknown status {str(status)[:40]!r}")
    detail = next((f"{key} {header[key]}" for key in ("signal", "exit") if type(header.get(key)) is int), "")
    return Answer(status=status, detail=detail, records=records)


async def _receive(channel: socket.socket, *, limit: int) -> tuple[dict[str, Any], bytes]:
    prefix = await _read_exactly(channel, PREFIX.size)
    header_length, payload_length = unpack_prefix(prefix, payload_limit=limit)
    header = await _read_exactly(channel, header_length)
    return unpack_header(header), await _read_exactly(channel, payload_length)


async def _read_exactly(channel: socket.socket, length: int) -> bytes:
    loop = asyncio.get_running_loop()
    content = bytearray()
    while len(content) < length:
        chunk = await loop.sock_recv(channel, min(1 << 20, length - len(content)))
        if not chunk:
            raise WireError("the channel was closed")
        content += chunk
    return bytes(content)


def _cell_error(output: NotebookNode, number: int) -> CallError:
    """What a cell raised, from the kernel's error message: any of its parts may be of any kind and length."""
    name, value = str(output.get("ename", ""))[:100], _ANSI.sub("", str(output.get("evalue", "")))[:2_000]
    return CallError(type=_ANSI.sub("", name), message=value, cell=number)
