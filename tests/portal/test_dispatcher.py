"""The dispatcher: whatever fails at one attempt, the others are graded, and no mark is lost."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from grader.classroom.pool import Workers
from grader.classroom.records import Graded
from grader.classroom.tasks import Task, grade_task, set_aside
from grader.errors import GraderFault
from grader.portal import dispatcher
from grader.portal.attempts import Attempt, accept, attempts_of, claim, finish, judge_again
from grader.portal.dispatcher import Dispatcher
from grader.portal.people import Listed, enrol, find_student
from grader.portal.portal import Portal, open_portal
from tests.portal.server import write_course

SECONDS = 30
STUDENTS = ("ada", "ben", "cleo", "dan")


class Executor:
    """Grades what is no notebook, which executes nothing; `fail` says what happens to the file `poison.ipynb`."""

    def __init__(self, fail: Callable[[Task], Graded]) -> None:
        self._fail = fail

    def submit(self, _: object, task: Task) -> Future[Graded]:
        """Grade at once."""
        future = Future[Graded]()
        try:
            grade = self._fail if task.submission.name == "poison.ipynb" else grade_task
            future.set_result(grade(task))
        except Exception as error:
            future.set_exception(error)
        return future


@pytest.fixture
def portal(tmp_path: Path) -> Iterator[Portal]:
    with open_portal(write_course(tmp_path)) as opened:
        with opened.begin() as connection:
            enrol(connection, map(Listed, STUDENTS), by="test", now=opened.clock())
        yield opened


def hand_in(portal: Portal, student: str, file: str) -> Attempt:
    with portal.begin() as connection:
        person = find_student(connection, student)
        assert person is not None
        offer = portal.course.assignment[0]
        taken = accept(connection, person, offer, file=file, content=b"no notebook", now=portal.clock())
    assert isinstance(taken, Attempt)
    return taken


def grade_all(portal: Portal, fail: Callable[[Task], Graded]) -> dict[str, Attempt]:
    """Run a dispatcher until everything is done."""
    workers = Workers(open=lambda _: contextlib.nullcontext(Executor(fail)), jobs=2)
    running = Dispatcher(portal, workers, warm_up=False)
    running.start()
    try:
        deadline = time.monotonic() + SECONDS
        while True:
            with portal.begin() as connection:
                found = {attempt.student: attempt for attempt in attempts_of(connection)}
            if all(attempt.state == "done" for attempt in found.values()):
                assert running.is_alive
                return found
            assert time.monotonic() < deadline, found
            time.sleep(0.02)
    finally:
        running.stop()


def raises(_: Task) -> Graded:
    raise RuntimeError("an error that nobody thought of")


def is_no_report(_: Task) -> Graded:
    return Graded(report="no JSON", page=b"")


def cannot_be_saved(task: Task) -> Graded:
    return dataclasses.replace(grade_task(task), report='{"text": "\ud800"}')


@pytest.mark.parametrize("fail", [raises, is_no_report, cannot_be_saved])
def test_one_attempt_keeps_nobody_waiting(
    portal: Portal, monkeypatch: pytest.MonkeyPatch, fail: Callable[[Task], Graded]
) -> None:
    """What always fails is given up, costs no attempt, and the rest is graded."""
    monkeypatch.setattr(dispatcher, "PAUSE_AFTER_FAULT_S", 0.05)
    for student in STUDENTS:
        hand_in(portal, student, "poison.ipynb" if student == "ada" else "a.ipynb")

    found = grade_all(portal, fail)

    assert {student: found[student].status for student in STUDENTS} == {
        "ada": "grader_error",
        "ben": "unreadable",
        "cleo": "unreadable",
        "dan": "unreadable",
    }


def test_a_mark_outlives_a_fault(portal: Portal) -> None:
    """If the grader fails when it judges an attempt again, the mark that was there stays."""
    hand_in(portal, "ada", "poison.ipynb")
    with portal.begin() as connection:
        taken = claim(connection, "other", portal.served, portal.clock())
        assert taken is not None
        values = {"result": "key", "status": "graded", "score": 7.0, "max_score": 10.0}
        assert finish(connection, taken, "other", **values, now=portal.clock())  # type: ignore[arg-type]
        judge_again(connection, [taken.id])

    found = grade_all(portal, lambda task: set_aside(task, GraderFault("The grader is broken.")))["ada"]

    assert (found.status, found.score, found.max_score, found.result) == ("graded", 7.0, 10.0, "key")
