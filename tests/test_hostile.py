"""Every hostile notebook is contained: it steals nothing, changes no other outcome, and does not harm the grader."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import nbformat
import pytest

from grader.assignment.load import Assignment
from grader.execution.warm import forkserver
from grader.pipeline import grade
from grader.reports.html import render_html
from grader.reports.json import render_json, report_to_dict
from tests.conftest import ROOT, check_flags, handed_in, raw_submission

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HOSTILE = ROOT / "tests" / "corpus" / "hostile"
DISK_BYTES = 512 << 20
"""Less than a notebook writes that fills disks, and more than others on the machine write at the same time."""
SECRET = "GRADER_TEST_SECRET"

pytestmark = pytest.mark.skipif(not forkserver().is_available(), reason="the sandbox needs Linux")


@pytest.fixture(scope="module")
def bait(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Things to steal: a file, an environment variable, and servers on loopback, at a path and at an abstract name."""
    folder = tmp_path_factory.mktemp("bait")
    other_submission = folder / "other-student.ipynb"
    other_submission.write_text("LEAKED SUBMISSION")
    os.environ[SECRET] = "secret of the grader"
    connections: list[str] = []
    servers = []
    for family, address in (
        (socket.AF_INET, ("127.0.0.1", 0)),
        (socket.AF_UNIX, str(folder / "s")),
        (socket.AF_UNIX, f"\0grader-bait-{os.getpid()}"),
    ):
        server = socket.socket(family, socket.SOCK_STREAM)
        server.bind(address)
        server.listen()
        servers.append(server)

        def accept(server: socket.socket = server) -> None:
            while True:
                try:
                    server.accept()
                except OSError:
                    return
                connections.append("somebody")

        threading.Thread(target=accept, daemon=True).start()
    yield {
        "@OTHER@": str(other_submission),
        "@SOLUTIONS@": str(ROOT),
        "@SECRET@": SECRET,
        "@PORT@": str(servers[0].getsockname()[1]),
        "@UNIX@": str(folder / "s"),
        "@ABSTRACT@": f"grader-bait-{os.getpid()}",
        "@MARKER@": str(folder / "unpickled"),
    }
    for server in servers:
        server.close()
    del os.environ[SECRET]
    assert not connections, "a sandboxed process reached a server"
    assert not (folder / "unpickled").exists(), "something was unpickled"


@pytest.fixture(scope="module")
def strict(assignment: Assignment) -> Assignment:
    """
    The assignment with limits that end soon what loops, and late what only waits for a busy machine.

    Cells that cannot be interrupted are stopped by wall time alone.
    """
    limits = dataclasses.replace(assignment.limits, cell_s=2.0, cell_cpu_s=2.0, call_s=8.0, call_cpu_s=3.0)
    return dataclasses.replace(assignment, limits=limits)


def open_descriptors() -> int:
    """The number of file descriptors that this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def descendants(pid: int) -> set[int]:
    """The ids of all processes that a process started, directly or indirectly."""
    children = {
        int(child) for task in Path(f"/proc/{pid}/task").glob("*/children") for child in task.read_text().split()
    }
    return children | {below for child in children for below in descendants(child)}


@pytest.mark.parametrize("folder", sorted(HOSTILE.iterdir()), ids=lambda folder: folder.name)
def test_hostile(folder: Path, strict: Assignment, bait: dict[str, str]) -> None:
    """The outcomes are those of `expect.toml`. Nothing leaks, no process is left, the disk is not filled."""
    answers = (folder / "answers.py").read_text(encoding="utf-8")
    for name, value in bait.items():
        answers = answers.replace(name, value)
    expect = tomllib.loads((folder / "expect.toml").read_text(encoding="utf-8"))
    submission = raw_submission(nbformat.writes(handed_in(answers)).encode(), name=f"{folder.name}.ipynb")
    free = shutil.disk_usage("/tmp").free
    descriptors = open_descriptors()
    started = time.monotonic()

    report = grade(submission, strict, retries=expect.get("retries", True))

    text = render_json(report)
    page = render_html(report)
    jsonschema.validate(report_to_dict(report), json_schema())
    assert "LEAK" not in text
    assert "secret of the grader" not in text + page
    assert "<script" not in page.lower()
    assert "onerror=alert(1)>" not in page
    assert "\x1b" not in text + page
    expected = expect.get("outcomes", {})
    for exercise in report.exercises:
        outcome = expected.get(exercise.name, expected.get("default", "match"))
        if outcome == "any":
            assert exercise.outcome.value != "grader_error"
            assert exercise.name != "grad_b1" or "dz1 * 0" not in answers or not exercise.passed
        else:
            assert exercise.outcome.value == outcome, (exercise.name, exercise.message)
    check_flags(report, expect)
    assert expect.get("report", {}).get("first_error_contains", "") in (report.notebook.first_error or "")
    assert time.monotonic() - started < 180  # on a busy machine
    assert shutil.disk_usage("/tmp").free > free - DISK_BYTES, "the disk was filled"
    server = forkserver().pid
    assert server is not None
    until = time.monotonic() + 30
    while descendants(server) and time.monotonic() < until:
        time.sleep(0.02)
    assert not descendants(server), "a process was left behind"
    assert open_descriptors() <= descriptors + 2


def test_the_grader_is_healthy_afterwards(assignment: Assignment) -> None:
    """A right submission after all of them gets full marks."""
    submission = raw_submission(nbformat.writes(handed_in("")).encode())

    assert grade(submission, assignment).score == 10


def json_schema() -> dict:
    return json.loads((ROOT / "grader" / "schemas" / "report-1.json").read_text())
