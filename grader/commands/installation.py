"""
`grader demo` and `grader doctor`, to run after installing the grader.
"""

from __future__ import annotations

from pathlib import Path

import click

from grader.commands.options import EXIT_FAULT, EXIT_FULL_MARKS, debug_option, for_grading, quiet_option, say

__all__ = ["demo", "doctor"]


@click.command()
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, file_okay=False), default=Path("grader-demo"), show_default=True
)
@quiet_option
@debug_option
@for_grading
def demo(output: Path, quiet: bool) -> int:
    """Grade the sample submissions of the grader, and say where the reports are."""
    from grader.demo import run_demo

    reports = run_demo(output, tell=say if not quiet else lambda _: None)
    if not quiet:
        for report, page in reports:
            say(f"  {report.score:4g} / {report.max_score:g}   {page}")
        say("Open one of them in a browser.")
    return EXIT_FULL_MARKS


@click.command()
@debug_option
@for_grading
def doctor() -> int:
    """Examine the installation: versions, the checksums of the data, the layers of the sandbox."""
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
