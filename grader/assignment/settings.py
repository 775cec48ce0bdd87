"""
The settings that an author may write under `grader` in the metadata of a source notebook and of its cells.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import difflib
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from grader.errors import SourceError, UsageError
from grader.model import Limits
from grader.visibility import Visibility, read_moment

__all__ = [
    "EXERCISE",
    "MISCONCEPTION",
    "NOTEBOOK",
    "STYLE",
    "ExtraCase",
    "Setting",
    "check_settings",
    "extra_cases",
    "visibility_of",
]

BUILT_IN = ("mnist", "mnist_hidden", "vjp", "linear", "chain", "training")
FINGERPRINT = re.compile(r"[0-9a-f]{16}")
MOST_HINTS = 3
_DATA_CHARACTERS = 60
_FOLDER = re.compile(r"\w[\w-]*")
_OTHER_PACKAGE = re.compile(r"grader\s*(?:$|[\[<>=!~@;])")
"""The package that a package index calls `grader` is not ours."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ExtraCase:
    """
    One more case for every exercise of an assignment, hidden from students.

    Attributes:
        rows: The number of images in its batch.
        double: Whether it is float64 instead of float32.
        random_upstream: Whether upstream gradients are random instead of the true ones.
    """

    name: str
    rows: int
    double: bool = False
    random_upstream: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Setting:
    """`allows` tests a value, `wants` describes the valid values, and `means` says what the setting is for."""

    allows: Callable[[Any], bool]
    wants: str
    means: str


def _is_whole(value: Any, low: int, high: int) -> bool:
    return type(value) is int and low <= value <= high


def _is_positive(value: Any) -> bool:
    return type(value) in (int, float) and 0 < value < math.inf


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and value.isidentifier()


def _are_points(value: Any) -> bool:
    if not isinstance(value, dict):
        return _is_positive(value)
    return bool(value) and all(isinstance(name, str) and _is_positive(points) for name, points in value.items())


def _are_limits(value: Any) -> bool:
    kinds = {field.name: type(field.default) for field in dataclasses.fields(Limits)}
    return isinstance(value, dict) and all(
        name in kinds and _is_positive(limit) and (kinds[name] is float or type(limit) is int)
        for name, limit in value.items()
    )


def _are_cases(value: Any) -> bool:
    if not isinstance(value, list) or not all(isinstance(case, dict) for case in value):
        return False
    names = [case.get("name") for case in value]
    return (
        all(_is_name(name) and name not in BUILT_IN and names.count(name) == 1 for name in names)
        and all(case.keys() <= {"name", "rows", "dtype", "upstream"} for case in value)
        and all(_is_whole(case.get("rows", 2), 2, 1000) for case in value)
        and all(case.get("dtype", "float32") in ("float32", "float64") for case in value)
        and all(case.get("upstream", "true") in ("true", "random", True) for case in value)
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _are_hints(value: Any) -> bool:
    return isinstance(value, list) and 1 <= len(value) <= MOST_HINTS and all(map(_is_text, value))


def _are_fingerprints(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(fingerprint, str) and FINGERPRINT.fullmatch(fingerprint) for fingerprint in value)
    )


def _is_moment(value: Any) -> bool:
    try:
        return bool(read_moment(_text_of(value)))
    except UsageError:
        return False


def _is_before(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() <= {"verdicts", "hints"}
        and type(value.get("verdicts", False)) is bool
        and _is_whole(value.get("hints", 0), 0, 3)
    )


def _is_about_data(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and bool(value)
        and value.keys() <= {"name", "rows"}
        and all(_is_text(text) and len(text) <= _DATA_CHARACTERS and text.isprintable() for text in value.values())
    )


def _is_folder(value: Any) -> bool:
    return isinstance(value, str) and _FOLDER.fullmatch(value) is not None


def _is_installable(value: Any) -> bool:
    return _is_text(value) and "\n" not in value and not value.startswith("-") and not _OTHER_PACKAGE.match(value)


def _text_of(moment: Any) -> str:
    """A moment as text: YAML turns text that looks like a date into a date."""
    return moment.isoformat() if isinstance(moment, dt.date) else str(moment)


NOTEBOOK: Mapping[str, Setting] = {
    "assignment": Setting(_is_name, "the file's name without .md", "the id"),
    "title": Setting(lambda value: isinstance(value, str), "a line of text", "the heading of reports"),
    "hidden_seed": Setting(
        lambda value: _is_whole(value, 0, 2**32 - 1),
        "a whole number from 0 to 4294967295",
        "draws the batches that students do not see",
    ),
    "autograd": Setting(
        lambda value: value in ("forbid", "flag", "allow"),
        "one of forbid, flag, allow",
        "what using autograd in a gradient function means: no points, a note to the instructor, or nothing",
    ),
    "hints": Setting(lambda value: _is_whole(value, 0, 3), "one of 0, 1, 2, 3", "how many hints a report gives"),
    "counterexample": Setting(
        lambda value: isinstance(value, bool),
        "true or false",
        "whether a report gives the smallest numbers on which a function is wrong, to be worked through on paper",
    ),
    "learning_rate": Setting(_is_positive, "a positive number", "of the training curve"),
    "arrays": Setting(
        lambda value: value in ("torch", "numpy"), "torch or numpy", "what arrays functions take and return"
    ),
    "rows": Setting(
        lambda value: _is_whole(value, 4, 1000),
        "a whole number from 4 to 1000",
        "how many images are in the public batch: few, if functions take long",
    ),
    "steps": Setting(lambda value: _is_whole(value, 1, 1000), "a whole number from 1 to 1000", "of the training curve"),
    "data": Setting(
        _is_about_data,
        "names such as {name: names.txt, rows: words}, short",
        "what reports call the data, and what is in the rows of a batch",
    ),
    "files": Setting(
        _is_folder,
        "the name of a folder beside the notebook, such as data",
        "data that the notebook reads: the folder travels with it",
    ),
    "install": Setting(
        _is_installable,
        "what pip can install: a package's name, the address of a wheel or a repository, or a wheel's path",
        "where students' notebooks get the grader if it is not installed",
    ),
    "limits": Setting(
        _are_limits,
        "positive numbers for any of " + ", ".join(sorted(field.name for field in dataclasses.fields(Limits))),
        "time, memory and the like that one submission may use",
    ),
    "cases": Setting(
        _are_cases,
        "a list such as [{name: tiny, rows: 3, dtype: float64, upstream: random}], with a new name for each case",
        "more inputs that every exercise is called on",
    ),
    "release": Setting(
        _is_moment,
        "a date and time with its offset from UTC, such as 2026-12-04T18:00+01:00",
        "when students see marks and all verdicts",
    ),
    "before": Setting(
        _is_before,
        "names and values such as {verdicts: false, hints: 1}",
        "what students see until then: all verdicts or only those of the public batch, and how many hints",
    ),
}

