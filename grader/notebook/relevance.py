"""
Decides which of several notebooks belongs to an assignment.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

from grader.notebook.functions import FunctionIndex
from grader.notebook.read import Notebook

__all__ = ["Relevance", "relevance"]


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Relevance:
    """
    How well a notebook fits an assignment: the larger one is the one to grade.

    Attributes:
        is_ours: It has the assignment's mark, or it has none and defines one of the functions.
        has_answers: One of the functions is not blank. A copy of the notebook as it was handed out has no answers.
        is_marked: It has the assignment's mark in its metadata.
        answers: How many of the functions are defined and not blank.
    """

    is_ours: bool = False
    has_answers: bool = False
    is_marked: bool = False
    answers: int = 0


def relevance(
    notebook: Notebook, functions: FunctionIndex, assignment_id: str, exercises: Collection[str]
) -> Relevance:
    """
    How well a notebook fits the assignment with this id and these functions. Nothing is executed.

    Args:
        functions: The functions in it.
    """
    if notebook.assignment_id not in (None, assignment_id):
        return Relevance()
    last = [definition for name in exercises if (definition := functions.last(name)) is not None]
    answers = sum(not definition.is_blank for definition in last)
    is_marked = notebook.assignment_id is not None
    broken = any(name in functions.broken_names for name in exercises)
    return Relevance(is_marked or bool(last) or broken, answers > 0, is_marked, answers)
