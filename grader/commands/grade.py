"""
`grader grade`: grades one submission.
"""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import click

from grader.commands.options import (
    EXIT_FULL_MARKS,
    EXIT_NOT_ALL,
    EXIT_USAGE,
    FORMATS,
    assignment_option,
    debug_option,
    each,
    for_grading,
    format_option,
    hidden_seed_option,
    output_option,
    quiet_option,
    release_option,
    sandbox_option,
    say,
    say_what_is_replaced,
    solutions_option,
)
from grader.files import check_is_file
from grader.reports.terminal import for_terminal

if TYPE_CHECKING:
    from grader.model import Report

__all__ = ["grade"]


@click.command()
@click.argument("notebook", type=click.Path(path_type=Path), callback=each(check_is_file))
@assignment_option
@output_option
@format_option
@solutions_option
@hidden_seed_option
@click.option(
    "--public",
    is_flag=True,
    is_eager=True,  # it says where an id is looked up
    help="Grade by autograd alone, without a solution or a seed. [default folder: assignments/ here, if it exists]",
)
@release_option
@sandbox_option
@quiet_option
@debug_option
@for_grading
def grade(
    notebook: Path,
    assignment_id: str | None,
    output: Path,
    formats: tuple[str, ...],
    solutions: Path | None,
    hidden_seed: int | None,
    public: bool,
    release: str | None,
    level: str,
    quiet: bool,
) -> int:
    """Grade one submission, and write OUTPUT/<stem>.html and OUTPUT/<stem>.json."""
    from grader.execution.warm import forkserver, warming_up

    with warming_up():
        from grader.assignment.find import solutions_directory
        from grader.assignment.load import load_assignment
        from grader.execution.kernels import check_sandbox
        from grader.notebook.read import read_submission
        from grader.pipeline import choose_assignment, grade_or_fault
        from grader.sandbox import Level
        from grader.visibility import released_at, views_of

    def prepare_to_write() -> None:
        from grader.reports.html import prepare

        prepare()

    submission = read_submission(notebook)
    path = choose_assignment(submission, solutions_directory(solutions, public=public), assignment_id)
    if not quiet:
        say_what_is_replaced([path])
    assignment = load_assignment(path, hidden_seed=hidden_seed, public=public)
    check_sandbox(Level[level.upper()], forkserver())  # the forkserver is still warming up until about now
    visibility = released_at(assignment.visibility, release)
    secrets = [notebook.parent, output] if public else [path.parent, notebook.parent, output]
    whole, fault = grade_or_fault(
        submission, assignment, require=Level[level.upper()], secrets=secrets, meanwhile=prepare_to_write
    )

    from grader.reports.write import write_reports

    _, shown = views_of(whole, visibility, datetime.now(timezone.utc))
    written = write_reports(shown, output, formats or FORMATS)
    if not quiet:
        _show(shown)
        for file in written:
            say(f"  {for_terminal(str(file))}")
    if fault is not None:
        raise fault
    return _exit_code(shown)


def _show(report: Report) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(stderr=True, highlight=False, emoji=False)
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    marks = {True: "[green]✓[/]", False: "[red]✗[/]", None: "[yellow]?[/]"}
    for exercise in report.exercises:
        points = f"{exercise.points:g} / {exercise.max_points:g}" if report.gives_marks else ""
        table.add_row(
            marks[exercise.passed], escape(for_terminal(exercise.name)), points, escape(for_terminal(exercise.message))
        )
    console.print(table)
    name = escape(for_terminal(report.submission.name))
    score = f"{report.score:g} / {report.max_score:g}" if report.gives_marks else f"marks from {report.release} on"
    console.print(f"[bold]{name}: {score}[/]", soft_wrap=True)


def _exit_code(report: Report) -> int:
    if report.notebook.problem is not None:
        return EXIT_USAGE
    return EXIT_FULL_MARKS if all(exercise.passed for exercise in report.exercises) else EXIT_NOT_ALL
