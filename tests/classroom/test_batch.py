"""`grader batch`, called as its users call it."""

from __future__ import annotations

import concurrent.futures
import contextlib
import csv
import hashlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import psutil
import pytest

from grader.classroom import tasks
from grader.classroom.progress import show_progress
from grader.cli import main
from grader.errors import GraderFault
from tests.conftest import ROOT, SOURCE
from tests.warm import WarmGrader

SCHEMA = json.loads((ROOT / "grader" / "schemas" / "report-1.json").read_text())


def batch(output: Path, *arguments: object) -> int:
    return main(["batch", "--solutions", str(SOURCE.parent), "-o", str(output), *map(str, arguments)])


def rows_of(output: Path) -> dict[str, dict[str, str]]:
    with (output / "gradebook.csv").open(newline="", encoding="utf-8") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


def fail(*_: object, **__: object) -> None:
    raise RuntimeError("the machine")


def graded_at(database: Path) -> dict[str, tuple[str, str]]:
    with sqlite3.connect(database) as connection:
        rows = connection.execute("SELECT student, key, report FROM grader_results").fetchall()
    connection.close()
    return {student: (key, hashlib.sha256(report.encode()).hexdigest()) for student, key, report in rows}


def test_a_tie_between_assignments_is_refused(tmp_path: Path, in_this_process: None, capsys: Any) -> None:
    """If equally many notebooks belong to two assignments, nothing is graded; otherwise the majority decides."""
    folder = tmp_path / "class"
    folder.mkdir()
    for name in ("two_layer_mse", "batchnorm"):
        (folder / f"{name}.ipynb").write_bytes((ROOT / "assignments" / name / f"{name}.ipynb").read_bytes())

    assert batch(tmp_path / "out", folder) == 2
    assert "Equally many notebooks belong to two assignments. Choose one with -a." in capsys.readouterr().err
    assert not (tmp_path / "out").exists()

    (folder / "another.ipynb").write_bytes((folder / "batchnorm.ipynb").read_bytes())
    assert batch(tmp_path / "out", folder) == 2
    output = capsys.readouterr().err
    assert "Grading 3 submissions of batchnorm." in output
    assert "two_layer_mse.ipynb: This is the notebook of the assignment 'two_layer_mse', not of 'batchnorm'." in output


def test_a_class_is_graded_twice(
    folder: Path, tmp_path: Path, notebook_of: Callable[[str], bytes], capsys: Any, request: pytest.FixtureRequest
) -> None:
    """The second time, only what is new or has changed is graded; `--regrade` grades everything."""
    output = tmp_path / "out"

    assert batch(output, folder, "--jobs", 2) == 1

    rows = rows_of(output)
    assert {student: row["score"] for student, row in rows.items()} == {
        "s1001": "10.00",
        "s1002": "8.00",
        "s1003": "9.00",
        "s1004": "9.00",
    }
    assert rows["s1002"]["grad_z1"] == "0.00"
    for student in rows:
        report = json.loads((output / f"{student}.json").read_text())
        jsonschema.validate(report, SCHEMA)
        assert f"{report['score']:.2f}" == rows[student]["score"]
        assert report["submission"]["student"] == student
        assert (output / f"{student}.html").read_text().startswith("<!")
    gradebook = json.loads((output / "gradebook.json").read_text())
    assert [result["student"] for result in gradebook["results"]] == sorted(rows)
    assert "Content-Security-Policy" in (output / "index.html").read_text()
    assert "4 of 4 done" in capsys.readouterr().err

    request.getfixturevalue("in_this_process")
    first = graded_at(output / "gradebook.db")
    before = {path.name: path.stat().st_mtime_ns for path in output.glob("s*")}
    (output / "s1001.html").unlink()
    (folder / "s1002.ipynb").write_bytes(notebook_of("full"))
    (folder / "s1005.ipynb").write_bytes(b"\x89PNG no notebook")

    assert batch(output, folder) == 2

    second = graded_at(output / "gradebook.db")
    assert "3 known already" in capsys.readouterr().err
    assert {student for student in first if second[student] != first[student]} == {"s1002"}
    assert (output / "s1001.html").is_file()
    assert (output / "s1003.html").stat().st_mtime_ns == before["s1003.html"]
    assert rows_of(output)["s1005"]["status"] == "unreadable"
    assert "Did you upload the wrong file" in (output / "s1005.html").read_text()
    (folder / "s1005.ipynb").unlink()

    assert batch(output, folder, "--regrade", "-q") == 1

    third = graded_at(output / "gradebook.db")
    assert all(third[student][0] == second[student][0] for student in third)
    assert all(third[student][1] != second[student][1] for student in third if student != "s1005")  # the time it took
    assert capsys.readouterr().err == ""

    assert batch(output, folder, "--hidden-seed", 7, "-q") == 1

    assert graded_at(output / "gradebook.db").keys() == third.keys()


