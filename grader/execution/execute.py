"""
Runs a notebook with nbclient, then has the harness in its kernel answer requests, one after the other.

A request is sent only when the reply to the one before it is in: what one exercise is called with may be what another
one returned.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import queue
import re
import signal
import time
from collections.abc import AsyncIterator, Iterator, Mapping

from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode

from grader.execution.channel import Reply, Request, Requests, combine, receive, receive_reply, send_request
from grader.execution.client import TIMED_OUT, connect_client
from grader.execution.kernels import RunningKernel, start_kernel
from grader.harness.serve import serve
from grader.harness.wire import WireError
from grader.model import CallError, Limits
from grader.notebook.read import Notebook
from grader.sandbox import Level

__all__ = ["Execution", "execute"]

SERVE = f"__import__({serve.__module__!r}, fromlist=[{serve.__name__!r}]).{serve.__name__}()"
"""What the kernel executes after the last cell. It names nothing that the notebook may have renamed."""
_READY_S = 30.0
_GRACE_S = 3.0
_RESTARTS = 3
_VERDICT_S = 0.2
_NAME_CHARACTERS, _MESSAGE_CHARACTERS = 100, 2_000
_ENDS = {
    "memory": ("MemoryError", "the notebook took more memory than it may have"),
    "cpu": ("TimeoutError", "the notebook took more CPU time than it may have"),
    "": ("KernelDied", "the notebook's process ended here"),
}
"""What a cell is said to have raised that the kernel did not survive, by what the sandbox ended the kernel for."""
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """
    How a notebook ran.

    Attributes:
        executed: How many cells were executed.
        errors: What cells raised, by the number of the cell, `In [number]`.
        stopped: Why the notebook did not run to its end, in a sentence; None if it did.
        replies: What the harness replied, by the key of the request.
        layers: The layers of the sandbox that it ran in.
        seconds: Wall time from the start of the kernel to the last reply.
    """

    executed: int
    errors: dict[int, CallError]
    stopped: str | None
    replies: dict[str, Reply]
    layers: tuple[str, ...]
    seconds: float = 0.0

    @staticmethod
    def in_this_process(replies: dict[str, Reply]) -> Execution:
        """What there is to say of functions that were called where they are, in the process of their notebook."""
        return Execution(executed=0, errors={}, stopped=None, replies=replies, layers=())


class _Stuck(Exception):  # noqa: N818 - a signal, not an error
    """A cell does not stop when it is interrupted."""


@contextlib.asynccontextmanager
async def execute(
    notebook: Notebook, requests: Requests, limits: Limits, *, require: Level = Level.NONE
) -> AsyncIterator[Execution]:
    """
    Execute every cell, whatever the ones before it raised, and then every request.

    The result is there while the kernel, which was told to end, is still ending; it is gone when the context is left.

    A cell that kills the kernel, or that cannot be stopped, must cost no more than itself: the notebook is run again
    without it, in a new kernel, as often as there is time. The same holds for a function that kills the kernel: the
    notebook is run again, and the calls go on with the next function.

    Args:
        require: The sandbox that the kernel must have.

    Raises:
        SandboxError: No kernel could be started, or none with that sandbox.
    """
    started = time.monotonic()
    deadline = started + limits.notebook_s
    lost: dict[int, CallError] = {}
    replies: dict[str, Reply] = {}
    pending = iter(requests(replies))
    for restart in itertools.count():
        is_last = restart >= _RESTARTS or time.monotonic() > deadline
        async with start_kernel(limits, require=require) as kernel:
            run = _Run(notebook, kernel, limits, without=lost)
            culprit = await run.cells(deadline)
            if culprit is not None and not is_last:
                lost[culprit] = run.errors[culprit]
                continue
            if await run.ask(pending, replies) or is_last:
                # Where the kernel is gone for good, no more replies can come.
                for request in pending:
                    replies[request.key] = combine(replies.get(request.key), Reply(status="unreachable"), request)
                await kernel.manager.signal_kernel(signal.SIGKILL)
                yield Execution(
                    executed=run.executed,
                    errors=run.errors | lost,
                    stopped=run.stopped,
                    replies=replies,
                    layers=kernel.layers,
                    seconds=time.monotonic() - started,
                )
                return


class _Run:
    """One notebook in one kernel, with some of its cells left out."""

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
        self._running = 0

    async def cells(self, deadline: float) -> int | None:
        """Run the cells; returns the number of the one that the kernel did not survive, if there is one."""
        client = connect_client(
            self.notebook,
            self.kernel,
            self.limits,
            keeps=lambda message, outputs, _: message["msg_type"] == "error" and not outputs,
        )
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
        except Exception as error:  # nbclient lets through anything that a malformed message makes it raise
            self.stopped = f"In [{self._running}] sent something that is not a Jupyter message."
            self._fail(
                "KernelDied",
                f"the notebook's process sent something that is not a Jupyter message ({type(error).__name__})",
            )
        else:
            return None
        return self._running

    async def _cells(self, client: NotebookClient) -> None:
        for cell, node in zip(self.notebook.cells, client.nb.cells, strict=True):
            if cell.number in self.without:
                continue
            self._running = cell.number
            self._allow_cpu(self.limits.cell_cpu_s, then=signal.SIGINT)
            await client.async_execute_cell(node, cell.number - 1)
            self.executed += 1
            assert client.task_poll_for_reply is not None
            reply = client.task_poll_for_reply.result()
            if reply["content"].get("ename") == TIMED_OUT:
                self._fail("TimeoutError", f"stopped after {self.limits.cell_s:g} seconds")
                await self._settle()
            elif self.kernel.sandbox is not None and self.kernel.sandbox.is_over_allowance:
                self._fail("TimeoutError", f"stopped after {self.limits.cell_cpu_s:g} seconds of CPU time")
            elif node.outputs:
                self.errors[cell.number] = _cell_error(node.outputs[0], cell.number)
            node.outputs = []

    async def _settle(self) -> None:
        """Wait until the kernel answers again after an interrupt."""
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

    async def ask(self, pending: Iterator[Request], replies: dict[str, Reply]) -> bool:
        """Send requests to the harness; False where one of them killed the kernel, and the next one may go on."""
        if not await self._serve():
            return True
        for request in pending:
            reply = await self._exchange(request)
            replies[request.key] = combine(replies.get(request.key), reply, request)
            if reply.is_fatal:
                return request.is_evidence
        return True

    async def _serve(self) -> bool:
        """Start the harness. A kernel that is still busy with a cell gets less time than one that has to import."""
        if not await self.kernel.manager.is_alive():
            return False
        self.kernel.client.execute(SERVE, silent=True, store_history=False)
        try:
            await asyncio.wait_for(receive(self.kernel.channel, limit=0), _GRACE_S if self.stopped else _READY_S)
        except (asyncio.TimeoutError, WireError, OSError):
            return False
        return True

    async def _exchange(self, request: Request) -> Reply:
        channel, seconds = self.kernel.channel, float(request.header["seconds"])
        # The harness enforces the limit itself. This is for a harness that a notebook has changed.
        self._allow_cpu(self.limits.call_cpu_s + _GRACE_S, then=signal.SIGKILL)
        try:
            await asyncio.wait_for(send_request(channel, request), seconds)
            return await asyncio.wait_for(receive_reply(channel, limit=self.limits.result_bytes), seconds + _GRACE_S)
        except asyncio.TimeoutError:
            return Reply(status="timed_out", is_fatal=True)
        except (WireError, OSError):
            await asyncio.sleep(_VERDICT_S)  # until the sandbox has said why it ended the kernel, if it did
            status = {"memory": "out_of_memory", "cpu": "timed_out"}.get(_why_ended(self.kernel), "crashed")
            return Reply(status=status, detail="and the notebook's process with it", is_fatal=True)

    def _allow_cpu(self, seconds: float, *, then: signal.Signals) -> None:
        if self.kernel.sandbox is not None:
            self.kernel.sandbox.allow_cpu(seconds, then=then)


def _why_ended(kernel: RunningKernel) -> str:
    """What the sandbox ended a kernel for, if it did."""
    return kernel.sandbox.end if kernel.sandbox is not None else ""


def _cell_error(output: NotebookNode, number: int) -> CallError:
    """What a cell raised, from the kernel's error message, any part of which may have any type and length."""
    name = str(output.get("ename", ""))[:_NAME_CHARACTERS]
    message = str(output.get("evalue", ""))[:_MESSAGE_CHARACTERS]
    return CallError(type=_ANSI.sub("", name), message=_ANSI.sub("", message), cell=number)
