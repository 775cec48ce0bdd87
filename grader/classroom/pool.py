"""
Hands out the submissions of a class. What ended its worker is tried again alone, and given up after some deaths.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Future
from types import TracebackType
from typing import Generic, TypeVar

from typing_extensions import Self

from grader.classroom.records import Graded
from grader.classroom.tasks import Task, answer, grade_task
from grader.classroom.workers import Executor, PassedBound
from grader.errors import GraderFault
from grader.sandbox import Level

__all__ = ["DEATHS_LIMIT", "OpenWorkers", "Pool", "Workers"]

DEATHS_LIMIT = 3
"""How many workers may die while grading a submission before it is given up."""
LOST_LIMIT = 5
"""After how many submissions in a row that were given up the workers are asked whether they still work."""
ANSWER_S = 180.0
"""How long a worker may take to start and answer."""

OpenWorkers = Callable[[int], contextlib.AbstractContextManager[Executor]]
Label = TypeVar("Label")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """
    The workers that grade a class.

    Attributes:
        open: Starts an executor with `jobs` workers, which replaces those that die.
        jobs: How many submissions are graded at a time.
        require: The sandbox that each worker must have.
    """

    open: OpenWorkers
    jobs: int
    require: Level = Level.NONE


class _Item(Generic[Label]):
    def __init__(self, label: Label, task: Task) -> None:
        self.label = label
        self.task = task
        self.deaths = 0
        self.was_doubtful = False


class Pool(Generic[Label]):
    """
    Takes tasks, and returns their results in the order in which they finish.

    A worker may die because the machine has no memory left. On a cluster, the worker's other tasks are then suspects,
    too. So what ended a worker is tried again alone. A task that passed its deadline is not: it is set aside at once. A
    task whose result is doubtful, because the machine may have been too busy for it, is tried again alone as well,
    once, when all others are done.

    Twice as many tasks as jobs are with the workers, so that no worker has to wait for the next one.
    """

    def __init__(self, workers: Workers) -> None:
        self.room = 2 * workers.jobs
        self._workers = workers
        self._context = contextlib.ExitStack()
        self._executor: Executor | None = None
        self._queue = deque[_Item[Label]]()
        self._suspects = deque[_Item[Label]]()
        self._doubtful = deque[_Item[Label]]()
        self._running: dict[Future[Graded], _Item[Label]] = {}
        self._lost = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._context.__exit__(kind, error, traceback)

    def __len__(self) -> int:
        return len(self._queue) + len(self._suspects) + len(self._doubtful) + len(self._running)

    def add(self, label: Label, task: Task) -> None:
        """Add a task. Its result comes back with this label."""
        self._queue.append(_Item(label, task))
        self._start()

    def take(self, timeout: float | None = None) -> Iterator[tuple[Label, Task, Graded | GraderFault]]:
        """
        Wait until at least one task is finished.

        Args:
            timeout: After how many seconds not to wait any longer; None for never.

        Yields:
            tuple: The label, the task, and its result; or why there is none: the task keeps killing workers, or its
                worker had to be killed.

        Raises:
            GraderFault: No worker works any more, whatever the task.
        """
        self._start()
        done, _ = concurrent.futures.wait(self._running, timeout, return_when=concurrent.futures.FIRST_COMPLETED)
        for future in done:
            item = self._running.pop(future)
            result = self._result_of(future, item)
            if result is not None:
                yield item.label, item.task, result

    def _result_of(self, future: Future[Graded], item: _Item[Label]) -> Graded | GraderFault | None:
        """The result of a task that has ended; None if it is tried again."""
        error = future.exception()
        if isinstance(error, PassedBound):
            return error
        if not isinstance(error, (BrokenExecutor, SystemExit)):
            graded = future.result()  # raises if the error is not about this task
            self._lost = 0
            if not graded.is_doubtful or item.was_doubtful:
                return graded
            item.was_doubtful = True
            self._doubtful.append(item)
            return None
        item.deaths += 1
        if item.deaths < DEATHS_LIMIT:
            self._suspects.append(item)
            return None
        self._lost += 1
        if self._lost % LOST_LIMIT == 0:
            self._ask(item.task)
        return GraderFault(f"{DEATHS_LIMIT} worker processes died while grading it.", "Look at the notebook yourself.")

    def _ask(self, task: Task) -> None:
        """Many tasks in a row have killed workers. Find out whether it is the tasks."""
        try:
            assert self._executor is not None
            self._executor.submit(answer, dataclasses.replace(task, deadline_s=ANSWER_S)).result(2 * ANSWER_S)
        except (BrokenExecutor, SystemExit, PassedBound, TimeoutError, concurrent.futures.TimeoutError) as error:
            raise GraderFault(
                "The worker processes keep dying.", "Try `grader doctor`. What has been graded is kept."
            ) from error

    def _start(self) -> None:
        """Give the workers as many tasks as there is room for, or a single one that has to run alone."""
        if self._suspects:
            if not self._running:
                self._submit(self._suspects.popleft())
            return
        while self._queue and len(self._running) < self.room:
            self._submit(self._queue.popleft())
        if self._doubtful and not self._running:
            self._submit(self._doubtful.popleft())

    def _submit(self, item: _Item[Label]) -> None:
        if self._executor is None:
            self._executor = self._context.enter_context(self._workers.open(self._workers.jobs))
        self._running[self._executor.submit(grade_task, item.task)] = item
