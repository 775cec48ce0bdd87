"""
Saves an instructor's decisions in the gradebook, from which they are never deleted.

A decision is about a student and an exercise, not about a result, so it survives regrading. After it is withdrawn, the
gradebook still says who decided it, when and why.
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
    "count_decisions",
    "decide",
    "decide_in",
    "decisions_of",
    "list_decisions",
    "read_proposals",
    "stale",
    "withdraw",
    "withdraw_in",
]

TEXT_LIMIT = 2_000
COLUMNS = ("student", "exercise", "points", "comment", "reason", "by", "platform")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """
    A decision that an instructor proposes, not checked yet.

    Attributes:
        adjustment: Its reason must not be empty.
        by: Who proposes it.
        platform: May be empty if only one platform has this student.
        where: The beginning of messages about it: the file and the line where it stands.
    """

    student: str
    adjustment: Adjustment
    by: str
    platform: str = ""
    where: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """
    A decision of an instructor.

    Attributes:
        by, at: Who decided, and when (in UTC, without a time zone).
        withdrawn: Who withdrew it, when and why; empty if nobody did.
    """

    number: int
    owner: Owner
    assignment_id: str
    adjustment: Adjustment
    by: str
    at: dt.datetime
    withdrawn: str = ""


def decide(gradebook: Gradebook, proposals: Sequence[Proposal], *, assignment_id: str | None = None) -> list[Decision]:
    """
    Save decisions: all of them, or none if one of them is wrong.

    Raises:
        UsageError: A student or an exercise does not exist, points are out of range, or a proposal has no reason or
            decides nothing.
    """
    with gradebook.begin() as connection:
        return decide_in(connection, proposals, assignment_id=assignment_id)


def decide_in(
    connection: sa.Connection, proposals: Sequence[Proposal], *, assignment_id: str | None = None
) -> list[Decision]:
    """`decide`, in a transaction that does more."""
    now = dt.datetime.now(dt.timezone.utc).replace(tzinfo=None, microsecond=0)
    made = []
    for proposal in proposals:
        platform, assignment, report = _newest_report(connection, proposal, assignment_id)
        _check(proposal, report)
        adjustment = proposal.adjustment
        row = {
            "platform": platform,
            "student": proposal.student,
            "assignment_id": assignment,
            "exercise": adjustment.exercise,
            "points": adjustment.points,
            "comment": adjustment.comment,
            "reason": adjustment.reason,
            "made_by": proposal.by,
            "made_at": now,
        }
        number = connection.execute(sa.insert(ADJUSTMENTS).values(row).returning(ADJUSTMENTS.c.number)).scalar_one()
        made.append(_decision({**row, "number": number, "withdrawn_at": None}))
    return made


def list_decisions(gradebook: Gradebook) -> list[Decision]:
    """All decisions that were ever made, in that order."""
    with gradebook.begin() as connection:
        rows = connection.execute(sa.select(ADJUSTMENTS).order_by(ADJUSTMENTS.c.number)).mappings().all()
    return [_decision(row) for row in rows]


def count_decisions(gradebook: Gradebook) -> tuple[int, int]:
    """How many decisions were ever made, and how many of them are withdrawn: whenever one changes, so does this."""
    found = sa.select(sa.func.count(), sa.func.count(ADJUSTMENTS.c.withdrawn_at)).select_from(ADJUSTMENTS)
    with gradebook.begin() as connection:
        made, withdrawn = connection.execute(found).one()
    return made, withdrawn


def decisions_of(connection: sa.Connection, owner: Owner, assignment_id: str) -> list[Decision]:
    """All decisions that were ever made about a student's work, in that order."""
    is_it = (ADJUSTMENTS.c.platform == owner.platform) & (ADJUSTMENTS.c.student == owner.student)
    found = sa.select(ADJUSTMENTS).where(is_it, ADJUSTMENTS.c.assignment_id == assignment_id)
    rows = connection.execute(found.order_by(ADJUSTMENTS.c.number)).mappings().all()
    return [_decision(row) for row in rows]


def withdraw(gradebook: Gradebook, number: int, *, by: str, reason: str) -> Decision:
    """
    Withdraw a decision. It stays in the gradebook, but no longer counts.

    Raises:
        UsageError: There is no decision with this number that counts, or no reason is given.
    """
    with gradebook.begin() as connection:
        return withdraw_in(connection, number, by=by, reason=reason)


def withdraw_in(connection: sa.Connection, number: int, *, by: str, reason: str) -> Decision:
    """`withdraw`, in a transaction that does more."""
    if not reason.strip():
        raise UsageError("There is no reason.", "Say why with --reason.")
    now = dt.datetime.now(dt.timezone.utc).replace(tzinfo=None, microsecond=0)
    is_it = (ADJUSTMENTS.c.number == number) & ADJUSTMENTS.c.withdrawn_at.is_(None)
    taken = sa.update(ADJUSTMENTS).where(is_it).values(withdrawn_by=by, withdrawn_for=reason, withdrawn_at=now)
    if connection.execute(taken).rowcount != 1:
        raise UsageError(f"There is no adjustment {number} that counts.", "List them with --list.")
    found = sa.select(ADJUSTMENTS).where(ADJUSTMENTS.c.number == number)
    return _decision(connection.execute(found).mappings().one())


