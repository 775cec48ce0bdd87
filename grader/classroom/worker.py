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
from pathlib import Path
from typing import Any

import torch

from grader.assignment import load_assignment
from grader.classroom.documents import Handling, make_documents, make_fault_documents
from grader.classroom.records import Graded
from grader.errors import GraderError, UsageError
from grader.model import Submission
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
    handling: Handling


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
    return make_documents(task.submission, assignment, task.handling, require=task.require)


def set_aside(task: Task, fault: GraderError) -> Graded:
    """The documents for a submission that was given up."""
    assignment = load_assignment(task.source, hidden_seed=task.hidden_seed)
    return make_fault_documents(task.submission, assignment, task.handling, fault)


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
