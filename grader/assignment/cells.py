"""
The code cells of a source notebook, and where they are in its file.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path

from grader.errors import SourceError

__all__ = ["REGION", "ExerciseCell", "SourceCell", "blanked", "place_of", "problem_in", "regions_in"]

REGION = re.compile(r"^\s*#+\s*(BEGIN|END) SOLUTION\b")
"""A delimiter of a solution region, as nbgrader or otter spells it."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SourceCell:
    """A code cell: its `index` in the notebook, and the `line` of the file where its code begins."""

    index: int
    code: str
    line: int | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ExerciseCell(SourceCell):
    """
    A cell with one exercise in it; the fields are those of `grader.calling.exercise.Exercise`.

    Attributes:
        written: The line of the file where each of its settings is written, by name.
    """

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
    ignored: tuple[str, ...] = ()
    is_lines: bool = False
    is_composed: bool = False
    is_class: bool = False
    written: Mapping[str, int] = dataclasses.field(default_factory=dict)


def blanked(text: str, exercise: str | None, *, only: int | None = None) -> str:
    """
    A cell's code without its solution regions; in an exercise, a statement that raises replaces each region.

    Args:
        only: The number of the only region that is left out, from 0; None for all.
    """
    kept: list[str] = []
    inside = False
    regions = 0
    for line in text.split("\n"):
        match = REGION.match(line)
        if match:
            inside = match.group(1) == "BEGIN" and only in (None, regions)
            regions += match.group(1) == "BEGIN"
            if inside and exercise:
                indent = line[: len(line) - len(line.lstrip())]
                kept.append(f'{indent}raise NotImplementedError("{exercise} is still blank")')
        elif not inside:
            kept.append(line)
    return "\n".join(kept)


def regions_in(code: str) -> tuple[frozenset[int], ...]:
    """The lines of each solution region of a cell, from 1, with the line where it begins."""
    found: list[set[int]] = []
    is_open = False
    for number, line in enumerate(code.split("\n"), start=1):
        match = REGION.match(line)
        is_open = match.group(1) == "BEGIN" if match else is_open
        if match and is_open:
            found.append(set())
        if is_open:
            found[-1].add(number)
    return tuple(map(frozenset, found))


def place_of(path: Path, cell: SourceCell, line: int | None = None) -> str:
    """The place of a cell, `file.md, cell 3, line 40`; the line is the cell's first, unless another one is given."""
    line = line or cell.line
    return f"{path.name}, cell {cell.index + 1}" + (f", line {line}" if line else "")


def problem_in(path: Path, cell: SourceCell, problem: str, hint: str, *, line: int | None = None) -> SourceError:
    """The error that a cell has a problem, a sentence without its full stop."""
    return SourceError(f"{place_of(path, cell, line)}: {problem}.", hint)
