"""
A class as files: the gradebook, every submission and every report, in an archive.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import tempfile
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

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

__all__ = ["entries_of", "nothing_from", "write_bundle"]

REPORTS, SUBMISSIONS, OTHERS = "reports", "submissions", "other-attempts"
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


def write_bundle(
    file: BinaryIO, gradebook: Gradebook, served: Served, places: Sequence[Place], readings: Mapping[str, Reading]
) -> None:
    """
    Write the archive. Only one submission and one report at a time is in memory.

    In the folder `submissions` is the attempt of each student that counts, named after the student, so that
    `grader batch` can grade it; in `other-attempts` are all others. Reports are as students may see them; if something
    is withheld from them until a release date, the complete ones are in `withheld`.
    """
    received = [_received(place.attempts[0], is_late=False) for place in places if place.attempts]
    stems = {owner.student: stem for owner, stem in name_reports(received).items()}
    entries = {place.person.id: entry for place, entry in entries_of(places, readings, served)}
    in_files = []
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for place in places:
            chosen = place.shown or place.newest
            for attempt in place.attempts:
                stem, suffix = stems[attempt.student], notebook_suffix(attempt.file)
                reports = _reports(gradebook, attempt)
                other = f"{OTHERS}/{stem}/{attempt.number}"
                with gradebook.begin() as connection:
                    content = content_of(connection, attempt)
                if attempt is not chosen:
                    _add(archive, f"{other}{suffix}", content)
                    for (folder, kind), page in reports.items():
                        _add(archive, f"{other}-{folder}.{kind}", page)
                    continue
                _add(archive, f"{SUBMISSIONS}/{stem}{suffix}", content)
                for (folder, kind), page in reports.items():
                    _add(archive, f"{folder}/{stem}.{kind}", page)
                if place.person.id in entries:
                    complete = WITHHELD if (WITHHELD, "html") in reports else REPORTS
                    entry = entries[place.person.id]
                    in_files.append(dataclasses.replace(entry, file=f"{complete}/{stem}.html"))
        with tempfile.TemporaryDirectory() as tables:
            write_gradebook(Path(tables), in_files, nothing_from(places))
            for path in sorted(Path(tables).iterdir()):
                _add(archive, path.name, path.read_bytes())
        _add(archive, "marks.csv", _marks(places, served).encode("utf-8"))


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
    """The marks, after what lateness costs."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(MARKS)
    for place in places:
        person, mark, due = place.person, place.mark, due_for(served.offer, place.extension)
        counting = [""] * 6
        if mark is not None:
            hours = mark.late.total_seconds() / 3_600
            scores = [points(mark.attempt.score or 0.0), points(mark.max_points), points(mark.points)]
            counting = [str(mark.attempt.number), mark.attempt.received_at.isoformat(), f"{hours:.2f}", *scores]
        number, received, hours_late, *rest = counting
        row = [person.student, person.name, person.email, str(len(place.attempts)), number, received]
        row += [due.isoformat() if due else "", hours_late, *rest, "withheld" if place.is_held else ""]
        table.writerow([inert(cell) for cell in row])
    return text.getvalue()


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    member = zipfile.ZipInfo(name, EPOCH)
    member.compress_type = zipfile.ZIP_DEFLATED
    member.external_attr = 0o644 << 16
    archive.writestr(member, content)
