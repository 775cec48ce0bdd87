"""
The cell in which a released notebook declares the gradients that it asks for, in lines that a student can read.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

from grader.errors import SourceError
from grader.model import Exercise

__all__ = ["Declared", "declaration", "declare"]

_LINE = re.compile(r"(\w+)\(([\w, ]*)\) -> (\w+(?:, \w+)*)")
_DEFAULTS: dict[str, Any] = {"autograd": "forbid", "hints": 3, "learning_rate": 0.01, "rows": 64, "steps": 30}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """The exercises that a notebook declares; `settings` are fields of `grader.assignment.load.Assignment`."""

    assignment_id: str = "notebook"
    exercises: tuple[Exercise, ...] = ()
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def declare(assignment_id: str, exercises: Sequence[str], settings: Mapping[str, Any]) -> Declared:
    """
    Read the arguments of `check.assignment`, as `declaration` writes them.

    Raises:
        SourceError: A line is not of the form `name(argument, …) -> target, …`, or a setting is unknown.

    >>> declare("mine", ["grad_layer(x, dz) -> w, b"], {}).exercises[0].targets
    ('w', 'b')
    """
    unknown = sorted(settings.keys() - _DEFAULTS.keys())
    if unknown:
        raise SourceError(
            f"check.assignment has no setting {unknown[0]!r}.", f"Its settings are {', '.join(_DEFAULTS)}."
        )
    parsed = []
    for line in exercises:
        match = _LINE.fullmatch(line)
        if match is None:
            raise SourceError(f"check.assignment cannot read {line!r}.", "Write it like `grad_w(x, dz) -> w`.")
        name, arguments, targets = match.groups()
        parsed.append(Exercise(name=name, arguments=tuple(re.findall(r"\w+", arguments)), targets=_names(targets)))
    return Declared(assignment_id=assignment_id, exercises=tuple(parsed), settings=dict(settings))


def declaration(assignment_id: str, exercises: Sequence[Any], settings: Mapping[str, Any]) -> str:
    """
    The code of a cell that tells `check` which gradients the notebook asks for.

    Args:
        exercises: Objects with the fields of `Exercise`; a comment shows the first one as an example.
        settings: Those of the source notebook; the ones that `check` does not use are left out.
    """
    lines = [
        f'"{exercise.name}({", ".join(exercise.arguments)}) -> {", ".join(exercise.targets)}",'
        for exercise in exercises
    ]
    first = exercises[0].name
    kept = {name: settings[name] for name, default in _DEFAULTS.items() if settings.get(name, default) != default}
    lines += [f"{name}={value!r}," for name, value in kept.items()]
    return "\n".join(
        (
            f"# Once you have written {first}, `check({first})` in a new cell tells you whether it is right;",
            "# `check.all()` checks all of your functions and puts them together.",
            "from grader import check",
            "",
            "check.assignment(",
            f'    "{assignment_id}",',
            *(f"    {line}" for line in lines),
            ")",
        )
    )


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(", "))
