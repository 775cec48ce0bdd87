"""
What runs in a worker process: one submission in, finished documents out. Each worker has its own warm forkserver.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
import time
import zlib
from pathlib import Path
from typing import Any

import torch

from grader.assignment import Assignment, load_assignment
from grader.classroom.records import Graded
from grader.errors import GraderError, GraderFault, UsageError
from grader.model import Report, Submission
from grader.pipeline import fault_report, grade
from grader.reports.html import render_html
from grader.reports.json import render_json
from grader.sandbox import Level

__all__ = ["Task", "grade_or_fault", "grade_task", "prepare_worker", "set_aside"]

REPORT_IT = "Run it again with --debug and report that."
GRACE_S = 5.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One submission to grade, with all that a process needs for it."""

    submission: Submission
    source: Path
    version: str
    hidden_seed: int
    require: Level


def prepare_worker(threads: int) -> None:
    """Make this process a worker: Ctrl-C is for the one who started it, and without that one it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # a run that is ended has tasks that nobody awaits any more
    torch.set_num_threads(threads)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def grade_task(task: Task) -> Graded:
    """Grade one submission; whatever the grader itself fails at becomes a report that costs no points."""
    assignment = load_assignment(task.source, hidden_seed=task.hidden_seed)
    if assignment.version != task.version:
        raise UsageError(f"{task.source} was changed while a class was graded by it.", "Grade the class again.")
    report, fault = grade_or_fault(task.submission, assignment, require=task.require)
    try:
        return _documents(report, fault)
    except Exception as error:
        failed = _as_fault(error)
        return _documents(fault_report(task.submission, assignment, failed), failed)


def set_aside(task: Task, fault: GraderError) -> Graded:
    """The documents for a submission that was given up."""
    assignment = load_assignment(task.source, hidden_seed=task.hidden_seed)
    return _documents(fault_report(task.submission, assignment, fault), fault)


def grade_or_fault(
    submission: Submission, assignment: Assignment, *, require: Level = Level.NONE
) -> tuple[Report, GraderError | None]:
    """Grade a submission. Where the grader fails there is a report too, which decides nothing, and what happened."""
    try:
        return grade(submission, assignment, require=require), None
    except Exception as error:
        fault = _as_fault(error)
        return fault_report(submission, assignment, fault), fault


def _as_fault(error: Exception) -> GraderError:
    if isinstance(error, GraderError):
        return error
    fault = GraderFault(f"It failed itself ({error!r}).", REPORT_IT)
    fault.__cause__ = error
    return fault


def _documents(report: Report, fault: GraderError | None) -> Graded:
    return Graded(
        report=render_json(report),
        page=zlib.compress(render_html(report).encode("utf-8")),
        fingerprints={e.name: e.fingerprint for e in report.exercises if e.fingerprint is not None},
        fault="" if fault is None else str(fault),
    )


def _leave(*_: Any) -> None:
    """Leave by an exception, so that kernels and scratch folders are cleared away; nobody wants to hear of it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    sys.exit(128 + signal.SIGTERM)


def _end_with(parent: Any) -> None:
    multiprocessing.connection.wait([parent.sentinel])
    with contextlib.suppress(ProcessLookupError):
        os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    os._exit(1)