def test_exit_code_0(tmp_path: Path, notebook_of: Callable[[str], bytes], in_this_process: None) -> None:
    (tmp_path / "index.ipynb").write_bytes(notebook_of("full"))

    assert batch(tmp_path / "out", tmp_path / "index.ipynb", "--format", "json") == 0

    assert (tmp_path / "out" / "index-2.json").is_file()
    assert not (tmp_path / "out" / "index-2.html").exists()
    assert 'href="index-2.json"' in (tmp_path / "out" / "index.html").read_text()


@pytest.mark.parametrize(
    "arguments",
    [
        ["missing"],
        ["class", "-a", "no_such_assignment"],
        ["class", "--gradebook", "nonsense://x"],
        ["class", "--gradebook", "class/s1001.ipynb"],
        ["class", "--jobs", "0"],
        ["class", "--solutions", "nowhere"],
        [],
    ],
)
def test_exit_code_2(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, arguments: list[str]) -> None:
    monkeypatch.chdir(folder.parent)

    assert batch(folder.parent / "out", *arguments) == 2

    assert "Traceback" not in capsys.readouterr().err


def test_exit_code_3(
    folder: Path, tmp_path: Path, in_this_process: None, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """A failure of the grader costs no points, is obvious, and is tried again the next time."""
    output = tmp_path / "out"
    with monkeypatch.context() as patched:
        patched.setattr("grader.pipeline.grade", fail)
        assert batch(output, folder) == 3

    assert {row["status"] for row in rows_of(output).values()} == {"grader_error"}
    assert {row["score"] for row in rows_of(output).values()} == {""}
    page = (output / "index.html").read_text()
    assert page.index("The grader failed") < page.index("Distribution")
    assert "s1001: could not be graded. The grader failed" in capsys.readouterr().err

    assert batch(output, folder) == 1

    assert {row["status"] for row in rows_of(output).values()} == {"graded"}


def test_a_missing_sandbox_is_refused_first(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """A sandbox that this machine does not have is refused before anything is graded, by `grade` and by `batch`."""
    monkeypatch.setattr("grader.execution.kernels.ForkServer.is_available", lambda: False)
    options = ["--solutions", str(SOURCE.parent), "-o", str(tmp_path / "out"), "--require-sandbox", "isolated"]

    assert main(["batch", str(folder), *options]) == 2
    assert main(["grade", str(folder / "s1001.ipynb"), *options]) == 2

    assert "isolated is asked for" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_several_platforms_and_their_feedback(
    tmp_path: Path, notebook_of: Callable[[str], bytes], in_this_process: None
) -> None:
    """Equal ids on two platforms are two students; feedback is named as expected; the gradebook is filled in."""
    canvas, moodle = tmp_path / "submissions.zip", tmp_path / "course.zip"
    with zipfile.ZipFile(canvas, "w") as archive:
        archive.writestr("lovelaceada_4021_998877_two_layer_mse.ipynb", notebook_of("full"))
        archive.writestr("hoppergrace_LATE_4022_998878_two_layer_mse-1.ipynb", notebook_of("mask"))
    with zipfile.ZipFile(moodle, "w") as archive:
        archive.writestr("Ada Lovelace_4021_assignsubmission_file/work.ipynb", notebook_of("sign"))
    gradebook = tmp_path / "grades.csv"
    gradebook.write_bytes(
        b"\xef\xbb\xbfStudent,ID,SIS User ID,SIS Login ID,Section,two_layer_mse (87568490),Final Score\r\n"
        b"    Points Possible,,,,,10,(read only)\r\n"
        b'"Lovelace, Ada",4021,S1,ada,"Section ""1""",,\r\n'
        b'"Hopper, Grace",4022,S2,grace,Section 1,"3",\r\n'
        b'"Noether, Emmy",4023,S3,emmy,Section 1,5,\r\n'
    )
    output = tmp_path / "out"

    assert batch(output, canvas, moodle, "-a", "two_layer_mse", "--fill", gradebook) == 1

    assert {path.name for path in output.iterdir() if "4" in path.name} == {
        *("4021.html", "4021.json", "4022.html", "4022.json", "4021-2.html", "4021-2.json")
    }
    with zipfile.ZipFile(output / "feedback-canvas.zip") as archive:
        assert archive.namelist() == [
            "hoppergrace_LATE_4022_998878_two_layer_mse-1.html",
            "lovelaceada_4021_998877_two_layer_mse.html",
        ]
        assert archive.read(archive.namelist()[1]) == (output / "4021.html").read_bytes()
    with zipfile.ZipFile(output / "feedback-moodle.zip") as archive:
        assert archive.namelist() == ["Ada Lovelace_4021_assignsubmission_file/feedback.html"]
    filled = (output / "grades-filled.csv").read_bytes()
    assert filled == gradebook.read_bytes().replace(b'""",,', b'""",10.00,').replace(b'"3"', b'"8.00"')


class Interrupted:
    """`grader batch` in its own process, which leaves no other process behind."""

    def __init__(self, folder: Path, output: Path) -> None:
        command = [sys.executable, "-m", "grader", "batch", str(folder), "-o", str(output), "--jobs", "2"]
        command += ["--solutions", str(SOURCE.parent)]
        self.process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True)

    def wait_for(self, output: Path, reports: int) -> None:
        wait_for(output, reports, lambda: self.process.poll() is not None)

    def stop(self, number: int) -> tuple[int, str]:
        family = psutil.Process(self.process.pid).children(recursive=True)
        self.process.send_signal(number)
        _, output = self.process.communicate(timeout=60)
        _, alive = psutil.wait_procs(family, timeout=30)
        assert not alive
        return self.process.returncode, output


def wait_for(output: Path, reports: int, has_ended: Callable[[], bool]) -> None:
    """Wait until a command has written some reports, or has ended with them."""
    deadline = time.monotonic() + 120
    while len(list(output.glob("s*.json"))) < reports:
        assert time.monotonic() < deadline
        assert not has_ended() or len(list(output.glob("s*.json"))) >= reports
        time.sleep(0.01)


def make_class(folder: Path, notebook_of: Callable[[str], bytes], size: int) -> None:
    folder.mkdir()
    for number in range(size):
        kind = ("full", "mask", "sign", "raises")[number % 4]
        (folder / f"s{1001 + number}.ipynb").write_bytes(notebook_of(kind) + b"\n" * number)


@pytest.mark.slow
def test_killed_at_random_moments(
    tmp_path: Path, notebook_of: Callable[[str], bytes], warm_grader: WarmGrader, in_this_process: None
) -> None:
    """The final gradebook equals that of an undisturbed run. No file is half-written, and no result is lost."""
    folder, output, calm = tmp_path / "class", tmp_path / "out", tmp_path / "calm"
    make_class(folder, notebook_of, 8)
    chance = random.Random(5)
    kept: dict[str, tuple[str, str]] = {}
    for reports in (2, 6):
        running = warm_grader.begin("batch", folder, "-o", output, "--jobs", 2, "--solutions", SOURCE.parent)
        wait_for(output, reports, lambda pid=running.pid: not psutil.pid_exists(pid))
        time.sleep(chance.random())
        with contextlib.suppress(ProcessLookupError):
            os.kill(running.pid, signal.SIGKILL)
        running.end()
        assert warm_grader.is_alone()
        now = saved_in(output)
        assert kept.items() <= now.items()
        kept = now

    assert batch(output, folder, "-q") == 1
    assert batch(calm, folder, "-q") == 1

    final = graded_at(output / "gradebook.db")
    assert kept.items() <= final.items()
    assert len(kept) > 4
    for name in ("gradebook.csv", "gradebook.json", "index.html"):
        assert (output / name).read_bytes() == (calm / name).read_bytes()
    assert {path.name for path in output.glob("s*")} == {path.name for path in calm.glob("s*")}
    assert {key for key, _ in final.values()} == {key for key, _ in graded_at(calm / "gradebook.db").values()}


def saved_in(output: Path) -> dict[str, tuple[str, str]]:
    """What has been graded. All files are whole."""
    for path in output.glob("s*.json"):
        jsonschema.validate(json.loads(path.read_text()), SCHEMA)
    return graded_at(output / "gradebook.db")


@pytest.mark.slow
def test_ctrl_c_keeps_results(tmp_path: Path, notebook_of: Callable[[str], bytes]) -> None:
    """Results are kept, no process is left, and one sentence says how to continue."""
    folder, output = tmp_path / "class", tmp_path / "out"
    make_class(folder, notebook_of, 24)  # more than a busy machine grades before it interrupts
    running = Interrupted(folder, output)
    running.wait_for(output, 2)

    code, message = running.stop(signal.SIGINT)

    assert code == 2
    assert "Run the same command again to continue" in message
    assert "Traceback" not in message
    assert 2 <= len(graded_at(output / "gradebook.db")) < 24
    assert not list(output.glob(".*"))


def test_workers_are_told_what_no_notebook_may_see(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sources, all submissions, and the output with the gradebook: paths alone."""
    told: list[tasks.Task] = []

    class Recording(concurrent.futures.ThreadPoolExecutor):
        def submit(self, _, /, task):  # type: ignore[override]
            told.append(task)
            return super().submit(tasks.set_aside, task, GraderFault("Nothing was graded."))

    monkeypatch.setattr("grader.classroom.workers.local_workers", Recording)
    (tmp_path / "class").mkdir()
    (tmp_path / "class" / "alice.py").write_text("def grad_yhat(yhat, y): ...")

    batch(tmp_path / "marks", tmp_path / "class", "-a", "two_layer_mse", "--jobs", "1")

    assert {task.secrets for task in told} == {(SOURCE.parent, tmp_path / "class", tmp_path / "marks")}


@pytest.mark.parametrize(("total", "says"), [(1, "Grading one submission of it."), (2, "Grading 2 submissions of it.")])
def test_what_is_being_graded(total: int, says: str, capsys: Any) -> None:
    with show_progress(total, assignment_id="it"):
        pass

    assert says in capsys.readouterr().err
