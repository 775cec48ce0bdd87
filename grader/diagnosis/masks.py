"""
Recognises a mask that lets gradient pass in other places than the forward pass does.

Without its mask, the solution returns what each entry is if gradient passes there. If every entry of a student's result
is that number or 0, only the mask is wrong, whatever it is made of.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from grader.diagnosis.bank import bank, evaluate
from grader.diagnosis.evidence import Evidence, Explanation
from grader.diagnosis.projection import CaseOutput

__all__ = ["has_another_slope", "other_mask"]

_FEWEST_NUMBERS = 8
"""Fewer numbers than this that pass are right by chance."""
_CLEAR = 1e-3
"""Smaller numbers than this, of the largest one, say little about a slope."""
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


def has_another_slope(evidence: Evidence, name: str, regions: Sequence[torch.Tensor]) -> bool:
    """
    Whether the answer is, in a region of each case, what it is without the mask, times a slope at an argument.

    Such a slope is a function of the argument: sorted by its values, it does not jump up and down.
    """
    target = evidence.wrong_target
    return any(
        all(
            _is_a_slope(output.tensors[target].double()[region], result[region], output.case.tensors[name][region])
            for output, result, region in zip(evidence.outputs, results, regions, strict=True)
        )
        for _, results in _without_mask(evidence)
    )


def _is_a_slope(got: torch.Tensor, unmasked: torch.Tensor, argument: torch.Tensor) -> bool:
    clear = unmasked.abs() > _CLEAR * float(unmasked.abs().max()) if unmasked.numel() else unmasked > 0
    slope = (got[clear] / unmasked[clear])[argument[clear].argsort()]
    return len(slope) < 2 or float(slope.diff().abs().sum()) <= _MOST_TURNS * float(slope.max() - slope.min()) + _CLEAR


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
