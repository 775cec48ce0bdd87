"""
`grader adjust`: an instructor's decisions, saved in the gradebook.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from grader.commands.options import EXIT_FULL_MARKS, debug_option, for_grading, login_name, say
from grader.errors import UsageError
from grader.reports.terminal import for_terminal

if TYPE_CHECKING:
    from grader.classroom.decisions import Decision

__all__ = ["adjust"]


@click.command()
@click.argument("student", required=False)
@click.option(
    "-g",
    "--gradebook",
    "place",
    metavar="PATH-OR-URL",
    default="reports",
    show_default=True,
    help="The folder that `grader batch` wrote, its gradebook.db, or a database URL.",
)
@click.option("--exercise", default="", metavar="NAME", help="[default: the total]")
@click.option("--points", type=float, help="They replace the grader's.")
@click.option("--comment", default="", help="For the student to read.")
@click.option("--reason", default="", help="Why. The student reads it, too.")
@click.option("--by", "by", metavar="WHO", help="Who decides; students do not see it. [default: your login]")
@click.option("--platform", default="", help="If several platforms have a student with this id.")
@click.option("-a", "--assignment", "assignment_id", metavar="ID", help="If the gradebook has several assignments.")
@click.option(
    "--import",
    "table",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Import a CSV of adjustments: all of them, or none.",
)
@click.option("--list", "is_list", is_flag=True, help="Show all decisions that were ever made.")
@click.option("--withdraw", type=int, metavar="NUMBER", help="Withdraw a decision, with a reason.")
@debug_option
@for_grading
def adjust(
    student: str | None,
    place: str,
    exercise: str,
    points: float | None,
    comment: str,
    reason: str,
    by: str | None,
    platform: str,
    assignment_id: str | None,
    table: Path | None,
    is_list: bool,
    withdraw: int | None,
) -> int:
    """
    Give a STUDENT, named as in gradebook.csv, other points or a comment, with a reason.

    The decision survives regrading. The next `grader batch` puts it into reports and tables, and executes nothing.
    """
    chosen = [choice for choice in (student, table, withdraw, is_list or None) if choice is not None]
    if len(chosen) != 1:
        raise UsageError("Say exactly one thing to do.", "Name a STUDENT, or use --import, --list or --withdraw.")
    who, existing = by or login_name(), _existing(place)

    from grader.classroom import decisions
    from grader.classroom.gradebook import Gradebook
    from grader.model import Adjustment

    with contextlib.closing(Gradebook(existing)) as gradebook:
        if is_list:
            _show(decisions.list_decisions(gradebook))
            return EXIT_FULL_MARKS
        if withdraw is not None:
            made = [decisions.withdraw(gradebook, withdraw, by=who, reason=reason)]
        else:
            adjustment = Adjustment(exercise=exercise, points=points, comment=comment, reason=reason)
            if table is not None:
                proposals = decisions.read_proposals(table, by=who)
            else:
                proposals = [
                    decisions.Proposal(student=student or "", adjustment=adjustment, by=who, platform=platform)
                ]
            made = decisions.decide(gradebook, proposals, assignment_id=assignment_id)
    _show(made)
    say(
        "Grade the class again to put this into reports and tables. Nothing is executed for it. "
        "A portal that uses this gradebook does so by itself."
    )
    return EXIT_FULL_MARKS


def _existing(place: str) -> str:
    """The place of the gradebook, which must exist: a typo must not create a new one."""
    if "://" in place:
        return place
    path = Path(place) / "gradebook.db" if Path(place).is_dir() else Path(place)
    if not path.is_file():
        raise UsageError(f"There is no gradebook {path}.", "Name the folder that `grader batch` wrote with -g.")
    return str(path)


def _show(decisions: Iterable[Decision]) -> None:
    for decision in decisions:
        adjustment = decision.adjustment
        parts = [decision.owner.student, adjustment.exercise or "total"]
        parts += [f"{adjustment.points:g} points"] if adjustment.points is not None else []
        parts += [f"“{adjustment.comment}”"] if adjustment.comment else []
        parts += [f"({adjustment.reason}; {decision.by}, {decision.at:%Y-%m-%d %H:%M} UTC)"]
        parts += [f"withdrawn {decision.withdrawn}"] if decision.withdrawn else []
        click.echo("  ".join((f"{decision.number:4d}", *map(for_terminal, parts))))
