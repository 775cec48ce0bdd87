"""
Writes what the instructor gets: a report per student, `gradebook.csv` and `.json`, and feedback for the platforms.
"""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from grader.classroom.records import Entry, Graded, Owner, Problem, Received
from grader.files import replace_atomically, write_atomically
from grader.reports.cells import inert, points
from grader.reports.reading import ReadReport
from grader.version import __version__

__all__ = ["WITHHELD", "name_reports", "write_feedback", "write_gradebook", "write_reports"]

SCHEMA = "grader.gradebook/1"
RESERVED = ("index", "gradebook")
WITHHELD = "withheld"
"""The folder with the complete reports, while students see less."""
DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)
"""Stems that Windows takes for a device, whatever comes after them."""
NAME_LIMIT_BYTES = 150
HEADING = ("student", "name", "platform", "submission", "late", "status", "score", "max_score")
ADDED = ("graded_score", "comment")
"""The columns for adjustments: the score that the grader gave, and the instructor's comments."""
EPOCH = (1980, 1, 1, 0, 0, 0)


def name_reports(received: Iterable[Received]) -> dict[Owner, str]:
    """
    Choose the stem of each student's reports: the platform's id, or in a plain folder the stem of the file.

    Each stem is a safe file name on every system. No two are equal, even if upper and lower case are the same.
    """
    stems: dict[Owner, str] = {}
    taken = {name.casefold() for name in RESERVED}
    for handed_in in received:
        wanted = _safe(handed_in.owner.student)
        stem, number = wanted, 1
        while _same_file(stem) in taken:
            number += 1
            stem = f"{wanted}-{number}"
        taken.add(_same_file(stem))
        stems[handed_in.owner] = stem
    return stems


