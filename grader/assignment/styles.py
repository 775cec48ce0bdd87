"""
Reads the other right ways to write an exercise that an author has given: the code cells tagged `style`.
"""

from __future__ import annotations

import dataclasses

from grader.assignment.misconceptions import as_exercise, place_in_cell
from grader.assignment.settings import STYLE, check_settings
from grader.assignment.source import SourceNotebook, place_of
from grader.errors import SourceError

__all__ = ["Style", "read_styles"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """One right way to write `exercise`: what its author calls it, and Python that defines the exercise's function."""

    exercise: str
    name: str
    code: str


def read_styles(source: SourceNotebook) -> tuple[Style, ...]:
    """
    The styles of a source notebook, in the order of their cells.

    Raises:
        SourceError: A cell breaks the contract; the message names file, cell and line.
    """
    exercises = {exercise.name: exercise for exercise in source.exercises}
    found = []
    for cell in source.styles:
        where = place_of(source.path, cell)
        given = source.notebook.cells[cell.index].metadata.get("grader", {})
        settings = check_settings(given, STYLE, place_in_cell(where, "style"))
        name = settings.get("exercise")
        if name not in exercises:
            problem = f"there is no exercise `{name}`" if name else "the style does not say whose it is"
            raise SourceError(
                f"{where}: {problem}.", f"Set `exercise` under `grader`. There are {', '.join(exercises)}."
            )
        called, code = as_exercise(cell, exercises[name], where, kind="style")
        if not code:
            raise SourceError(f"{where}: the style has no function.", f"Write one that does what {name} does.")
        found.append(Style(exercise=name, name=called, code=code))
    return tuple(found)
