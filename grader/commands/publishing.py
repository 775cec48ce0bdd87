"""
`grader leaks` and `grader strip`, for instructors before they publish files. The exit code is 1 if anything is found.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from grader.commands.options import (
    EXIT_FULL_MARKS,
    EXIT_NOT_ALL,
    debug_option,
    each,
    quiet_option,
    say,
    solutions_option,
)
from grader.files import check_is_file
from grader.reports.terminal import for_terminal

__all__ = ["leaks", "strip"]

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _files(metavar: str) -> Callable[[_Command], _Command]:
    """The argument of a command that reads any number of files."""
    path = click.Path(path_type=Path, dir_okay=False)
    return click.argument("files", nargs=-1, metavar=metavar, type=path, callback=each(check_is_file))


@click.command()
@_files("[FILE]...")
@solutions_option
@quiet_option
@debug_option
def leaks(files: tuple[Path, ...], solutions: Path | None, quiet: bool) -> int:
    """Find parts of the solutions in files: delimiters, the hidden seed, a function that does the same."""
    from grader.assignment.find import solutions_directory
    from grader.authoring.leaks import find_leaks, solution_bodies

    directory = solutions_directory(solutions)
    bodies = solution_bodies(directory)
    sources = directory.resolve()
    outside = [path for path in files if sources not in path.resolve().parents]
    found = [leak for path in outside for leak in find_leaks(path, bodies)]
    for leak in found:
        say(for_terminal(leak))
    if not found and not quiet:
        say(_nothing_in(len(outside), directory))
    return EXIT_NOT_ALL if found else EXIT_FULL_MARKS


def _nothing_in(files: int, directory: Path) -> str:
    """What is said if nothing was found."""
    if not files:
        return f"No file was searched: name those that you publish, other than those in {directory}."
    what = "1 file was" if files == 1 else f"{files:,} files were"
    return f"{what} searched: no solution, no solution region and no hidden seed was found."


@click.command()
@_files("[NOTEBOOK]...")
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
