"""
Reads the mistakes that an author has named in a source notebook: its code cells tagged `misconception`.

A cell's `grader` metadata says whose mistake it is and what a student is told. Its code is a function that makes it, or
nothing where the mistake is known by the fingerprints of wrong answers.
"""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from grader.assignment.settings import MISCONCEPTION, check_settings
from grader.assignment.source import ExerciseCell, SourceCell, SourceNotebook, place_of
from grader.errors import SourceError

__all__ = ["Misconception", "as_exercise", "cell_to_name", "place_in_cell", "read_misconceptions"]

_CELL = """```{{code-cell}} ipython3
---
tags: [misconception]
grader:
  exercise: {exercise}
  id: {exercise}_mistake
  fingerprints: ["{fingerprint}"]
  observation: "What is to be seen in the answer."
  hints:
    - "A question?"
    - "Another one, which says more?"
---
```
"""
_NEEDED = ("exercise", "id", "observation", "hints")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Misconception:
    """
    A mistake that an author knows, with his own words for it.

    Attributes:
        id: What it is called; one exercise has each only once.
        observation: What is said to have been observed.
        hints: One to three, each saying more than the one before.
        fingerprints: Wrong answers that show it.
        code: Python that defines the exercise's function as somebody who makes the mistake does; or nothing.
    """

    id: str
    observation: str
    hints: tuple[str, ...]
    analogy: str = ""
    fingerprints: tuple[str, ...] = ()
    code: str = ""


def read_misconceptions(source: SourceNotebook) -> dict[str, tuple[Misconception, ...]]:
    """
    The misconceptions of each exercise that has any, in the order of their cells.

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
                    f"{where}: the misconception has no `{name}`.", f"It must be {MISCONCEPTION[name].wants}."
                )
        if settings["exercise"] not in exercises:
            raise SourceError(
                f"{where}: there is no exercise `{settings['exercise']}`.", f"There are {', '.join(exercises)}."
            )
        exercise = exercises[settings["exercise"]]
        named = _misconception(settings, as_exercise(cell, exercise, where)[1])
        if not named.code and not named.fingerprints:
            raise SourceError(
                f"{where}: nothing says which answers show `{named.id}`.",
                f"Write a function into the cell that does {exercise.name} so, or give `fingerprints`.",
            )
        others = found.setdefault(exercise.name, {})
        if named.id in others:
            raise SourceError(f"{where}: {exercise.name} has a second misconception `{named.id}`.", "Rename one.")
        others[named.id] = named
    return {exercise: tuple(named.values()) for exercise, named in found.items()}


def _misconception(settings: Mapping[str, Any], code: str) -> Misconception:
    """
    What a cell says about a mistake.

    Args:
        code: The exercise as somebody who makes it writes it, or nothing.
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
    """A cell for the source notebook that gives a wrong answer a name, to be filled in."""
    return _CELL.format(exercise=exercise, fingerprint=fingerprint)


def place_in_cell(where: str, kind: str) -> Callable[[str], str]:
    """Says of any setting of a cell where it stands, as `check_settings` asks."""
    return lambda _: f"{where}, {kind}"


def as_exercise(
    cell: SourceCell, exercise: ExerciseCell, where: str, *, kind: str = "misconception"
) -> tuple[str, str]:
    """
    What a cell calls its function, and the cell's code with that function under the exercise's name; or nothing twice.

    Raises:
        SourceError: It is not Python, or its last function does not go by another name with the exercise's arguments.
    """
    try:
        tree = ast.parse(cell.code)
    except SyntaxError as error:
        raise SourceError(f"{where}: it is not Python ({error.msg}).", "Mend the cell.") from error
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    if not functions:
        return "", ""
    function = functions[-1]
    called = function.name
    if exercise.name in {node.name for node in functions}:
        raise SourceError(
            f"{where}: the {kind}'s function is called {exercise.name}.",
            "Call it by what it does: whoever runs this notebook would have it in the solution's place.",
        )
    arguments = tuple(argument.arg for argument in function.args.args)
    if arguments != exercise.arguments:
        raise SourceError(
            f"{where}: {function.name} takes {', '.join(arguments) or 'nothing'}.",
            f"It must take what {exercise.name} takes: {', '.join(exercise.arguments)}.",
        )
    function.name = exercise.name
    return called, ast.unparse(tree)