EXERCISE: Mapping[str, Setting] = {
    "points": Setting(
        _are_points,
        "a positive number, or one for each part of the result, such as {dw: 2, db: 1}",
        "what it is worth",
    ),
    "call": Setting(
        _is_text,
        "an equation such as layer_backward(dz, (x, w, b)) == (dx, dw, db)",
        "how the function is called and what it must return",
    ),
    "name": Setting(_is_name, "the name of a function or class of the cell", "which of several is the exercise"),
    "arrays": Setting(
        lambda value: value in ("torch", "numpy"), "torch or numpy", "what arrays the function takes and returns"
    ),
    "partial": Setting(
        lambda value: isinstance(value, list) and bool(value) and all(map(_is_name, value)),
        "a list of names, such as [c]",
        "tensors whose gradient here is not the whole one: a later step adds the rest",
    ),
    "ignore": Setting(
        lambda value: isinstance(value, dict) and bool(value) and all(map(_is_text, value.values())),
        "parts and conditions, such as {da1: a1 == 0}",
        "entries of a part that do not count: those where the condition holds",
    ),
    "squeezable": Setting(
        lambda value: type(value) is bool, "true or false", "whether (D,) is accepted for (1, D), with a remark"
    ),
    "targets": Setting(
        lambda value: isinstance(value, list) and all(map(_is_name, value)),
        "a list of names, such as [w2, b2]",
        "what the gradient is taken of, if the function's name does not say so",
    ),
    "tolerance": Setting(
        lambda value: _is_positive(value) and value >= 1,
        "a number of at least 1",
        "how many times more than what rounding explains an entry may be off",
    ),
}

MISCONCEPTION: Mapping[str, Setting] = {
    "exercise": Setting(_is_name, "the name of an exercise, such as grad_w1", "whose mistake it is"),
    "id": Setting(_is_name, "a name such as forgets_the_mask", "its name in reports and on the class's page"),
    "observation": Setting(_is_text, "a sentence", "what can be seen in the answer"),
    "hints": Setting(_are_hints, "a list of one to three sentences", "the ladder of hints"),
    "analogy": Setting(_is_text, "some lines of text", "the same thought, worked through for another formula"),
    "fingerprints": Setting(
        _are_fingerprints,
        "a list of strings of 16 hexadecimal digits, in quotes: ['0123456789abcdef']",
        "those of wrong answers that show the mistake, from the class's page",
    ),
}
"""`analogy` may be left out; so may `fingerprints` if the cell contains the wrong function."""

STYLE: Mapping[str, Setting] = {
    "exercise": Setting(
        _is_name, "the name of an exercise, such as grad_w1", "which exercise the cell solves in another way"
    ),
}


def check_settings(settings: Any, allowed: Mapping[str, Setting], where: Callable[[str], str]) -> Mapping[str, Any]:
    """
    Check settings, and return them.

    Args:
        where: Gives the place of a setting, file and line, by its name.

    Raises:
        SourceError: A setting is unknown or has an invalid value; the message says where, and what is valid.
    """
    if not isinstance(settings, dict):
        raise SourceError(f"{where('grader')}: `grader` is {settings!r}.", "Write names and values: `{points: 2}`.")
    for name, value in settings.items():
        if name not in allowed:
            near = difflib.get_close_matches(str(name), allowed, n=1)
            hint = f"Did you mean {near[0]}?" if near else f"The settings are {', '.join(allowed)}."
            raise SourceError(f"{where(str(name))}: there is no setting `{name}` here.", hint)
        if not allowed[name].allows(value):
            raise SourceError(f"{where(name)}: `{name}` is {value!r}.", f"It must be {allowed[name].wants}.")
    return settings


def extra_cases(settings: Mapping[str, Any]) -> tuple[ExtraCase, ...]:
    """The cases that a notebook's settings add, in their order."""
    return tuple(
        ExtraCase(
            name=case["name"],
            rows=case.get("rows", 8),
            double=case.get("dtype") == "float64",
            random_upstream=case.get("upstream") == "random",
        )
        for case in settings.get("cases", ())
    )


def visibility_of(settings: Mapping[str, Any]) -> Visibility:
    """The visibility that a notebook's settings `release` and `before` describe."""
    before = settings.get("before", {})
    return Visibility(
        release=read_moment(_text_of(settings["release"])).isoformat() if "release" in settings else "",
        verdicts=before.get("verdicts", False),
        hints=min(before.get("hints", 3), settings.get("hints", 3)),
    )