def adjustments_by_owner(gradebook: Gradebook, assignment_id: str) -> dict[Owner, tuple[Adjustment, ...]]:
    """
    The adjustments that count: for each exercise, the newest points and the newest comment.

    A later decision that is only a comment does not change the points.

    Returns:
        dict: By owner of the submission; at most one adjustment for each exercise, and one for the total.
    """
    merged: dict[Owner, dict[str, Adjustment]] = {}
    for decision in list_decisions(gradebook):
        if decision.assignment_id != assignment_id or decision.withdrawn:
            continue
        by_exercise = merged.setdefault(decision.owner, {})
        new = decision.adjustment
        old = by_exercise.get(new.exercise, Adjustment())
        replaces_old = new.points is not None or old.points is None
        by_exercise[new.exercise] = Adjustment(
            exercise=new.exercise,
            points=old.points if new.points is None else new.points,
            comment=new.comment or old.comment,
            reason=new.reason if replaces_old or new.reason == old.reason else f"{old.reason} {new.reason}",
        )
    return {owner: tuple(by_exercise[name] for name in sorted(by_exercise)) for owner, by_exercise in merged.items()}


def read_proposals(path: Path, *, by: str) -> list[Proposal]:
    """
    Read proposals from a CSV with the columns student, exercise, points, comment, reason, and optionally by, platform.

    If the exercise is empty, the total is meant; if the points are empty, only a comment.

    Args:
        by: Who decides, where the table does not say.

    Raises:
        UsageError: The file cannot be read, or is not such a table; the message names the line.
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
        message = f"has no column {missing[0]!r}" if missing else f"has an unknown column {unknown[0]!r}"
        raise UsageError(f"{path} {message}.", f"The columns are {', '.join(COLUMNS)}; the last two may be left out.")
    proposals = []
    for row in rows:
        where = f"{path.name}, line {rows.line_num}: "
        cells = {name: (value or "").strip() for name, value in zip(names, row.values(), strict=False) if name}
        if None in row or not any(cells.values()):
            if any(cells.values()):
                raise UsageError(
                    f"{where}there are more cells than columns.", "Put texts that contain commas in quotes."
                )
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
        raise UsageError(f"{where}{text!r} is not a number of points.", "Write a number, or nothing.") from error


def _newest_report(
    connection: sa.Connection, proposal: Proposal, assignment_id: str | None
) -> tuple[str, str, ReadReport]:
    """The platform, the assignment and the newest report of the student in a proposal."""
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
        hint = f"Do you mean {near[0]!r}?" if near else "Name students as in gradebook.csv."
        raise UsageError(f"{proposal.where}No student {proposal.student!r} was graded here.", hint)
    for column, option in ((0, "--platform"), (1, "--assignment")):
        several = sorted({row[column] for row in rows})
        if len(several) > 1:
            raise UsageError(
                f"{proposal.where}{proposal.student!r} is in {' and in '.join(several)}.", f"Choose one with {option}."
            )
    return rows[-1].platform, rows[-1].assignment_id, parse_report(rows[-1].report)


def _check(proposal: Proposal, report: ReadReport) -> None:
    adjustment = proposal.adjustment
    worth = {finding.name: finding.max_points for finding in report.findings}
    if adjustment.exercise and adjustment.exercise not in worth:
        raise UsageError(
            f"{proposal.where}There is no exercise {adjustment.exercise!r}.", f"There are {', '.join(worth)}."
        )
    if adjustment.points is None and not adjustment.comment:
        raise UsageError(f"{proposal.where}This decides nothing.", "Give points, a comment, or both.")
    if not adjustment.reason.strip():
        raise UsageError(f"{proposal.where}There is no reason.", "Say why with --reason.")
    if max(len(adjustment.comment), len(adjustment.reason), len(proposal.by)) > TEXT_LIMIT:
        raise UsageError(f"{proposal.where}A text is longer than {TEXT_LIMIT:,} characters.", "Make it shorter.")
    highest = worth[adjustment.exercise] if adjustment.exercise else sum(worth.values())
    if adjustment.points is not None and not (math.isfinite(adjustment.points) and 0 <= adjustment.points <= highest):
        what = adjustment.exercise or "the total"
        raise UsageError(
            f"{proposal.where}{adjustment.points:g} points are out of range.", f"For {what}, give 0 to {highest:g}."
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
    """
    Say in sentences which adjustments no longer fit the assignment.

    Args:
        worth: The points of each exercise, now.
    """
    messages = []
    for adjustment in adjustments:
        highest = worth.get(adjustment.exercise) if adjustment.exercise else sum(worth.values())
        if highest is None:
            messages.append(
                f"An adjustment is about {adjustment.exercise}, which no longer exists: the adjustment has no effect."
            )
        elif adjustment.points is not None and adjustment.points > highest:
            messages.append(f"An adjustment gives {adjustment.points:g} points, but now there are only {highest:g}.")
    return messages
