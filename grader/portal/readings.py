"""
The reports of a class, read once each: pages about a class need hundreds of them at every look.
"""

from __future__ import annotations

import dataclasses
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping

import sqlalchemy as sa

from grader.classroom.gradebook import RESULTS
from grader.reports.reading import Finding, ReadReport, parse_report

__all__ = ["Reading", "Readings"]

MOST = 10_000
"""How many reports are kept in memory; without counterexamples, one needs a few thousand bytes."""
AT_A_TIME = 200


@dataclasses.dataclass(frozen=True, slots=True)
class Reading:
    """
    A result of the gradebook.

    Attributes:
        report: The complete report, but for counterexamples and losses.
        fault: How the grader failed; empty if it did not.
    """

    report: ReadReport
    fault: str = ""


class Readings:
    """What was read lately, by the keys of results."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[str, Reading] = OrderedDict()

    def of(self, connection: sa.Connection, keys: Iterable[str | None]) -> Mapping[str, Reading]:
        """The results with these keys; those that do not exist are left out."""
        wanted = {key for key in keys if key is not None}
        found = {}
        with self._lock:
            for key in wanted & self._known.keys():
                self._known.move_to_end(key)
                found[key] = self._known[key]
        missing = sorted(wanted - found.keys())
        for start in range(0, len(missing), AT_A_TIME):
            some = RESULTS.c.key.in_(missing[start : start + AT_A_TIME])
            rows = connection.execute(sa.select(RESULTS.c.key, RESULTS.c.report, RESULTS.c.fault).where(some))
            found |= {key: Reading(_lighter(parse_report(text)), fault) for key, text, fault in rows}
        # A result that decides nothing may be replaced under the same key. All others stay as they are.
        new = {key: found[key] for key in missing if key in found and not found[key].report.is_undecided}
        with self._lock:
            self._known |= new
            while len(self._known) > MOST:
                self._known.popitem(last=False)
        return found


def _lighter(report: ReadReport) -> ReadReport:
    return dataclasses.replace(report, findings=tuple(map(_without_numbers, report.findings)), losses=None)


def _without_numbers(finding: Finding) -> Finding:
    return dataclasses.replace(finding, counterexample=None)
