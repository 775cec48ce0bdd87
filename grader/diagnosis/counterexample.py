"""
Chooses the smallest call on which a function is wrong, of those that it was asked to make.

The cases are small networks of public numbers, with autograd's gradients; what the function returned on them came from
the same sandboxed calls as everything else. A counterexample explains, and decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from grader.calling.exercise import Exercise
from grader.calling.nested import constants_in
from grader.calling.tables import Answer, Counterexample, Table
from grader.execution.calls import Returned, outcome_of
from grader.execution.requests import WRONG_IN_NUMBERS
from grader.model import Outcome

__all__ = ["counterexample_of"]

_MOST_NUMBERS = 24
"""How many numbers a table of a result has at most."""
_VISIBLE = 0.004
"""By how much of the largest right number an entry must be off, so that it can be seen."""


def counterexample_of(exercise: Exercise, outcome: Outcome, calls: Sequence[Returned]) -> Counterexample | None:
    """
    The smallest call on which a function is wrong in the way in which it is wrong on the public batch.

    Args:
        outcome: What became of the function on the cases that count.
        calls: What became of the calls on small cases, the smallest one first.

    Returns:
        A reason in its place if there is no such call; None if numbers are not what is wrong.
    """
    if outcome not in WRONG_IN_NUMBERS:
        return None
    wrong = [call for call in calls if _is_visibly_wrong(call)]
    # A result with one row may be wrong by chance: a dimension of 1 may be dropped, or be broadcast.
    on_several = [call for call in calls if call.case.rows > 1]
    is_sure = not on_several or any(call.case.rows > 1 for call in wrong)
    alike = [call for call in wrong if outcome_of(call, autograd="allow") is outcome]
    found = next(iter(alike or wrong), None) if is_sure else None
    return _shown(exercise, found) if found is not None else Counterexample(reason=_why_none(exercise, calls))


def _why_none(exercise: Exercise, calls: Sequence[Returned]) -> str:
    if not calls:
        return f"The sizes of this network are fixed, so no call of {exercise.name} has few enough numbers."
    outcomes = [outcome_of(call, autograd="allow") for call in calls]
    if all(outcome.passed for outcome in outcomes):
        return (
            f"{exercise.name} is right on every small batch that was tried: it takes more or larger numbers to see why."
        )
    if not any(_are_few_numbers(call) for call in calls):
        return (
            f"{exercise.name} works only with sizes like the notebook's, which are too large to work with on paper. "
            "Does it contain a size as a number, or read a variable of the notebook?"
        )
    return f"{exercise.name} is wrong by too little to be seen in a few digits, or only by chance."


def _is_visibly_wrong(call: Returned) -> bool:
    if outcome_of(call, autograd="allow") not in WRONG_IN_NUMBERS:
        return False
    return _are_few_numbers(call) and any(any(_differs(call, place)) for place in range(len(call.tensors)))


def _are_few_numbers(call: Returned) -> bool:
    tensors = (*call.tensors, *call.case.expected)
    return bool(call.tensors) and all(tensor.numel() <= _MOST_NUMBERS for tensor in tensors)


def _differs(call: Returned, place: int) -> list[bool]:
    """Which entries of a part of the result are wrong, by so much that it can be seen."""
    got, right = call.tensors[place], call.case.expected[place].double()
    comparison = call.case.compare(call.tensors[place], target=place, argument_dtype=call.argument_dtype)
    if comparison.outcome is Outcome.MATCH:
        return [False] * got.numel()
    if got.shape != right.shape:
        return [True] * got.numel()
    size = float(right.abs().max()) if right.numel() else 0.0
    bound = max(_VISIBLE * size, comparison.tolerance or 0.0)
    off = ~((got.double() - right).abs() <= bound)  # nan is off, too
    return [bool(entry) for entry in off.reshape(-1)]


def _shown(exercise: Exercise, call: Returned) -> Counterexample:
    case = call.case
    answers = []
    for place, part in enumerate(exercise.parts):
        differs = tuple(_differs(call, place))
        if any(differs):
            yours, right = _table(part, call.tensors[place]), _table(part, case.expected[place])
            answers.append(Answer(yours=yours, right=right, differs=differs))
    return Counterexample(
        rows=case.rows,
        arguments=tuple(_table(name, tensor) for name, tensor in case.tensors.items()),
        constants=tuple(
            (name, repr(value))
            for argument, given in case.arguments.items()
            for name, value in constants_in(argument, given)
        ),
        answers=tuple(answers),
    )


def _table(name: str, tensor: torch.Tensor) -> Table:
    numbers = (tensor.detach().double().reshape(-1) + 0.0).tolist()  # no -0
    return Table(name=name, shape=tuple(tensor.shape), numbers=tuple(numbers))
