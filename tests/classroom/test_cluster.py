"""A real Dask scheduler on the loopback interface, whose workers are separate processes."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from grader.classroom.cluster import cluster_workers
from grader.classroom.gradebook import Gradebook
from grader.classroom.pool import Pool, Workers
from grader.classroom.records import Graded
from grader.classroom.tasks import grade_task
from grader.cli import main
from grader.errors import UsageError
from tests.classroom.test_batch import graded_at, make_class, rows_of
from tests.classroom.test_pool import obey, task_of
from tests.conftest import ROOT, SOURCE
from tests.processes import command_line


class Cluster:
    """A scheduler, and two workers with nannies, which restart them when they die."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "scheduler.json"
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Return when submissions can be graded."""
        self.scheduler = self._start("scheduler", "--no-dashboard", "--port", "0", "--scheduler-file", str(self.file))
        self._wait(self.file.is_file)
        worker = [
            "worker",
            "--no-dashboard",
            "--scheduler-file",
            str(self.file),
            "--nthreads",
            "1",
            "--local-directory",
            str(self.folder),
            "--preload",  # before it joins, since nothing is heard of a worker that imports torch
            obey.__module__,
        ]
        self.nannies = [self._start(*worker), self._start(*worker)]
        self._wait(lambda: all(self.workers()))

    def workers(self) -> list[list[psutil.Process]]:
        """For each nanny, the processes in which submissions are graded."""
        return [
            [child for child in psutil.Process(nanny.pid).children() if "spawn_main" in command_line(child)]
            for nanny in self.nannies
        ]

    def close(self) -> None:
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _start(self, what: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    f"distributed.cli.dask_{what}",
                    *arguments,
                    "--host",
                    "127.0.0.1",
                    "--no-dashboard",
                ],
                cwd=ROOT,
                env=os.environ
                | {
                    "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0",
                    "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "6s",
                    "PYTHONPATH": str(ROOT),
                },
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._processes.append(process)
        return process

    def _wait(self, is_there: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not is_there():
            assert time.monotonic() < deadline, (self.folder / "log").read_text()
            time.sleep(0.05)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    with contextlib.closing(made):
        made.start()
        yield made


def batch(cluster: object, folder: Path, output: Path, *arguments: object) -> int:
    command = ["batch", folder, "-o", output, "--solutions", SOURCE.parent, "--cluster", cluster]
    return main([str(word) for word in (*command, *arguments)])


@pytest.mark.slow
def test_a_worker_dies_while_grading(
    cluster: Cluster, tmp_path: Path, notebook_of: Callable[[str], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every result is there once: another worker takes over. The machines need not share files."""
    folder, output = tmp_path / "class", tmp_path / "out"
    make_class(folder, notebook_of, 8)
    kept: list[str] = []
    killed: list[psutil.Process] = []

    def keep(gradebook: Any, keys: Any, owner: Any, *rest: Any) -> None:
        kept.append(owner.student)
        original(gradebook, keys, owner, *rest)
        if len(kept) == 3:
            killed.extend(cluster.workers()[0])
            killed[0].send_signal(signal.SIGKILL)

    original = Gradebook.keep
    monkeypatch.setattr(Gradebook, "keep", keep)

    assert batch(cluster.file, folder, output, "--require-sandbox", "process", "-q") == 1

    assert len(killed) == 1
    assert sorted(kept) == sorted(graded_at(output / "gradebook.db")) == [f"s{1001 + number}" for number in range(8)]
    assert {row["score"] for row in rows_of(output).values()} == {"10.00", "8.00", "9.00"}
    assert {row["status"] for row in rows_of(output).values()} == {"graded"}


@pytest.mark.slow
def test_a_submission_that_kills_workers_is_given_up(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a few workers have died, have ended themselves, or are not heard of. The others get their results."""
    monkeypatch.setattr("grader.classroom.pool.grade_task", obey)
    monkeypatch.setattr("grader.classroom.pool.DEATHS_LIMIT", 2)
    results: dict[str, str | None] = {}
    workers = Workers(open=functools.partial(cluster_workers, address=str(cluster.file)), jobs=8)
    with Pool[str](workers) as pool:
        for content in ("s1", "s2", "die", "s3", "busy", "stop", "s4"):
            pool.add(content, task_of(content.encode()))
        while len(pool):
            results |= {
                label: graded.report if isinstance(graded, Graded) else None for label, _, graded in pool.take()
            }

    guilty = dict.fromkeys(("die", "busy", "stop"))
    assert results == {name: name for name in ("s1", "s2", "s3", "s4")} | guilty


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense://x", "no/such.json", "out"])
def test_a_cluster_that_cannot_be_reached(
    folder: Path, tmp_path: Path, address: str, capsys: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr("grader.classroom.cluster.CONNECT_S", 0.5)
    monkeypatch.chdir(tmp_path)

    assert batch(address, folder, tmp_path / "out") == 2

    message = capsys.readouterr().err
    assert address in message
    assert "Traceback" not in message
    assert not list((tmp_path / "out").glob("s*"))


@pytest.mark.slow
def test_workers_of_another_version_are_refused(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is graded; a worker that joins later refuses a task of another version."""
    with cluster_workers(1, address=str(cluster.file)) as executor:
        task = dataclasses.replace(task_of(b""), grader_version="9.9")

        with pytest.raises(UsageError, match=r"the class is graded by 9\.9"):
            executor.submit(grade_task, task).result(60)

    monkeypatch.setattr("grader.classroom.cluster.__version__", "9.9")
    with (
        pytest.raises(UsageError, match=r"has grader [\d.]+.*, here it is 9\.9"),
        cluster_workers(1, address=str(cluster.file)),
    ):
        pass


@pytest.mark.slow
def test_the_scheduler_dies(
    cluster: Cluster, folder: Path, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Results are kept. This is the last test of the file, because it ends the cluster."""
    original = Gradebook.keep

    def keep(*arguments: Any, **more: Any) -> None:
        original(*arguments, **more)
        cluster.scheduler.kill()

    monkeypatch.setattr(Gradebook, "keep", keep)
    monkeypatch.setattr("grader.classroom.cluster.CONNECT_S", 3.0)

    assert batch(cluster.file, folder, tmp_path / "out", "--jobs", 1) == 3

    assert "was lost. What has been graded is kept" in capsys.readouterr().err
    assert graded_at(tmp_path / "out" / "gradebook.db")
