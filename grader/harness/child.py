"""
Forks a child from the state that a notebook left. Functions are called in it, so it may exit, hang or crash.
"""

from __future__ import annotations

import concurrent.futures.thread
import contextlib
import math
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from grader.harness.wire import REQUEST_LIMIT_BYTES, Message, pack, receive_message

__all__ = ["Child", "are_other_processes_left", "end_other_processes", "take_reserve"]

Work = Callable[[Message, Callable[[bytes], None]], None]
"""Does what a request asks for, and writes messages while it does."""

_POLL_S = 0.02
_CHUNK_BYTES = 1 << 20


class Child:
    """
    A forked process that does one request after another, until it exits or is killed.

    Args:
        work: Called in the child for each request.
        begin: Called in the child before the first request.
    """

    def __init__(self, work: Work, *, begin: Callable[[], None] | None = None) -> None:
        request_end, self._requests = os.pipe()
        self._results, result_end = os.pipe()
        self._done, done_end = os.pipe()
        self._child = os.fork()
        if self._child == 0:
            for descriptor in (self._requests, self._results, self._done):
                os.close(descriptor)
            _work_forever(work, begin or _nothing, request_end, result_end, done_end)
        for descriptor in (request_end, result_end, done_end):
            os.close(descriptor)
        os.set_blocking(self._results, False)
        self.has_ended = False

    def ask(self, request: Message, *, seconds: float, limit: int) -> Message:
        """
        Have the child do a request.

        Args:
            seconds: The wall time after which the child is killed.
            limit: The number of bytes after which the child is killed.

        Returns:
            Message: `{"status": …}`, where the status is done, timed_out, too_large or crashed (and how), and the bytes
            that the child wrote.
        """
        with contextlib.suppress(BrokenPipeError):
            _write_all(self._requests, pack(*request))
        content = bytearray()
        deadline = time.monotonic() + seconds
        status: dict[str, Any] = {}
        exit_status = 0
        while not status:
            readable, _, _ = select.select([self._results, self._done], [], [], _POLL_S)
            # Check whether the child has ended before reading what it wrote, so that its last bytes are not missed.
            pid, exit_status = os.waitpid(self._child, os.WNOHANG)
            self.has_ended = bool(pid)
            self._gather(content, limit)
            if len(content) > limit:
                status = {"status": "too_large"}
            elif self._done in readable and os.read(self._done, 1):
                status = {"status": "done"}
            elif self.has_ended:
                status = _status_of(exit_status)
            elif time.monotonic() > deadline:
                status = {"status": "timed_out"}
        self._gather(content, limit)
        if status["status"] != "done":
            self.end()
        return status, bytes(content[:limit])

    def end(self) -> None:
        """Kill the child if it is still running, and close its pipes."""
        if not self.has_ended:
            os.kill(self._child, signal.SIGKILL)
            os.waitpid(self._child, 0)
            self.has_ended = True
        for descriptor in (self._requests, self._results, self._done):
            os.close(descriptor)

    def _gather(self, content: bytearray, limit: int) -> None:
        while len(content) <= limit:
            try:
                chunk = os.read(self._results, _CHUNK_BYTES)
            except BlockingIOError:
                return
            if not chunk:
                return
            content += chunk


def take_reserve() -> None:
    """
    Raise the limits that the notebook may have used up, as far as the sandbox allows.

    Without that, a notebook that leaves many threads, files or arrays would keep its functions from being called. Code
    that raises its limits itself uses up its own reserve.
    """
    import resource  # here, because a check imports this module on Windows, too

    for kind in (resource.RLIMIT_NPROC, resource.RLIMIT_NOFILE, resource.RLIMIT_DATA, resource.RLIMIT_AS):
        with contextlib.suppress(OSError, ValueError):
            _, hard = resource.getrlimit(kind)
            resource.setrlimit(kind, (hard, hard))


def end_other_processes() -> None:
    """As the first process of a PID namespace, end every process that the notebook or a function left running."""
    if os.getpid() == 1:
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while True:
                os.wait()  # orphans become children of the first process, so none is left after this


def are_other_processes_left(expected: int) -> bool:
    """Whether this PID namespace has more processes than expected; False if that cannot be found out."""
    if os.getpid() != 1:
        return False
    try:
        return sum(entry.name.isdigit() for entry in Path("/proc").iterdir()) > expected
    except OSError:
        return False


def _status_of(exit_status: int) -> dict[str, Any]:
    if not os.WIFSIGNALED(exit_status):
        return {"status": "crashed", "exit": os.WEXITSTATUS(exit_status)}
    if os.WTERMSIG(exit_status) == signal.SIGXCPU:
        return {"status": "timed_out"}
    return {"status": "crashed", "signal": os.WTERMSIG(exit_status)}


def _allow_cpu(seconds: float) -> None:
    """Allow this much more CPU time before SIGXCPU, but not more than the limit of the sandbox."""
    import resource  # here, because a check imports this module on Windows, too, and forks nothing there

    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = math.ceil(time.process_time() + seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def _nothing() -> None:
    """There is nothing to do before the first request."""


def _work_forever(work: Work, begin: Callable[[], None], request_end: int, result_end: int, done_end: int) -> None:
    status = 1
    try:
        _be_quiet()
        _renew_pools()
        begin()
        while True:
            request = receive_message(lambda length: os.read(request_end, length), payload_limit=REQUEST_LIMIT_BYTES)
            _allow_cpu(float(request[0]["cpu_seconds"]))
            work(request, lambda content: _write_all(result_end, content))
            os.write(done_end, b".")
    finally:
        os._exit(status)


def _be_quiet() -> None:
    """Discard what the student's functions print: nobody reads it, and a full pipe would block them."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    sys.stdout = sys.stderr = open(nowhere, "w", closefd=False)  # noqa: SIM115 - it lives as long as the child


def _renew_pools() -> None:
    """Let the `ThreadPoolExecutor`s that the notebook left start new threads: no thread survives a fork."""
    for worker in list(concurrent.futures.thread._threads_queues):
        with contextlib.suppress(Exception):  # a worker's arguments tell its pool, which Python does not promise
            pool = worker._args[0]()
            if pool is not None:
                pool._threads.clear()
                pool._idle_semaphore = threading.Semaphore(0)


def _write_all(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]
