"""
The cell in which a released notebook declares the functions that it asks for, in lines that a student can read.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from grader.assignment.exercises import asked_by, lines_for
from grader.assignment.settings import EXERCISE, check_settings
from grader.calling.equation import Equation, EquationError
from grader.calling.exercise import Exercise
from grader.errors import SourceError

__all__ = ["Declared", "declaration", "declare"]

_LINE = re.compile(r"(\w+)\(([\w, ]*)\) -> (\w+(?:, \w+)*)")
_DEFAULTS: dict[str, Any] = {
    "arrays": "torch",
    "autograd": "forbid",
    "counterexample": True,
    "data": {},
    "hints": 3,
    "learning_rate": 0.01,
    "rows": 64,
    "steps": 30,
}
_KEPT = ("name", "targets", "arrays", "partial", "ignore", "squeezable", "tolerance")
"""The settings of an exercise that a check needs, besides `call`."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """The exercises that a notebook declares; `settings` are fields of `grader.assignment.load.Assignment`."""

    assignment_id: str = "notebook"
    exercises: tuple[Exercise, ...] = ()
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def declare(assignment_id: str, exercises: Sequence[str | Mapping[str, Any]], settings: Mapping[str, Any]) -> Declared:
    """
    Read the arguments of `check.assignment`, as `declaration` writes them.

    Raises:
        SourceError: An exercise is not of the form `name(argument, …) -> target, …` or `call == result`, or a setting
            is unknown.

    >>> declare("mine", ["grad_layer(x, dz) -> w, b"], {}).exercises[0].targets
    ('w', 'b')
    >>> declare("mine", ["backward(dz, (x, w)) == (dx, dw)"], {}).exercises[0].arguments
    ('dz', 'x', 'w')
    """
    unknown = sorted(settings.keys() - _DEFAULTS.keys())
    if unknown:
        raise SourceError(
            f"check.assignment has no setting {unknown[0]!r}.", f"Its settings are {', '.join(_DEFAULTS)}."
        )
    own = dict(settings)
    arrays = own.pop("arrays", "torch")
    parsed = tuple(_exercise(exercise, arrays) for exercise in exercises)
    return Declared(assignment_id=assignment_id, exercises=parsed, settings=own)


def _exercise(written: str | Mapping[str, Any], arrays: str) -> Exercise:
    """The exercise that a line declares, or a dict with the line as `call` and with further settings."""
    described = dict(written) if isinstance(written, Mapping) else {"call": written}
    line = described.get("call", "")
    match = _LINE.fullmatch(line)
    are_lines = not line and {"name", "targets"} <= described.keys()
    arguments = ""
    if are_lines:
        name = described["name"]
    elif match is not None:
        name, arguments, targets = match.groups()
        del described["call"]
        described = {"targets": targets.split(", "), **described}
    else:
        try:
            name = described.get("name") or (*Equation.of(line).called(), "")[0]
        except EquationError as error:
            raise SourceError(
                f"check.assignment cannot read {line!r}.",
                "Write it like `grad_w(x, dz) -> w`, or like `backward(dz, (x, w)) == (dx, dw)`.",
            ) from error
    check_settings(described, EXERCISE, lambda _: "check.assignment")
    if are_lines:
        asked = lines_for(name, described["targets"], described)
    else:
        asked = asked_by(name, re.findall(r"\w+", arguments), described)
    asked["arrays"] = asked["arrays"] or arrays
    return Exercise(name=name, tolerance=float(described.get("tolerance", 1)), **asked)


def declaration(
    assignment_id: str,
    exercises: Sequence[Any],
    settings: Mapping[str, Any],
    of_exercises: Mapping[str, Mapping[str, Any]],
) -> str:
    """
    The code of a cell that tells `check` which functions the notebook asks for.

    Args:
        exercises: Objects with the fields of `Exercise`; a comment shows the first one as an example.
        settings: Those of the source notebook; the ones that `check` does not use are left out.
        of_exercises: The settings of each exercise, by its name.
    """
    lines = [line for exercise in exercises for line in _lines_of(exercise, of_exercises.get(exercise.name, {}))]
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


def _lines_of(exercise: Any, settings: Mapping[str, Any]) -> list[str]:
    """The lines that declare an exercise, as they stand between the brackets."""
    others = {name: settings[name] for name in _KEPT if name in settings}
    if isinstance(settings.get("points"), dict):
        others["points"] = settings["points"]
    if exercise.is_lines:
        return _dict_of(others | {"targets": list(exercise.targets)})
    if exercise.equation:
        if asked_by(exercise.name, (), {**settings, "points": 1})["targets"] != exercise.targets:
            others["targets"] = list(exercise.targets)
        if exercise.name != (*Equation.of(exercise.equation).called(), "")[0]:
            others["name"] = exercise.name
        call = exercise.equation
    else:
        others.pop("targets", None)
        others.pop("name", None)
        call = f"{exercise.name}({', '.join(exercise.arguments)}) -> {', '.join(exercise.targets)}"
    return _dict_of({"call": call, **others}) if others else [*_literal(call)[:-1], f"{_literal(call)[-1]},"]


def _dict_of(settings: Mapping[str, Any]) -> list[str]:
    """The lines of a dict, with one setting on each."""
    lines = ["{"]
    for name, value in settings.items():
        first, *others = _literal(value)
        lines += [f"    {json.dumps(name)}: {first}", *(f"        {line}" for line in others)]
        lines[-1] += ","
    return [*lines, "},"]


def _literal(value: Any) -> list[str]:
    """A value as Python writes it, with double quotes; text that has several lines, in several lines."""
    if isinstance(value, str):
        return [json.dumps(line, ensure_ascii=False) for line in value.splitlines(keepends=True)] or ['""']
    if isinstance(value, dict):
        return [f"{{{', '.join(f'{_literal(key)[0]}: {_literal(inner)[0]}' for key, inner in value.items())}}}"]
    if isinstance(value, (list, tuple)):
        return [f"[{', '.join(_literal(inner)[0] for inner in value)}]"]
    return [repr(value)]
