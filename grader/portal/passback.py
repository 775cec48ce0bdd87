"""
Sends marks to the gradebooks of learning platforms.

A thread looks for the columns of those who came from a platform, puts into the outbox what is new among their marks,
and sends what is due. It looks at everything anew each time: so a mark that changed while nobody looked is sent, too.
A withheld mark, and an attempt at which the grader failed, put nothing into the outbox.
"""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from typing import Any

import sqlalchemy as sa

from grader.portal.arrangements import Extension, extensions, held
from grader.portal.attempts import Attempt, attempts_of
from grader.portal.lti.delivery import deliver_due
from grader.portal.lti.lineitems import find_items
from grader.portal.lti.outbox import Offer, offer
from grader.portal.lti.tables import insert_if_new
from grader.portal.lti.tool import Tool
from grader.portal.marks import Mark, mark_of
from grader.portal.portal import Portal
from grader.portal.served import Served
from grader.portal.tables import COLUMNS
from grader.visibility import is_released

__all__ = ["Passback", "connect_column", "offer_marks"]

LOOK_S = 30.0
"""How long it sleeps if nobody wakes it."""
PAUSE_S = 1.0
"""How long it sleeps at least, so that a class that hands in is looked at once a second."""
STOP_S = 6.0
"""How long the thread may take to end: a second longer than platforms have to answer when the portal stops."""

_log = logging.getLogger("grader.portal")


def connect_column(connection: sa.Connection, *, item: int, subject: str, person: int, assignment: str) -> None:
    """From now on, the person's mark for the assignment goes into this column of a platform's gradebook."""
    values = {"person": person, "assignment": assignment}
    if not insert_if_new(connection, COLUMNS, ["item", "subject"], item=item, subject=subject, **values):
        chosen = sa.and_(COLUMNS.c.item == item, COLUMNS.c.subject == subject)
        connection.execute(sa.update(COLUMNS).where(chosen).values(**values))


def offer_marks(portal: Portal, tool: Tool) -> int:
    """
    Put all marks into the outbox that may be sent. What was offered already is not offered again.

    Returns:
        int: How many marks there are.
    """
    now, number = portal.clock(), 0
    for served in list(portal.served.values()):
        if not is_released(served.visibility, now):
            continue
        with portal.begin() as connection:
            columns = connection.execute(sa.select(COLUMNS).where(COLUMNS.c.assignment == served.id)).all()
            if not columns:
                continue
            from_whom, extended = held(connection, served.id), extensions(connection, served.id)
            by_person = defaultdict[int, list[Attempt]](list)
            for attempt in attempts_of(connection, assignment=served.id):
                by_person[attempt.person].append(attempt)
        if None in from_whom:
            continue
        for row in columns:
            mark = mark_of(by_person[row.person], served.offer, extended.get(row.person, Extension()))
            if mark is not None and row.person not in from_whom and mark.max_points > 0:
                number += _is_offered(tool, row, mark, served)
    return number


def _is_offered(tool: Tool, row: sa.Row[Any], mark: Mark, served: Served) -> bool:
    """Offer a mark; one that is no score, such as one below 0 points, keeps no other mark back."""
    try:
        offer(tool, _offer(row.item, row.subject, mark, served))
    except ValueError as error:
        _log.warning("The mark of attempt %d is not sent: %s.", mark.attempt.id, error)
        return False
    return True


def _offer(item: int, subject: str, mark: Mark, served: Served) -> Offer:
    late = " It was late." if mark.late else ""
    return Offer(
        item=item,
        subject=subject,
        mark=f"attempt {mark.attempt.id}: {mark.points:g} of {mark.max_points:g}",
        given=mark.points,
        maximum=mark.max_points,
        submitted_at=mark.attempt.received_at,
        comment=f"Attempt {mark.attempt.number} at {served.title}.{late} The report is in the portal.",
    )


class Passback:
    """The thread that finds columns, offers and sends."""

    def __init__(self, portal: Portal, tool: Tool) -> None:
        self._portal = portal
        self._tool = tool
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="passback", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """Say that a mark may have changed."""
        self._wake.set()

    def stop(self) -> None:
        """
        End the thread. What is not sent stays in the outbox.

        A platform that does not answer is left waiting after some seconds. Whether it has taken the score is not known
        then: as after a crash, the next server sends it with the same timestamp again, once its lease has ended.
        """
        self._stop.set()
        self._wake.set()
        self._thread.join(STOP_S)
        if self._thread.is_alive():
            _log.warning("A learning platform does not answer. What was sent to it is sent again by the next server.")

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            for step in (self._find, self._offer, self._deliver):
                try:
                    step()
                except Exception:  # platforms and databases may fail; marks are still there the next time
                    if not self._stop.is_set():  # otherwise nobody waited, and the database is closed by now
                        _log.exception("Marks could not be sent, and are tried again in %g seconds.", LOOK_S)
                if self._stop.is_set():
                    return
            self._stop.wait(PAUSE_S)
            self._wake.wait(LOOK_S)

    def _find(self) -> None:
        find_items(self._tool, is_over=self._stop.is_set)

    def _offer(self) -> None:
        offer_marks(self._portal, self._tool)

    def _deliver(self) -> None:
        deliver_due(self._tool, is_over=self._stop.is_set)
