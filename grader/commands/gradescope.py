"""
`grader gradescope-zip`, an autograder to upload to Gradescope, and the command that it runs there.
"""

from __future__ import annotations

from pathlib import Path

import click

from grader.commands.options import (
    EXIT_FULL_MARKS,
    LEVELS,
    debug_option,
    for_grading,
    hidden_seed_option,
    known_assignment,
    say,
    say_what_is_replaced,
    solutions_option,
)

__all__ = ["gradescope_run", "gradescope_zip"]


@click.command("gradescope-zip")
@click.argument("assignment_id", metavar="ID", callback=known_assignment)
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="[default: <ID>-autograder.zip]")
@click.option(
    "--torch-index", metavar="URL", help="The address of PyTorch's index of CPU builds, from its installation page."
)
@solutions_option
@hidden_seed_option
@click.option(
    "--require-sandbox",
    "level",
    type=click.Choice(LEVELS),
    default="filtered",
    show_default=True,
    help="On Gradescope, grade nothing in a weaker sandbox: it keeps the solution away from students' code.",
)
@debug_option
@for_grading
def gradescope_zip(
    assignment_id: str,
    output: Path | None,
    torch_index: str | None,
    solutions: Path | None,
    hidden_seed: int | None,
    level: str,
) -> int:
    """
    Make an autograder for Gradescope: a zip with this grader, one assignment and its solution.

    Upload it under Configure Autograder. Keep it secret: it contains the solution.
    """
    from grader.assignment.find import find_assignment, solutions_directory
    from grader.errors import UsageError
    from grader.files import write_atomically
    from grader.gradescope.package import build_zip

    path = output or Path(f"{assignment_id}-autograder.zip")
    options = {"hidden_seed": hidden_seed, "level": level}
    directory = solutions_directory(solutions)
    say_what_is_replaced([find_assignment(assignment_id, directory)])
    content = build_zip(assignment_id, directory, options, torch_index=torch_index)
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
@for_grading
def gradescope_run(root: Path) -> int:
    """Grade what Gradescope put below ROOT. The exit code is 0 unless the grader failed."""
    from grader.gradescope.run import run

    fault = run(root)
    if fault is not None:
        raise fault
    return EXIT_FULL_MARKS
