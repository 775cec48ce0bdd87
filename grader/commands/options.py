"""
What several commands share: options, exit codes, how they talk to people, and who these are.
"""

from __future__ import annotations

import functools
import getpass
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click

from grader.assignment.find import find_assignment, in_place_of_shipped, solutions_directory
from grader.execution.installed import require_for_grading
from grader.reports.terminal import for_terminal, lines_for_terminal
from grader.sandbox.levels import Level

__all__ = [
    "EXIT_FAULT",
    "EXIT_FULL_MARKS",
    "EXIT_NOT_ALL",
    "EXIT_USAGE",
    "FORMATS",
    "LEVELS",
    "assignment_option",
    "debug_option",
    "each",
    "for_grading",
    "format_option",
    "hidden_seed_option",
    "known_assignment",
    "login_name",
    "output_option",
    "quiet_option",
    "release_option",
    "sandbox_option",
    "say",
    "say_what_is_replaced",
    "solutions_option",
]

FORMATS = ("html", "json")
EXIT_FULL_MARKS, EXIT_NOT_ALL, EXIT_USAGE, EXIT_FAULT = 0, 1, 2, 3

_P = ParamSpec("_P")
_R = TypeVar("_R")


def for_grading(command: Callable[_P, _R]) -> Callable[_P, _R]:
    """A command that needs the extra `grading`: it says so if something of it is not installed."""

    @functools.wraps(command)
    def checked(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        require_for_grading(f"`grader {command.__name__.replace('_', '-')}`")
        return command(*args, **kwargs)

    return checked


def each(check: Callable[[Path], object]) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """What checks each path of an argument when the command line is read, before the command imports anything."""

    def checked(_context: click.Context, _parameter: click.Parameter, paths: Any) -> Any:
        for path in paths if isinstance(paths, tuple) else (paths,):
            check(path)
        return paths

    return checked


def known_assignment(context: click.Context, _parameter: click.Parameter, ids: Any) -> Any:
    """The same for ids of assignments, which must be in the folder that the command would look in."""
    named = (ids,) if isinstance(ids, str) else ids
    if named:
        folder = solutions_directory(context.params.get("solutions"), public=context.params.get("public", False))
        for assignment_id in named:
            find_assignment(assignment_id, folder)
    return ids


def say(text: str) -> None:
    """Print a text for people, on stderr. Nothing in it controls a terminal or is a command to a job's log."""
    click.echo(lines_for_terminal(text), err=True)


def say_what_is_replaced(sources: Iterable[Path]) -> None:
    """Say which of these source notebooks are used in place of one that comes with the grader: it may be a mistake."""
    for sentence in filter(None, map(in_place_of_shipped, sources)):
        say(f"  {for_terminal(sentence)}")


def login_name() -> str:
    """The login of whoever runs a command, for what is noted of it; `unknown` where the system has no name for them."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"


solutions_option = click.option(
    "--solutions",
    type=click.Path(path_type=Path),
    is_eager=True,  # ids are looked up in it
    help="Folder of source notebooks. [default: solutions/ here, or else those of the grader]",
)
output_option = click.option(
    "-o", "--output", type=click.Path(path_type=Path, file_okay=False), default=Path("reports"), show_default=True
)
assignment_option = click.option(
    "-a",
    "--assignment",
    "assignment_id",
    metavar="ID",
    callback=known_assignment,
    help="[default: the one that the notebook names, or most notebooks of the class]",
)
format_option = click.option(
    "--format", "formats", type=click.Choice(FORMATS), multiple=True, help="Repeatable. [default: html and json]"
)
hidden_seed_option = click.option(
    "--hidden-seed",
    type=click.IntRange(0, 2**32 - 1),
    envvar="GRADER_HIDDEN_SEED",
    help="Draws the hidden batches, instead of the seed in the source notebook. [env: GRADER_HIDDEN_SEED]",
)
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Print only errors.")
LEVELS = tuple(level.label for level in Level)
sandbox_option = click.option(
    "--require-sandbox",
    "level",
    type=click.Choice(LEVELS),
    default="none",
    show_default=True,
    help="Refuse to execute anything in a weaker sandbox; `grader doctor` says which level this machine has.",
)
release_option = click.option(
    "--release-at",
    "release",
    metavar="MOMENT",
    help="Until then, students' reports have no marks and show only the public batch: 2026-12-04T18:00+01:00, "
    "for example, or `now`. [default: `release` in the source notebook, or else now]",
)
debug_option = click.option("--debug", is_flag=True, expose_value=False, help="Show a traceback if the grader fails.")
