"""What a conductor does with a kernel that keeps it waiting in odd places, or whose messages are malformed."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from grader.execution import execute as executing
from grader.execution.messages import CellsRan
from grader.model import Limits
from grader.notebook.read import Notebook
from grader.sandbox import KernelEnds, SandboxUnavailable, adopt_kernel
from grader.sandbox.client import PromptKernelClient


async def _nothing(*_: object) -> bool:
    return False


@contextlib.asynccontextmanager
async def _kernel() -> AsyncIterator[Any]:
    yield SimpleNamespace(sandbox=None, manager=SimpleNamespace(is_alive=_nothing, signal_kernel=_nothing))


def _ran(limits: Limits, monkeypatch: pytest.MonkeyPatch) -> CellsRan:
    """How a notebook of three cells ran, of which nbclient never finishes the second one."""

    async def executes(_: object, place: int) -> None:
        await asyncio.sleep(3_600 if place == 1 else 0)

    reply = SimpleNamespace(result=lambda: {"content": {}})
    client = SimpleNamespace(
        async_execute_cell=executes, task_poll_for_reply=reply, nb=SimpleNamespace(cells=[None] * 3)
    )
    monkeypatch.setattr(executing, "connect_client", lambda *_, **__: client)
    monkeypatch.setattr(executing, "READY_S", 0.1)
    said: list[CellsRan] = []
    ended: list[bool] = []
    asyncio.run(
        executing.execute(
            Notebook.of(["a", "b", "c"]),
            iter(()),
            limits,
            _kernel,
            on_cells=said.append,
            on_reply=lambda *_: None,
            on_end=ended.append,
        )
    )
    assert ended == [True]
    return said[-1]


def test_a_cell_is_blamed_if_nothing_else_ends_the_wait_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel may keep nbclient busy, so that the outermost limit ends it. There is no time to run others then."""
    ran = _ran(Limits(cell_s=0.1, notebook_s=0.2), monkeypatch)

    assert {number: error.type for number, error in ran.errors.items()} == {2: "TimeoutError"}
    assert ran.stopped == "The notebook took longer than 0.2 seconds and was stopped."


def test_no_cell_is_named_if_the_time_was_up_before_the_first_one(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = _ran(Limits(cell_s=0.0, notebook_s=-1.0), monkeypatch)

    assert ran.executed == 0
    assert ran.errors == {}
    assert ran.stopped is not None
    assert "In [0]" not in ran.stopped


@pytest.mark.parametrize("error", [ValueError("Unsigned Message"), TypeError("None"), KeyError("msg_id")])
def test_a_kernel_whose_first_message_is_malformed_does_not_get_ready(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def raises(*_: object) -> None:
        raise error

    async def adopt(ends: KernelEnds) -> None:
        async with adopt_kernel(ends, "nowhere", layers=("own_process",)):
            pass

    monkeypatch.setattr(PromptKernelClient, "wait_for_ready", raises)
    (control, supervisor), (channel, kernel) = socket.socketpair(), socket.socketpair()
    with supervisor, kernel:
        supervisor.shutdown(socket.SHUT_WR)
        with pytest.raises(SandboxUnavailable, match="did not get ready"):
            asyncio.run(adopt(KernelEnds(control, channel, "key")))
