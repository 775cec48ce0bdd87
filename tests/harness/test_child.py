"""A forked child does one request after another, and its parent learns how it ended."""

from __future__ import annotations

import contextlib
import math
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from grader.harness import child
from grader.harness.child import Child, are_other_processes_left, end_other_processes
from grader.harness.wire import Message, pack, unpack_all

Write = Callable[[bytes], None]

needs_proc = pytest.mark.skipif(not Path("/proc/self").exists(), reason="only Linux has /proc")


@pytest.fixture
def fork() -> Iterator[Callable[[Callable[[Message, Write], None]], Child]]:
    """Forks children. Those that still run at the end of the test are killed."""
    with contextlib.ExitStack() as stack:

        def forked(work: Callable[[Message, Write], None]) -> Child:
            started = Child(work)
            stack.callback(lambda: None if started.has_ended else started.end())
            return started

        yield forked


def asked(
    started: Child, *, seconds: float = 20.0, limit: int = 1 << 20, **header: Any
) -> tuple[dict[str, Any], bytes]:
    return started.ask(({"cpu_seconds": 60, **header}, b"payload"), seconds=seconds, limit=limit)


def test_a_request_is_done_in_another_process(fork: Any) -> None:
    def work(request: Message, write: Write) -> None:
        header, payload = request
        write(pack({"pid": os.getpid(), "word": header["word"]}, payload))
        write(pack({}, payload[::-1]))

    status, content = asked(fork(work), word="red")

    (first, payload), (_, reversed_payload) = unpack_all(content)
    assert status == {"status": "done"}
    assert (first["word"], payload, reversed_payload) == ("red", b"payload", b"daolyap")
    assert first["pid"] != os.getpid()


def test_one_child_does_many_requests(fork: Any) -> None:
    """The child keeps its state between requests. The parent's state does not change."""
    numbers: list[int] = []

    def work(request: Message, write: Write) -> None:
        numbers.append(request[0]["number"])
        write(repr(numbers).encode())

    started = fork(work)

    assert [asked(started, number=number) for number in (1, 2)] == [
        ({"status": "done"}, b"[1]"),
        ({"status": "done"}, b"[1, 2]"),
    ]
    assert numbers == []
    assert not started.has_ended


def test_large_messages_pass_in_both_directions(fork: Any) -> None:
    """They may be larger than the buffer of a pipe."""

    def work(request: Message, write: Write) -> None:
        write(request[1] * 2)

    status, content = fork(work).ask(({"cpu_seconds": 60}, b"ab" * 500_000), seconds=20, limit=1 << 22)

    assert (status, content) == ({"status": "done"}, b"ab" * 1_000_000)


def fail(request: Message, write: Write) -> None:
    raise ValueError


def kill_with(number: int) -> Callable[[Message, Write], None]:
    return lambda *_: os.kill(os.getpid(), number)


@pytest.mark.parametrize(
    ("work", "status"),
    [
        (lambda *_: os._exit(3), {"status": "crashed", "exit": 3}),
        (lambda *_: os._exit(0), {"status": "crashed", "exit": 0}),
        (fail, {"status": "crashed", "exit": 1}),
        (kill_with(signal.SIGKILL), {"status": "crashed", "signal": 9}),
        (kill_with(signal.SIGTERM), {"status": "crashed", "signal": 15}),
        (kill_with(signal.SIGXCPU), {"status": "timed_out"}),
    ],
    ids=["exit", "exit 0", "exception", "killed", "terminated", "CPU time"],
)
def test_the_parent_learns_how_the_child_ended(
    fork: Any, work: Callable[[Message, Write], None], status: dict[str, Any]
) -> None:
    """Everything that the child wrote before is kept."""

    def write_first(request: Message, write: Write) -> None:
        write(b"first")
        work(request, write)

    started = fork(write_first)

    assert asked(started) == (status, b"first")
    assert started.has_ended


def test_a_result_is_read_to_its_end_after_a_crash(fork: Any) -> None:
    def work(request: Message, write: Write) -> None:
        write(b"x" * 60_000)  # fits into the pipe
        os._exit(0)

    status, content = asked(fork(work))

    assert (status["status"], len(content)) == ("crashed", 60_000)


def test_a_child_that_takes_too_long_is_killed(fork: Any) -> None:
    def work(request: Message, write: Write) -> None:
        write(f"{os.getpid()}".encode())
        time.sleep(60)

    started = fork(work)
    begun = time.monotonic()
    status, content = asked(started, seconds=0.3)

    assert status == {"status": "timed_out"}
    assert 0.3 <= time.monotonic() - begun < 10
    assert started.has_ended
    assert not exists(int(content))


