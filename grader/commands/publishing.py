"""
`grader leaks` and `grader strip`, for instructors before they publish files. The exit code is 1 if anything is found.
"""

from __future__ import annotations

from pathlib import Path

import click

from grader.commands.options import EXIT_FULL_MARKS, EXIT_NOT_ALL, debug_option, each, say, solutions_option
from grader.files import check_is_file
from grader.reports.terminal import for_terminal

__all__ = ["leaks", "strip"]


@click.command()
@click.argument(
    "files",
    nargs=-1,
    metavar="[FILE]...",
    type=click.Path(path_type=Path, dir_okay=False),
    callback=each(check_is_file),
)
@solutions_option
@debug_option
def leaks(files: tuple[Path, ...], solutions: Path | None) -> int:
    """Find parts of the solutions in files: delimiters, the hidden seed, a function that does the same."""
    from grader.assignment.find import solutions_directory
    from grader.authoring.leaks import find_leaks, solution_bodies

    directory = solutions_directory(solutions)
    bodies = solution_bodies(directory)
    sources = directory.resolve()
    outside = (path for path in files if sources not in path.resolve().parents)
    found = [leak for path in outside for leak in find_leaks(path, bodies)]
    for leak in found:
        say(for_terminal(leak))
    return EXIT_NOT_ALL if found else EXIT_FULL_MARKS


@click.command()
@click.argument(
    "files",
    nargs=-1,
    metavar="[NOTEBOOK]...",
    type=click.Path(path_type=Path, dir_okay=False),
    callback=each(check_is_file),
)
@debug_option
def strip(files: tuple[Path, ...]) -> int:
    """Remove the outputs from notebooks, in place. The exit code is 1 if there were any."""
    from grader.authoring.leaks import strip_outputs
    from grader.errors import UsageError
    from grader.files import write_atomically

    changed = False
    for path in files:
        text = strip_outputs(path)
        if text is not None:
            changed = True
            try:
                write_atomically(path, text)
            except OSError as error:
                raise UsageError(f"{path} cannot be written ({error.strerror}).", "Check its permissions.") from error
            say(f"  {for_terminal(str(path))}")
    return EXIT_NOT_ALL if changed else EXIT_FULL_MARKS
