"""
The commands of an assignment's author: `release` and `validate`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from grader.commands.options import (
    EXIT_FULL_MARKS,
    EXIT_NOT_ALL,
    debug_option,
    quiet_option,
    say,
    solutions_option,
)

if TYPE_CHECKING:
    from grader.validate import Validation

__all__ = ["release", "validate"]


@click.command()
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, file_okay=False), default=Path("assignments"), show_default=True
)
@solutions_option
@quiet_option
@debug_option
def release(ids: tuple[str, ...], output: Path, solutions: Path | None, quiet: bool) -> int:
    """Make the students' notebooks from the source notebooks: all of them, or those named."""
    from grader.assignment import find_assignment, solutions_directory
    from grader.release import write_release
    from grader.source import find_sources, read_source

    directory = solutions_directory(solutions)
    for assignment_id in ids or find_sources(directory):
        for file in write_release(read_source(find_assignment(assignment_id, directory)), output):
            if not quiet:
                say(f"  {file}")
    return EXIT_FULL_MARKS


@click.command()
@click.argument("ids", nargs=-1, metavar="[ID]...")
@solutions_option
@debug_option
def validate(ids: tuple[str, ...], solutions: Path | None) -> int:
    """Is this assignment sound? References agree, blanks score 0, the solution everything, mistakes are caught."""
    from grader.assignment import find_assignment, solutions_directory
    from grader.source import find_sources
    from grader.validate import validate as check

    directory = solutions_directory(solutions)
    is_sound = True
    for assignment_id in ids or find_sources(directory):
        validation = check(find_assignment(assignment_id, directory))
        _show_validation(validation)
        is_sound = is_sound and not validation.problems
    return EXIT_FULL_MARKS if is_sound else EXIT_NOT_ALL


def _show_validation(validation: Validation) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    table = Table(title=validation.assignment_id, title_justify="left", box=None, padding=(0, 2, 0, 0))
    for heading, justify in (
        ("exercise", "left"),
        ("differences", "right"),
        ("mutants caught", "right"),
        ("time", "right"),
        ("memory", "right"),
    ):
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]
    for exercise in validation.exercises:
        table.add_row(
            exercise.name,
            f"{exercise.difference:.0e}",
            f"{exercise.caught} of {exercise.mutants}",
            f"{exercise.milliseconds:.2f} ms",
            f"{exercise.kib:.0f} KiB",
        )
    console.print(table)
    for exercise in validation.exercises:
        for survivor in exercise.survivors:
            why = "a hole in the cases" if survivor.is_hole else "equivalent: the same function in other words"
            line = f"  {exercise.name}: {survivor.edit.replace('_', ' ')} in {survivor.site} survives, {why}"
            console.print(line, markup=False, soft_wrap=True)
    for problem in validation.problems:
        console.print(f"✗ {problem}", markup=False, soft_wrap=True, style="red")
    if not validation.problems:
        console.print(f"✓ {validation.assignment_id} is sound.", style="green")
