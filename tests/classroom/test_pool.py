"""Real worker processes that die."""

from __future__ import annotations

import concurrent.futures
import contextlib
import datetime as dt
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from grader.classroom.documents import Handling
from grader.classroom.pool import DEATHS_LIMIT, LOST_LIMIT, Pool, Workers
from grader.classroom.records import Graded
from grader.classroom.tasks import SourceFile, Task
from grader.errors import GraderFault
from grader.sandbox import Level
from tests.conftest import raw_submission


def task_of(content: bytes) -> Task:
    return Task(
        submission=raw_submission(content),
        source=SourceFile("none.md", b""),
        hidden_seed=0,
        require=Level.NONE,
        handling=Handling(now=dt.datetime(2026, 2, 1, tzinfo=dt.timezone.utc)),
    )


def obey(task: Task) -> Graded:
    """Do what the submission says, instead of grading it."""
    content = task.submission.content.decode()
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


class Obedient(concurrent.futures.ProcessPoolExecutor):
    def submit(self, _, /, task):  # type: ignore[override]
        return super().submit(obey, task)


@contextlib.contextmanager
def open_obedient(jobs: int) -> Iterator[concurrent.futures.Executor]:
    context = multiprocessing.get_context("forkserver")  # so that each new worker has everything imported
    context.set_forkserver_preload([__name__])
    with Obedient(jobs, context) as executor:
        yield executor


def run(*contents: str) -> dict[str, str | None]:
    results: dict[str, str | None] = {}
    with Pool[str](Workers(open=open_obedient, jobs=2)) as pool:
        for content in contents:
            pool.add(content, task_of(content.encode()))
        while len(pool):
            for label, _, graded in pool.take():
                assert label not in results
                results[label] = graded.report if graded else None
    return results


def test_only_what_kills_workers_is_given_up(tmp_path: Path) -> None:
    """Every other task gets its result once, even one that killed a worker only once."""
    innocent = [f"s{number}" for number in range(12)]
    chance = f"once {tmp_path / 'mark'}"

    results = run(*innocent[:4], "die", *innocent[4:8], chance, "leave", *innocent[8:])

    assert results == {name: name for name in [*innocent, chance]} | {"die": None, "leave": None}
    assert DEATHS_LIMIT == 3


def test_what_a_busy_machine_may_have_stopped_runs_again_alone_once(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("first", "second", "third")]
    for folder in folders:
        folder.mkdir()
    slow = [f"slow {folder}" for folder in folders]
    results = run(*slow, *(f"s{number}" for number in range(6)))
    assert [results[content] for content in slow] == ["run 2, alone"] * 3
    assert len(results) == 9


def test_if_all_workers_die_grading_stops() -> None:
    with pytest.raises(GraderFault, match="keep dying"):
        run(*(f"die {number}" for number in range(LOST_LIMIT + 2)))
