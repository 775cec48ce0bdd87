"""
How an attempt stands, as a portal says. Nothing that it says is taken as it comes.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from grader.reports.words import clip, visible

__all__ = ["Observed", "Progress", "progress_of", "text_in"]

TEXT_LIMIT = 600
RECEIPT_LIMIT = 2_000
EXERCISE_LIMIT = 1_000
KINDS = ("right", "wrong", "open", "unknown")
STATES = ("queued", "running", "done")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """
    An exercise of an attempt.

    Attributes:
        passed: Whether it is right; None if it could not be decided.
        kind: `right`, `wrong`, `open` for what is not written yet, or `unknown`.
        message: What was observed first, if it is not right.
    """

    name: str
    passed: bool | None
    kind: str
    verdict: str
    message: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """
    An attempt, and its result if there is one.

    Attributes:
        number: Counts the student's attempts at the assignment, from 1.
        state: `queued`, `running` or `done`.
        status: `graded`, `unreadable` or `grader_error`; empty before the result.
        is_judged_again: Whether a new result will replace this one.
        place: In the queue, from 1; 0 if it does not wait.
        is_new: False if the same file was handed in before.
        mark: The score after what lateness costs; None if an older portal does not say.
        receipt: The portal's receipt; empty unless it was just handed in.
    """

    id: int
    assignment: str
    number: int
    file: str
    sha256: str
    state: str
    status: str
    is_judged_again: bool
    place: int
    is_withheld: bool
    problem: str
    score: float | None
    max_score: float | None
    mark: float | None
    exercises: tuple[Observed, ...]
    is_new: bool
    receipt: str

    @property
    def is_done(self) -> bool:
        """Whether there is nothing more to wait for."""
        return self.state == "done"

    @property
    def is_right(self) -> bool:
        """Whether all exercises are right."""
        return bool(self.exercises) and all(exercise.passed for exercise in self.exercises)


def progress_of(answer: Mapping[str, Any]) -> Progress | None:
    """What a portal says about an attempt; None if it makes no sense."""
    attempt, number, state = _count(answer.get("id")), _count(answer.get("number")), answer.get("state")
    if not attempt or not number or state not in STATES:
        return None
    listed = answer.get("exercises")
    found = listed[:EXERCISE_LIMIT] if isinstance(listed, list) else []
    return Progress(
        id=attempt,
        assignment=text_in(answer, "assignment"),
        number=number,
        file=text_in(answer, "file"),
        sha256=text_in(answer, "sha256"),
        state=state,
        status=text_in(answer, "status"),
        is_judged_again=answer.get("is_judged_again") is True,
        place=_count(answer.get("place")),
        is_withheld=answer.get("is_withheld") is True,
        problem=text_in(answer, "problem"),
        score=_number(answer.get("score")),
        max_score=_number(answer.get("max_score")),
        mark=_number(answer.get("mark")),
        exercises=tuple(_observed(each) for each in found if isinstance(each, dict)),
        is_new=answer.get("is_new") is not False,
        receipt=_text(answer.get("receipt"), RECEIPT_LIMIT),
    )


def text_in(values: Mapping[str, Any], name: str) -> str:
    """A text of an answer, without what controls a terminal and not too long; empty if there is none."""
    return _text(values.get(name), TEXT_LIMIT)


def _observed(values: Mapping[str, Any]) -> Observed:
    passed, kind = values.get("passed"), text_in(values, "kind")
    return Observed(
        name=text_in(values, "name"),
        passed=passed if isinstance(passed, bool) else None,
        kind=kind if kind in KINDS else "unknown",
        verdict=text_in(values, "verdict"),
        message=text_in(values, "message"),
    )


def _text(value: object, limit: int) -> str:
    return clip(visible(value), limit) if isinstance(value, str) else ""


def _count(value: object) -> int:
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**53
    return value if is_count else 0  # type: ignore[return-value]


def _number(value: object) -> float | None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number and math.isfinite(value) else None  # type: ignore[arg-type]
