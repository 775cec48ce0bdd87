"""
The commands of an assignment's author: `new`, `release` and `validate`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from grader.commands.options import (
    EXIT_FULL_MARKS,
    EXIT_NOT_ALL,
    debug_option,
    for_grading,
    known_assignment,
    quiet_option,
    say,
    say_what_is_replaced,
    solutions_option,
)
from grader.errors import GraderError, UsageError

if TYPE_CHECKING:
    from grader.authoring.validate import Known, Validation

__all__ = ["new", "release", "validate"]

_MOST_LINES = 10
"""How many equivalent mutants of a kind are listed in a terminal."""


@click.command()
@click.argument("assignment_id", metavar="ID")
@click.option(
    "--solutions",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("solutions"),
    show_default=True,
    help="Folder of source notebooks.",
)
@click.option(
    "--from-notebook",
    "notebook",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="NB.ipynb",
    help="Make a draft from a notebook with blanks or solutions, as nbgrader, otter or your course marks them.",
)
@debug_option
def new(assignment_id: str, solutions: Path, notebook: Path | None) -> int:
    """Start an assignment: write a source notebook with one exercise, which is sound as it is; or a draft."""
    from grader.authoring.scaffold import write_scaffold

    path, todos = write_scaffold(assignment_id, solutions, notebook)
    say(f"  {path}")
    if notebook is not None:
        say("It is a draft. What is left to do is in its first cell, too:" if todos else "It is a draft: read it.")
        for todo in todos:
            say(f"  - {todo}")
    else:
        say(
            f"Edit it in Jupyter or in a text editor. `grader validate {assignment_id}` says whether it is still sound."
        )
    return EXIT_FULL_MARKS


@click.command()
@click.argument("ids", nargs=-1, metavar="[ID]...", callback=known_assignment)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, file_okay=False), default=Path("assignments"), show_default=True
)
@click.option(
    "--check",
    "is_check",
    is_flag=True,
    help="Write nothing, but say what would change. The exit code is 1 if anything would.",
)
@click.option(
    "--watch",
    is_flag=True,
    help="Continue, and release again whenever a source notebook, or what belongs to it, is saved.",
)
@click.option(
    "--wheel",
    "is_wheel",
    is_flag=True,
    help="Write only the grader as students install it, without any answers: for `install` in source notebooks.",
)
@solutions_option
@quiet_option
@debug_option
def release(
    ids: tuple[str, ...],
    output: Path,
    is_check: bool,
    watch: bool,
    is_wheel: bool,
    solutions: Path | None,
    quiet: bool,
) -> int:
    """Make the students' notebooks from all source notebooks, or from those with these IDs."""
    from grader.assignment.find import find_sources, solutions_directory

    directory = solutions_directory(solutions)
    tell = (lambda _: None) if quiet else say
    if is_wheel:
        tell(f"  {_write_wheel(output)}")
        return EXIT_FULL_MARKS
    if is_check:
        stale = list(_stale(ids, directory, output))
        for file in stale:
            say(f"{file} is out of date: run `grader release`.")
        if not stale:
            tell(f"Up to date in {output}: {', '.join(ids or find_sources(directory))}.")
        return EXIT_NOT_ALL if stale else EXIT_FULL_MARKS
    if not watch:
        for file in _released(ids, directory, output):
            tell(f"  {file}")
        return EXIT_FULL_MARKS
    try:
        _watch(ids, directory, output, tell)
    except KeyboardInterrupt:
        tell("Stopped.")
    return EXIT_FULL_MARKS


def _write_wheel(output: Path) -> Path:
    from grader.authoring.wheel import build_wheel, name_of_wheel
    from grader.files import write_atomically

    path = output / name_of_wheel()
    try:
        output.mkdir(parents=True, exist_ok=True)
        write_atomically(path, build_wheel())
    except OSError as error:
        raise UsageError(f"{path} cannot be written ({error.strerror}).", "Name another folder with -o.") from error
    return path


def _released(ids: Sequence[str], directory: Path, output: Path) -> Iterator[Path]:
    from grader.assignment.find import find_assignment, find_sources
    from grader.assignment.source import read_source
    from grader.authoring.exposed import exposed
    from grader.authoring.release import write_release

    for assignment_id in ids or find_sources(directory):
        source = read_source(find_assignment(assignment_id, directory))
        yield from write_release(source, output)
        for sentence in () if source.is_released else exposed(source):
            say(f"Warning: {sentence}")


def _stale(ids: Sequence[str], directory: Path, output: Path) -> Iterator[Path]:
    """The files that a release would change."""
    from grader.sandbox import temporary_folder

    with temporary_folder() as folder:
        for made in _released(ids, directory, folder):
            there = output / made.relative_to(folder)
            if not there.is_file() or there.read_bytes() != made.read_bytes():
                yield there


def _watch(ids: Sequence[str], directory: Path, output: Path, tell: Callable[[str], None]) -> None:
    from grader.assignment.find import find_sources
    from grader.authoring.watch import changes

    def release_those(names: Sequence[str]) -> None:
        for name in names:
            try:
                for file in _released([name], directory, output):
                    tell(f"  {file}")
            except GraderError as error:  # the next save may fix it
                say(f"grader: {error}")

    looking = changes(lambda: (path for path in _visible_in(directory) if path.is_file()))
    release_those(ids or list(find_sources(directory)))
    tell(f"Watching {directory}. Ctrl-C stops.")
    for changed in looking:
        names = {path.relative_to(directory).parts[0] for path in changed}
        sources = find_sources(directory)
        wanted = [name for name in ids or sources if name in sources]
        # A picture and a folder of data belong to every notebook that mentions them.
        release_those([name for name in wanted if f"{name}.md" in names or _names_any(sources[name], names)])


