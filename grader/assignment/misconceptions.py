"""
Reads the mistakes that an author has named in a source notebook: its code cells tagged `misconception`.

A cell's `grader` metadata names the exercise, and says what students get to read. Its code is a function that makes the
mistake; it may be empty if fingerprints of wrong answers show the mistake.
"""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from grader.assignment.cells import ExerciseCell, SourceCell, place_of
from grader.assignment.settings import MISCONCEPTION, check_settings
from grader.assignment.source import SourceNotebook
from grader.errors import SourceError
from grader.trees import tree_of

__all__ = ["Misconception", "as_exercise", "cell_to_name", "place_in_cell", "read_misconceptions"]

_CELL = """```{{code-cell}} ipython3
---
tags: [misconception]
grader:
  exercise: {exercise}
  id: {exercise}_mistake
  fingerprints: ["{fingerprint}"]
  observation: "What can be seen in the answer."
  hints:
    - "A question?"
    - "A second question, which says more?"
---
```
"""
_NEEDED = ("exercise", "id", "observation", "hints")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Misconception:
    """
    A mistake that an author knows, in the author's words.

    Attributes:
        id: Its name, unique within an exercise.
        observation: What can be seen in the answer, in a sentence for the student.
        hints: One to three, each saying more than the one before.
        analogy: The same thought, worked through for another formula.
        fingerprints: Those of wrong answers that show the mistake.
        code: Python that defines the exercise's function with the mistake in it; may be empty.
    """

    id: str
    observation: str
    hints: tuple[str, ...]
    analogy: str = ""
    fingerprints: tuple[str, ...] = ()
    code: str = ""


def read_misconceptions(source: SourceNotebook) -> dict[str, tuple[Misconception, ...]]:
    """
    The misconceptions by exercise, in the order of their cells; exercises without any are left out.

    Raises:
        SourceError: A cell breaks the contract; the message names file, cell and line.
    """
    exercises = {exercise.name: exercise for exercise in source.exercises}
    found: dict[str, dict[str, Misconception]] = {}
    for cell in source.misconceptions:
        where = place_of(source.path, cell)
        settings = source.notebook.cells[cell.index].metadata.get("grader", {})
        settings = check_settings(settings, MISCONCEPTION, place_in_cell(where, "misconception"))
        for name in _NEEDED:
            if name not in settings:
                raise SourceError(
                    f"{where}: the misconception has no `{name}`.",
                    f"Set `{name}` under `grader` to {MISCONCEPTION[name].wants}.",
                )
        if settings["exercise"] not in exercises:
            raise SourceError(
                f"{where}: there is no exercise `{settings['exercise']}`.", f"The exercises are {', '.join(exercises)}."
            )
        exercise = exercises[settings["exercise"]]
        misconception = _misconception(settings, as_exercise(cell, exercise, where)[1])
        if not misconception.code and not misconception.fingerprints:
            raise SourceError(
                f"{where}: nothing says which answers show `{misconception.id}`.",
                f"Write {exercise.name} with this mistake into the cell, or set `fingerprints` under `grader`.",
            )
        by_id = found.setdefault(exercise.name, {})
        if misconception.id in by_id:
            raise SourceError(
                f"{where}: {exercise.name} has two misconceptions called `{misconception.id}`.", "Rename one of them."
            )
        by_id[misconception.id] = misconception
    return {exercise: tuple(by_id.values()) for exercise, by_id in found.items()}


def _misconception(settings: Mapping[str, Any], code: str) -> Misconception:
    """
    The misconception that a cell's settings describe.

    Args:
        code: Python that defines the exercise's function with the mistake in it; may be empty.
    """
    return Misconception(
        id=settings["id"],
        observation=settings["observation"].strip(),
        hints=tuple(hint.strip() for hint in settings["hints"]),
        analogy=settings.get("analogy", "").strip(),
        fingerprints=tuple(settings.get("fingerprints", ())),
        code=code,
    )


def cell_to_name(exercise: str, fingerprint: str) -> str:
    """A cell that names the mistake in a wrong answer: the author fills it in and puts it into the source notebook."""
    return _CELL.format(exercise=exercise, fingerprint=fingerprint)


def place_in_cell(where: str, kind: str) -> Callable[[str], str]:
    """The argument `where` of `check_settings` for a cell: every setting has the same place."""
    return lambda _: f"{where}, {kind}"


def as_exercise(
    cell: SourceCell, exercise: ExerciseCell, where: str, *, kind: str = "misconception"
) -> tuple[str, str]:
    """
    The name of a cell's last function or class, and the cell's code with that one renamed to the exercise's name.

    Both are empty if the cell has no function. Straight lines stay as they are, and have no name of their own.

    Raises:
        SourceError: The cell is not Python, or its function has the exercise's name, or other arguments.
    """
    try:
        tree = tree_of(cell.code)
    except SyntaxError as error:
        raise SourceError(f"{where}: this cell is not Python ({error.msg}).", "Fix the cell.") from error
    if exercise.is_lines:
        return (f"in cell {cell.index + 1}", cell.code) if tree.body else ("", "")
    definitions = [node for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    if not definitions:
        return "", ""
    definition = definitions[-1]
    name = definition.name
    if exercise.name in {node.name for node in definitions}:
        noun = "class" if isinstance(definition, ast.ClassDef) else "function"
        raise SourceError(
            f"{where}: the {kind}'s {noun} is called {exercise.name}.",
            "Give it another name: this one would replace the solution when the notebook runs.",
        )
    wanted, given = _parameters(exercise), _parameters_of(definition)
    if wanted is not None and given is not None and given != wanted:
        raise SourceError(
            f"{where}: {name} takes {', '.join(given) or 'nothing'}.",
            f"It must take the arguments of {exercise.name}: {', '.join(wanted)}.",
        )
    for node in ast.walk(tree):  # also where it calls itself
        if isinstance(node, ast.Name) and node.id == name:
            node.id = exercise.name
    definition.name = exercise.name
    return name, ast.unparse(tree)


def _parameters(exercise: ExerciseCell) -> tuple[str, ...] | None:
    """The parameters of an exercise's function; None if it is a class, which may be called in several ways."""
    definitions = [node for node in tree_of(exercise.code).body if getattr(node, "name", "") == exercise.name]
    return _parameters_of(definitions[-1]) if definitions else exercise.arguments


def _parameters_of(definition: ast.stmt) -> tuple[str, ...] | None:
    if not isinstance(definition, ast.FunctionDef):
        return None
    return tuple(argument.arg for argument in definition.args.args)
