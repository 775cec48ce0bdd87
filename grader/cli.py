"""
The command line: `grader --help`.

Commands talk to people on stderr, and write results to files. Exit codes: 0 full marks for everybody, 1 not for
everybody, 2 wrong usage or configuration or unreadable input, 3 the grader failed. Nothing heavy is imported before a
command needs it.
"""

from __future__ import annotations

import io
import sys
import traceback
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from grader.commands.adjust import adjust
from grader.commands.authoring import new, release, validate
from grader.commands.batch import batch
from grader.commands.check import check
from grader.commands.course import course
from grader.commands.export import export
from grader.commands.grade import grade
from grader.commands.gradescope import gradescope_run, gradescope_zip
from grader.commands.installation import demo, doctor
from grader.commands.lti import lti_commands
from grader.commands.options import EXIT_FULL_MARKS, EXIT_USAGE, say
from grader.commands.publishing import leaks, strip
from grader.commands.serve import serve
from grader.commands.submit import submit
from grader.errors import GraderError, as_fault
from grader.reports.terminal import for_terminal
from grader.version import __version__

if TYPE_CHECKING:
    from grader.portal.lti.tool import Tool

__all__ = ["is_refused", "main"]


def _tool_of(folder: Path) -> AbstractContextManager[Tool]:
    """The portal as a tool. Nothing of it is imported before a command needs it."""
    from grader.portal.installed import require_for_portal

    require_for_portal("`grader lti`")
    from grader.portal.course import open_course

    open_course(folder)  # a mistake in it costs no more than reading it
    from grader.portal.platforms import tool_of

    return tool_of(folder)


COMMANDS = (
    *(adjust, batch, check, course, demo, doctor, export, grade, gradescope_run, gradescope_zip, leaks, new, release),
    *(lti_commands(_tool_of), serve, strip, submit, validate),
)


def is_refused(words: Sequence[str]) -> bool:
    """Whether a command cannot read its command line. Nothing is run, and nothing heavy is imported."""
    command = next(command for command in COMMANDS if command.name == words[0])
    try:
        command.make_context(words[0], list(words[1:]))
    except (click.ClickException, click.exceptions.Exit, GraderError):
        return True
    return False


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. Only here do exceptions become a sentence and an exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = cli.main(words, prog_name="grader", standalone_mode=False)
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except click.Abort:
        say("Stopped.")
        return EXIT_USAGE
    except click.ClickException as error:
        text = io.StringIO()
        error.show(file=text)
        say(text.getvalue().rstrip("\n"))
        return EXIT_USAGE
    except Exception as error:
        fault = as_fault(error)
        say(traceback.format_exc() if "--debug" in words else f"grader: {for_terminal(str(fault))}")
        return fault.exit_code
    return code if isinstance(code, int) else EXIT_FULL_MARKS


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="grader")
def cli() -> None:
    """Grade hand-derived gradients in Jupyter notebooks, and say why a wrong one is wrong."""


for command in COMMANDS:
    cli.add_command(command)
