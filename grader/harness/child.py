"""
A child forked from the state that a notebook left, in which functions are called: it may exit, hang or crash.

Part of the harness: runs inside the student's process, and is no more trusted than that.
"""

from __future__ import annotations

import contextlib
import math
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from grader.harness.wire import PREFIX, pack, unpack_header, unpack_prefix

__all__ = ["Worker", "be_alone", "has_company"]

Work = Callable[[dict[str, Any], bytes, Callable[[bytes], None]], None]
"""Does what a request's header and payload ask for, and writes messages as it goes."""

_LOOK_S = 0.02


class Worker:
    """
    A child that does one request after the other. Once it has ended, by itself or by us, it does no more.

    Args:
        work: What it does, from the state at the time of the fork.
    """

    def __init__(self, work: Work) -> None:
        request_end, self._requests = os.pipe()
        self._results, result_end = os.pipe()
        self._done, done_end = os.pipe()
        self._child = os.fork()
        if self._child == 0:
            for descriptor in (self._requests, self._results, self._done):
                os.close(descriptor)
            _work_forever(work, request_end, result_end, done_end)
        for descriptor in (request_end, result_end, done_end):
            os.close(descriptor)
        os.set_blocking(self._results, False)
        self.has_ended = False

    def ask(
        self, header: dict[str, Any], payload: bytes, *, seconds: float, limit: int
    ) -> tuple[dict[str, Any], bytes]:
        """
        Have a request done.

        Args:
            seconds: Wall time that it may take; then the child is killed.
            limit: Bytes that it may write; then it is killed too.

        Returns:
            tuple: `{"status": …}` with done, timed_out, too_large or crashed (and how), and the messages written.
        """
        with contextlib.suppress(BrokenPipeError):
            _write_all(self._requests, pack(header, payload))
        content = bytearray()
        deadline = time.monotonic() + seconds
        status: dict[str, Any] = {}
        exit_status = 0
        while not status:
            readable, _, _ = select.select([self._results, self._done], [], [], _LOOK_S)
            # Whether it has ended is looked at before its last words are read, so that none is missed.
            pid, exit_status = os.waitpid(self._child, os.WNOHANG)
            self.has_ended = bool(pid)
            self._gather(content, limit)
            if len(content) > limit:
                status = {"status": "too_large"}
            elif self._done in readable and os.read(self._done, 1):
                status = {"status": "done"}
            elif self.has_ended:
                status = _how(exit_status)
            elif time.monotonic() > deadline:
                status = {"status": "timed_out"}
        self._gather(content, limit)
        if status["status"] != "done":
            self.end()
        return status, bytes(content[:limit])

    def end(self) -> None:
        """Kill it, if need be, and let go of it."""
        if not self.has_ended:
            os.kill(self._child, signal.SIGKILL)
            os.waitpid(self._child, 0)
            self.has_ended = True
        for descriptor in (self._requests, self._results, self._done):
            os.close(descriptor)

    def _gather(self, content: bytearray, limit: int) -> None:
        while len(content) <= limit:
            try:
                chunk = os.read(self._results, 1 << 20)
            except BlockingIOError:
                return
            if not chunk:
                return
            content += chunk


def be_alone() -> None:
    """As the first process of a PID namespace: end whatever the notebook, or a function, has left running."""
    if os.getpid() == 1:
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while True:
                os.wait()  # orphans become children of the first process: after this there is no other


def has_company(expected: int) -> bool:
    """Are there more processes in this PID namespace than expected? False where that cannot be seen."""
    if os.getpid() != 1:
        return False
    try:
        return sum(entry.name.isdigit() for entry in Path("/proc").iterdir()) > expected
    except OSError:
        return False


def _how(exit_status: int) -> dict[str, Any]:
    if not os.WIFSIGNALED(exit_status):
        return {"status": "crashed", "exit": os.WEXITSTATUS(exit_status)}
    if os.WTERMSIG(exit_status) == signal.SIGXCPU:
        return {"status": "timed_out"}
    return {"status": "crashed", "signal": os.WTERMSIG(exit_status)}


def _allow_cpu(seconds: float) -> None:
    """From now on, until SIGXCPU. The limit of the sandbox stays the highest."""
    import resource  # here, since a check imports this module on Windows too, and forks nothing

    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = math.ceil(time.process_time() + seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def _work_forever(work: Work, request_end: int, result_end: int, done_end: int) -> None:
    status = 1
    try:
        _be_quiet()
        while True:
            lengths = unpack_prefix(_read_exactly(request_end, PREFIX.size), payload_limit=1 << 30)
            header = unpack_header(_read_exactly(request_end, lengths[0]))
            payload = _read_exactly(request_end, lengths[1])
            _allow_cpu(float(header["cpu_seconds"]))
            work(header, payload, lambda content: _write_all(result_end, content))
            os.write(done_end, b".")
    finally:
        os._exit(status)


def _be_quiet() -> None:
    """The student's functions may print: nobody reads it, and a full pipe must not block them."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    sys.stdout = sys.stderr = open(nowhere, "w", closefd=False)  # noqa: SIM115 - lives as long as the child


def _write_all(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def _read_exactly(descriptor: int, length: int) -> bytes:
    content = bytearray()
    while len(content) < length:
        chunk = os.read(descriptor, length - len(content))
        if not chunk:
            raise EOFError
        content += chunk
    return bytes(content)
