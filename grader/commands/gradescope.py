"""
`grader gradescope-zip`, an autograder to upload to Gradescope, and what it calls there.
"""

from __future__ import annotations

from pathlib import Path

import click

from grader.commands.options import (
    EXIT_FULL_MARKS,
    LEVELS,
    debug_option,
    hidden_seed_option,
    say,
    solutions_option,
)

__all__ = ["gradescope_run", "gradescope_zip"]


@click.command("gradescope-zip")
@click.argument("assignment_id", metavar="ID")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="[default: <ID>-autograder.zip]")
@click.option("--torch-index", metavar="URL", help="PyTorch's index of CPU builds, as its installation page names it.")
@solutions_option
@hidden_seed_option
@click.option(
    "--require-sandbox",
    "level",
    type=click.Choice(LEVELS),
    default="filtered",
    show_default=True,
    help="There, grade nothing in a sandbox below this level: it keeps the solution from the student's code.",
)
@debug_option
def gradescope_zip(
    assignment_id: str,
    output: Path | None,
    torch_index: str | None,
    solutions: Path | None,
    hidden_seed: int | None,
    level: str,
) -> int:
    """
    Make the zip of an autograder for Gradescope: this grader, one assignment and its solution.

    Upload it under Configure Autograder. Keep it to yourself: the solution is in it.
    """
    from grader.assignment.load import solutions_directory
    from grader.errors import UsageError
    from grader.files import write_atomically
    from grader.gradescope.package import build_zip

    path = output or Path(f"{assignment_id}-autograder.zip")
    options = {"hidden_seed": hidden_seed, "level": level}
    content = build_zip(assignment_id, solutions_directory(solutions), options, torch_index=torch_index)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)
    except OSError as error:
        raise UsageError(f"{path} cannot be written ({error.strerror}).", "Name another file with -o.") from error
    say(f"  {path}")
    return EXIT_FULL_MARKS


@click.command("gradescope-run", hidden=True)
@click.argument("root", type=click.Path(path_type=Path, file_okay=False, exists=True))
@debug_option
def gradescope_run(root: Path) -> int:
    """Grade what Gradescope put below ROOT. Results are in the file; the exit code tells only of faults."""
    from grader.gradescope.run import run

    fault = run(root)
    if fault is not None:
        raise fault
    return EXIT_FULL_MARKS
