"""
Finds blanks that are not graded: with them left blank, a student would get full marks.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from grader.assignment.cells import REGION, ExerciseCell, blanked
from grader.assignment.load import Assignment
from grader.calling.exercise import Exercise
from grader.diagnosis.bank import survives
from grader.diagnosis.mutants import Mutant, plain_code
from grader.reference.cases import Case

__all__ = ["ungraded_blanks"]


def ungraded_blanks(assignment: Assignment, exercise: Exercise, case: Case, cell: ExerciseCell) -> Iterator[str]:
    """The blanks of a cell on which no part of the exercise's result depends, a sentence or two for each."""
    begins = [n for n, line in enumerate(cell.code.split("\n")) if (m := REGION.match(line)) and m.group(1) == "BEGIN"]
    for number, begin in enumerate(begins if len(begins) > 1 else ()):
        code = plain_code(blanked(cell.code, exercise.name, only=number), exercise.name)
        if not survives(assignment, exercise, Mutant(edits=(), site="", operands=(), code=code), [case]):
            continue
        where = f"in line {cell.line + begin}" if cell.line else f"number {number + 1} of the cell"
        what = _definition_at(cell.code, begin + 1)
        owner = f" of `{what}`" if what and what != exercise.name else ""
        advice = "use it in `call`"
        if owner:
            advice = f"give `{what}` a cell of its own, tagged `exercise`, or use it in `call`"
        problem = f"the blank {where}{owner} belongs to no exercise's result: left blank, it costs nothing"
        yield f"{problem}. To grade it, {advice}."


def _definition_at(code: str, line: int) -> str:
    """The function or class of a cell, not within another one, that has a line in it; empty if none has."""
    for node in ast.parse(code).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.lineno <= line <= (node.end_lineno or 0):
            return node.name
    return ""
