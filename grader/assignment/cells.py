"""
The code cells of a source notebook, and where they are in its file.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from grader.errors import SourceError

__all__ = ["ExerciseCell", "SourceCell", "place_of", "problem_in"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SourceCell:
    """A code cell: its `index` in the notebook, and the `line` of the file where its code begins."""

    index: int
    code: str
    line: int | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ExerciseCell(SourceCell):
    """A cell with one exercise in it; the fields are those of `grader.exercise.Exercise`."""

    name: str
    targets: tuple[str, ...]
    arguments: tuple[str, ...]
    points: float
    tolerance: float
    docstring: str
    equation: str = ""
    shares: tuple[float, ...] = ()
    arrays: str = ""
    partial: tuple[str, ...] = ()
    is_squeezable: bool = False
    is_lines: bool = False


def place_of(path: Path, cell: SourceCell, line: int | None = None) -> str:
    """The place of a cell, `file.md, cell 3, line 40`; the line is the cell's first, unless another one is given."""
    line = line or cell.line
    return f"{path.name}, cell {cell.index + 1}" + (f", line {line}" if line else "")


def problem_in(path: Path, cell: SourceCell, problem: str, hint: str, *, line: int | None = None) -> SourceError:
    """The error that a cell has a problem, a sentence without its full stop."""
    return SourceError(f"{place_of(path, cell, line)}: {problem}.", hint)
