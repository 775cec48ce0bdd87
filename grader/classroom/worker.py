"""
What runs in a worker process: one submission in, finished documents out. Each worker has its own warm forkserver.
"""

from __future__ import annotations

import contextlib
import dataclasses
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

from grader.assignment import load_assignment
from grader.classroom.records import Graded
from grader.errors import GraderError, UsageError
from grader.model import Report, Submission
from grader.pipeline import as_fault, fault_report, grade_or_fault
from grader.reports.html import render_html
from grader.reports.json import render_json
from grader.sandbox import Level

__all__ = ["Task", "grade_task", "prepare_worker", "set_aside"]

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
        failed = as_fault(error)
        return _documents(fault_report(task.submission, assignment, failed), failed)


def set_aside(task: Task, fault: GraderError) -> Graded:
    """The documents for a submission that was given up."""
    assignment = load_assignment(task.source, hidden_seed=task.hidden_seed)
    return _documents(fault_report(task.submission, assignment, fault), fault)


def _documents(report: Report, fault: GraderError | None) -> Graded:
    return Graded(
        report=render_json(report),
        page=zlib.compress(render_html(report).encode("utf-8")),
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
