"""
Recognises numbers that went through a less precise type, that were rounded, or that are nearly right.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import torch

from grader.calling.nested import with_tensors
from grader.diagnosis.bank import evaluate, solution_of
from grader.diagnosis.evidence import Evidence, Explanation
from grader.diagnosis.projection import agrees, different_numbers, is_uniform
from grader.reference.cases import Case

__all__ = ["arguments_rounded", "low_precision", "nearly_right", "rounded"]

_HALF_PRECISION = 5e-5
"""Numbers that went through half precision are off by more than this, relative to the largest one."""
_NEARLY = 1e-3
_THREE_DIGITS = 4e-3
_BOUNDARY_SHARE = 0.01
_COARSE = (torch.bfloat16, torch.float16)
_MAKES_COARSE = (
    "half", "float16", "bfloat16", "float32", "float", "to", "type", "astype", "round", "round_", "autocast",
)  # fmt: skip
"""What stands in code that computes in a less precise type."""
_LARGEST_ERROR = 0.1
"""By how much of the largest number a less precise type may change a result: its terms may cancel."""
_FEWEST_NUMBERS = 8
"""Fewer different numbers than this have few digits by chance."""


def nearly_right(evidence: Evidence) -> Iterator[Explanation]:
    """The numbers are right to three digits or more, relative to the largest one."""
    error = _relative_error(evidence)
    if 0 < error <= _NEARLY:
        digits = math.floor(-math.log10(error))
        yield Explanation(id="nearly_right", message=evidence.say("nearly_right", digits=digits))


def _relative_error(evidence: Evidence) -> float:
    """The largest error on any case, relative to the largest entry there; infinite if that has no meaning."""
    target = evidence.wrong_target
    compared = [
        output.case.compare(output.tensors[target], target=target, argument_dtype=output.argument_dtype)
        for output in evidence.outputs
    ]
    return max(math.inf if found.max_rel_error is None else found.max_rel_error for found in compared)


def low_precision(evidence: Evidence) -> Iterator[Explanation]:
    """The numbers are right to about three digits, with errors in both directions."""
    target = evidence.wrong_target
    largest = _relative_error(evidence)
    coarse = next((dtype for dtype in _COARSE if largest < _LARGEST_ERROR and _are_coarse(evidence, dtype)), None)
    if coarse is not None:
        name = str(coarse).removeprefix("torch.")
        yield Explanation(id="low_precision", message=evidence.say("low_precision_inside", dtype=name))
        return
    written = evidence.written
    may_be_coarse = not written.is_complete or not written.words.isdisjoint(_MAKES_COARSE)
    if largest < _HALF_PRECISION or not may_be_coarse:
        return
    for output in evidence.outputs:
        got, expected = output.tensors[target].double(), output.case.expected[target]
        if got.shape != expected.shape:
            return
        error = got - expected
        if not bool((error.abs() <= _THREE_DIGITS * (expected.abs() + expected.abs().mean())).all()):
            return
        if abs(float((error * expected.sign()).sum())) > float(error.abs().sum()) / 2:
            return  # rounding goes in both directions; this is a factor
    yield Explanation(id="low_precision", message=evidence.say("low_precision"))


def rounded(evidence: Evidence) -> Iterator[Explanation]:
    """The answer is the right gradient, rounded to whole numbers or to a few decimals."""
    target = evidence.wrong_target
    pairs = [(output.tensors[target].double(), output.case.expected[target]) for output in evidence.outputs]
    if any(got.shape != expected.shape or is_uniform(got) for got, expected in pairs):
        return
    for description, places, rounding in (
        ("whole numbers", 0, torch.round),
        ("the next smaller whole number", 0, torch.floor),
        ("whole numbers, towards zero", 0, torch.trunc),
        ("one decimal", 1, torch.round),
        *((f"{places} decimals", places, torch.round) for places in range(2, 5)),
    ):
        if any(is_uniform(rounding(right * 10**places)) for _, right in pairs):
            continue  # zeros say nothing
        # An entry on the boundary between two rounded numbers may have been rounded the other way.
        if all(
            float(((rounding(expected * 10**places) / 10**places - got).abs() > 1e-6).double().mean()) < _BOUNDARY_SHARE
            for got, expected in pairs
        ):
            yield Explanation(id="low_precision", message=evidence.say("rounded", what=description))
            return


def _are_coarse(evidence: Evidence, dtype: torch.dtype) -> bool:
    """Whether all numbers are such as a less precise type has, and the right ones are not."""
    target = evidence.wrong_target
    return all(
        got.shape == expected.shape
        and different_numbers(got) >= _FEWEST_NUMBERS
        and _has_digits_of(got, dtype)
        and not _has_digits_of(expected, dtype)
        for got, expected in (
            (output.tensors[target].double(), output.case.expected[target].double()) for output in evidence.outputs
        )
    )


def _has_digits_of(tensor: torch.Tensor, dtype: torch.dtype) -> bool:
    return torch.equal(tensor.to(dtype).to(tensor.dtype), tensor)


def arguments_rounded(evidence: Evidence) -> Iterator[Explanation]:
    """The answer is right for arguments that went through a less precise type."""
    if (
        evidence.exercise.name not in evidence.assignment.solutions
        or not 0 < _relative_error(evidence) < _LARGEST_ERROR
    ):
        return
    solution = solution_of(evidence.assignment, evidence.exercise)
    every = tuple(evidence.outputs[0].case.arguments)
    choices = [(name,) for name in every] + ([every] if len(every) > 1 else [])
    for dtype in _COARSE:
        for names in choices:
            cases = [_with_rounded(call.case, names, dtype) for call in evidence.returned]
            results = evaluate(evidence.assignment, evidence.exercise, solution, cases)
            if all(
                result is not None
                and agrees(output.tensors, output.case, evidence.own(result), argument_dtype=output.argument_dtype)
                for output, result in zip(evidence.outputs, results, strict=True)
            ):
                facts = {"names": " and ".join(names), "dtype": str(dtype).removeprefix("torch.")}
                yield Explanation(id="low_precision", message=evidence.say("arguments_rounded", **facts))
                return


def _with_rounded(case: Case, names: tuple[str, ...], dtype: torch.dtype) -> Case:
    """A case in which some of the arguments went through a less precise type."""

    def through(tensor: torch.Tensor) -> torch.Tensor:
        return tensor.to(dtype).to(tensor.dtype) if tensor.is_floating_point() else tensor

    arguments = {
        name: with_tensors(value, through) if name in names else value for name, value in case.arguments.items()
    }
    return dataclasses.replace(case, arguments=arguments)
