"""
Workers that may die or be too busy: their submissions are tried again alone, and given up after some deaths.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import multiprocessing
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Generic, TypeVar

from typing_extensions import Self

from grader.classroom.records import Graded
from grader.classroom.tasks import Task, grade_task, prepare_worker
from grader.errors import GraderFault
from grader.sandbox import Level

__all__ = ["DEATHS_LIMIT", "OpenWorkers", "Pool", "Workers", "local_workers"]

DEATHS_LIMIT = 3
"""How many workers may die while grading a submission before it is given up."""
LOST_LIMIT = 5
"""How many submissions in a row may be given up before the whole class is."""
GRACE_S = 5.0
"""How long a worker may take to end by itself before it is terminated, and then before it is killed."""

OpenWorkers = Callable[[int], contextlib.AbstractContextManager[Executor]]
Label = TypeVar("Label")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """
    The workers that grade a class.

    Attributes:
        open: Starts an executor with `jobs` workers; it is called again after a worker has died.
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

    When a worker dies, an executor does not say which task it had. So every task that was running is a suspect, and is
    tried again alone: this finds the guilty one, and the others get their results. A task whose result is doubtful,
    because the machine may have been too busy for it, is tried again alone as well, once, when all others are done.

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

    def take(self) -> Iterator[tuple[Label, Task, Graded | None]]:
        """
        Wait until at least one task is finished.

        Yields:
            tuple: The label, the task, and its result; the result is None if the task keeps killing workers.

        Raises:
            GraderFault: The workers keep dying, whatever the task.
        """
        self._start()
        done, _ = concurrent.futures.wait(self._running, return_when=concurrent.futures.FIRST_COMPLETED)
        if any(_has_died(future) for future in done):
            # The executor is broken now: all of its futures end, with a result or without.
            done, _ = concurrent.futures.wait(self._running)
            self._close()
        for future in done:
            item = self._running.pop(future)
            if not _has_died(future):
                self._lost = 0
                if future.result().is_doubtful and not item.was_doubtful:
                    item.was_doubtful = True
                    self._doubtful.append(item)
                    continue
                yield item.label, item.task, future.result()
            else:
                item.deaths += 1
                if item.deaths < DEATHS_LIMIT:
                    self._suspects.append(item)
                    continue
                self._lost += 1
                if self._lost >= LOST_LIMIT:
                    raise GraderFault(
                        "The worker processes keep dying.", "Try `grader doctor`. What has been graded is kept."
                    )
                yield item.label, item.task, None

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
        try:
            self._running[self._executor.submit(grade_task, item.task)] = item
        except BrokenExecutor as error:
            died: Future[Graded] = Future()
            died.set_exception(error)
            self._running[died] = item

    def _close(self) -> None:
        self._executor = None
        self._context.close()


def _has_died(future: Future[Graded]) -> bool:
    return isinstance(future.exception(), (BrokenExecutor, SystemExit))


@contextlib.contextmanager
def local_workers(jobs: int) -> Iterator[Executor]:
    """Worker processes on this machine. When the context is left, all of them and their kernels have ended."""
    before = set(multiprocessing.active_children())
    executor = concurrent.futures.ProcessPoolExecutor(
        jobs, multiprocessing.get_context("spawn"), initializer=prepare_worker
    )
    try:
        yield executor
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
        workers = set(multiprocessing.active_children()) - before
        try:
            _join(workers)  # they usually finish their tasks and end by themselves
            for worker in workers:
                worker.terminate()
            _join(workers)
        finally:
            for worker in workers:
                worker.kill()
                worker.join()
        executor.shutdown(wait=True)


def _join(workers: Iterable[BaseProcess]) -> None:
    deadline = time.monotonic() + GRACE_S
    for worker in workers:
        worker.join(max(0.0, deadline - time.monotonic()))