@pytest.mark.parametrize(("limit", "status"), [(999, "too_large"), (1000, "done")])
def test_the_size_of_a_result_is_limited(fork: Any, limit: int, status: str) -> None:
    started = fork(lambda request, write: write(b"x" * 1000))

    assert asked(started, limit=limit) == ({"status": status}, b"x" * limit)
    assert started.has_ended is (status == "too_large")


def test_a_child_that_writes_without_end_is_killed(fork: Any) -> None:
    def work(request: Message, write: Write) -> None:
        while True:
            write(b"x" * 4096)

    assert asked(fork(work), limit=100) == ({"status": "too_large"}, b"x" * 100)


def test_a_child_that_died_between_two_requests_has_crashed(fork: Any) -> None:
    started = fork(lambda request, write: write(f"{os.getpid()}".encode()))
    _, pid = asked(started)
    os.kill(int(pid), signal.SIGKILL)
    os.waitid(os.P_PID, int(pid), os.WEXITED | os.WNOWAIT)

    status, content = asked(started)

    assert (status, content) == ({"status": "crashed", "signal": 9}, b"")


@needs_proc
def test_ending_a_child_closes_its_pipes(fork: Any) -> None:
    before = pipes()
    started = fork(lambda request, write: write(f"{os.getpid()}".encode()))
    _, pid = asked(started)

    started.end()

    assert not exists(int(pid))
    assert pipes() == before


def test_a_pool_of_threads_works_in_the_child(fork: Any) -> None:
    """Its threads do not survive the fork, and nothing would tell it."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(int).result()

        def work(_: Message, write: Write) -> None:
            write(pack({"sum": sum(pool.map(abs, [-1, 2]))}))

        status, results = asked(fork(work))

        assert status == {"status": "done"}
        assert [header for header, _ in unpack_all(results)] == [{"sum": 3}]
        assert pool.submit(abs, -1).result() == 1, "the pool of this process is as before"


def test_printed_text_is_discarded(fork: Any, capfd: pytest.CaptureFixture[str]) -> None:
    """Nobody reads it, and a full pipe would block the function."""

    def work(request: Message, write: Write) -> None:
        for stream in (sys.stdout, sys.stderr):
            stream.write("printed")
            stream.flush()
        os.write(1, b"written")
        os.write(2, b"written")
        write(f"{os.read(0, 100)!r}".encode())

    assert asked(fork(work)) == ({"status": "done"}, b"b''")
    assert capfd.readouterr() == ("", "")


def test_each_request_gets_new_cpu_time(fork: Any) -> None:
    """The limit is that many seconds more than the child has used, but never more than the hard limit."""

    def work(request: Message, write: Write) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_CPU)
        write(f"{soft} {math.ceil(time.process_time() + request[0]['cpu_seconds'])} {hard}".encode())
        resource.setrlimit(resource.RLIMIT_CPU, (soft, 1000))

    started = fork(work)

    first, second, third = (asked(started, cpu_seconds=seconds)[1].split() for seconds in (7.5, 30, 5000))
    assert first[0] == first[1]
    assert second[0] == second[1]
    assert third[0] == third[2] == b"1000"


# ------------------------------------------------------------------------------- the other processes of a namespace


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Records signals instead of sending them, and pretends that four processes can be waited for."""
    calls: list[tuple[int, int]] = []
    waiting = iter(range(4))

    def wait() -> tuple[int, int]:
        calls.append((next(waiting, -1), 0))
        if calls[-1][0] < 0:
            raise ChildProcessError
        return calls[-1]

    monkeypatch.setattr(child.os, "kill", lambda pid, number: calls.append((pid, number)))
    monkeypatch.setattr(child.os, "wait", wait)
    return calls


def test_only_the_first_process_of_a_namespace_ends_the_others(
    killed: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for all of them. Outside of a namespace, the signal would go to every process on the machine."""
    monkeypatch.setattr(child.os, "getpid", lambda: 1234)
    end_other_processes()
    assert killed == []

    monkeypatch.setattr(child.os, "getpid", lambda: 1)
    end_other_processes()
    assert killed == [(-1, signal.SIGKILL), (0, 0), (1, 0), (2, 0), (3, 0), (-1, 0)]


@needs_proc
def test_only_the_first_process_of_a_namespace_counts_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child.os, "getpid", lambda: 1234)
    assert not are_other_processes_left(expected=0)

    monkeypatch.setattr(child.os, "getpid", lambda: 1)
    assert are_other_processes_left(expected=0)
    assert not are_other_processes_left(expected=10**9)


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def pipes() -> set[str]:
    """The pipes that this process has open."""
    files = set()
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            files.add(str(link.readlink()))
    return {file for file in files if file.startswith("pipe:")}
