"""
`grader check`: students check a whole notebook themselves.
"""

from __future__ import annotations

import webbrowser
from pathlib import Path

import click

from grader.commands.options import EXIT_FULL_MARKS, EXIT_NOT_ALL, EXIT_USAGE, debug_option, each, for_grading, say
from grader.files import check_is_file
from grader.reports.terminal import for_terminal, lines_for_terminal

__all__ = ["check"]


@click.command()
@click.argument("notebook", type=click.Path(path_type=Path), callback=each(check_is_file))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Also write the report OUTPUT/<stem>-check.html.",
)
@click.option("--open", "is_opened", is_flag=True, help="Write the report and open it. [default OUTPUT: reports]")
@debug_option
@for_grading
def check(notebook: Path, output: Path | None, is_opened: bool) -> int:
    """
    Check your own notebook against autograd on public cases: no solution, no marks.

    This runs the notebook from the first cell to the last, and then says what `check.all()` says in the notebook.
    """
    from grader.checking.terminal import check_notebook
    from grader.errors import UsageError
    from grader.files import write_atomically
    from grader.notebook.read import read_submission

    checked = check_notebook(read_submission(notebook), folder=notebook.parent)
    click.echo(lines_for_terminal(checked.text))
    if checked.page and (output is not None or is_opened):
        folder = output or Path("reports")
        path = folder / f"{notebook.stem}-check.html"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_atomically(path, checked.page)
        except OSError as error:
            raise UsageError(
                f"The report cannot be written to {folder} ({error.strerror}).", "Name another folder with -o."
            ) from error
        say(f"  {for_terminal(str(path))}")
        if is_opened:
            webbrowser.open(path.resolve().as_uri())
    if checked.is_unreadable:
        return EXIT_USAGE
    return EXIT_FULL_MARKS if checked.is_right else EXIT_NOT_ALL
