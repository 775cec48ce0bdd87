"""
The command line: `grader --help`.

Human talk goes to stderr, what was asked for to files. Exit codes: 0 all full marks, 1 some not, 2 usage, configuration
or unreadable input, 3 a fault of the grader's. Nothing heavy is imported before a command needs it.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import click

from grader.commands.adjust import adjust
from grader.commands.authoring import new, release, validate
from grader.commands.check import check
from grader.commands.export import export
from grader.commands.gradescope import gradescope_run, gradescope_zip
from grader.commands.options import (
    EXIT_FAULT,
    EXIT_FULL_MARKS,
    EXIT_NOT_ALL,
    EXIT_USAGE,
    FORMATS,
    assignment_option,
    debug_option,
    format_option,
    hidden_seed_option,
    output_option,
    quiet_option,
    release_option,
    sandbox_option,
    say,
    solutions_option,
)
from grader.commands.publishing import leaks, strip
from grader.errors import GraderError
from grader.version import __version__

if TYPE_CHECKING:
    from grader.classroom.pool import OpenWorkers
    from grader.classroom.run import ClassResult
    from grader.model import Report

__all__ = ["main"]

REPORT_IT = "Run it again with --debug and report that."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the only place where exceptions become a sentence and an exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    try:
        code = cli.main(given, prog_name="grader", standalone_mode=False)
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except click.Abort:
        say("Stopped.")
        return EXIT_USAGE
    except click.ClickException as error:
        error.show()
        return EXIT_USAGE
    except GraderError as error:
        if debug:
            raise
        say(f"grader: {error}")
        return error.exit_code
    except Exception as error:
        if debug:
            raise
        say(f"grader: It failed itself ({error!r}). {REPORT_IT}")
        return EXIT_FAULT
    return code if isinstance(code, int) else EXIT_FULL_MARKS


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="grader")
def cli() -> None:
    """Grade hand-derived gradients in Jupyter notebooks, and say why a wrong one is wrong."""


for command in (adjust, check, export, gradescope_run, gradescope_zip, leaks, new, release, strip, validate):
    cli.add_command(command)


@cli.command()
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, file_okay=False), default=Path("grader-demo"), show_default=True
)
@quiet_option
@debug_option
def demo(output: Path, quiet: bool) -> int:
    """Grade the bundled sample submissions, and say where the reports are."""
    from grader.demo import run_demo

    reports = run_demo(output, tell=say if not quiet else lambda _: None)
    if not quiet:
        for report, page in reports:
            say(f"  {report.score:4g} / {report.max_score:g}   {page}")
        say("Open one of them in a browser.")
    return EXIT_FULL_MARKS


@cli.command()
@click.argument("notebook", type=click.Path(path_type=Path))
@assignment_option
@output_option
@format_option
@solutions_option
@hidden_seed_option
@click.option(
    "--public",
    is_flag=True,
    help="Grade by autograd alone: read no solution and no seed. [default folder: assignments/ here, if there is one]",
)
@release_option
@sandbox_option
@quiet_option
@debug_option
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
    """Grade one submission: OUTPUT/<stem>.html and OUTPUT/<stem>.json."""
    from grader.execution.warm import forkserver, warming_up

    with warming_up():
        from grader.assignment.load import load_assignment, solutions_directory
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
    assignment = load_assignment(path, hidden_seed=hidden_seed, public=public)
    check_sandbox(Level[level.upper()], forkserver())  # the forkserver is still warming up until about now
    visibility = released_at(assignment.visibility, release)
    whole, fault = grade_or_fault(submission, assignment, require=Level[level.upper()], meanwhile=prepare_to_write)

    from grader.reports.write import write_reports

    _, report = views_of(whole, visibility, datetime.now(timezone.utc))
    written = write_reports(report, output, formats or FORMATS)
    if not quiet:
        _tell(report)
        for file in written:
            say(f"  {file}")
    if fault is not None:
        raise fault
    return _exit_code(report)


@cli.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...", type=click.Path(path_type=Path))
@assignment_option
@output_option
@click.option(
    "--jobs", type=click.IntRange(1, 256), help="How many to grade at a time. [default: one per core; 64 on a cluster]"
)
@click.option("--regrade", is_flag=True, help="Execute and grade also what has been graded before.")
@format_option
@click.option("--gradebook", metavar="PATH-OR-URL", help="Where results are kept. [default: OUTPUT/gradebook.db]")
@click.option(
    "--fill",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    multiple=True,
    help="A gradebook exported by Canvas or Moodle: fill a copy of it in. Repeatable.",
)
@click.option(
    "--cluster",
    metavar="ADDRESS",
    help="Grade on a Dask cluster: its scheduler's address, tcp://…, or its scheduler file.",
)
@click.option("--fill-column", metavar="HEADING", help="The column to fill, where that is not plain.")
@solutions_option
@hidden_seed_option
@release_option
@sandbox_option
@quiet_option
@debug_option
def batch(
    sources: tuple[Path, ...],
    assignment_id: str | None,
    output: Path,
    jobs: int | None,
    cluster: str | None,
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

    A SOURCE is a folder of notebooks, what Canvas, Moodle or Gradescope let you download (the zip, or unpacked), or an
    nbgrader course. Of several attempts the newest counts. What has been graded before is not graded again,
    and what has run before is judged again without being executed.
    """
    from grader.assignment.load import solutions_directory
    from grader.classroom.cluster import IN_FLIGHT, cluster_workers
    from grader.classroom.pool import Workers, local_workers
    from grader.classroom.run import ClassOptions, choose_for_class, grade_class
    from grader.classroom.submissions import find_submissions
    from grader.execution.kernels import check_sandbox
    from grader.sandbox import Level

    require = Level[level.upper()]
    if cluster is None:
        check_sandbox(require)
        open_workers: OpenWorkers = local_workers
    else:
        open_workers = functools.partial(cluster_workers, address=cluster, require=require)
    roster = find_submissions(sources, assignment_id=assignment_id)
    source = choose_for_class(roster.received, solutions_directory(solutions), assignment_id)
    usual = IN_FLIGHT if cluster is not None else os.cpu_count() or 1
    options = ClassOptions(
        output=output,
        workers=Workers(open=open_workers, jobs=jobs or usual, require=require),
        gradebook=gradebook,
        hidden_seed=hidden_seed,
        release=release,
        regrade=regrade,
        formats=formats or FORMATS,
        fill=fill,
        fill_column=fill_column,
        is_quiet=quiet,
    )
    try:
        result = grade_class(roster, source, options)
    except KeyboardInterrupt:
        say("What has been graded is kept: run it again to go on.")
        raise
    if not quiet:
        _tell_class(result)
    return _exit_code_of_class(result)