def _names_any(source: Path, names: set[str]) -> bool:
    text = source.read_text(encoding="utf-8", errors="replace")
    return any(f"({name})" in text or f"files: {name}" in text for name in names)


def _visible_in(directory: Path) -> Iterator[Path]:
    """The paths in a folder, and in the folders in it, that are not hidden."""
    for path in directory.iterdir():
        yield path
        if path.is_dir() and not path.is_symlink() and not path.name.startswith("."):
            yield from path.rglob("*")


@click.command()
@click.argument("ids", nargs=-1, metavar="[ID]...", callback=known_assignment)
@click.option(
    "--html", "page", type=click.Path(path_type=Path, dir_okay=False), help="Also write the tables into this file."
)
@click.option(
    "--watch", is_flag=True, help="Continue, and check again whenever a source notebook is saved: what it changes."
)
@solutions_option
@debug_option
@for_grading
def validate(ids: tuple[str, ...], page: Path | None, watch: bool, solutions: Path | None) -> int:
    """Check that assignments are sound: the references agree, blanks score 0, mistakes are caught."""
    from grader.assignment.find import find_assignment, find_sources, solutions_directory
    from grader.authoring.page import render_validations
    from grader.files import write_atomically

    directory = solutions_directory(solutions)
    say_what_is_replaced(find_assignment(each, directory) for each in ids or find_sources(directory))
    if watch:
        try:
            _validate_again(ids, directory)
        except KeyboardInterrupt:
            say("Stopped.")
        return EXIT_FULL_MARKS
    validations = [_validated(assignment_id, directory) for assignment_id in ids or find_sources(directory)]
    if page is not None:
        try:
            write_atomically(page, render_validations(validations))
        except OSError as error:
            raise UsageError(f"{page} cannot be written ({error.strerror}).", "Name another file.") from error
        say(f"  {page}")
    is_sound = not any(validation.problems for validation in validations)
    return EXIT_FULL_MARKS if is_sound else EXIT_NOT_ALL


def _validated(assignment_id: str, directory: Path, known: Known | None = None) -> Validation:
    """Check an assignment, with a progress bar where there is a terminal, and show the result."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    from grader.assignment.find import find_assignment
    from grader.authoring.validate import validate as check

    path = find_assignment(assignment_id, directory)
    columns = (TextColumn(assignment_id), BarColumn(bar_width=24), TextColumn("{task.description}"))
    console = Console(stderr=True, highlight=False)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("")

        def tell(what: str, done: int, total: int) -> None:
            progress.update(task, description=what, completed=done, total=total)

        validation = check(path, tell=tell, known=known)
    _show_validation(validation)
    return validation


def _validate_again(ids: Sequence[str], directory: Path) -> None:
    """Check assignments, and those that are saved again; of these, only what the change can have changed."""
    from grader.assignment.find import find_sources
    from grader.authoring.validate import Known
    from grader.authoring.watch import changes

    known = Known()

    def check_those(names: Iterable[str]) -> None:
        for name in names:
            try:
                _validated(name, directory, known)
            except GraderError as error:  # the next save may fix it
                say(f"grader: {error}")

    looking = changes(lambda: (path for path in directory.iterdir() if path.is_file()))
    check_those(ids or find_sources(directory))
    say(f"Watching {directory}. Ctrl-C stops.")
    for changed in looking:
        saved = {path.name for path in changed}
        check_those(name for name in ids or find_sources(directory) if f"{name}.md" in saved)


def _show_validation(validation: Validation) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    table = Table(title=validation.assignment_id, title_justify="left", box=None, padding=(0, 2, 0, 0))
    for heading, justify in (
        ("exercise", "left"),
        ("differences", "right"),
        ("mutants caught", "right"),
        ("equivalent", "right"),
        ("time", "right"),
        ("memory", "right"),
    ):
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]
    for exercise in validation.exercises:
        table.add_row(
            exercise.name,
            f"{exercise.difference:.0e}",
            f"{exercise.caught} of {exercise.mutants}",
            str(exercise.equivalent),
            f"{exercise.milliseconds:.2f} ms",
            f"{exercise.kib:.0f} KiB",
        )
    console.print(table)
    for why, lines in validation.survivors.items():
        console.print(f"  {why.value}:", markup=False, soft_wrap=True)
        shown = lines if why.name == "HOLE" else lines[:_MOST_LINES]
        for line in shown:
            console.print(f"    {line}", markup=False, soft_wrap=True)
        if len(shown) < len(lines):
            console.print(f"    … and {len(lines) - len(shown)} more, which `--html` lists.", markup=False)
    given = sum(exercise.given for exercise in validation.exercises)
    if given:
        console.print(f"  Left out: {given} mistakes in code that students are given.", markup=False, soft_wrap=True)
    if validation.given:
        names = ", ".join(validation.given)
        console.print(
            f"  In the whole backward pass, from autograd: {names} (no exercise asks for them).", soft_wrap=True
        )
    for problem in validation.problems:
        console.print(f"✗ {problem}", markup=False, soft_wrap=True, style="red")
    if not validation.problems:
        styles = f" {validation.styles} more styles get full marks." if validation.styles else ""
        console.print(f"✓ {validation.assignment_id} is sound.{styles}", style="green")
