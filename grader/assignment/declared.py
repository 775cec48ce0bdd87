"""
What a released notebook says about itself: which gradients it asks for. Lines of text, so that a student can read them.
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
_DEFAULTS: dict[str, Any] = {"autograd": "forbid", "hints": 3, "learning_rate": 0.01, "steps": 30}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What is asked for; `settings` are fields of `grader.assignment.load.Assignment`."""

    assignment_id: str = "notebook"
    exercises: tuple[Exercise, ...] = ()
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def declare(assignment_id: str, exercises: Sequence[str], settings: Mapping[str, Any]) -> Declared:
    """
    Read what `declaration` wrote.

    Raises:
        SourceError: A line is not of the form `name(argument, …) -> target, …`, or a setting is unknown.

    >>> declare("mine", ["grad_layer(x, dz) -> w, b"], {}).exercises[0].targets
    ('w', 'b')
    """
    unknown = sorted(settings.keys() - _DEFAULTS.keys())
    if unknown:
        raise SourceError(f"check.assignment knows no {unknown[0]!r}.", f"It knows {', '.join(_DEFAULTS)}.")
    read = []
    for line in exercises:
        match = _LINE.fullmatch(line)
        if match is None:
            raise SourceError(f"check.assignment cannot read {line!r}.", "Write `grad_w(x, dz) -> w`.")
        name, arguments, targets = match.groups()
        read.append(Exercise(name=name, arguments=tuple(re.findall(r"\w+", arguments)), targets=_names(targets)))
    return Declared(assignment_id=assignment_id, exercises=tuple(read), settings=dict(settings))


def declaration(assignment_id: str, exercises: Sequence[Any], settings: Mapping[str, Any]) -> str:
    """
    A cell that tells `check` what is asked for.

    Args:
        exercises: With the fields of `Exercise`; the first one is the example.
        settings: Of the source notebook; those that `check` has no use for are left out.
    """
    lines = [f'"{e.name}({", ".join(e.arguments)}) -> {", ".join(e.targets)}",' for e in exercises]
    kept = {name: settings[name] for name, default in _DEFAULTS.items() if settings.get(name, default) != default}
    lines += [f"{name}={value!r}," for name, value in kept.items()]
    return "\n".join(
        (
            f"# Once you have written one, `check({exercises[0].name})` in a cell of its own says how it is doing;",
            "# `check.all()` puts all of them together.",
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