@cli.command()
@debug_option
def doctor() -> int:
    """Look at the installation: versions, the data's checksums, the sandbox layers in force."""
    from rich.console import Console
    from rich.markup import escape

    from grader.doctor import examine

    console = Console(highlight=False)
    marks = {True: "[green]✓[/]", False: "[red]✗[/]", None: "[yellow]![/]"}
    is_well = True
    for finding in examine():
        console.print(
            f"{marks[finding.is_well]} [bold]{escape(finding.name)}[/]: {escape(finding.text)}", soft_wrap=True
        )
        is_well = is_well and finding.is_well is not False
    return EXIT_FULL_MARKS if is_well else EXIT_FAULT


def _tell(report: Report) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(stderr=True, highlight=False)
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    marks = {True: "[green]✓[/]", False: "[red]✗[/]", None: "[yellow]?[/]"}
    for exercise in report.exercises:
        points = f"{exercise.points:g} / {exercise.max_points:g}" if report.gives_marks else ""
        table.add_row(marks[exercise.passed], escape(exercise.name), points, escape(_printable(exercise.message)))
    console.print(table)
    name = escape(_printable(report.submission.name))
    score = f"{report.score:g} / {report.max_score:g}" if report.gives_marks else f"marks from {report.release} on"
    console.print(f"[bold]{name}: {score}[/]", soft_wrap=True)


def _tell_class(result: ClassResult) -> None:
    for problem in result.problems:
        say(_printable(f"  {problem.where}: {problem.message}"))
    for entry in result.entries:
        if entry.report.is_undecided:
            say(_printable(f"  {entry.owner.student}: could not be graded. {entry.fault}"))
        elif entry.report.problem:
            say(_printable(f"  {entry.received.file.name}: {entry.report.problem}"))
    for filled in result.filled:
        say(_printable(f"  {filled.rows} rows of {filled.column!r} are filled in."))
        for note in filled.notes:
            say(_printable(f"  {note}"))
    for path in result.written:
        say(f"  {path}")


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)


def _exit_code(report: Report) -> int:
    if report.notebook.problem is not None:
        return EXIT_USAGE
    return EXIT_FULL_MARKS if all(exercise.passed for exercise in report.exercises) else EXIT_NOT_ALL


def _exit_code_of_class(result: ClassResult) -> int:
    reports = [entry.report for entry in result.entries]
    if any(report.is_undecided for report in reports):
        return EXIT_FAULT
    if any(report.problem for report in reports) or any(problem.is_serious for problem in result.problems):
        return EXIT_USAGE
    is_right = all(finding.outcome.passed for report in reports for finding in report.findings)
    return EXIT_FULL_MARKS if is_right else EXIT_NOT_ALL
