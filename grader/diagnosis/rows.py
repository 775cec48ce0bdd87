"""
Recognises sums over only some of the examples of a batch.

The solution is called on these examples alone. If a student's function returns the same on every case, no other example
has an effect on its result.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import torch

from grader.diagnosis.bank import evaluate, solution_of
from grader.diagnosis.evidence import Evidence, Explanation
from grader.diagnosis.projection import agrees
from grader.reference.cases import Case

__all__ = ["some_rows"]

_FEWEST_ROWS = 2
_MOST_NUMBERS = 8
"""How many numbers of the student's code are tried as the number of examples."""


def some_rows(evidence: Evidence) -> Iterator[Explanation]:
    """The answer is that of the solution for some of the examples of each case, such as all but the first."""
    if evidence.exercise.name not in evidence.assignment.solutions:
        return
    target = evidence.wrong_target
    cases = [call.case for call in evidence.returned]
    if any(
        case.rows < _FEWEST_ROWS or tuple(output.tensors[target].shape) != tuple(output.case.expected[target].shape)
        for case, output in zip(cases, evidence.outputs, strict=True)
    ):
        return
    every = [_choices(evidence, case.rows) for case in cases]
    for which in every[0]:
        if all(_is_that_of(evidence, number, every[number][which]) for number in reversed(range(len(cases)))):
            is_a_short_loop = which in ("all but the first", "all but the last") and evidence.written.has_loop
            kind = "off_by_one_size" if is_a_short_loop else "wrong_region"
            yield Explanation(id=kind, message=evidence.say("some_rows", which=which))
            return


def _choices(evidence: Evidence, rows: int) -> dict[str, slice]:
    """Some examples of a batch: what they are called, and where they are."""
    choices = {
        "all but the first": slice(1, None),
        "all but the last": slice(-1),
        "all but the first and the last": slice(1, -1),
        "every other one": slice(0, None, 2),
        "every other one, from the second on": slice(1, None, 2),
        "the first half": slice(rows // 2),
        "the second half": slice(rows // 2, None),
    }
    written = [int(number) for number in evidence.written.numbers if number == int(number) and number > 1]
    for size in written[:_MOST_NUMBERS]:
        choices[f"the first {size}"] = slice(size)
        choices[f"the last {size}"] = slice(-size, None)
        choices[f"all but the first {size}"] = slice(size, None)
        choices[f"all but the last {size}"] = slice(-size)
    return choices


def _is_that_of(evidence: Evidence, number: int, rows: slice) -> bool:
    call, output = evidence.returned[number], evidence.outputs[number]
    given = _with_rows(call.case, rows)
    if given is None:
        return False
    solution = solution_of(evidence.assignment, evidence.exercise)
    result = next(evaluate(evidence.assignment, evidence.exercise, solution, [given]))
    return result is not None and agrees(
        output.tensors, output.case, evidence.own(result), argument_dtype=output.argument_dtype
    )


def _with_rows(case: Case, rows: slice) -> Case | None:
    """A case with some examples only; None if there are none, or if the tensors of examples cannot be told."""
    arguments = {
        name: value[rows] if isinstance(value, torch.Tensor) and value.ndim and len(value) == case.rows else value
        for name, value in case.arguments.items()
    }
    has_rows = [name for name in arguments if arguments[name] is not case.arguments[name]]
    if not has_rows or any(not len(arguments[name]) for name in has_rows):
        return None
    return dataclasses.replace(case, arguments=arguments)
