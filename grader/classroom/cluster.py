"""
Workers on other machines: a Dask cluster, behind the same interface as processes on this one.

If a worker is lost, Dask itself gives its submissions to another one, and a worker's nanny replaces it: also one that
uses too much memory, or that is not heard of for some time (`worker-ttl`). What a nanny cannot see is a worker that
grades for ever, so a worker ends itself at a deadline. Each worker starts its own warm forkserver with
its first submission, so a worker that joins late, or again, needs no preparation.
"""

from __future__ import annotations

import contextlib
import faulthandler
import functools
import logging
import threading
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, Future
from concurrent.futures import Executor as DaskExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grader.classroom.records import Graded
from grader.classroom.tasks import Task
from grader.classroom.workers import Executor, Work
from grader.errors import GraderError, GraderFault, UsageError
from grader.execution.kernels import check_sandbox
from grader.sandbox import Level
from grader.shipped import DISTRIBUTION
from grader.version import __version__

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["IN_FLIGHT", "cluster_workers"]

IN_FLIGHT = 64
"""How many submissions the cluster grades at a time by default; as many again wait there."""
CONNECT_S = 10.0
_turn = threading.Lock()


@contextlib.contextmanager
def cluster_workers(_: int, *, address: str, require: Level = Level.NONE) -> Iterator[Executor]:
    """
    Use the workers of a Dask cluster, however many there are.

    Args:
        address: The scheduler's address, `tcp://…`, or the path of its scheduler file.
        require: The sandbox that each worker must have.

    Raises:
        UsageError: The cluster cannot be reached, or its workers cannot grade.
        GraderFault: The connection was lost.
    """
    with contextlib.closing(_connect(address)) as client:
        _examine(client, require)
        executor = client.get_executor(pure=False)
        try:
            yield _Translating(executor, address)
        finally:
            executor.shutdown(wait=False)  # takes back what has not begun


class _Translating:
    """Dask's executor, with its errors translated into the errors of this package."""

    def __init__(self, executor: DaskExecutor, address: str) -> None:
        self._executor = executor
        self._address = address

    def submit(self, work: Work, task: Task, /) -> Future[Graded]:
        """Submit a task. If workers died of it, the error is a `BrokenExecutor`."""
        future: Future[Graded] = Future()
        dask_future = self._executor.submit(_do_within_deadline, work, task)
        dask_future.add_done_callback(functools.partial(self._pass_on, future))
        return future

    def _pass_on(self, future: Future[Any], dask_future: Future[Any]) -> None:
        error = self._lost() if dask_future.cancelled() else dask_future.exception()
        if error is None:
            future.set_result(dask_future.result())
        else:
            future.set_exception(self._translated(error))

    def _lost(self) -> GraderFault:
        return GraderFault(
            f"The connection to the cluster {self._address} was lost.",
            "What has been graded is kept. Run the same command again to continue.",
        )

    def _translated(self, error: BaseException) -> BaseException:
        from distributed import KilledWorker

        if isinstance(error, KilledWorker):
            return BrokenExecutor(str(error))
        if isinstance(error, GraderError):
            return error
        return UsageError(f"A worker could not take a submission ({error!r}).", _SAME_EVERYWHERE)


def _do_within_deadline(work: Work, task: Task) -> Graded:
    """Do this, or end the worker. The thread that ends it is written in C, and needs nothing from Python to do so."""
    with _turn:  # there is one timer for the process
        faulthandler.dump_traceback_later(task.deadline_s, exit=True)
        try:
            return work(task)
        finally:
            faulthandler.cancel_dump_traceback_later()


_SAME_EVERYWHERE = "Install the same grader, with its extra `cluster`, on every machine of the cluster."


def _connect(address: str) -> Client:
    try:
        from distributed import Client
    except ImportError as error:
        raise UsageError("--cluster needs Dask.", "In a clone of the grader: pip install '.[cluster]'.") from error
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # our own errors say what matters
    is_file = "://" not in address
    if is_file and not Path(address).is_file():
        raise UsageError(f"There is no scheduler file {address}.", "Start the scheduler first, or give its address.")
    where = {"scheduler_file": address} if is_file else {"address": address}
    try:
        return Client(**where, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UsageError(
            f"The cluster {address} cannot be reached ({reason}).",
            "Is its scheduler running, and can this machine reach it?",
        ) from error


def _examine(client: Client, require: Level) -> None:
    """Check the workers that have joined already; those that join later are checked with each submission."""
    found: Any = client.get_versions(packages=[DISTRIBUTION])
    workers = found["workers"]
    for worker, versions in workers.items():
        version = versions["packages"][DISTRIBUTION]
        if version != __version__:
            has = f"grader {version}" if version else "no grader"
            raise UsageError(f"The worker {worker} has {has}, here it is {__version__}.", _SAME_EVERYWHERE)
    if require > Level.NONE:
        for probe in [client.submit(check_sandbox, require, workers=[worker], pure=False) for worker in workers]:
            probe.result()
