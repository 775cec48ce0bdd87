"""
Reads the author's other right ways to write an exercise: the code cells tagged `style`.
"""

from __future__ import annotations

import dataclasses

from grader.assignment.cells import place_of
from grader.assignment.misconceptions import as_exercise, place_in_cell
from grader.assignment.settings import STYLE, check_settings
from grader.assignment.source import SourceNotebook
from grader.errors import SourceError

__all__ = ["Style", "read_styles"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """A right way to write `exercise`: the author's `name` for it, and Python that defines the exercise's function."""

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
        settings = source.notebook.cells[cell.index].metadata.get("grader", {})
        settings = check_settings(settings, STYLE, place_in_cell(where, "style"))
        exercise = settings.get("exercise")
        if exercise not in exercises:
            problem = f"there is no exercise `{exercise}`" if exercise else "the style does not say for which exercise"
            raise SourceError(
                f"{where}: {problem}.", f"Set `exercise` under `grader` to one of {', '.join(exercises)}."
            )
        name, code = as_exercise(cell, exercises[exercise], where, kind="style")
        if not code:
            what = "code" if exercises[exercise].is_lines else "function"
            raise SourceError(
                f"{where}: the style has no {what}.", f"Write Python that computes what {exercise} computes."
            )
        found.append(Style(exercise=exercise, name=name, code=code))
    return tuple(found)
