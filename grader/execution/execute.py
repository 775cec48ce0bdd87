"""
Runs a notebook with nbclient, then sends requests to the harness in its kernel, one after another.

A request is sent only after the reply to the one before it has arrived, because it may depend on that reply.

All of this happens in the conductor, since it waits for what a student's process says.
"""

from __future__ import annotations

import asyncio
import itertools
import queue
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager

import zmq
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError

from grader.execution.border import safe_text
from grader.execution.channel import receive, receive_reply, send_request
from grader.execution.client import TIMED_OUT, connect_client, put_files
from grader.execution.messages import RESTARTS, Ask, CellsRan, Replied, Status
from grader.harness.wire import WireError
from grader.model import CallError, Limits
from grader.notebook.read import Notebook
from grader.sandbox import RunningKernel

__all__ = ["BUSY", "GRACE_S", "READY_S", "execute"]

GRACE_S = 3.0
"""How long a kernel may take to obey after its time is up."""
BUSY = 0.8
"""The share of its wall time that something must have had a processor, so that a lack of one did not stop it."""

READY_S = 30.0
"""How long the harness may take to get ready, and how much later than their last limit the cells are ended."""
_REASON_S = 0.2
_QUICK_S = 2.0
_NAME_CHARACTERS, _MESSAGE_CHARACTERS = 100, 2_000
_ENDS = {
    "memory": ("MemoryError", "the notebook used more memory than allowed"),
    "cpu": ("TimeoutError", "the notebook used more CPU time than allowed"),
    "files": ("OSError", "the notebook wrote more into files than allowed"),
    "": ("KernelDied", "the notebook's process ended here"),
}
"""The error to report for the cell in which a kernel ended, by the reason for which the sandbox ended the kernel."""
_STATUSES: dict[str, Status] = {"memory": "out_of_memory", "cpu": "timed_out"}
"""The status of a request during which the sandbox ended the kernel, by the reason for that."""

OpenKernel = Callable[[], AbstractAsyncContextManager[RunningKernel]]
Requests = Iterator[tuple[Ask, bytes]]


class _Stuck(Exception):  # noqa: N818 - a signal, not an error
    """A cell did not stop when it was interrupted."""


async def execute(
    notebook: Notebook,
    requests: Requests,
    limits: Limits,
    open_kernel: OpenKernel,
    *,
    on_cells: Callable[[CellsRan], None],
    on_reply: Callable[[Replied, bytes], None],
    on_end: Callable[[bool], None],
    files: Mapping[str, bytes] | None = None,
) -> None:
    """
    Execute every cell, even if earlier ones raised, and then every request.

    If a cell kills the kernel or cannot be stopped, the notebook is run again without it in a new kernel, as often as
    there is time, so that the other cells still run. If a function kills the kernel, the notebook is run again, and the
    calls go on with the next function.

    Args:
        requests: The next request is taken when the reply to the one before it was given to `on_reply`.
        open_kernel: Starts a kernel.
        on_cells: Called when the cells have run, in each kernel to which requests are sent.
        on_reply: Called with each reply and its payload.
        on_end: Called when no more requests are taken, while the kernel is still ending, with whether something was
            stopped by its limit on wall time although it had used little CPU time.
        files: What the notebook finds in its folder, by path.
    """
    deadline = time.monotonic() + limits.notebook_s
    lost: dict[int, CallError] = {}
    is_doubtful = False
    for restart in itertools.count():
        is_last = restart >= RESTARTS or time.monotonic() > deadline
        async with open_kernel() as kernel:
            await put_files(kernel, files or {})
            run = _Run(notebook, kernel, limits, without=lost)
            culprit = await run.cells(deadline)
            is_doubtful = is_doubtful or run.is_doubtful
            if culprit is not None and not is_last:
                lost[culprit] = run.errors[culprit]
                continue
            on_cells(CellsRan(executed=run.executed, errors=run.errors | lost, stopped=run.stopped))
            is_done = await run.ask(requests, on_reply)
            is_doubtful = is_doubtful or run.is_doubtful
            if is_done or is_last:
                await kernel.manager.signal_kernel(signal.SIGKILL)
                on_end(is_doubtful)
                return


