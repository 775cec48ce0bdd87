"""Grading one submission: autograd policies, platforms without a sandbox, and limits."""

from __future__ import annotations

import dataclasses
from typing import Any

import nbformat
import pytest

from grader.assignment.load import Assignment
from grader.errors import SandboxError
from grader.model import Limits, Outcome, Report
from grader.pipeline import grade
from grader.sandbox import ForkServer, Level
from tests.conftest import handed_in, raw_submission

AUTOGRAD = """
# %%
def grad_b1(dz1):
    b1 = torch.zeros(1, 50, dtype=dz1.dtype, requires_grad=True)
    (torch.ones_like(dz1) * b1).backward(dz1)
    return b1.grad
"""


def limited(assignment: Assignment, **limits: float) -> Assignment:
    """The assignment with these limits. The others are so long that nothing reaches them, even on a busy machine."""
    ample: dict[str, Any] = {"cell_s": 120.0, "notebook_s": 300.0, "call_s": 120.0}
    return dataclasses.replace(assignment, limits=Limits(**ample | limits))


def graded(assignment: Assignment, answers: str = "", **options: Any) -> Report:
    return grade(raw_submission(nbformat.writes(handed_in(answers)).encode()), assignment, **options)


@pytest.mark.parametrize(
    ("policy", "outcome", "flagged"),
    [("forbid", Outcome.FORBIDDEN, True), ("flag", Outcome.MATCH, True), ("allow", Outcome.MATCH, False)],
)
def test_autograd_is_forbidden_flagged_or_allowed(
    assignment: Assignment, policy: str, outcome: Outcome, flagged: bool
) -> None:
    """One flag is about what was observed when the function ran, another about the line that mentions it."""
    report = graded(dataclasses.replace(assignment, autograd=policy), AUTOGRAD)

    assert report.exercises[-1].outcome is outcome
    assert bool(report.flags) is flagged
    if flagged:
        assert all(flag.exercise == "grad_b1" for flag in report.flags)
        evidence = {flag.id: flag.evidence for flag in report.flags}
        assert evidence["autograd"] == "when called, it started a backward pass of autograd"
        assert "line 3: the source mentions .backward()" in evidence["source_mentions_autograd"]


def test_without_a_forkserver_an_ordinary_kernel_is_used(
    assignment: Assignment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Right and wrong answers get the same outcomes there, and the report does not claim a sandbox."""
    monkeypatch.setattr(ForkServer, "is_available", staticmethod(lambda: False))

    # Only the grader calls it with batches that are not the notebook's own.
    hanging = "# %%\ndef grad_b1(dz1):\n    while len(dz1) != 256:\n        pass\n    return dz1.sum(0, keepdim=True)\n"
    report = graded(limited(assignment, call_s=5.0), hanging, retries=False)

    assert report.score == 9
    assert report.exercises[-1].outcome is Outcome.TIMED_OUT
    assert report.sandbox_layers == ("own_process", "clean_environment", "time_limits")


def test_without_the_required_sandbox_nothing_is_executed(
    assignment: Assignment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says what is missing."""
    monkeypatch.setattr(ForkServer, "is_available", staticmethod(lambda: False))

    with pytest.raises(SandboxError, match="isolated is asked for"):
        graded(assignment, require=Level.ISOLATED)


@pytest.mark.skipif(not ForkServer.is_available(), reason="the sandbox needs Linux")
def test_a_function_that_kills_the_kernel_costs_only_its_own_points(assignment: Assignment) -> None:
    """Many processes use too much memory together. The watchdog ends all of them, and the rest is graded again."""
    hogs = """
# %%
def grad_w2(a1, dyhat):
    import os, time
    if not hasattr(torch, "called"):
        torch.called = 0
    torch.called += 1
    if len(a1) != 256:
        for _ in range(20):
            if os.fork() == 0:
                block = bytearray(300 << 20)
                block[::4096] = b"x" * len(block[::4096])
                time.sleep(30)
                os._exit(0)
        time.sleep(4)
    return a1.T @ dyhat
"""

    report = graded(assignment, hogs)

    outcomes = {exercise.name: exercise.outcome for exercise in report.exercises}
    assert outcomes.pop("grad_w2") in (Outcome.OUT_OF_MEMORY, Outcome.TIMED_OUT)
    assert set(outcomes.values()) == {Outcome.MATCH}


SPINS = "deadline = time.thread_time() + 20\n    while time.thread_time() < deadline:\n        pass\n"


@pytest.mark.skipif(not ForkServer.is_available(), reason="the sandbox limits CPU time")
def test_cpu_time_is_limited_for_each_function(assignment: Assignment) -> None:
    """The function is stopped before it returns and before its wall time is up; the other functions are graded."""
    report = graded(
        limited(assignment, cell_cpu_s=1, call_cpu_s=1), f"# %%\nimport time\ndef grad_b1(dz1):\n    {SPINS}"
    )

    assert report.exercises[-1].outcome is Outcome.TIMED_OUT
    assert report.score == 9
    assert report.seconds < 120


@pytest.mark.skipif(not ForkServer.is_available(), reason="the sandbox limits CPU time")
@pytest.mark.parametrize(
    ("cell", "limit", "first_error"),
    [
        (f"if True:\n    {SPINS}", {"cell_cpu_s": 1}, "stopped after 1 seconds of CPU time"),
        (
            "import os\nif os.fork() == 0:\n    " + SPINS + "os.wait()",
            {"cpu_s": 1},
            "used more CPU time than allowed",
        ),
    ],
    ids=["cell", "all processes"],
)
def test_cpu_time_is_limited_for_a_cell_and_for_all_processes(
    assignment: Assignment, cell: str, limit: dict[str, float], first_error: str
) -> None:
    """The report names the cell, and no function loses points."""
    report = graded(limited(assignment, **limit), f"# %%\nimport time\n{cell}")

    assert first_error in (report.notebook.first_error or "")
    assert report.score == report.max_score
