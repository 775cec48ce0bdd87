"""Real worker processes that die."""

from __future__ import annotations

import contextlib
import datetime as dt
import multiprocessing
import os
import re
import signal
import stat
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from grader.classroom import pool, workers
from grader.classroom.documents import Handling
from grader.classroom.pool import DEATHS_LIMIT, LOST_LIMIT, Pool, Workers
from grader.classroom.records import Graded
from grader.classroom.tasks import SourceFile, Task
from grader.classroom.workers import Executor
from grader.errors import GraderFault
from grader.sandbox import Level
from tests.conftest import raw_submission
from tests.processes import command_line

HANGS = ("stop", "wait", "busy", "halfway")


def task_of(content: bytes, hangs_s: float = 2.0) -> Task:
    """A task for `obey`. Only what never ends has a deadline that anything could reach on a busy machine."""
    return Task(
        submission=raw_submission(content),
        source=SourceFile("none.md", b""),
        hidden_seed=0,
        require=Level.NONE,
        handling=Handling(now=dt.datetime(2026, 2, 1, tzinfo=dt.timezone.utc)),
        deadline_s=hangs_s if content.decode().startswith(HANGS) else 120.0,
    )


def obey(task: Task) -> Graded:
    """Do what the submission says, instead of grading it."""
    content = task.submission.content.decode()
    _misbehave(content)
    if content.startswith("die"):
        os.kill(os.getpid(), signal.SIGKILL)
    if content.startswith("die once "):
        raise AssertionError
    if content.startswith("once ") and not Path(content[5:]).exists():
        Path(content[5:]).touch()
        os._exit(3)
    if content.startswith("leave"):
        raise SystemExit
    if content.startswith("slow "):
        return _be_slow(Path(content[5:]))
    time.sleep(0.02)
    return Graded(report=content, page=b"")


def _misbehave(content: str) -> None:
    if content.startswith("stop"):
        os.kill(os.getpid(), signal.SIGSTOP)
    if content.startswith("wait"):
        threading.Event().wait()
    if content.startswith("busy"):
        re.match(r"(a|a)*$", "a" * 60 + "b")  # holds on to Python's lock
    if content.startswith("grow"):
        _grow()
    if content.startswith("halfway"):
        _stop_halfway()


def _grow() -> None:
    """Slowly enough to be noticed, and not for ever: the test must not cost the machine."""
    kept = []
    for _ in range(60):
        kept.append(b"x" * (50 << 20))
        time.sleep(0.02)


def _stop_halfway() -> None:
    """Send the beginning of a long message to the grader, and then nothing more."""
    for descriptor in range(3, 64):
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                os.write(descriptor, struct.pack("!i", 1000) + b"no pickle")
    os.kill(os.getpid(), signal.SIGSTOP)


def _be_slow(folder: Path) -> Graded:
    """Doubtful each time; the report says how often it ran, and whether something else ran at the same time."""
    runs = len(list(folder.glob("run*")))
    (folder / f"run{runs}").touch()
    running = folder.parent / f"running-{os.getpid()}"
    running.touch()
    time.sleep(0.3)
    is_alone = len(list(folder.parent.glob("running-*"))) == 1
    running.unlink()
    return Graded(report=f"run {runs + 1}, {'alone' if is_alone else 'beside others'}", page=b"", is_doubtful=True)


@contextlib.contextmanager
def open_obedient(jobs: int) -> Iterator[Executor]:
    with pytest.MonkeyPatch.context() as patched:
        context = multiprocessing.get_context("forkserver")  # so that each new worker has everything imported
        context.set_forkserver_preload([__name__])
        patched.setattr(multiprocessing, "get_context", lambda _: context)
        patched.setattr(workers, "MEMORY_MIB", 1500)
        patched.setattr(pool, "grade_task", obey)
        with workers.local_workers(jobs) as executor:
            yield executor


def run(*contents: str, hangs_s: float = 2.0) -> dict[str, str]:
    """Returns the reports, and for what was given up the reason."""
    results: dict[str, str] = {}
    with Pool[str](Workers(open=open_obedient, jobs=2)) as graders:
        for content in contents:
            graders.add(content, task_of(content.encode(), hangs_s))
        while len(graders):
            for label, _, graded in graders.take():
                assert label not in results
                results[label] = graded.report if isinstance(graded, Graded) else graded.message
    return results


DIED = f"{DEATHS_LIMIT} worker processes died while grading it."
HUNG = "The worker process that graded it did not end in time and was killed."
GREW = "The worker process that graded it used more than 1500 MiB and was killed."


def test_only_what_kills_workers_is_given_up(tmp_path: Path) -> None:
    """Every other task gets its result once, even one that killed a worker only once."""
    innocent = [f"s{number}" for number in range(12)]
    chance = f"once {tmp_path / 'mark'}"

    results = run(*innocent[:4], "die", *innocent[4:8], chance, "leave", *innocent[8:])

    assert results == {name: name for name in [*innocent, chance]} | {"die": DIED, "leave": DIED}
    assert DEATHS_LIMIT == 3


def test_a_worker_that_passes_a_bound_is_killed_and_replaced() -> None:
    """In whatever state it is. What it graded is set aside, and all others get their results, once."""
    before = set(psutil.Process().children(recursive=True))
    innocent = [f"s{number}" for number in range(9)]

    results = run("stop", *innocent[:3], "busy", "wait", *innocent[3:6], "grow", "halfway", *innocent[6:])

    hung = dict.fromkeys(("stop", "busy", "wait", "halfway"), HUNG)
    assert results == {name: name for name in innocent} | hung | {"grow": GREW}
    left = set(psutil.Process().children(recursive=True)) - before
    assert not [process for process in left if "worker" in command_line(process)]


@pytest.mark.parametrize("content", ["stop", "die"])
def test_many_in_a_row_stop_nothing(content: str) -> None:
    guilty = [f"{content} {number}" for number in range(LOST_LIMIT + 1)]

    results = run(*guilty, "s1", hangs_s=0.5)

    assert results == dict.fromkeys(guilty, HUNG if content == "stop" else DIED) | {"s1": "s1"}


def test_what_a_busy_machine_may_have_stopped_runs_again_alone_once(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("first", "second", "third")]
    for folder in folders:
        folder.mkdir()
    slow = [f"slow {folder}" for folder in folders]
    results = run(*slow, *(f"s{number}" for number in range(6)))
    assert [results[content] for content in slow] == ["run 2, alone"] * 3
    assert len(results) == 9


def test_if_no_worker_works_grading_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    """That is found out with a task that does nothing, when several have been given up."""
    monkeypatch.setattr(pool, "answer", obey)

    with pytest.raises(GraderFault, match="keep dying"):
        run(*(f"die {number}" for number in range(LOST_LIMIT + 2)))
