"""
Takes attempts out of the queue, has workers grade them, and saves the results.

It runs in a thread of its own. If the server is killed at any moment, the next one goes on: a result that was saved
already is found by its key, so nothing is graded twice.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping

import sqlalchemy as sa

from grader.classroom.decisions import adjustments_by_owner, count_decisions
from grader.classroom.documents import Handling
from grader.classroom.keys import Keys
from grader.classroom.pool import Pool, Workers
from grader.classroom.records import Graded, Owner
from grader.classroom.tasks import Task, deadline_of, set_aside
from grader.errors import GraderError, GraderFault
from grader.model import Adjustment, Submission
from grader.portal.attempts import (
    FAULT,
    UNREADABLE,
    Attempt,
    attempts_of,
    claim,
    content_of,
    finish,
    give_back,
    judge_again,
    prolong,
)
from grader.portal.people import PLATFORM
from grader.portal.portal import Portal
from grader.portal.served import Served
from grader.reports.reading import parse_report
from grader.visibility import is_released

__all__ = ["Dispatcher"]

PROLONG_S = 4.0
LOOK_S = 0.5
"""How long an idle dispatcher sleeps if nobody wakes it: another server may have put something into the queue."""
POLL_S = 0.02
PAUSE_AFTER_FAULT_S = 10.0
MOST_TRIES = 2
"""How often the grader may fail at an attempt before it is shown as one that could not be graded."""
ABOUT_DATA = (sa.exc.DataError, sa.exc.IntegrityError)
"""Errors of a database that works, but does not take what it was given."""

_log = logging.getLogger("grader.portal")
Label = tuple[Attempt, Served, Keys]


class Dispatcher:
    """
    The thread between the queue and the workers.

    Args:
        warm_up: Let each worker grade a blank notebook before it is needed.
        finished: Called whenever an attempt has a result.

    Attributes:
        is_ready: Set once the workers have graded something.
        fault: Why nothing is being graded, in a sentence; empty if all is well.
    """

    def __init__(
        self,
        portal: Portal,
        workers: Workers,
        *,
        warm_up: bool = True,
        finished: Callable[[], object] = lambda: None,
    ) -> None:
        self.is_ready = threading.Event()
        self.fault = ""
        self._portal = portal
        self._workers = workers
        self._warm_up = warm_up
        self._finished = finished
        self._holder = secrets.token_hex(16)
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="dispatcher", daemon=True)
        self._prolonged = time.monotonic()
        self._busy = dict[int, Attempt]()
        self._suspects = set[int]()
        self._basis: tuple[frozenset[str], tuple[int, int]] | None = None
        self._looked = -LOOK_S

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """Say that there is something in the queue."""
        self._wake.set()

    def stop(self) -> None:
        """End the thread and the workers. What is not finished goes back into the queue."""
        self._stop.set()
        self._wake.set()
        self._thread.join()

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def refresh(self, served: Served) -> int:
        """
        Put those attempts into the queue again whose results depend on something that has changed.

        Returns:
            int: How many.
        """
        portal = self._portal
        basis = served.basis(portal.clock())
        adjustments = adjustments_by_owner(portal.gradebook, served.id)
        with portal.begin() as connection:
            stale = [
                attempt.id
                for attempt in attempts_of(connection, assignment=served.id)
                if attempt.result is not None
                and Keys.of(*_owned(attempt), basis, _counting(attempt, adjustments)).result != attempt.result
            ]
            number = judge_again(connection, stale)
        self.wake()
        return number

    def execute_again(self, connection: sa.Connection, served: Served, attempts: Iterable[Attempt]) -> int:
        """
        Put finished attempts into the queue again, to be executed anew. After the transaction, `wake` has to be called.

        Returns:
            int: How many.
        """
        basis, chosen = served.basis(self._portal.clock()), list(attempts)
        for attempt in chosen:
            self._portal.gradebook.forget_execution(connection, Keys.of(*_owned(attempt), basis).execution)
        return judge_again(connection, [attempt.id for attempt in chosen])

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._grade()
            except Exception as error:
                # Whatever it was, the server goes on: uploads are still accepted, and kept.
                self.fault = str(error) if isinstance(error, GraderError) else "The grader failed."
                _log.exception("Grading has stopped, and starts again in %g seconds.", PAUSE_AFTER_FAULT_S)
                with contextlib.suppress(Exception):  # what is held is free again after a while in any case
                    self._recover(error)
                self._stop.wait(PAUSE_AFTER_FAULT_S)

    def _recover(self, error: Exception) -> None:
        """
        Give back what was being graded.

        If it was none of our own errors, one of these attempts may cause it: they are tried again one by one, and what
        fails alone is given up. So nothing that somebody hands in keeps the others waiting for ever.
        """
        with self._portal.begin() as connection:
            if not isinstance(error, GraderError):
                if len(self._busy) == 1:
                    self._give_up(connection, *self._busy.values(), result=None)
                self._suspects = set(self._busy)
            give_back(connection, self._holder)

    def _grade(self) -> None:
        self._busy.clear()
        with Pool[Label | None](self._workers) as pool:
            cold = list(self._portal.served.values()) if self._warm_up else []
            while not self._stop.is_set():
                self._look_for_changes()
                self._wake.clear()
                while len(pool) < (1 if self._suspects else pool.room) and self._add_next(pool):
                    pass
                if len(pool):
                    self._take(pool)
                elif cold:
                    self._warm(cold.pop(0), pool)
                else:
                    self._wake.wait(LOOK_S)
                self._prolong()
            with self._portal.begin() as connection:
                give_back(connection, self._holder)

    def _warm(self, served: Served, pool: Pool[Label | None]) -> None:
        """Let each worker grade the blank notebook: the first one of an assignment takes a worker seconds."""
        handout = served.handouts["ipynb"]
        blank = Submission.of(handout.content, name=handout.name, student="")
        for _ in range(self._workers.jobs):
            pool.add(None, self._task(served, blank, Handling(now=self._portal.clock())))

    def _add_next(self, pool: Pool[Label | None]) -> bool:
        portal = self._portal
        with portal.begin() as connection:
            attempt = claim(connection, self._holder, portal.served, portal.clock(), busy=self._busy)
        if attempt is None:
            self._suspects.intersection_update(self._busy)  # others have them, or nobody
            return False
        portal.tell(attempt.person)
        with self._isolated(attempt):
            self._add(attempt, pool)
        return True

    def _add(self, attempt: Attempt, pool: Pool[Label | None]) -> None:
        """Have an attempt graded, or take the result that it has already."""
        portal = self._portal
        with portal.begin() as connection:
            content = content_of(connection, attempt)
        served = portal.served[attempt.assignment]
        owner, _ = _owned(attempt)
        submission = Submission.of(content, name=attempt.file, student=attempt.student)
        adjustments = adjustments_by_owner(portal.gradebook, served.id).get(owner, ())
        keys = Keys.of(owner, submission, served.basis(portal.clock()), adjustments)
        known = portal.gradebook.find(keys.result)
        if known is not None and not parse_report(known.report).is_undecided:
            self._finish((attempt, served, keys), known)
            return
        handling = Handling(
            packed=portal.gradebook.find_execution(keys.execution),
            adjustments=adjustments,
            visibility=served.visibility,
            now=portal.clock(),
        )
        task = self._task(served, submission, handling)
        self._busy[attempt.id] = attempt
        pool.add((attempt, served, keys), task)

    @contextlib.contextmanager
    def _isolated(self, attempt: Attempt) -> Iterator[None]:
        """An error within is one of this attempt, unless it is one of the database or of the workers."""
        try:
            yield
        except Exception as error:
            if isinstance(error, GraderError) and not isinstance(error.__cause__, ABOUT_DATA):
                raise
            _log.exception("The grader failed at attempt %d.", attempt.id)
            self._busy.pop(attempt.id, None)
            with self._portal.begin() as connection:
                self._give_up(connection, attempt, result=None)
            self._portal.tell(attempt.person)

    def _task(self, served: Served, submission: Submission, handling: Handling) -> Task:
        return Task(
            submission=submission,
            source=served.source,
            hidden_seed=served.assignment.hidden_seed,
            require=self._workers.require,
            handling=handling,
            deadline_s=deadline_of(served.assignment),
            secrets=self._portal.secrets,
        )

    def _take(self, pool: Pool[Label | None]) -> None:
        for label, task, finished in pool.take(POLL_S):
            self.is_ready.set()
            self.fault = ""
            if label is None:
                continue
            attempt, served, keys = label
            self._busy.pop(attempt.id, None)
            self._suspects.discard(attempt.id)
            with self._isolated(attempt):
                graded = set_aside(task, finished) if isinstance(finished, GraderFault) else finished
                owner, _ = _owned(attempt)
                basis = served.basis(task.handling.now)
                self._portal.gradebook.keep(keys, owner, task.submission.sha256, basis, graded)
                self._finish(label, graded)

    def _finish(self, label: Label, graded: Graded) -> None:
        attempt, _, keys = label
        portal = self._portal
        report = parse_report(graded.report)
        with portal.begin() as connection:
            if report.is_undecided:
                self._give_up(connection, attempt, result=keys.result)
            else:
                finish(
                    connection,
                    attempt,
                    self._holder,
                    result=keys.result,
                    status=UNREADABLE if report.problem else "graded",
                    score=None if report.problem else report.score,
                    max_score=None if report.problem else report.max_score,
                    now=portal.clock(),
                )
        self._look_again(attempt, keys)
        portal.tell(attempt.person)
        self._finished()

    def _look_again(self, attempt: Attempt, keys: Keys) -> None:
        """Judge an attempt again if something that its result depends on has changed in the meantime."""
        portal = self._portal
        served = portal.served[attempt.assignment]
        adjustments = adjustments_by_owner(portal.gradebook, served.id)
        if Keys.of(*_owned(attempt), served.basis(portal.clock()), _counting(attempt, adjustments)) != keys:
            with portal.begin() as connection:
                judge_again(connection, [attempt.id])

    def _give_up(self, connection: sa.Connection, attempt: Attempt, *, result: str | None) -> None:
        """Try an attempt again at which the grader failed, or say that it failed. An earlier mark stays as it was."""
        if attempt.tries < MOST_TRIES:
            give_back(connection, self._holder, attempt)
            return
        stays = attempt.is_graded
        finish(
            connection,
            attempt,
            self._holder,
            result=attempt.result if stays else result,
            status=attempt.status if stays else FAULT,
            score=attempt.score if stays else None,
            max_score=attempt.max_score if stays else None,
            now=self._portal.clock(),
        )
        if stays:
            _log.warning("Attempt %d could not be judged again, and keeps its mark.", attempt.id)

    def _prolong(self) -> None:
        if time.monotonic() - self._prolonged > PROLONG_S:
            self._prolonged = time.monotonic()
            with self._portal.begin() as connection:
                prolong(connection, self._holder, self._portal.clock())

    def _look_for_changes(self) -> None:
        """
        Judge again what depends on something that has changed.

        This is so at the start, when a release date has passed, and when somebody has decided something by hand, also
        with `grader adjust`.
        """
        if time.monotonic() - self._looked < LOOK_S:
            return
        self._looked = time.monotonic()
        now = self._portal.clock()
        served = self._portal.served.values()
        released = frozenset(each.id for each in served if is_released(each.visibility, now))
        basis = (released, count_decisions(self._portal.gradebook))
        if basis != self._basis:
            for each in served:
                self.refresh(each)
            self._basis = basis


def _owned(attempt: Attempt) -> tuple[Owner, Submission]:
    """The owner of an attempt, and what its keys depend on: not the content, whose digest is known."""
    submission = Submission(name=attempt.file, student=attempt.student, sha256=attempt.sha256, content=b"")
    return Owner(PLATFORM, attempt.student), submission


def _counting(attempt: Attempt, adjustments: Mapping[Owner, tuple[Adjustment, ...]]) -> tuple[Adjustment, ...]:
    return adjustments.get(Owner(PLATFORM, attempt.student), ())
