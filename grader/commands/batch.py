"""
`grader batch`: grades a class.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from grader.classroom import PLATFORMS
from grader.commands.options import (
    EXIT_FAULT,
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
from grader.files import check_exists
from grader.reports.terminal import for_terminal

if TYPE_CHECKING:
    from grader.classroom.pool import Workers
    from grader.classroom.run import ClassResult

__all__ = ["batch"]


@click.command()
@click.argument(
    "sources",
    nargs=-1,
    required=True,
    metavar="SOURCE...",
    type=click.Path(path_type=Path),
    callback=each(check_exists),
)
@assignment_option
@output_option
@click.option(
    "--jobs",
    type=click.IntRange(1, 256),
    help="Submissions to grade at a time. [default: one per core; 64 on a cluster]",
)
@click.option(
    "--platform",
    type=click.Choice(PLATFORMS),
    help="Who named the files. [default: recognised by the names]",
)
@click.option("--regrade", is_flag=True, help="Execute and grade everything again.")
@format_option
@click.option("--gradebook", metavar="PATH-OR-URL", help="Where to save the results. [default: OUTPUT/gradebook.db]")
@click.option(
    "--fill",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    multiple=True,
    help="Fill in a copy of this gradebook, which Canvas or Moodle exported. Repeatable.",
)
@click.option(
    "--cluster",
    metavar="ADDRESS",
    help="Grade on a Dask cluster: the address of its scheduler, tcp://…, or its scheduler file.",
)
@click.option("--fill-column", metavar="HEADING", help="The column to fill, if several fit.")
@solutions_option
@hidden_seed_option
@release_option
@sandbox_option
@quiet_option
@debug_option
@for_grading
def batch(
    sources: tuple[Path, ...],
    assignment_id: str | None,
    output: Path,
    jobs: int | None,
    cluster: str | None,
    platform: str | None,
    regrade: bool,
    formats: tuple[str, ...],
    gradebook: str | None,
    fill: tuple[Path, ...],
    fill_column: str | None,
    solutions: Path | None,
    hidden_seed: int | None,
    release: str | None,
    level: str,
    quiet: bool,
) -> int:
    """
    Grade a class: a report for each student, gradebook.csv, and the class at a glance in index.html.

    A SOURCE is a folder of notebooks, a download from Canvas, Moodle or Gradescope (zipped or unpacked), an nbgrader
    course, or a folder of repositories. If a student handed in several times, the newest submission counts; of several
    files, the notebook of the assignment. What has been graded already is not graded again, and what has run already
    is judged again without being executed.
    """
    from grader.assignment.find import solutions_directory
    from grader.assignment.source import read_source
    from grader.classroom.run import ClassOptions, choose_for_class, grade_class
    from grader.classroom.submissions import gather

    workers = _workers(cluster, jobs, level)
    gathered = gather(sources, assignment_id=assignment_id, platform=platform)
    source = choose_for_class(gathered.received, solutions_directory(solutions), assignment_id)
    if not quiet:
        say_what_is_replaced([source])
    notebook = read_source(source)
    roster = gathered.settle(notebook.id, [exercise.name for exercise in notebook.exercises])
    options = ClassOptions(
        output=output,
        workers=workers,
        gradebook=gradebook,
        hidden_seed=hidden_seed,
        release=release,
        regrade=regrade,
        sources=sources,
        formats=formats or FORMATS,
        fill=fill,
        fill_column=fill_column,
        is_quiet=quiet,
    )
    try:
        result = grade_class(roster, source, options)
    except KeyboardInterrupt:
        say("What has been graded is kept. Run the same command again to continue.")
        raise
    if not quiet:
        _show(result)
    return _exit_code(result)


def _workers(cluster: str | None, jobs: int | None, level: str) -> Workers:
    """The workers on this machine, after a check of its sandbox; or those of a cluster, which are checked later."""
    from grader.classroom.cluster import IN_FLIGHT, cluster_workers
    from grader.classroom.pool import Workers
    from grader.classroom.workers import local_workers
    from grader.execution.kernels import check_sandbox
    from grader.sandbox import Level

    require = Level[level.upper()]
    if cluster is not None:
        open_workers = functools.partial(cluster_workers, address=cluster, require=require)
        return Workers(open=open_workers, jobs=jobs or IN_FLIGHT, require=require)
    check_sandbox(require)
    return Workers(open=local_workers, jobs=jobs or os.cpu_count() or 1, require=require)


def _show(result: ClassResult) -> None:
    for problem in result.problems:
        say("  " + for_terminal(f"{problem.where}: {problem.message}"))
    for entry in result.entries:
        if entry.report.is_undecided:
            say("  " + for_terminal(f"{entry.owner.student}: could not be graded. {entry.fault}"))
        elif entry.report.problem:
            say("  " + for_terminal(f"{entry.received.file.name}: {entry.report.problem}"))
    for filled in result.filled:
        say("  " + for_terminal(f"Rows of {filled.column!r} that were filled in: {filled.rows}."))
        for note in filled.notes:
            say("  " + for_terminal(note))
    for path in result.written:
        say(f"  {for_terminal(str(path))}")


def _exit_code(result: ClassResult) -> int:
    reports = [entry.report for entry in result.entries]
    if any(report.is_undecided for report in reports):
        return EXIT_FAULT
    if any(report.problem for report in reports) or any(problem.is_serious for problem in result.problems):
        return EXIT_USAGE
    is_right = all(finding.outcome.passed for report in reports for finding in report.findings)
    return EXIT_FULL_MARKS if is_right else EXIT_NOT_ALL
