"""
The audit trail: who did what, and when.
"""

from __future__ import annotations

import dataclasses
import datetime as dt

import sqlalchemy as sa

from grader.portal.tables import AUDIT

__all__ = ["Act", "acts", "note"]

TEXT_LIMIT = 2_000
WORDS = {
    "adjustment": "decided about points by hand",
    "closed": "closed the portal to a platform",
    "course allowed": "allowed a platform’s course",
    "course refused": "no longer allowed a platform’s course",
    "deployment allowed": "opened the portal to a deployment",
    "download": "downloaded an assignment’s results",
    "extension": "gave an extension",
    "judge again": "had attempts judged again",
    "key": "made a key for handing in by a program",
    "link": "made a personal link",
    "mistake": "named a mistake",
    "platform": "said who somebody is",
    "platform added": "added a learning platform",
    "platform changed": "changed a learning platform’s addresses",
    "platform invited": "invited a learning platform",
    "platform registered": "registered as a learning platform",
    "release": "released results",
    "reload": "had the source notebooks read again",
    "remove": "took somebody out of the course",
    "revoke": "ended all access of somebody",
    "role": "changed somebody’s role",
    "roster": "changed who is in the course",
    "sent again": "had a score sent to a platform again",
    "signing key made": "made a signing key",
    "signing key removed": "removed a signing key",
    "withdrawal": "withdrew a decision about points",
    "withhold": "withheld results",
}
"""What people read in place of the code of an act, after who did it. The codes are saved, and never change."""


@dataclasses.dataclass(frozen=True, slots=True)
class Act:
    """Something that somebody did."""

    at: dt.datetime
    by: str
    what: str
    about: str

    @property
    def words(self) -> str:
        """What was done, in words that follow who did it; the code itself if it is not known here."""
        return WORDS.get(self.what, self.what)


def note(connection: sa.Connection, *, by: str, what: str, about: str, now: dt.datetime) -> None:
    """Add a line to the trail, in the transaction of what it is about. `what` is one of the codes in `WORDS`."""
    assert what in WORDS, what
    connection.execute(sa.insert(AUDIT).values(at=now, by=by, what=what, about=about[:TEXT_LIMIT]))


def acts(connection: sa.Connection, *, most: int, before: int | None = None) -> list[tuple[int, Act]]:
    """
    The newest lines of the trail, the newest first, with their numbers.

    Args:
        before: Only lines with smaller numbers.
    """
    found = sa.select(AUDIT).order_by(AUDIT.c.id.desc()).limit(most)
    if before is not None:
        found = found.where(AUDIT.c.id < before)
    return [(row.id, Act(row.at, row.by, row.what, row.about)) for row in connection.execute(found)]
