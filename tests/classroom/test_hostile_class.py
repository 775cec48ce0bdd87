"""A class of hostile students among right ones, graded as an instructor does."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from grader.sandbox import ForkServer
from grader.sandbox.linux import prctl

from .hostile_class import LEVELS, USERS, course_for, grade_class, reports, wrongs

PR_SET_CHILD_SUBREAPER = 36
LONGEST_S = 600.0
WAIT_S = 20.0
SLACK_MIB = 256
"""What other processes may take meanwhile, of memory that belongs to no process."""

pytestmark = pytest.mark.skipif(not ForkServer.is_available(), reason="the sandbox needs Linux")


def unowned_mib() -> float:
    """Memory that is in no process, in MiB: shared memory, and what Linux keeps for processes."""
    fields = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    return sum(int(fields[name].split()[0]) for name in ("Shmem", "SUnreclaim", "KernelStack", "PageTables")) / 1024


def around() -> dict[str, set[str]]:
    """What a grading might leave on the machine."""
    return {
        "mounts": set(Path("/proc/self/mountinfo").read_text().splitlines()),
        "shared memory": {path.name for path in Path("/dev/shm").iterdir()},
        "caches": {path.name for path in Path("/var/tmp").glob("matplotlib-*")},
    }


def left(before: dict[str, set[str]], memory: float, orphans: set[int]) -> list[str]:
    """What is there now, and was not before."""
    children = []
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if child.pid not in orphans and child.status() != psutil.STATUS_ZOMBIE:
                children.append(" ".join(child.cmdline()))
    more = [f"{kind}: {name}" for kind, names in around().items() for name in names - before[kind]]
    grown = unowned_mib() - memory
    return [*children, *more, *([f"{grown:.0f} MiB"] if grown > SLACK_MIB else [])]


@pytest.fixture
def orphans() -> Iterator[set[int]]:
    """Orphans of what this test starts become its children, as long as it runs. Yields those that it has already."""
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    yield {child.pid for child in psutil.Process().children(recursive=True)}
    prctl(PR_SET_CHILD_SUBREAPER, 0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("level", "user", "only"),
    [
        ("isolated", "the caller", ("files", "border", "data", "hidden", "names")),
        ("filtered", "an ordinary user", ("autograd", "outlasting", "processes", "reading", "resources")),
    ],
)
def test_hostile_students_take_nothing_from_the_others(
    level: str, user: str, only: tuple[str, ...], orphans: set[int]
) -> None:
    """
    The right ones have all their points, and nothing is read, forged, told or left behind.

    `python -m tests.classroom.hostile_class` does the same with all of them at each level as each user.
    """
    wrapped = [*USERS[user], *LEVELS[level]]
    if USERS[user] and os.geteuid() != 0:
        pytest.skip("only root can be another user")
    if wrapped and subprocess.run([*wrapped, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("users cannot be changed here, or namespaces cannot be refused")
    before, memory = around(), unowned_mib()

    with course_for(USERS[user], only=only, right=6) as course:
        graded = grade_class(course, user=user, level=level)

        # Some of the files cannot be read.
        assert graded.code == (2 if "files" in only else 1), graded.stderr.decode(errors="replace")
        assert list(wrongs(course, graded, level=level)) == []
        assert set(course.right) | set(course.hostile) <= set(reports(course))

    assert graded.seconds < LONGEST_S
    until = time.monotonic() + WAIT_S  # other tests run meanwhile, and have things of their own for a moment
    while (more := left(before, memory, orphans)) and time.monotonic() < until:
        time.sleep(0.5)
    assert not more
