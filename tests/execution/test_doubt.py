"""What wall time alone stopped is tried again, once: the machine may have been too busy."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

from grader.execution.conducting import start_conductor
from grader.execution.execute import execute
from grader.execution.kernels import start_kernel
from grader.execution.messages import CellsRan
from grader.execution.record import Execution, Reading
from grader.model import Limits
from grader.notebook.read import Notebook
from grader.sandbox import ForkServer
from tests.conftest import submission_of

LIMITS = Limits(cell_s=1.5, cell_cpu_s=30.0, notebook_s=30.0)

pytestmark = pytest.mark.skipif(not ForkServer.is_available(), reason="kernels are forked on Linux only")


def _execute_here(*codes: str) -> tuple[CellsRan, bool]:
    """How cells ran, and whether that is doubtful, with this process as the conductor."""
    ran: list[CellsRan] = []
    doubts: list[bool] = []
    notebook = Notebook.of(codes)
    asyncio.run(
        execute(
            notebook,
            iter(()),
            LIMITS,
            lambda: start_kernel(LIMITS, quiet=True),
            on_cells=ran.append,
            on_reply=lambda *_: None,
            on_end=doubts.append,
        )
    )
    return ran[-1], doubts[-1]


def _execute(*codes: str, limits: Limits = LIMITS) -> Execution:
    with start_conductor() as conductor:
        assert isinstance(conductor.read(submission_of(*codes)), Reading)
        return conductor.execute(lambda _: [], limits, most_requests=0)


@pytest.mark.parametrize(
    ("code", "is_doubtful"),
    [
        ("x = 1", False),
        ("1 / 0", False),
        ("import time; time.sleep(60)", True),  # no machine is too busy for this, but the grader cannot know
        ("import threading; threading.Event().wait()", True),
    ],
)
def test_only_what_had_no_processor_is_doubtful(code: str, is_doubtful: bool) -> None:
    limits = LIMITS if is_doubtful else dataclasses.replace(LIMITS, cell_s=30.0)
    assert _execute(code, "y = 1", limits=limits).is_doubtful is is_doubtful


@pytest.mark.parametrize(
    ("code", "is_doubtful"),
    [("while True: pass", False), ("while True: time.sleep(60)", True)],
)
def test_a_cell_that_cannot_be_interrupted_is_doubtful_only_if_it_had_no_processor(
    code: str, is_doubtful: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grader.execution.execute.GRACE_S", 0.5)
    monkeypatch.setattr("grader.execution.execute.BUSY", 0.1)  # even a busy machine gives a loop that much
    ignore = "import os, signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"

    ran, was_doubtful = _execute_here(ignore + code, "y = 1")

    assert ran.executed == 1
    assert ran.errors[1].message == "stopped after 1.5 seconds"
    assert was_doubtful is is_doubtful


def test_a_limit_on_cpu_time_leaves_no_doubt() -> None:
    execution = _execute("while True: pass", limits=dataclasses.replace(LIMITS, cell_cpu_s=0.5, cell_s=20.0))
    assert execution.errors[1].message == "stopped after 0.5 seconds of CPU time"
    assert not execution.is_doubtful


def test_the_time_of_all_cells_costs_only_cells_that_take_long() -> None:
    """Functions stand below the cells that take long, and cost no time."""
    limits = dataclasses.replace(LIMITS, cell_s=6.0, notebook_s=1.0)
    execution = _execute(
        *["import time; time.sleep(0.6)"] * 2, "while True: pass", "def f(): return 1", "f()", limits=limits
    )
    assert (execution.executed, list(execution.errors), execution.stopped) == (5, [3], None)
    assert execution.errors[3].message == "stopped after 1 seconds for all cells"


def test_cells_without_end_do_not_run_for_ever() -> None:
    limits = dataclasses.replace(LIMITS, cell_s=1.0, notebook_s=1.0)
    execution = _execute(*["while True: pass"] * 40, limits=limits)
    assert execution.executed < 10
    assert execution.stopped == "The notebook took longer than 1 seconds and was stopped."
