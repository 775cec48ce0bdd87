"""
An instructor's decisions by hand, kept in the gradebook beside the results, and never removed from it.

They survive regrading, since they are about a student and an exercise and not about a result. Who decided, when and why
stays readable after one was withdrawn.
"""

from __future__ import annotations

import csv
import dataclasses
import datetime as dt
import difflib
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from grader.classroom.gradebook import ADJUSTMENTS, RESULTS, Gradebook
from grader.classroom.records import Owner
from grader.errors import UsageError
from grader.model import Adjustment
from grader.reports.reading import ReadReport, parse_report

__all__ = [
    "Decision",
    "Proposal",
    "adjustments_by_owner",
    "decide",
    "list_decisions",
    "read_proposals",
    "stale",
    "withdraw",
]

TEXT_LIMIT = 2_000
COLUMNS = ("student", "exercise", "points", "comment", "reason", "by", "platform")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """
    What an instructor wants to decide, not checked yet.

    Attributes:
        adjustment: Its reason must not be empty.
        where: Where it was written, for messages.
    """

    student: str
    adjustment: Adjustment
    by: str
    platform: str = ""
    where: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What was decided. `withdrawn` says by whom, when and why it was taken back, or nothing."""

    number: int
    owner: Owner
    assignment_id: str
    adjustment: Adjustment
    by: str
    at: dt.datetime
    withdrawn: str = ""


def decide(gradebook: Gradebook, proposals: Sequence[Proposal], *, assignment_id: str | None = None) -> list[Decision]:
    """
    Keep decisions: all of them, or none if there is something wrong with one.

    Raises:
        UsageError: No such student or exercise, points out of range, no reason, or nothing decided.
    """
    now = dt.datetime.now(dt.timezone.utc).replace(tzinfo=None, microsecond=0)
    made = []
    with gradebook.begin() as connection:
        for proposal in proposals:
            platform, assignment, report = _graded(connection, proposal, assignment_id)
            _check(proposal, report)
            given = proposal.adjustment
            row = {
                "platform": platform,
                "student": proposal.student,
                "assignment_id": assignment,
                "exercise": given.exercise,
                "points": given.points,
                "comment": given.comment,
                "reason": given.reason,
                "made_by": proposal.by,
                "made_at": now,
            }
            number = connection.execute(sa.insert(ADJUSTMENTS).values(row).returning(ADJUSTMENTS.c.number)).scalar_one()
            made.append(_decision({**row, "number": number, "withdrawn_at": None}))
    return made


def list_decisions(gradebook: Gradebook) -> list[Decision]:
    """All that was ever decided, in that order."""
    with gradebook.begin() as connection:
        rows = connection.execute(sa.select(ADJUSTMENTS).order_by(ADJUSTMENTS.c.number)).mappings().all()
    return [_decision(row) for row in rows]


def withdraw(gradebook: Gradebook, number: int, *, by: str, reason: str) -> Decision:
    """
    Take a decision back; it stays in the gradebook, and counts no more.

    Raises:
        UsageError: There is none of that number that counts, or no reason.
    """
    if not reason.strip():
        raise UsageError("There is no reason.", "Say why, with --reason.")
    now = dt.datetime.now(dt.timezone.utc).replace(tzinfo=None, microsecond=0)
    is_it = (ADJUSTMENTS.c.number == number) & ADJUSTMENTS.c.withdrawn_at.is_(None)
    with gradebook.begin() as connection:
        taken = sa.update(ADJUSTMENTS).where(is_it).values(withdrawn_by=by, withdrawn_for=reason, withdrawn_at=now)
        if connection.execute(taken).rowcount != 1:
            raise UsageError(f"There is no adjustment {number} that counts.", "See them with --list.")
        found = sa.select(ADJUSTMENTS).where(ADJUSTMENTS.c.number == number)
        return _decision(connection.execute(found).mappings().one())


def adjustments_by_owner(gradebook: Gradebook, assignment_id: str) -> dict[Owner, tuple[Adjustment, ...]]:
    """
    What counts, by whose submission it is about: of an exercise, the newest points and the newest comment.

    A comment that is added later leaves points that were given before as they are.
    """
    merged: dict[Owner, dict[str, Adjustment]] = {}
    for decision in list_decisions(gradebook):
        if decision.assignment_id != assignment_id or decision.withdrawn:
            continue
        theirs = merged.setdefault(decision.owner, {})
        new = decision.adjustment
        old = theirs.get(new.exercise, Adjustment())
        is_whole = new.points is not None or old.points is None
        theirs[new.exercise] = Adjustment(
            exercise=new.exercise,
            points=old.points if new.points is None else new.points,
            comment=new.comment or old.comment,
            reason=new.reason if is_whole or new.reason == old.reason else f"{old.reason} {new.reason}",
        )
    return {owner: tuple(theirs[name] for name in sorted(theirs)) for owner, theirs in merged.items()}


def read_proposals(path: Path, *, by: str) -> list[Proposal]:
    """
    Read a CSV with the columns student, exercise, points, comment, reason, and perhaps by and platform.

    An empty exercise means the total; empty points, a comment only.

    Raises:
        UsageError: The file is no such table; the message names the line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}).", "Check the path given with --import.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not in UTF-8.", "Save it as CSV UTF-8.") from error
    first = text.partition("\n")[0]
    rows = csv.DictReader(io.StringIO(text), delimiter=";" if first.count(";") > first.count(",") else ",")
    names = [(name or "").strip().lower() for name in rows.fieldnames or ()]
    missing = [name for name in ("student", "reason") if name not in names]
    unknown = [name for name in names if name not in COLUMNS]
    if missing or unknown:
        said = f"no column {missing[0]!r}" if missing else f"a column {unknown[0]!r}"
        raise UsageError(f"{path} has {said}.", f"Its columns are {', '.join(COLUMNS)}; the last two may be left out.")
    proposals = []
    for row in rows:
        where = f"{path.name}, line {rows.line_num}: "
        cells = {name: (value or "").strip() for name, value in zip(names, row.values(), strict=False) if name}
        if None in row or not any(cells.values()):
            if any(cells.values()):
                raise UsageError(f"{where}there are more cells than columns.", "Put texts with commas in quotes.")
            continue
        proposals.append(
            Proposal(
                student=cells["student"],
                adjustment=Adjustment(
                    exercise=cells.get("exercise", ""),
                    points=_number(cells.get("points", ""), where),
                    comment=cells.get("comment", ""),
                    reason=cells["reason"],
                ),
                by=cells.get("by") or by,
                platform=cells.get("platform", ""),
                where=where,
            )
        )
    return proposals


