"""
The part that runs in a worker: it takes a submission, and returns its documents. Each has its own warm forkserver.
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

from grader.assignment.files import Files
from grader.assignment.load import Assignment, load_assignment
from grader.classroom.documents import Handling, make_documents, make_fault_documents
from grader.classroom.records import Graded
from grader.errors import GraderError, UsageError
from grader.execution.conducting import longest_s
from grader.execution.requests import most_requests
from grader.model import Submission
from grader.sandbox import Level
from grader.version import __version__

__all__ = ["SourceFile", "Task", "answer", "deadline_of", "grade_task", "prepare_worker", "set_aside"]

GRACE_S = 5.0
SLACK_S = 600.0
"""For everything else: reading, judging and writing."""
_alone = threading.Lock()


@dataclasses.dataclass(frozen=True, slots=True)
class SourceFile:
    """The file of a source notebook, and the data that travels with it, as when the grading of the class started."""

    name: str
    content: bytes = dataclasses.field(repr=False)
    files: Files = dataclasses.field(default_factory=dict, repr=False)

    def load(self, hidden_seed: int | None) -> Assignment:
        """
        Load the assignment; equal arguments return the same object.

        Raises:
            SourceError: The source notebook is not valid.
        """
        return load_assignment(Path(self.name), self.content, files=self.files, hidden_seed=hidden_seed)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """
    A submission to grade, with everything that a worker needs for it on any machine.

    Attributes:
        deadline_s: After how many seconds the worker that grades it is taken for one that hangs, and is killed.
        secrets: Files and folders that no notebook may see.
    """

    submission: Submission
    source: SourceFile
    hidden_seed: int
    require: Level
    handling: Handling
    deadline_s: float
    secrets: tuple[Path, ...] = ()
    grader_version: str = __version__


def prepare_worker() -> None:
    """Make this process a worker: it ignores Ctrl-C, and ends when its parent ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    torch.set_num_threads(1)  # tensors are small: more threads would wait for each other, and for other workers
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def grade_task(task: Task) -> Graded:
    """
    Grade one submission. If the grader fails, that becomes a report that costs no points.

    A process grades one submission at a time, however many threads it has.

    Raises:
        UsageError: The task was made by another version of the grader.
    """
    if task.grader_version != __version__:
        raise UsageError(
            f"A worker has grader {__version__}, but the class is graded by {task.grader_version}.",
            "Install the same version on every machine.",
        )
    assignment = task.source.load(task.hidden_seed)
    with _alone:
        return make_documents(task.submission, assignment, task.handling, require=task.require, secrets=task.secrets)


def deadline_of(assignment: Assignment) -> float:
    """How long a worker may take for one submission, in seconds: more than all limits of a submission together."""
    return longest_s(assignment.limits, most_requests=most_requests(assignment)) + SLACK_S


def answer(_: Task) -> Graded:
    """Grade nothing: that this returns shows that the worker works."""
    return Graded(report="", page=b"")


def set_aside(task: Task, fault: GraderError) -> Graded:
    """Make the documents of a submission that was given up."""
    assignment = task.source.load(task.hidden_seed)
    return make_fault_documents(task.submission, assignment, task.handling, fault)


def _leave(*_: Any) -> None:
    """End by an exception, so that kernels and scratch folders are removed, but print nothing."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    sys.exit(128 + signal.SIGTERM)


def _end_with(parent: Any) -> None:
    multiprocessing.connection.wait([parent.sentinel])
    with contextlib.suppress(ProcessLookupError):
        os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    os._exit(1)
