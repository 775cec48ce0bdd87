"""
Grades the submissions of a class. Each result is saved in the gradebook and yielded as soon as it exists.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Generator, Iterable, Iterator, Mapping
from pathlib import Path

from grader.classroom.documents import Handling
from grader.classroom.gradebook import Gradebook
from grader.classroom.keys import Basis, Keys
from grader.classroom.pool import Pool, Workers
from grader.classroom.records import Graded, Owner, Problem, Received
from grader.classroom.tasks import SourceFile, Task, set_aside
from grader.errors import GraderFault
from grader.model import Adjustment, Submission
from grader.notebook.read import Unreadable
from grader.reports.reading import parse_report
from grader.visibility import EVERYTHING, Visibility

__all__ = ["Batch", "Done"]


@dataclasses.dataclass(frozen=True, slots=True)
class Done:
    """
    A submission's result.

    Attributes:
        key: The key of the result in the gradebook.
        is_new: Whether it was graded now; otherwise the gradebook had it already.
        was_executed: Whether the notebook ran for it; otherwise an earlier execution was judged again.
    """

    received: Received
    key: str
    graded: Graded
    is_new: bool
    was_executed: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """
    The grading of a class, before it starts.

    Attributes:
        source: The assignment's source notebook.
        now: The moment at which `visibility` decides what students see.
        adjustments: The instructor's, by owner of the submission.
        regrade: Execute and grade everything, also what the gradebook has already.
        deadline_s: How long a worker may take for one submission before it is killed.
        secrets: Files and folders that no notebook may see.
    """

    gradebook: Gradebook
    basis: Basis
    source: SourceFile
    workers: Workers
    now: dt.datetime
    deadline_s: float
    visibility: Visibility = EVERYTHING
    adjustments: Mapping[Owner, tuple[Adjustment, ...]] = dataclasses.field(default_factory=dict)
    regrade: bool = False
    secrets: tuple[Path, ...] = ()

    def grade(self, received: Iterable[Received]) -> Generator[Done | Problem, None, None]:
        """
        Grade submissions that are new, that have changed, or at which the grader failed the last time.

        If a notebook has already run and been asked the same, its replies are judged again, and it is not executed.

        Yields:
            Done | Problem: In the order in which they finish; a problem for a file that cannot be read.

        Raises:
            UsageError: The gradebook can no longer be used.
            GraderFault: The worker processes keep dying.
        """
        with Pool[tuple[Received, Keys]](self.workers) as pool:
            for handed_in in received:
                submission = handed_in.read()
                if isinstance(submission, Unreadable):
                    yield Problem(handed_in.file.name, submission.problem, handed_in.owner)
                    continue
                adjustments = self.adjustments.get(handed_in.owner, ())
                keys = Keys.of(handed_in.owner, submission, self.basis, adjustments)
                known = None if self.regrade else self.gradebook.find(keys.result)
                if known is not None and not parse_report(known.report).is_undecided:
                    yield Done(handed_in, keys.result, known, is_new=False)
                    continue
                handling = Handling(
                    packed=None if self.regrade else self.gradebook.find_execution(keys.execution),
                    adjustments=adjustments,
                    visibility=self.visibility,
                    now=self.now,
                )
                pool.add((handed_in, keys), self._task(submission, handling))
                while len(pool) >= pool.room:
                    yield from self._take(pool)
            while len(pool):
                yield from self._take(pool)

    def _task(self, submission: Submission, handling: Handling) -> Task:
        return Task(
            submission=submission,
            source=self.source,
            hidden_seed=self.basis.hidden_seed,
            require=self.workers.require,
            handling=handling,
            deadline_s=self.deadline_s,
            secrets=self.secrets,
        )

    def _take(self, pool: Pool[tuple[Received, Keys]]) -> Iterator[Done]:
        for (received, keys), task, finished in pool.take():
            graded = set_aside(task, finished) if isinstance(finished, GraderFault) else finished
            self.gradebook.keep(keys, received.owner, task.submission.sha256, self.basis, graded)
            yield Done(received, keys.result, graded, is_new=True, was_executed=graded.packed is not None)
