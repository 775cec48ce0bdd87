"""
Worker processes on this machine, each with a pipe of its own, a deadline and a bound on memory.

Workers share nothing. One that dies, hangs, or is stopped in the middle of a message takes nothing from the others,
and it is known which submission it had. A thread that does nothing else ends those that pass a bound.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Future, ThreadPoolExecutor
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Protocol

import psutil

from grader.classroom.records import Graded
from grader.classroom.tasks import Task, prepare_worker
from grader.errors import GraderFault

__all__ = ["Executor", "PassedBound", "Work", "local_workers"]

MEMORY_MIB = 4096
"""
What a worker may use itself. The processes that run notebooks have limits of their own, and do not count.

Reading the largest file that is accepted takes less than half of it.
"""
WATCH_S = 0.1
GRACE_S = 5.0
"""How long a worker may take to end by itself before it is terminated, and then before it is killed."""

Work = Callable[[Task], Graded]


class PassedBound(GraderFault):
    """A worker was killed because it passed its deadline or its bound on memory."""


class Executor(Protocol):
    """Workers, wherever they are."""

    def submit(self, work: Work, task: Task, /) -> Future[Graded]:
        """
        Let a worker do this.

        Returns:
            Future: Its error is a `BrokenExecutor` if the worker died of it or of something else, and a `PassedBound`
                if the worker was killed.
        """


@contextlib.contextmanager
def local_workers(jobs: int, *, niceness: int = 0) -> Iterator[Executor]:
    """
    Worker processes on this machine. When the context is left, all of them and their kernels have ended.

    Args:
        niceness: By how much they and their kernels give way to other processes: see nice(2).
    """
    workers = [_Worker(niceness) for _ in range(jobs)]
    executor = _Local(workers)
    has_ended = threading.Event()
    watch = threading.Thread(target=_watch, args=(workers, has_ended), daemon=True)
    watch.start()
    try:
        yield executor
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
        try:
            for worker in workers:
                worker.leave()
            _wait(workers)  # they usually finish their tasks and end by themselves
            for worker in workers:
                worker.process.terminate()
            _wait(workers)
        finally:
            for worker in workers:
                worker.kill()
            executor.shutdown(wait=True)
            has_ended.set()
            watch.join()


class _Local(ThreadPoolExecutor):
    """A thread for each worker, which waits for it."""

    def __init__(self, workers: Iterable[_Worker]) -> None:
        self._idle = queue.SimpleQueue[_Worker]()
        for worker in workers:
            self._idle.put(worker)
        super().__init__(self._idle.qsize())

    def submit(self, work: Work, task: Task, /) -> Future[Graded]:  # type: ignore[override]
        return super().submit(self._do, work, task)

    def _do(self, work: Work, task: Task) -> Graded:
        worker = self._idle.get()
        try:
            return worker.do(work, task)
        finally:
            self._idle.put(worker)


class _Worker:
    """A process, and the one that replaces it when it has died."""

    def __init__(self, niceness: int) -> None:
        self._niceness = niceness
        self._lock = threading.Lock()
        self._deadline: float | None = None
        self._reason: str | None = None
        self._leaving = threading.Event()
        self.process, self._connection = _start(self._niceness)

    def do(self, work: Work, task: Task) -> Graded:
        """
        Let the process do this.

        Raises:
            BrokenExecutor: It died.
            PassedBound: It was killed.
        """
        with self._lock:
            if self._leaving.is_set():
                raise BrokenExecutor("The workers are leaving.")
            if not self.process.is_alive():
                self._replace()
            self._reason, self._deadline = None, time.monotonic() + task.deadline_s
        try:
            self._connection.send((work, task))
            result, error = self._connection.recv()
        except (EOFError, OSError) as broken:
            self.kill()
            raise self._why_ended() from broken
        finally:
            with self._lock:
                self._deadline = None
                if self._leaving.is_set():
                    self._connection.close()
        if error is not None:
            raise error
        graded: Graded = result
        return graded

    def check(self) -> None:
        """Kill the process if it has passed its deadline or uses too much memory, whatever state it is in."""
        with self._lock:
            if self._deadline is None:
                return
            if time.monotonic() > self._deadline:
                self._reason = "The worker process that graded it did not end in time and was killed."
            elif _memory_mib(self.process) > MEMORY_MIB:
                self._reason = f"The worker process that graded it used more than {MEMORY_MIB} MiB and was killed."
            else:
                return
            self.process.kill()

    def leave(self) -> None:
        """Let the process end when it has finished its task."""
        with self._lock:
            self._leaving.set()
            if self._deadline is None:
                self._connection.close()

    def kill(self) -> None:
        """End the process now."""
        self.process.kill()
        self.process.join()

    def _why_ended(self) -> Exception:
        if self._reason:
            return PassedBound(self._reason, "Look at the notebook yourself.")
        return BrokenExecutor("A worker died.")

    def _replace(self) -> None:
        self._connection.close()
        try:
            self.process, self._connection = _start(self._niceness)
        except OSError as error:
            raise BrokenExecutor("A worker could not be started.") from error


def _start(niceness: int) -> tuple[BaseProcess, Connection]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    with theirs:  # the process has the only copy, so that the end of the process is the end of the pipe
        process = context.Process(target=_work, args=(theirs, niceness), daemon=False)
        process.start()
    return process, ours


def _work(connection: Connection, niceness: int) -> None:
    os.nice(niceness)
    prepare_worker()
    while True:
        try:
            work, task = connection.recv()
        except EOFError:
            return
        result: Graded | None = None
        failure: Exception | None = None
        try:
            result = work(task)
        except Exception as error:  # it is raised where the result is waited for
            failure = error
        connection.send((result, failure))


def _watch(workers: Iterable[_Worker], has_ended: threading.Event) -> None:
    while not has_ended.wait(WATCH_S):
        for worker in workers:
            worker.check()


def _memory_mib(process: BaseProcess) -> float:
    examined: Any = psutil  # it has no types
    try:
        return float(examined.Process(process.pid).memory_info().rss) / 2**20
    except psutil.Error:
        return 0.0  # it has ended


def _wait(workers: Iterable[_Worker]) -> None:
    deadline = time.monotonic() + GRACE_S
    for worker in workers:
        worker.process.join(max(0.0, deadline - time.monotonic()))
