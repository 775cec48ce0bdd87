"""
Explains wrong exercises that use others which are not right, either: those come first.

In the student's process, an exercise calls the student's own functions. No right ones can be put in their place there:
that process would keep them. So a mistake in one costs the points of all that call it, and nobody can tell from their
results whether they have mistakes of their own. What would be said about their numbers is held back.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence

from grader.calling.equation import Equation
from grader.calling.exercise import Exercise
from grader.diagnosis.fingerprint import DIAGNOSED
from grader.diagnosis.wording import observation
from grader.model import Diagnosis, ExerciseResult, Outcome
from grader.notebook.functions import Definition

__all__ = ["ID", "composed", "names_used"]

ID = "uses_wrong_function"
"""The id of the diagnosis."""

_HARM = frozenset({Outcome.CRASHED, Outcome.TIMED_OUT, Outcome.OUT_OF_MEMORY})
_MOST_NAMES = 3


def names_used(exercise: Exercise, definition: Definition | None) -> frozenset[str]:
    """
    The names of what may be other exercises and is used by one: by its code, or by its equation.

    Args:
        definition: That of what ran, if it is known. It is a student's: any names may be in it.
    """
    by_equation = Equation.of(exercise.equation).called() if exercise.equation else ()
    return frozenset((*by_equation, *(definition.calls if definition is not None else ()))) - {exercise.name}


def composed(
    results: Sequence[ExerciseResult], exercises: Sequence[Exercise], uses: Mapping[str, Collection[str]]
) -> tuple[ExerciseResult, ...]:
    """
    The results, where one that is wrong and uses others which are wrong is explained by these.

    What cases that may be spoken of have not shown to be wrong explains nothing. Functions that call one another in a
    circle do not explain one another.

    Args:
        exercises: All of them. Straight lines are no function that another exercise could call.
        uses: By exercise, the names that it uses, see `names_used`.
    """
    functions = [exercise.name for exercise in exercises if not exercise.is_lines]
    known = {name: [other for other in functions if other in uses.get(name, ())] for name in uses}
    by_name = {result.name: result for result in results}
    return tuple(
        _explained(result, [by_name[other] for other in _below(result.name, known) if other in by_name])
        for result in results
    )


def _below(name: str, known: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """The exercises that one uses and that do not use it in turn, themselves or through others."""
    for other in known.get(name, ()):
        reached, waiting = {other}, [other]
        while waiting:
            new = [each for each in known.get(waiting.pop(), ()) if each not in reached]
            reached.update(new)
            waiting += new
        if name not in reached:
            yield other


def _explained(result: ExerciseResult, used: Sequence[ExerciseResult]) -> ExerciseResult:
    before = result.before_hidden
    if before is not None:
        before = _explained(before, [other.before_hidden or other for other in used])
    wrong = [other.name for other in used if _is_shown_wrong(other) and _may_explain(other.outcome, result.outcome)]
    if not wrong or not _is_shown_wrong(result):
        return dataclasses.replace(result, before_hidden=before)
    example = result.counterexample
    return dataclasses.replace(
        result,
        diagnoses=(Diagnosis(id=ID, message=_sentence(result.name, wrong)),),
        counterexample=dataclasses.replace(example, partway="") if example is not None else None,
        before_hidden=before,
    )


def _is_shown_wrong(result: ExerciseResult) -> bool:
    """Whether something else than a hidden case shows that it is not right: a public one, or one of practice."""
    before = result.before_hidden
    return result.passed is False and (before is None or before.passed is False or result.fingerprint is not None)


def _may_explain(cause: Outcome, effect: Outcome) -> bool:
    """Whether an outcome of a function may be why a function that calls it has another one."""
    if effect is Outcome.FORBIDDEN:
        return cause is Outcome.FORBIDDEN
    return cause in _HARM if effect in _HARM else effect in DIAGNOSED


def _sentence(function: str, wrong: Sequence[str]) -> str:
    if len(wrong) == 1:
        return observation("uses_wrong_function", function=function, name=wrong[0])
    more = [f"{len(wrong) - _MOST_NAMES} others"] if len(wrong) > _MOST_NAMES + 1 else []
    *names, last = [*wrong[: _MOST_NAMES if more else None], *more]
    return observation("uses_wrong_functions", function=function, names=f"{', '.join(names)} and {last}")