class _Run:
    """One run of a notebook in one kernel, with some of its cells left out."""

    def __init__(
        self, notebook: Notebook, kernel: RunningKernel, limits: Limits, *, without: Mapping[int, CallError]
    ) -> None:
        self.notebook = notebook
        self.kernel = kernel
        self.limits = limits
        self.without = without
        self.executed = 0
        self.errors: dict[int, CallError] = {}
        self.stopped: str | None = None
        self.is_doubtful = False
        self._running = 0
        self._begun = 0.0

    async def cells(self, deadline: float) -> int | None:
        """Run the cells. Returns the number of the cell in which the kernel was lost, or None."""
        last = deadline + self.limits.cell_s
        client = connect_client(
            self.notebook, self.kernel, seconds=lambda: self._seconds(deadline, last), keeps=lambda *_: False
        )
        try:
            # Each wait below has a limit of its own. This one holds whatever they do.
            await asyncio.wait_for(self._cells(client, deadline, last), last + READY_S - time.monotonic())
        except (_Stuck, asyncio.TimeoutError):
            await self._doubt(time.monotonic() - self._begun)
            if not self._running:
                self.stopped = self._took_too_long
                return None
            self.stopped = f"In [{self._running}] took too long and could not be interrupted."
            if self._running not in self.errors:
                self._fail("TimeoutError", "it could not be interrupted")
        except DeadKernelError:
            self.stopped = f"The kernel died while In [{self._running}] was running."
            self._fail(*_ENDS[_why_ended(self.kernel)])
        except Exception as error:  # nbclient lets through anything that a malformed message makes it raise
            self.stopped = f"In [{self._running}] sent something that is not a Jupyter message."
            self._fail(
                "KernelDied",
                f"the notebook's process sent something that is not a Jupyter message ({type(error).__name__})",
            )
        else:
            return None
        return self._running

    def _seconds(self, deadline: float, last: float) -> float:
        """
        The wall time that a cell has. If the notebook's time is up, a cell that is quick still runs.

        Functions are often defined below cells that take long, and cost no time.
        """
        now = time.monotonic()
        return max(0.1, min(self.limits.cell_s, max(deadline - now, _QUICK_S), last - now))

    async def _cells(self, client: NotebookClient, deadline: float, last: float) -> None:
        for cell, node in zip(self.notebook.cells, client.nb.cells, strict=True):
            if cell.number in self.without:
                continue
            if time.monotonic() > last:
                self.stopped = self._took_too_long
                return
            self._running = cell.number
            self._allow_cpu(self.limits.cell_cpu_s, then=signal.SIGINT)
            self._begun = time.monotonic()
            await client.async_execute_cell(node, cell.number - 1)
            self.executed += 1
            assert client.task_poll_for_reply is not None
            content = client.task_poll_for_reply.result()["content"]
            if content.get("ename") == TIMED_OUT:
                is_up = time.monotonic() > deadline
                seconds = self.limits.notebook_s if is_up else self.limits.cell_s
                await self._doubt(time.monotonic() - self._begun)
                self._fail("TimeoutError", f"stopped after {seconds:g} seconds" + " for all cells" * is_up)
                await self._settle()
            elif self.kernel.sandbox is not None and self.kernel.sandbox.is_over_allowance:
                self._fail("TimeoutError", f"stopped after {self.limits.cell_cpu_s:g} seconds of CPU time")
            elif content.get("status") == "error":
                self.errors[cell.number] = _cell_error(content, cell.number)

    async def _settle(self) -> None:
        """Wait until the kernel answers again after an interrupt. Raises _Stuck if it does not."""
        client = self.kernel.client
        until = time.monotonic() + GRACE_S
        try:
            request_id = client.kernel_info()
        except zmq.Again:
            raise _Stuck from None
        while True:
            try:
                reply = await client.get_shell_msg(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                raise _Stuck from None
            if reply["parent_header"].get("msg_id") == request_id:
                return

    @property
    def _took_too_long(self) -> str:
        return f"The notebook took longer than {self.limits.notebook_s:g} seconds and was stopped."

    def _fail(self, kind: str, message: str) -> None:
        self.errors[self._running] = CallError(type=kind, message=message, cell=self._running)

    async def ask(self, requests: Requests, on_reply: Callable[[Replied, bytes], None]) -> bool:
        """Send requests to the harness. Returns False if one killed the kernel and the others need another one."""
        if not await self._serve():
            return (
                self.stopped is not None
            )  # else all cells ran, and the kernel was lost after them, for want of memory
        for request, payload in requests:
            reply, records = await self._exchange(request, payload)
            on_reply(reply, records)
            if reply.is_fatal:
                return False
        return True

    async def _serve(self) -> bool:
        """Start the harness. A kernel that is still busy with a cell gets less time. Returns whether it is ready."""
        if not await self.kernel.manager.is_alive():
            self.is_doubtful = self.is_doubtful or self.stopped is None
            return False
        try:
            self.kernel.serve()
            await asyncio.wait_for(receive(self.kernel.channel, limit=0), GRACE_S if self.stopped else READY_S)
        except (asyncio.TimeoutError, WireError, OSError, zmq.Again):
            self.is_doubtful = True
            return False
        return True

    async def _exchange(self, request: Ask, payload: bytes) -> tuple[Replied, bytes]:
        channel, seconds = self.kernel.channel, float(request.header["seconds"])
        # The harness enforces the limit, too, unless the notebook has changed it.
        self._allow_cpu(self.limits.call_cpu_s + GRACE_S, then=signal.SIGKILL)
        try:
            await asyncio.wait_for(send_request(channel, request.header, payload), seconds)
            status, detail, records = await asyncio.wait_for(
                receive_reply(channel, limit=self.limits.result_bytes), seconds + GRACE_S
            )
            if status == "timed_out":
                await self._doubt(seconds)
            return Replied(status=status, detail=detail, size=len(records)), records
        except asyncio.TimeoutError:
            await self._doubt(seconds)
            return Replied(status="timed_out", is_fatal=True), b""
        except (WireError, OSError):
            await asyncio.sleep(_REASON_S)  # until the sandbox has recorded why it ended the kernel, if it did
            ended = _STATUSES.get(_why_ended(self.kernel), "crashed")
            return Replied(status=ended, detail="and the notebook's process with it", is_fatal=True), b""

    async def _doubt(self, seconds: float) -> None:
        """Note that something was stopped after this wall time, unless it was busy for most of it."""
        used = await self.kernel.sandbox.used_cpu() if self.kernel.sandbox is not None else None
        self.is_doubtful = self.is_doubtful or used is None or used < BUSY * seconds

    def _allow_cpu(self, seconds: float, *, then: signal.Signals) -> None:
        if self.kernel.sandbox is not None:
            self.kernel.sandbox.allow_cpu(seconds, then=then)


def _why_ended(kernel: RunningKernel) -> str:
    """Why the sandbox ended a kernel; empty if it did not."""
    return kernel.sandbox.end if kernel.sandbox is not None else ""


def _cell_error(output: Mapping[str, object], number: int) -> CallError:
    """The error that a cell raised, from the kernel's reply, whose parts may have any type and length."""
    name = safe_text(output.get("ename"), _NAME_CHARACTERS)
    return CallError(type=name, message=safe_text(output.get("evalue"), _MESSAGE_CHARACTERS), cell=number)
