"""
Finds blanks that are not graded: with them left blank, a student would get full marks.
"""

from __future__ import annotations

import ast

from grader.assignment.cells import ExerciseCell, blanked, regions_in
from grader.assignment.load import Assignment
from grader.calling.exercise import Exercise
from grader.diagnosis.bank import survives
from grader.diagnosis.mutants import Mutant
from grader.diagnosis.plain import plain_code
from grader.reference.cases import Case
from grader.trees import tree_of

__all__ = ["describe_ungraded", "ungraded_regions"]


def ungraded_regions(
    assignment: Assignment, exercise: Exercise, case: Case, cell: ExerciseCell
) -> tuple[frozenset[int], ...]:
    """The lines of each solution region on which no part of the exercise's result depends."""
    regions = regions_in(cell.code)

    def is_ungraded(number: int) -> bool:
        code = plain_code(blanked(cell.code, exercise.name, only=number), exercise.name)
        return survives(assignment, exercise, Mutant(edits=(), site="", operands=(), code=code), [case])

    return tuple(lines for number, lines in enumerate(regions) if len(regions) > 1 and is_ungraded(number))


def describe_ungraded(lines: frozenset[int], cell: ExerciseCell) -> str:
    """What to do about a region that is not graded: two sentences, the first without a capital."""
    begin = min(lines)
    where = f"in line {cell.line + begin - 1}" if cell.line else f"in line {begin} of the cell"
    what = _definition_at(cell.code, begin)
    owner, advice = "", "use it in `call`"
    if what and what != cell.name:
        owner = f" of `{what}`"
        advice = f"give `{what}` a cell of its own, tagged `exercise`, or use it in `call`"
    problem = f"the blank {where}{owner} belongs to no exercise's result: left blank, it costs nothing"
    return f"{problem}. To grade it, {advice}."


def _definition_at(code: str, line: int) -> str:
    """The function or class of a cell, not within another one, that has a line in it; empty if none has."""
    for node in tree_of(code).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.lineno <= line <= (node.end_lineno or 0):
            return node.name
    return ""
