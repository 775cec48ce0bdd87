"""
`grader submit`: hands in at the course's portal.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from grader.commands.options import EXIT_FAULT, EXIT_FULL_MARKS, EXIT_NOT_ALL, EXIT_USAGE, debug_option, say
from grader.errors import UsageError

if TYPE_CHECKING:
    from grader.submitting.client import Client
    from grader.submitting.progress import Progress

__all__ = ["submit"]


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("-a", "--assignment", metavar="ID", help="[default: the one that the notebook names]")
@click.option("--portal", metavar="ADDRESS", help="Save this portal as yours, with --key.")
@click.option("--key", metavar="KEY", help="The key that the portal made. [default: you are asked for it]")
@click.option("--no-wait", is_flag=True, help="Do not wait for the result.")
@debug_option
def submit(file: Path | None, assignment: str | None, portal: str | None, key: str | None, no_wait: bool) -> int:
    """
    Hand in a notebook at your course's portal, and wait for the result.

    Save your portal once: `grader submit --portal ADDRESS --key KEY`, as the portal's home page says. The exit code is
    0 if all is right, 1 if not all is, 2 if nothing was handed in, and 3 if the portal or the grader failed.
    """
    from grader.submitting.client import Client
    from grader.submitting.saved import load_portal

    if file is None and portal is None and key is None:
        raise UsageError("There is nothing to hand in.", "Name a notebook: grader submit my.ipynb")
    if portal is not None or key is not None:
        _save(portal, key)
    return EXIT_FULL_MARKS if file is None else _hand_in(Client(load_portal()), file, assignment, waits=not no_wait)


def _save(portal: str | None, key: str | None) -> None:
    from grader.submitting.handing_in import keep_portal
    from grader.submitting.saved import load_portal

    if key is None:
        if not sys.stdin.isatty():
            raise UsageError("There is no key.", "Add --key, with the key that the portal's home page shows.")
        key = click.prompt("The key (it is not shown)", hide_input=True, err=True)
    say(keep_portal(load_portal().address if portal is None else portal, key))


def _hand_in(client: Client, file: Path, assignment: str | None, *, waits: bool) -> int:
    from grader.notebook.read import read_submission
    from grader.submitting import words
    from grader.submitting.handing_in import follow, hand_in, read_whole

    submission = read_submission(file)
    chosen = assignment or read_whole(submission).assignment_id
    if not chosen:
        raise UsageError(f"{file} does not say which assignment it is for.", "Name the assignment's id with -a.")
    progress = hand_in(client, submission, chosen)
    say(words.handed_in(progress))
    say(f"  Page: {client.page(progress.id)}")
    say(f"  Receipt: {words.receipt_of(progress)}")
    if not waits:
        return EXIT_FULL_MARKS
    last = progress
    for last in follow(client, progress):
        if not last.is_done:
            say(words.whereabouts(last))
    for line in words.lines_of(last):
        say(line)
    return _exit_code(last)


def _exit_code(progress: Progress) -> int:
    if progress.status == "grader_error":
        return EXIT_FAULT
    if progress.status == "unreadable":
        return EXIT_USAGE
    return EXIT_FULL_MARKS if progress.is_right or progress.is_withheld else EXIT_NOT_ALL
