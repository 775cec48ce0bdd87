"""
`grader export`: reports in the formats of other programs.
"""

from __future__ import annotations

from pathlib import Path

import click

from grader.commands.options import EXIT_FULL_MARKS, debug_option, for_grading
from grader.exports.formats import Format

__all__ = ["export"]


@click.command()
@click.argument("reports", nargs=-1, required=True, metavar="REPORT...", type=click.Path(path_type=Path))
@click.option(
    "--format", "name", type=click.Choice([form.value for form in Format]), required=True, help="What to write."
)
@click.option(
    "--notebook",
    "notebooks",
    type=click.Path(path_type=Path, dir_okay=False),
    multiple=True,
    help="A file that was graded, to name its lines. Repeatable.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="[default: stdout]")
@debug_option
@for_grading
def export(reports: tuple[Path, ...], name: str, notebooks: tuple[Path, ...], output: Path | None) -> int:
    """
    Convert reports, `<stem>.json`, into a format.

    \b
    junit       JUnit XML                        gradescope  results.json
    github      annotations, on stdout           classroom50 result.json
    markdown    a step summary                   gitlab      Code Quality
    canvas      a gradebook                      moodle      a grading worksheet
    csv         a row for each exercise
    """  # noqa: D301 - click takes the backspace for "leave these lines as they are"
    from grader.errors import UsageError
    from grader.exports.render import render
    from grader.files import write_atomically
    from grader.reports.places import with_places
    from grader.reports.reading import load_report

    text = render([with_places(load_report(report), notebooks) for report in reports], Format(name))
    if output is None:
        click.echo(text, nl=False)
        return EXIT_FULL_MARKS
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(output, text)
    except OSError as error:
        raise UsageError(f"{output} cannot be written ({error.strerror}).", "Name another file with -o.") from error
    return EXIT_FULL_MARKS