def _number(text: str, where: str) -> float | None:
    try:
        return float(text.replace(",", ".")) if text else None
    except ValueError as error:
        raise UsageError(f"{where}{text!r} are no points.", "Write a number, or nothing.") from error


def _graded(connection: sa.Connection, proposal: Proposal, assignment_id: str | None) -> tuple[str, str, ReadReport]:
    """The platform, the assignment and the newest report of the student whom a proposal is about."""
    found = sa.select(RESULTS.c.platform, RESULTS.c.assignment_id, RESULTS.c.report, RESULTS.c.graded_at).where(
        RESULTS.c.student == proposal.student
    )
    if proposal.platform:
        found = found.where(RESULTS.c.platform == proposal.platform)
    if assignment_id:
        found = found.where(RESULTS.c.assignment_id == assignment_id)
    rows = connection.execute(found.order_by(RESULTS.c.graded_at)).all()
    if not rows:
        known = connection.execute(sa.select(RESULTS.c.student).distinct()).scalars().all()
        near = difflib.get_close_matches(proposal.student, known, n=1)
        hint = f"Is it {near[0]!r}?" if near else "Students are named as in gradebook.csv."
        raise UsageError(f"{proposal.where}No student {proposal.student!r} was graded here.", hint)
    for column, option in ((0, "--platform"), (1, "--assignment")):
        several = sorted({row[column] for row in rows})
        if len(several) > 1:
            raise UsageError(
                f"{proposal.where}{proposal.student!r} is in {' and in '.join(several)}.", f"Say which with {option}."
            )
    return rows[-1].platform, rows[-1].assignment_id, parse_report(rows[-1].report)


def _check(proposal: Proposal, report: ReadReport) -> None:
    given = proposal.adjustment
    worth = {finding.name: finding.max_points for finding in report.findings}
    if given.exercise and given.exercise not in worth:
        raise UsageError(f"{proposal.where}There is no exercise {given.exercise!r}.", f"There are {', '.join(worth)}.")
    if given.points is None and not given.comment:
        raise UsageError(f"{proposal.where}Nothing is decided.", "Give points, a comment, or both.")
    if not given.reason.strip():
        raise UsageError(f"{proposal.where}There is no reason.", "Say why, with --reason.")
    if max(len(given.comment), len(given.reason), len(proposal.by)) > TEXT_LIMIT:
        raise UsageError(f"{proposal.where}A text is longer than {TEXT_LIMIT:,} characters.", "Make it shorter.")
    highest = worth[given.exercise] if given.exercise else sum(worth.values())
    if given.points is not None and not (math.isfinite(given.points) and 0 <= given.points <= highest):
        what = given.exercise or "the whole"
        raise UsageError(
            f"{proposal.where}{given.points:g} points are out of range.", f"For {what} give 0 to {highest:g}."
        )


def _decision(row: Mapping[Any, Any]) -> Decision:
    withdrawn = ""
    if row["withdrawn_at"] is not None:
        withdrawn = f"by {row['withdrawn_by']}, {row['withdrawn_at']:%Y-%m-%d %H:%M} UTC: {row['withdrawn_for']}"
    return Decision(
        number=row["number"],
        owner=Owner(row["platform"], row["student"]),
        assignment_id=row["assignment_id"],
        adjustment=Adjustment(
            exercise=row["exercise"], points=row["points"], comment=row["comment"], reason=row["reason"]
        ),
        by=row["made_by"],
        at=row["made_at"],
        withdrawn=withdrawn,
    )


def stale(adjustments: Iterable[Adjustment], worth: Mapping[str, float]) -> list[str]:
    """What is to be said of adjustments that do not fit the assignment any more."""
    said = []
    for each in adjustments:
        highest = sum(worth.values()) if not each.exercise else worth.get(each.exercise)
        if highest is None:
            said.append(f"An adjustment is about {each.exercise}, which is no exercise any more: it has no effect.")
        elif each.points is not None and each.points > highest:
            said.append(f"An adjustment gives {each.points:g} points, of {highest:g} that there are now.")
    return said
