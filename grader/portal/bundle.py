"""
A class as files: the gradebook, every submission and every report, in an archive.
"""

from __future__ import annotations

import csv
import dataclasses
import datetime as dt
import io
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from grader.classroom.gradebook import Gradebook
from grader.classroom.outputs import WITHHELD, name_reports, write_gradebook
from grader.classroom.records import Entry, File, Owner, Problem, Received
from grader.notebook.read import Unreadable, notebook_suffix
from grader.portal.attempts import Attempt, content_of
from grader.portal.classbook import Place
from grader.portal.marks import due_for, lateness
from grader.portal.people import PLATFORM
from grader.portal.readings import Reading
from grader.portal.served import Served
from grader.reports.cells import inert, points

__all__ = ["bundle", "entries_of", "nothing_from"]

REPORTS, SUBMISSIONS, OTHERS = "reports", "submissions", "other-attempts"
SINGULAR = {REPORTS: "report", WITHHELD: "withheld"}
MARKS = (
    "student",
    "name",
    "email",
    "attempts",
    "counting_attempt",
    "received",
    "due",
    "hours_late",
    "score",
    "max_score",
    "mark",
    "withheld",
)
EPOCH = (1980, 1, 1, 0, 0, 0)
FAST = 1
"""A level of compression: pages and JSON become small at any."""


def entries_of(places: Sequence[Place], readings: Mapping[str, Reading], served: Served) -> list[tuple[Place, Entry]]:
    """The attempts that count, as `grader batch` has them, with links to their pages."""
    found = []
    for place in places:
        attempt = place.shown
        reading = readings.get(attempt.result or "") if attempt is not None else None
        if attempt is not None and reading is not None:
            received = _received(attempt, bool(lateness(attempt, served.offer, place.extension)))
            file = f"/attempts/{attempt.id}/report.html"
            found.append((place, Entry(received=received, file=file, report=reading.report, fault=reading.fault)))
    return found


def nothing_from(places: Sequence[Place]) -> list[Problem]:
    """Those who have handed in nothing, as remarks."""
    return [
        Problem(place.person.display, "Nothing has been handed in.", is_serious=False)
        for place in places
        if not place.attempts
    ]


def bundle(
    gradebook: Gradebook, served: Served, places: Sequence[Place], readings: Mapping[str, Reading]
) -> Iterator[bytes]:
    """
    The archive, piece by piece. Only one submission and its report at a time are in memory.

    In the folder `submissions` is the attempt of each student that counts, named after the student, so that
    `grader batch` can grade it; in `other-attempts` are all others. Reports are as students may see them; if something
    is withheld from them until a release date, the complete ones are in `withheld`.
    """
    written = _Written()
    with zipfile.ZipFile(written, "w") as archive:
        for name, content in _files(gradebook, served, places, readings):
            member = zipfile.ZipInfo(name, EPOCH)
            member.compress_type = zipfile.ZIP_DEFLATED
            member.external_attr = 0o644 << 16
            archive.writestr(member, content, compresslevel=FAST)
            yield written.taken()
    yield written.taken()


class _Written(io.RawIOBase):
    """A file that gives away what was written to it."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, part: Any) -> int:
        self._parts.append(bytes(part))
        return len(self._parts[-1])

    def taken(self) -> bytes:
        """What was written since the last time."""
        parts, self._parts = self._parts, []
        return b"".join(parts)


def _files(
    gradebook: Gradebook, served: Served, places: Sequence[Place], readings: Mapping[str, Reading]
) -> Iterator[tuple[str, bytes]]:
    """The names and contents of the archive's files."""
    yield "marks.csv", _marks(places, served).encode("utf-8")
    received = [_received(place.attempts[0], is_late=False) for place in places if place.attempts]
    stems = {owner.student: stem for owner, stem in name_reports(received).items()}
    entries = {place.person.id: entry for place, entry in entries_of(places, readings, served)}
    in_files = []
    for place in places:
        chosen = place.shown or place.newest
        for attempt in place.attempts:
            stem, suffix = stems[attempt.student], notebook_suffix(attempt.file)
            reports = _reports(gradebook, attempt)
            is_chosen, other = attempt is chosen, f"{OTHERS}/{stem}/{attempt.number}"
            with gradebook.begin() as connection:
                content = content_of(connection, attempt)
            yield (f"{SUBMISSIONS}/{stem}{suffix}" if is_chosen else f"{other}{suffix}"), content
            for (folder, kind), page in reports.items():
                yield (f"{folder}/{stem}.{kind}" if is_chosen else f"{other}-{SINGULAR[folder]}.{kind}"), page
            if is_chosen and place.person.id in entries:
                complete = WITHHELD if (WITHHELD, "html") in reports else REPORTS
                in_files.append(dataclasses.replace(entries[place.person.id], file=f"{complete}/{stem}.html"))
    with tempfile.TemporaryDirectory() as tables:
        write_gradebook(Path(tables), in_files, nothing_from(places))
        for path in sorted(Path(tables).iterdir()):
            yield path.name, path.read_bytes()


def _reports(gradebook: Gradebook, attempt: Attempt) -> dict[tuple[str, str], bytes]:
    """The files of a report, by folder and format."""
    graded = gradebook.find(attempt.result) if attempt.result is not None else None
    if graded is None:
        return {}
    complete = WITHHELD if graded.shown_report else REPORTS
    files = {(complete, "html"): zlib.decompress(graded.page), (complete, "json"): graded.report.encode("utf-8")}
    if graded.shown_report:
        files[REPORTS, "html"] = zlib.decompress(graded.shown_page)
        files[REPORTS, "json"] = graded.shown_report.encode("utf-8")
    return files


def _received(attempt: Attempt, is_late: bool) -> Received:
    return Received(
        owner=Owner(PLATFORM, attempt.student),
        file=File(attempt.file, attempt.received_at.timestamp(), lambda: Unreadable("It is in the portal.")),
        name=attempt.file,
        display=attempt.name,
        is_late=is_late,
        order=float(attempt.number),
    )


def _marks(places: Sequence[Place], served: Served) -> str:
    """The marks, after what lateness costs. All times are in UTC."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(MARKS)
    for place in places:
        person, mark, due = place.person, place.mark, due_for(served.offer, place.extension)
        counting = [""] * 6
        if mark is not None:
            hours = mark.late.total_seconds() / 3_600
            scores = [points(mark.attempt.score or 0.0), points(mark.max_points), points(mark.points)]
            counting = [str(mark.attempt.number), _utc(mark.attempt.received_at), f"{hours:.2f}", *scores]
        number, received, hours_late, *rest = counting
        row = [person.student, person.name, person.email, str(len(place.attempts)), number, received]
        row += [_utc(due) if due else "", hours_late, *rest, "withheld" if place.is_held else ""]
        table.writerow([inert(cell) for cell in row])
    return text.getvalue()


def _utc(moment: dt.datetime) -> str:
    return moment.astimezone(dt.timezone.utc).isoformat(timespec="seconds")
