"""
Grades a class. Each result is kept in the gradebook when it is made, and yielded; nothing is held on to.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Generator, Iterable, Iterator, Mapping

from grader.classroom.documents import Handling
from grader.classroom.gradebook import Gradebook
from grader.classroom.keys import Settings, execution_key, result_key
from grader.classroom.pool import DEATHS_LIMIT, OpenWorkers, Pool, local_workers
from grader.classroom.records import Graded, Owner, Problem, Received
from grader.classroom.tasks import Source, Task, set_aside
from grader.errors import GraderFault
from grader.notebook.read import Unreadable
from grader.policies import EVERYTHING, Adjustment, Visibility
from grader.reports.reading import parse_report
from grader.sandbox import Level

__all__ = ["Batch", "Done"]


@dataclasses.dataclass(frozen=True, slots=True)
class Done:
    """
    A submission's result, and its key in the gradebook.

    `is_new` if it was graded now, and not known already; `was_executed` if that took more than judging it again.
    """

    received: Received
    key: str
    graded: Graded
    is_new: bool
    was_executed: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """
    How a class is graded.

    Attributes:
        jobs: How many submissions are graded at a time.
        adjustments: An instructor's, by whose submission they are about.
        visibility, now: What students may see at that moment.
        regrade: Execute and grade also what the gradebook knows already.
        open_workers: See `Pool`.
    """

    gradebook: Gradebook
    settings: Settings
    source: Source
    jobs: int
    now: dt.datetime
    visibility: Visibility = EVERYTHING
    adjustments: Mapping[Owner, tuple[Adjustment, ...]] = dataclasses.field(default_factory=dict)
    require: Level = Level.NONE
    regrade: bool = False
    open_workers: OpenWorkers = local_workers

    def grade(self, received: Iterable[Received]) -> Generator[Done | Problem, None, None]:
        """
        Grade submissions: what is new, what has changed, and what the grader failed at the last time.

        What has run already when it was asked the same is judged again by its answers, and not executed.

        Yields:
            Done | Problem: In the order in which they are done; a problem for a file that cannot be read.

        Raises:
            UsageError: The gradebook cannot be used any more.
            GraderFault: The worker processes keep dying.
        """
        with Pool[tuple[Received, str, str]](self.open_workers, self.jobs) as pool:
            for each in received:
                submission = each.read()
                if isinstance(submission, Unreadable):
                    yield Problem(each.file.name, submission.problem, each.owner)
                    continue
                adjustments = self.adjustments.get(each.owner, ())
                key = result_key(each, submission, self.settings, adjustments)
                known = None if self.regrade else self.gradebook.find(key)
                if known is not None and not parse_report(known.report).is_undecided:
                    yield Done(each, key, known, is_new=False)
                    continue
                execution = execution_key(submission, self.settings)
                task = Task(
                    submission=submission,
                    source=self.source,
                    hidden_seed=self.settings.hidden_seed,
                    require=self.require,
                    handling=Handling(
                        answers=None if self.regrade else self.gradebook.find_answers(execution),
                        adjustments=adjustments,
                        visibility=self.visibility,
                        now=self.now,
                    ),
                )
                pool.add((each, key, execution), task)
                while len(pool) >= pool.room:
                    yield from self._take(pool)
            while len(pool):
                yield from self._take(pool)

    def _take(self, pool: Pool[tuple[Received, str, str]]) -> Iterator[Done]:
        for (received, key, execution), task, graded in pool.take():
            done = graded
            if done is None:
                fault = GraderFault(
                    f"{DEATHS_LIMIT} worker processes died while grading it.", "Look at the notebook by hand."
                )
                done = set_aside(task, fault)
            self.gradebook.keep(key, received, task.submission.sha256, self.settings, done, execution=execution)
            yield Done(received, key, done, is_new=True, was_executed=done.answers is not None)
