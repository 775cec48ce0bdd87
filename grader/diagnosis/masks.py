"""
Recognises a mask that lets gradient pass in other places than the forward pass does, and another slope than its own.

Without its mask, the solution returns what each entry is if gradient passes there. If every entry of a student's result
is that number or 0, only the mask is wrong, whatever it is made of. If it is that number times a function of what the
mask or the slope is at, the slope is wrong, whatever it is the slope of.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from grader.diagnosis.bank import bank, evaluate
from grader.diagnosis.evidence import Evidence, Explanation
from grader.diagnosis.projection import CaseOutput

__all__ = ["another_slope", "has_another_slope", "other_mask"]

_FEWEST_NUMBERS = 8
"""Fewer numbers than this that pass are right by chance."""
_CLEAR = 1e-3
"""Smaller numbers than this, of the largest one, say little about a slope."""
_FEWEST_FOR_A_SLOPE = 100
"""Fewer numbers than this may look like a function of others by chance."""
_MOST_TURNS = 5
"""How often a slope may go up and down by all of its range, along the values of what it is the slope at."""


def other_mask(evidence: Evidence) -> Iterator[Explanation]:
    """Every entry of the answer is 0 or what it is without the mask, whose argument the code reads and decides by."""
    if not evidence.written.is_known or not evidence.written.decides:
        return
    for operand, results in _without_mask(evidence):
        target = evidence.wrong_target
        if operand in evidence.written.words and all(
            _passes_or_not(output, target, result) for output, result in zip(evidence.outputs, results, strict=True)
        ):
            yield Explanation(id="wrong_region", message=evidence.say("other_mask", argument=operand))
            return


def another_slope(evidence: Evidence) -> Iterator[Explanation]:
    """
    Where the right answer is what arrives, times a slope at an argument, each entry is that times another slope.

    What arrives is an upstream gradient of the same shape, or what the answer is without a mask.
    """
    if evidence.are_zeros:
        return
    target, cases = evidence.wrong_target, [output.case for output in evidence.outputs]
    got = [output.tensors[target].double() for output in evidence.outputs]
    right = [case.expected[target] for case in cases]
    arriving = [[case.tensors[name] for case in cases] for name in evidence.upstream]
    for arrives in (*arriving, *(results for _, results in _without_mask(evidence))):
        for name in cases[0].tensors:
            at = [case.tensors[name] for case in cases]
            if name in evidence.upstream or name not in evidence.written.words or not at[0].is_floating_point():
                continue
            if any(len({each.shape for each in every}) > 1 for every in zip(got, right, arrives, at, strict=True)):
                continue
            slopes = list(map(_slope, got, arrives, at))
            if max(map(len, slopes)) < _FEWEST_FOR_A_SLOPE or any(
                2 * len(slope) < each.numel() for slope, each in zip(slopes, at, strict=True)
            ):
                continue
            heights = [slope[slope.abs().argmax()] if len(slope) else 1.0 for slope in slopes]
            is_one = [_is_a_mask(slope / height) for slope, height in zip(slopes, heights, strict=True)]
            if all(map(_is_smooth, [*map(_slope, right, arrives, at), *slopes])) and not all(is_one):
                yield Explanation(id="wrong_slope", message=evidence.say("another_slope", argument=name))
                return


def has_another_slope(evidence: Evidence, name: str, regions: Sequence[torch.Tensor]) -> bool:
    """
    Whether the answer is, in a region of each case, what it is without the mask, times a slope at an argument.

    Such a slope is a function of the argument: sorted by its values, it does not jump up and down.
    """
    target = evidence.wrong_target
    for _, results in _without_mask(evidence):
        slopes = [
            _slope(output.tensors[target].double()[region], result[region], output.case.tensors[name][region])
            for output, result, region in zip(evidence.outputs, results, regions, strict=True)
        ]
        if all(map(_is_smooth, slopes)) and not all(map(_is_a_mask, slopes)):
            return True
    return False


def _slope(got: torch.Tensor, arrives: torch.Tensor, argument: torch.Tensor) -> torch.Tensor:
    """By what numbers are multiplied that arrive and are clear, in the order of the argument's values."""
    clear = arrives.abs() > _CLEAR * float(arrives.abs().max()) if arrives.numel() else arrives > 0
    return (got[clear] / arrives[clear])[argument[clear].argsort()]


def _is_smooth(slope: torch.Tensor) -> bool:
    return len(slope) < 2 or float(slope.diff().abs().sum()) <= _MOST_TURNS * float(slope.max() - slope.min()) + _CLEAR


def _is_a_mask(slope: torch.Tensor) -> bool:
    return bool(((slope.abs() < _CLEAR) | ((slope - 1).abs() < _CLEAR)).all())


def _without_mask(evidence: Evidence) -> Iterator[tuple[str, list[torch.Tensor]]]:
    """What the part is on each case if a mask is left out, with the argument that the mask is of."""
    target, cases = evidence.wrong_target, [output.case for output in evidence.outputs]
    for entry in bank(evidence.assignment, evidence.exercise):
        if entry.mutant.edits[0].name != "drop_mask":
            continue
        results = tuple(evaluate(evidence.assignment, evidence.exercise, entry.mutant, cases))
        found = [evidence.own(result)[target] for result in results if result is not None]
        shapes = [output.tensors[target].shape for output in evidence.outputs]
        if [each.shape for each in found] == shapes:
            yield entry.mutant.operands[0], found


def _passes_or_not(output: CaseOutput, target: int, unmasked: torch.Tensor) -> bool:
    got = output.tensors[target]
    compared = output.case.compare(got, target=target, argument_dtype=output.argument_dtype)
    tolerance = compared.tolerance or 0.0
    got = got.double()
    passes, stops = (got - unmasked).abs() <= tolerance, got.abs() <= tolerance
    return bool((passes | stops).all()) and int((passes & ~stops).sum()) >= _FEWEST_NUMBERS