def _same_file(stem: str) -> str:
    """Equal for names that a file system may take for one."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", stem).casefold())


def _safe(name: str) -> str:
    """
    A name without characters that a file system or a shell could misread.

    >>> _safe("../étude: 1")
    '_étude_ 1'
    """
    name = unicodedata.normalize("NFC", name)
    plain = re.sub(r'[\x00-\x1f\x7f-\x9f/\\:*?"<>|\u200b-\u200f\u202a-\u202e\u2066-\u2069]+', "_", name)
    short = plain.strip(" .").encode("utf-8")[:NAME_LIMIT_BYTES].decode("utf-8", "ignore").strip(" .")
    return f"_{short}" if not short or DEVICE.fullmatch(short) else short


def write_reports(directory: Path, stem: str, graded: Graded, formats: Iterable[str]) -> None:
    """
    Write what a student may see as `<stem>.<format>`, unless the file already says the same.

    If something is withheld from students, the complete report goes into a folder of its own, for the instructor.
    """
    is_withheld = bool(graded.shown_report)
    for name in dict.fromkeys(formats):
        whole = graded.report.encode("utf-8") if name == "json" else zlib.decompress(graded.page)
        hidden = directory / WITHHELD / f"{stem}.{name}"
        if is_withheld:
            hidden.parent.mkdir(exist_ok=True)
            _write_if_new(hidden, whole)
            shown = graded.shown_report.encode("utf-8") if name == "json" else zlib.decompress(graded.shown_page)
            _write_if_new(directory / f"{stem}.{name}", shown)
        else:
            _write_if_new(directory / f"{stem}.{name}", whole)
            hidden.unlink(missing_ok=True)


def _write_if_new(path: Path, content: bytes) -> None:
    if not path.is_file() or path.stat().st_size != len(content) or path.read_bytes() != content:
        write_atomically(path, content)


# -------------------------------------------------------------------------------------------------------- gradebook


def write_gradebook(directory: Path, entries: Sequence[Entry], problems: Sequence[Problem]) -> None:
    """Write `gradebook.csv` and `gradebook.json`: a row for each student, and what could not be read."""
    write_atomically(directory / "gradebook.csv", _as_csv(entries, problems))
    write_atomically(directory / "gradebook.json", _as_json(entries, problems))


def _as_csv(entries: Sequence[Entry], problems: Sequence[Problem]) -> str:
    exercises = [finding.name for finding in entries[0].report.findings] if entries else []
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*HEADING, *map(inert, exercises), *ADDED, "report"])
    for entry in entries:
        writer.writerow([inert(cell) for cell in _cells(entry, exercises)])
    for problem in problems:
        owner = problem.owner
        if owner is not None and owner.student and problem.is_serious:
            row = [owner.student, "", owner.platform, problem.where, "", "not_read"]
            writer.writerow([inert(cell) for cell in row] + [""] * (len(exercises) + 3 + len(ADDED)))
    return text.getvalue()


def _cells(entry: Entry, exercises: Sequence[str]) -> list[str]:
    received, owner, report = entry.received, entry.owner, entry.report
    findings = {finding.name: finding for finding in report.findings}
    graded_score = "-" if report.graded_score is None else points(report.graded_score)
    return [
        owner.student,
        received.display,
        owner.platform,
        received.name,
        "late" if received.is_late else "",
        entry.status,
        "" if report.is_undecided else points(report.score),
        "" if report.is_undecided else points(report.max_score),
        *("" if findings[name].passed is None else points(findings[name].points) for name in exercises),
        graded_score if report.is_adjusted else "",
        " ".join(_comments(report)),
        entry.file,
    ]


def _comments(report: ReadReport) -> list[str]:
    return [adjustment.comment for adjustment in report.adjustments if adjustment.comment]


def _as_json(entries: Sequence[Entry], problems: Sequence[Problem]) -> str:
    content: dict[str, Any] = {
        "schema": SCHEMA,
        "grader_version": __version__,
        "results": [_result(entry) for entry in entries],
        "problems": [
            {
                "where": problem.where,
                "student": problem.student or None,
                "message": problem.message,
                "serious": problem.is_serious,
            }
            for problem in problems
        ],
    }
    return json.dumps(content, indent=1, ensure_ascii=True, allow_nan=False) + "\n"


def _result(entry: Entry) -> dict[str, Any]:
    received, report = entry.received, entry.report
    return {
        "student": entry.owner.student,
        "name": received.display,
        "platform": entry.owner.platform,
        "submission": received.name,
        "sha256": report.sha256,
        "late": received.is_late,
        "status": entry.status,
        "score": None if report.is_undecided else report.score,
        "max_score": None if report.is_undecided else report.max_score,
        "adjusted": report.is_adjusted,
        "graded_score": report.graded_score if report.is_adjusted else None,
        "comments": _comments(report),
        "exercises": [
            {
                "name": finding.name,
                "outcome": finding.outcome.value,
                "passed": finding.outcome.passed,
                "points": finding.points,
                "max_points": finding.max_points,
                "adjusted": finding.is_adjusted,
                "diagnosis": finding.diagnoses[0].id if finding.diagnoses else None,
            }
            for finding in report.findings
        ],
        "flags": sorted({flag.id for flag in report.flags}),
        "report": entry.file,
    }


# --------------------------------------------------------------------------------------------------------- feedback


def write_feedback(directory: Path, entries: Sequence[Entry], read_page: Callable[[Entry], bytes]) -> list[Path]:
    """
    Write `feedback-<platform>.zip` for each platform that accepts feedback, with the pages named as it expects.

    Args:
        read_page: Returns the page of an entry; only one page at a time is in memory.
    """
    written = []
    by_platform: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.received.give_back and not entry.report.is_undecided:
            by_platform.setdefault(entry.owner.platform, []).append(entry)
    for platform, members in by_platform.items():
        path = directory / f"feedback-{platform}.zip"
        with replace_atomically(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for entry in members:
                member = zipfile.ZipInfo(entry.received.give_back, EPOCH)
                member.compress_type = zipfile.ZIP_DEFLATED
                member.external_attr = 0o644 << 16
                archive.writestr(member, read_page(entry))
        written.append(path)
    return written
