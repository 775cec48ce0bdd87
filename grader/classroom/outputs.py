"""
What an instructor gets: a report per student, `gradebook.csv` and `.json`, and archives that the platforms take back.
"""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from grader import __version__
from grader.classroom.records import Graded, Problem, Received, Result
from grader.files import replace_atomically, write_atomically
from grader.reports.cells import inert, points

__all__ = ["WITHHELD", "name_reports", "write_feedback", "write_gradebook", "write_reports"]

SCHEMA = "grader.gradebook/1"
RESERVED = ("index", "gradebook")
WITHHELD = "withheld"
"""The folder with whole reports, while students see less."""
NAME_LIMIT_BYTES = 150
ADDED = ("graded_score", "comment")
"""Columns for what an instructor adjusted: what the grader had given, and the comment."""
EPOCH = (1980, 1, 1, 0, 0, 0)


def name_reports(received: Iterable[Received]) -> dict[tuple[str, str], str]:
    """
    The stem of each student's reports: the file's own in a plain folder, else the platform's id.

    Each is safe as a file's name on every system, and no two are the same, upper or lower case.
    """
    stems: dict[tuple[str, str], str] = {}
    taken = {name.casefold() for name in RESERVED}
    for each in received:
        wanted = _safe(each.student)
        stem, number = wanted, 1
        while stem.casefold() in taken:
            number += 1
            stem = f"{wanted}-{number}"
        taken.add(stem.casefold())
        stems[each.platform, each.student] = stem
    return stems


def _safe(name: str) -> str:
    """
    A name without what a file system or a shell could misread.

    >>> _safe("../étude: 1")
    '_étude_ 1'
    """
    plain = re.sub(r'[\x00-\x1f\x7f-\x9f/\\:*?"<>|\u200b-\u200f\u202a-\u202e\u2066-\u2069]+', "_", name)
    short = plain.strip(" .").encode("utf-8")[:NAME_LIMIT_BYTES].decode("utf-8", "ignore").strip(" .")
    return short or "_"


def write_reports(directory: Path, stem: str, graded: Graded, formats: Iterable[str]) -> None:
    """
    Write what a student may see as `<stem>.<format>`, unless it is there already.

    Where something is withheld, the whole report goes into a folder of its own, for the instructor.
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


def write_gradebook(directory: Path, results: Sequence[Result], problems: Sequence[Problem]) -> None:
    """Write `gradebook.csv` and `gradebook.json`: a line per student, and what could not be read."""
    write_atomically(directory / "gradebook.csv", _as_csv(results, problems))
    write_atomically(directory / "gradebook.json", _as_json(results, problems))


def _as_csv(results: Sequence[Result], problems: Sequence[Problem]) -> str:
    exercises = [finding.exercise for finding in results[0].findings] if results else []
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        [
            "student",
            "name",
            "platform",
            "submission",
            "late",
            "status",
            "score",
            "max_score",
            *exercises,
            *ADDED,
            "report",
        ]
    )
    for result in results:
        received = result.received
        own = {finding.exercise: finding for finding in result.findings}
        is_decided = not result.is_undecided
        row = [received.student, received.display, received.platform, received.name, "late" if received.is_late else ""]
        row += [
            result.status,
            points(result.score) if is_decided else "",
            points(result.max_score) if is_decided else "",
        ]
        row += [
            points(own[name].points) if own[name].passed is not None or own[name].is_adjusted else ""
            for name in exercises
        ]
        given = points(result.graded_score) if result.graded_score is not None else "-"
        row += [given if result.is_adjusted else "", " ".join(result.comments), result.report]
        writer.writerow([inert(cell) for cell in row])
    for problem in problems:
        if problem.student and problem.is_serious:
            row = [problem.student, "", problem.platform, problem.where, "", "not_read"]
            writer.writerow([inert(cell) for cell in row] + [""] * (len(exercises) + 3 + len(ADDED)))
    return text.getvalue()


def _as_json(results: Sequence[Result], problems: Sequence[Problem]) -> str:
    content: dict[str, Any] = {
        "schema": SCHEMA,
        "grader_version": __version__,
        "results": [
            {
                "student": result.received.student,
                "name": result.received.display,
                "platform": result.received.platform,
                "submission": result.received.name,
                "sha256": result.sha256,
                "late": result.received.is_late,
                "status": result.status,
                "score": None if result.is_undecided else result.score,
                "max_score": None if result.is_undecided else result.max_score,
                "adjusted": result.is_adjusted,
                "graded_score": result.graded_score if result.is_adjusted else None,
                "comments": list(result.comments),
                "exercises": [
                    {
                        "name": finding.exercise,
                        "outcome": finding.outcome,
                        "passed": finding.passed,
                        "points": finding.points,
                        "max_points": finding.max_points,
                        "adjusted": finding.is_adjusted,
                        "diagnosis": finding.diagnosis or None,
                    }
                    for finding in result.findings
                ],
                "flags": sorted({flag for flag, _ in result.flags}),
                "report": result.report,
            }
            for result in results
        ],
        "problems": [
            {"where": each.where, "student": each.student or None, "message": each.message, "serious": each.is_serious}
            for each in problems
        ],
    }
    return json.dumps(content, indent=1, ensure_ascii=True, allow_nan=False) + "\n"


# --------------------------------------------------------------------------------------------------------- feedback


def write_feedback(directory: Path, results: Sequence[Result], read_page: Callable[[Result], bytes]) -> list[Path]:
    """
    Write `feedback-<platform>.zip` for each platform that takes reports back, named as it wants them.

    Args:
        read_page: Gives a result's page; one at a time is held in memory.
    """
    written = []
    by_platform: dict[str, list[Result]] = {}
    for result in results:
        if result.received.give_back and not result.is_undecided:
            by_platform.setdefault(result.received.platform, []).append(result)
    for platform, theirs in by_platform.items():
        path = directory / f"feedback-{platform}.zip"
        with replace_atomically(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for result in theirs:
                member = zipfile.ZipInfo(result.received.give_back, EPOCH)
                member.compress_type = zipfile.ZIP_DEFLATED
                member.external_attr = 0o644 << 16
                archive.writestr(member, read_page(result))
        written.append(path)
    return written
