"""
Recognises what does not belong there: a right gradient with one term, or one factor, too many.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from grader.diagnosis.evidence import Evidence, Explanation
from grader.diagnosis.projection import CaseOutput, different_numbers

__all__ = ["extra_factor", "extra_term", "extra_term_from_outside"]

_FEWEST_NUMBERS = 3
"""Fewer different numbers than this are proportional to others by chance."""
_CLOSE = 1e-4
_CLEARLY = 20
"""How many times larger than what rounding explains a difference must be, to be compared with anything."""


def extra_term_from_outside(evidence: Evidence) -> Iterator[Explanation]:
    """
    The answer is the right gradient and a multiple of the same numbers on every case: of a variable that is read.

    A variable of the notebook has the same value on every case. So it stands in no argument's place there.
    """
    names, target = evidence.network_reads, evidence.wrong_target
    if len(names) != 1 or evidence.scope.unused or not evidence.has_right_shapes or len(evidence.outputs) < 2:
        return
    rests = [_rest(output, target) for output in evidence.outputs]
    first = rests[0]
    if first is None or different_numbers(first) < _FEWEST_NUMBERS:
        return
    for rest in rests:
        if rest is None or rest.shape != first.shape:
            return
        factor = float((rest * first).sum()) / float((first * first).sum())
        if not factor or not bool(((rest - factor * first).abs() <= _CLOSE * rest.abs().max()).all()):
            return
    yield Explanation(id="extra_term", message=evidence.say("extra_term_from_outside", name=names[0]))


def _rest(output: CaseOutput, target: int) -> torch.Tensor | None:
    """By how much an answer is too large; of rows that are all the same, one. None if rounding may explain it."""
    rest = output.tensors[target].double() - output.case.expected[target]
    compared = output.case.compare(output.tensors[target], target=target, argument_dtype=output.argument_dtype)
    largest = float(rest.abs().max())
    if not largest or largest < _CLEARLY * (compared.tolerance or 0.0):
        return None
    has_equal_rows = rest.ndim > 1 and bool(((rest - rest[:1]).abs() <= _CLOSE * largest).all())
    return rest[:1] if has_equal_rows else rest


def extra_term(evidence: Evidence) -> Iterator[Explanation]:
    """The answer is the right gradient and a multiple of an argument, which the student's code reads."""
    target = evidence.wrong_target
    for name in evidence.outputs[0].case.tensors:
        if name in evidence.written.words and _differs_by(evidence, target, name):
            yield Explanation(id="extra_term", message=evidence.say("extra_term", name=name))
            return


def extra_factor(evidence: Evidence) -> Iterator[Explanation]:
    """The answer is the right gradient, multiplied entry by entry with an argument, which the student's code reads."""
    target = evidence.wrong_target
    for name in evidence.outputs[0].case.tensors:
        if name in evidence.written.words and all(_is_multiplied(output, target, name) for output in evidence.outputs):
            yield Explanation(id="other_operation", message=evidence.say("extra_factor", name=name))
            return


def _is_multiplied(output: CaseOutput, target: int, name: str) -> bool:
    right, argument = output.case.expected[target], output.case.tensors[name]
    if not argument.is_floating_point() or different_numbers(argument) < _FEWEST_NUMBERS or right.numel() < 2:
        return False
    try:
        product = right * argument.double()
    except RuntimeError:
        return False
    is_right = product.shape == output.tensors[target].shape and bool(product.any())
    return is_right and output.equals(product, target=target)


def _differs_by(evidence: Evidence, target: int, name: str) -> bool:
    """Whether an answer and the right one differ by an argument times a number: the same one, or that over N."""
    factors = []
    for output in evidence.outputs:
        got, right, argument = output.tensors[target].double(), output.case.expected[target], output.case.tensors[name]
        if argument.numel() == 1 and right.numel() > 1:
            argument = argument.reshape([1] * right.ndim).expand(right.shape)
            differs = different_numbers(right) >= _FEWEST_NUMBERS
        else:
            differs = different_numbers(argument) >= _FEWEST_NUMBERS
        if not got.shape == right.shape == argument.shape or not argument.is_floating_point():
            return False
        argument, rest = argument.double(), got - right
        compared = output.case.compare(output.tensors[target], target=target, argument_dtype=output.argument_dtype)
        largest, tolerance = float(rest.abs().max()), compared.tolerance or 0.0
        factor = float((rest * argument).sum()) / max(float((argument * argument).sum()), 1e-30)
        if largest < _CLEARLY * tolerance or not differs:
            return False
        if not bool(((rest - factor * argument).abs() <= tolerance + _CLOSE * largest).all()):
            return False
        factors.append((factor, output.case.rows))
    (first, rows), *others = factors
    return all(math.isclose(factor, first, rel_tol=1e-3) for factor, _ in others) or all(
        math.isclose(factor * count, first * rows, rel_tol=1e-3) for factor, count in others
    )
