"""
What an author may set under `grader`, in a source notebook's metadata and in that of its exercises and misconceptions.
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


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ExtraCase:
    """
    One more set of arguments for every exercise of an assignment, hidden from students.

    Attributes:
        rows: How many images are in its batch.
        double: float64 instead of float32.
        random_upstream: Random upstream gradients instead of the true ones.
    """

    name: str
    rows: int
    double: bool = False
    random_upstream: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Setting:
    """`allows` says whether a value will do, `wants` what would, and `means` what it is for."""

    allows: Callable[[Any], bool]
    wants: str
    means: str


def _is_whole(value: Any, low: int, high: int) -> bool:
    return type(value) is int and low <= value <= high


def _is_positive(value: Any) -> bool:
    return type(value) in (int, float) and 0 < value < math.inf


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and value.isidentifier()


def _are_limits(value: Any) -> bool:
    kinds = {field.name: type(field.default) for field in dataclasses.fields(Limits)}
    return isinstance(value, dict) and all(
        name in kinds and _is_positive(each) and (kinds[name] is float or type(each) is int)
        for name, each in value.items()
    )


def _are_cases(value: Any) -> bool:
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        return False
    names = [each.get("name") for each in value]
    return (
        all(_is_name(name) and name not in BUILT_IN and names.count(name) == 1 for name in names)
        and all(each.keys() <= {"name", "rows", "dtype", "upstream"} for each in value)
        and all(_is_whole(each.get("rows", 2), 2, 1000) for each in value)
        and all(each.get("dtype", "float32") in ("float32", "float64") for each in value)
        and all(each.get("upstream", "true") in ("true", "random", True) for each in value)
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _are_hints(value: Any) -> bool:
    return isinstance(value, list) and 1 <= len(value) <= MOST_HINTS and all(map(_is_text, value))


def _are_fingerprints(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(each, str) and FINGERPRINT.fullmatch(each) for each in value)
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


def _text_of(moment: Any) -> str:
    """YAML makes a date of what looks like one."""
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
        "what using autograd in a gradient function means: no points, a word to the instructor, nothing",
    ),
    "hints": Setting(lambda value: _is_whole(value, 0, 3), "one of 0, 1, 2, 3", "how many hints a report gives"),
    "learning_rate": Setting(_is_positive, "a positive number", "of the training curve"),
    "steps": Setting(lambda value: _is_whole(value, 1, 1000), "a whole number from 1 to 1000", "of the training curve"),
    "limits": Setting(
        _are_limits,
        "positive numbers for any of " + ", ".join(sorted(field.name for field in dataclasses.fields(Limits))),
        "time, memory and the like that one submission may use",
    ),
    "cases": Setting(
        _are_cases,
        "a list such as [{name: tiny, rows: 3, dtype: float64, upstream: random}], each name a new one",
        "more inputs that every exercise is called on",
    ),
    "release": Setting(
        _is_moment,
        "a date and time with its offset from UTC, such as 2026-12-04T18:00+01:00",
        "when students see marks and all verdicts",
    ),
    "before": Setting(
        _is_before,
        "such as {verdicts: false, hints: 1}",
        "what students see until then: all verdicts or those of the public batch, and how many hints",
    ),
}

EXERCISE: Mapping[str, Setting] = {
    "points": Setting(_is_positive, "a positive number", "what it is worth"),
    "targets": Setting(
        lambda value: isinstance(value, list) and bool(value) and all(map(_is_name, value)),
        "a list of names, such as [w2, b2]",
        "what the gradient is taken of, where the function's name does not say so",
    ),
    "tolerance": Setting(
        lambda value: _is_positive(value) and value >= 1,
        "a number from 1 on",
        "how many times more than what rounding explains an entry may be off",
    ),
}

MISCONCEPTION: Mapping[str, Setting] = {
    "exercise": Setting(_is_name, "the name of an exercise, such as grad_w1", "whose mistake it is"),
    "id": Setting(_is_name, "a name such as forgets_the_mask", "what it is called in reports and on the class's page"),
    "observation": Setting(_is_text, "a sentence", "what is said to have been observed"),
    "hints": Setting(_are_hints, "a list of one to three sentences", "the ladder of hints"),
    "analogy": Setting(_is_text, "some lines of text", "the same thought, worked through for another formula"),
    "fingerprints": Setting(
        _are_fingerprints,
        "a list of strings of 16 hexadecimal digits, in quotes: ['0123456789abcdef']",
        "wrong answers that show it, as the class's page names them",
    ),
}
"""`analogy` may be left out, and `fingerprints` where the cell has the wrong function in it."""

STYLE: Mapping[str, Setting] = {
    "exercise": Setting(_is_name, "the name of an exercise, such as grad_w1", "what it is another right way to write"),
}


def check_settings(settings: Any, allowed: Mapping[str, Setting], where: Callable[[str], str]) -> Mapping[str, Any]:
    """
    The same settings, if they are allowed.

    Args:
        where: Says of a setting in which file and line it stands.

    Raises:
        SourceError: One is unknown, or has a value that it cannot have; the message says where, and what would do.
    """
    if not isinstance(settings, dict):
        raise SourceError(f"{where('grader')}: `grader` is {settings!r}.", "Write names and values: `{points: 2}`.")
    for name, value in settings.items():
        if name not in allowed:
            near = difflib.get_close_matches(str(name), allowed, n=1)
            hint = f"Is it {near[0]}?" if near else f"There are {', '.join(allowed)}."
            raise SourceError(f"{where(str(name))}: there is no setting `{name}` here.", hint)
        if not allowed[name].allows(value):
            raise SourceError(f"{where(name)}: `{name}` is {value!r}.", f"It must be {allowed[name].wants}.")
    return settings


def extra_cases(settings: Mapping[str, Any]) -> tuple[ExtraCase, ...]:
    """The cases that a notebook's settings add, in their order."""
    return tuple(
        ExtraCase(
            name=each["name"],
            rows=each.get("rows", 8),
            double=each.get("dtype") == "float64",
            random_upstream=each.get("upstream") == "random",
        )
        for each in settings.get("cases", ())
    )


def visibility_of(settings: Mapping[str, Any]) -> Visibility:
    """What a notebook's settings, `release` and `before`, say."""
    before = settings.get("before", {})
    return Visibility(
        release=read_moment(_text_of(settings["release"])).isoformat() if "release" in settings else "",
        verdicts=before.get("verdicts", False),
        hints=min(before.get("hints", 3), settings.get("hints", 3)),
    )
