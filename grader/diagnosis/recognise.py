"""
Recognises the mistake behind a wrong gradient.

Each recogniser looks for one kind of mistake, and yields explanations if it finds it. An explanation that reproduces
the student's numbers exactly, on every case, comes before one that only fits. Where none fits, nothing is said.
`recognise` tries the recognisers from the strongest to the weakest.
"""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

import torch

from grader.diagnosis.bank import bank, evaluate
from grader.diagnosis.choice import (
    as_written,
    best_of,
    brackets_are_in_no_sum,
    computes_more,
    is_left_out,
    is_possible,
    sums,
    term_cancels,
)
from grader.diagnosis.context import (
    changes_outside,
    explain_reads,
    hard_coded_literal,
    ignores_upstream,
    keeps_state,
    lost_in_loop,
    reads_global,
    reads_global_and_fails,
    reads_network_global,
    redefined_helper,
    set_in_loop,
    unused_argument,
)
from grader.diagnosis.evidence import Evidence, Explanation, called, target_of
from grader.diagnosis.extras import extra_factor, extra_term, extra_term_from_outside
from grader.diagnosis.factors import Factor, name_factor
from grader.diagnosis.form import (
    broadcast_shape,
    not_finite,
    rescaled,
    right_numbers_in_another_shape,
    wrong_dtype,
    wrong_type,
)
from grader.diagnosis.masks import another_slope, other_mask
from grader.diagnosis.mutants import EDITS, Mutant, as_mutant
from grader.diagnosis.places import rearranged, reordered, same_places, swapped_outputs, wrong_region
from grader.diagnosis.precision import arguments_rounded, low_precision, nearly_right, rounded
from grader.diagnosis.projection import agrees, fits, is_uniform, ratio
from grader.diagnosis.rows import some_rows
from grader.model import Outcome

__all__ = ["recognise"]

_EDITS_THAT_SCALE = ("mean_not_sum", "sum_not_mean", "off_by_one_size")
"""Diagnoses of edits that multiply the gradient by a constant, and say more about it than its value."""

_MOST_ALIKE = 24
"""Of how many mutants that return the student's numbers the best one is chosen, at most."""
_ALIKE_S = 3.0
"""How long others are looked for once one is found, of the processor's time."""

Recogniser = Callable[[Evidence], Iterable[Explanation]]


def recognise(evidence: Evidence, *, together: bool = False) -> tuple[Explanation, ...]:
    """
    The explanations of a wrong exercise, the best one first; empty if no recogniser finds one.

    Args:
        together: Look only for one mistake that explains all parts of the result, not only the first wrong one.
    """
    if together:
        recognisers: tuple[Recogniser, ...] = (
            _named_misconception, swapped_outputs, _one_mistake, changes_outside, reads_network_global, keeps_state,
            ignores_upstream,
        )  # fmt: skip
    elif evidence.is_complete:
        recognisers = (
            _named_misconception, not_finite, _mask_of_everything, wrong_dtype, swapped_outputs,
            _along_another_dimension, right_numbers_in_another_shape, _constant_factor, rearranged, _one_mistake,
            changes_outside, extra_term_from_outside, reads_network_global, keeps_state, ignores_upstream,
            arguments_rounded, low_precision, rounded, rescaled, some_rows, extra_term, extra_factor, nearly_right,
            same_places, reordered, another_slope, _mistake_and_factor, wrong_region, _region_and_factor, other_mask,
            set_in_loop, redefined_helper, lost_in_loop, _two_mistakes, broadcast_shape, reads_global, unused_argument,
        )  # fmt: skip
    else:
        recognisers = (
            _named_misconception, not_finite, wrong_dtype, redefined_helper, wrong_type, hard_coded_literal,
            reads_global_and_fails, unused_argument,
        )  # fmt: skip
    for recogniser in recognisers:
        explanations = tuple(recogniser(evidence))
        if explanations:
            return explanations
    return ()


def _named_misconception(evidence: Evidence) -> Iterator[Explanation]:
    """A misconception of the author's: its fingerprint is that of the answer, or its code returns the same numbers."""
    for misconception in evidence.assignment.misconceptions.get(evidence.exercise.name, ()):
        has_fingerprint = evidence.fingerprint in misconception.fingerprints
        can_run = bool(misconception.code) and evidence.is_complete
        if has_fingerprint or (can_run and _reproduces(evidence, as_mutant(misconception))):
            yield Explanation(id=misconception.id, message=misconception.observation, misconception=misconception)
            return


# ------------------------------------------------------------------------------------------------------------ factors


def _constant_factor(evidence: Evidence) -> Iterator[Explanation]:
    """
    The answer is the right gradient times a constant, on every case.

    What is reported depends on the constant: a wrong sign, a mean in place of a sum, a batch size that is written into
    the function, or the factor itself.
    """
    factor = _factor_of(evidence)
    if factor is None:
        return
    written = evidence.written
    if factor.is_sign:
        yield Explanation(id="sign", message=evidence.say("sign"))
        return
    scaling = next(
        (
            mutant
            for mutant in _matching_mutants(evidence)
            if mutant.edits[0].diagnosis in _EDITS_THAT_SCALE and is_possible(mutant, written, evidence.solution)
        ),
        None,
    )
    if scaling is not None and (factor.is_likely or scaling.edits[0].diagnosis == "off_by_one_size"):
        yield _explain_edit(evidence, scaling)
        return
    summed = next(_sums_of_products(evidence), None)
    if summed is not None:
        yield _explain_edit(evidence, summed)
    elif factor.logarithm:
        yield Explanation(id="wrong_slope", message=evidence.say("factor_of_logarithm", factor=factor.text))
    elif factor.text.startswith("1/") and factor.is_likely and _averages_instead(evidence):
        yield Explanation(id="mean_not_sum", message=evidence.say("averages_instead", factor=factor.text))
    elif factor.power and evidence.scope.reads:
        yield explain_reads(evidence, evidence.scope.reads)
    elif factor.hard_coded and _may_be_hard_coded(evidence, factor.hard_coded):
        yield Explanation(id="hard_coded_size", message=evidence.say("hard_coded_size", size=factor.hard_coded))
    elif factor.power:
        count = evidence.outputs[0].case.rows
        yield Explanation(id="constant_factor", message=evidence.say("factor_rows", factor=factor.text, count=count))
    else:
        yield Explanation(id="constant_factor", message=evidence.say("factor", factor=factor.text))


def _sums_of_products(evidence: Evidence) -> Iterator[Mutant]:
    """
    Where the code takes more sums than the solution: mutants that multiply sums.

    On cases of which one factor is the same in all terms, that is a constant factor.
    """
    if evidence.written.count("sum") > max(1, evidence.solution.count("sum")):
        yield from (each for each in _matching_mutants(evidence) if each.edits[0].name == "product_of_sums")


def _may_be_hard_coded(evidence: Evidence, size: int) -> bool:
    """Whether a size stands in the code as a number, and is not read from the shape of an argument, either."""
    written = evidence.written
    fixed = {each for sizes in _fixed_sizes(evidence).values() for each in sizes}
    reads_it = size in fixed and not written.words.isdisjoint(("shape", "size", "numel"))
    return not written.is_known or (size in written.numbers and not reads_it)


def _averages_instead(evidence: Evidence) -> bool:
    """Whether the student's code takes a mean and the solution takes none."""
    return evidence.solution.is_known and evidence.written.takes_a_mean and not evidence.solution.takes_a_mean


def _factor_of(evidence: Evidence) -> Factor | None:
    """The factor between the answer and the right gradient, if it is the same for all entries of every case."""
    target = evidence.wrong_target
    observed = []
    for output in evidence.outputs:
        got, expected = output.tensors[target].double(), output.case.expected[target]
        square = float((expected * expected).sum())
        if got.shape != expected.shape or square == 0:
            return None
        factor = float((got * expected).sum()) / square
        if factor == 0 or not output.equals(factor * expected, target=target):
            return None
        observed.append((factor, output.case.rows))
    return name_factor(observed, _fixed_sizes(evidence))


def _fixed_sizes(evidence: Evidence) -> dict[str, list[int]]:
    """The sizes of each argument that are the same in every case."""
    shapes = {
        name: [output.case.tensors[name].shape for output in evidence.outputs]
        for name in evidence.outputs[0].case.tensors
    }
    return {
        name: [size for axis, size in enumerate(of_cases[0]) if all(shape[axis] == size for shape in of_cases)]
        for name, of_cases in shapes.items()
    }


# ------------------------------------------------------------------------------------------------------------ mutants


def _one_mistake(evidence: Evidence) -> Iterator[Explanation]:
    """The answer is that of the solution with one mistake in it."""
    if evidence.are_zeros:
        return
    alike = tuple(_alike(evidence))
    mutant = best_of(alike, evidence.written, evidence.solution)
    if mutant is None:
        return
    if term_cancels(alike, mutant, evidence.written, evidence.solution):
        yield Explanation(id="other_operation", message=evidence.say("term_cancels"))
    else:
        yield _explain_edit(evidence, mutant)


def _along_another_dimension(evidence: Evidence) -> Iterator[Explanation]:
    """The answer has another shape, and is summed along another dimension: if that has size 1, it looks unsummed."""
    if evidence.has_right_shapes or not sums(evidence.written):
        return
    mutant = next((each for each in _matching_mutants(evidence) if each.edits[0].name.startswith("other_axis")), None)
    if mutant is not None:
        yield _explain_edit(evidence, mutant)


def _mask_of_everything(evidence: Evidence) -> Iterator[Explanation]:
    """The answer is the truth of a comparison that took in more than was meant: `d * z > 0`."""
    if evidence.outcome is not Outcome.WRONG_DTYPE or any(
        tensor.dtype is not torch.bool for output in evidence.outputs for tensor in output.tensors
    ):
        return
    outputs = tuple(
        dataclasses.replace(output, tensors=tuple(tensor.to(output.argument_dtype) for tensor in output.tensors))
        for output in evidence.outputs
    )
    as_numbers = dataclasses.replace(evidence, outputs=outputs)
    mutant = next(_matching_mutants(as_numbers), None)
    if mutant is not None and mutant.edits[0].diagnosis == "precedence":
        yield Explanation(id="precedence", message=evidence.say("mask_of_everything"))


def _two_mistakes(evidence: Evidence) -> Iterator[Explanation]:
    """The answer is that of the solution with two mistakes in it."""
    if any(is_uniform(output.tensors[0]) for output in evidence.outputs):
        return  # there are many ways to one number
    written = evidence.written
    pairs = (
        mutant
        for mutant in _alike(evidence, pairs=True)
        if is_left_out(mutant, written) and all(edit.diagnosis != "other_operation" for edit in mutant.edits)
    )
    mutant = best_of(pairs, written, evidence.solution)
    if mutant is not None:
        yield from (_explain_edit(evidence, mutant, number) for number in range(len(mutant.edits)))


def _alike(evidence: Evidence, *, pairs: bool = False) -> Iterator[Mutant]:
    """The first mutants that match: one, and others as long as there is time."""
    end = float("inf")
    for mutant in itertools.islice(_matching_mutants(evidence, pairs=pairs), _MOST_ALIKE):
        yield mutant
        end = min(end, time.thread_time() + _ALIKE_S)
        if time.thread_time() > end:
            return


def _matching_mutants(evidence: Evidence, *, pairs: bool = False) -> Iterator[Mutant]:
    """The mutants that return what the student's function returned, on every case."""
    for entry in bank(evidence.assignment, evidence.exercise, pairs=pairs):
        evaluated = slice(-len(entry.projections), None)
        of_mutant = [None if found is None else evidence.own(found) for found in entry.projections]
        may_match = all(map(fits, evidence.outputs[evaluated], evidence.projections[evaluated], of_mutant))
        if may_match and _reproduces(evidence, entry.mutant):
            yield entry.mutant


def _mistake_and_factor(evidence: Evidence) -> Iterator[Explanation]:
    """The answer is that of the solution with one mistake in it, times a constant."""
    if any(is_uniform(output.tensors[0]) for output in evidence.outputs):
        return  # any two numbers have a ratio
    sizes = _fixed_sizes(evidence)
    rows = [output.case.rows for output in evidence.outputs]
    written = evidence.written
    for entry in bank(evidence.assignment, evidence.exercise):
        if not is_possible(entry.mutant, written, evidence.solution) or not is_left_out(entry.mutant, written):
            continue
        evaluated = slice(-len(entry.projections), None)
        of_mutant = [None if found is None else evidence.own(found) for found in entry.projections]
        ratios = [found for found in map(ratio, evidence.projections[evaluated], of_mutant) if found is not None]
        if len(ratios) != len(entry.projections):
            continue
        factor = name_factor(list(zip(ratios, rows[evaluated], strict=True)), sizes)
        if factor is None or not factor.is_likely or (factor.power and factor.text not in ("N", "1/N")):
            continue
        of_others = [factor.scale * count**factor.power for count in rows[: -len(ratios)]]
        if _reproduces(evidence, entry.mutant, of_others + ratios):
            yield _explain_edit(evidence, entry.mutant)
            if factor.is_sign:
                yield Explanation(id="sign", message=evidence.say("sign"))
            else:
                yield Explanation(id="constant_factor", message=evidence.say("also_factor", factor=factor.text))
            return


def _region_and_factor(evidence: Evidence) -> Iterator[Explanation]:
    """The answer is the right one times a constant, but for one part that has a name, where nothing was put."""
    target, observed, scaled = evidence.wrong_target, [], []
    for output in evidence.outputs:
        got, right = output.tensors[target].double(), output.case.expected[target]
        there = got != 0
        square = float((right * right * there).sum()) if got.shape == right.shape else 0.0
        scale = float((got * right).sum()) / square if square else 0.0
        if bool(there.all()) or not scale or not output.equals(scale * right * there, target=target):
            return
        observed.append((scale, output.case.rows))
        tensors = [got / scale if place == target else each for place, each in enumerate(output.tensors)]
        scaled.append(dataclasses.replace(output, tensors=tuple(tensors)))
    factor = name_factor(observed, _fixed_sizes(evidence))
    if factor is not None and factor.is_likely:
        regions = tuple(wrong_region(dataclasses.replace(evidence, outputs=tuple(scaled))))
        yield from regions
        if regions:
            yield Explanation(id="constant_factor", message=evidence.say("also_factor", factor=factor.text))


def _reproduces(evidence: Evidence, mutant: Mutant, factors: Sequence[float] | None = None) -> bool:
    """
    Whether a mutant returns what the student's function returned, on every case.

    Args:
        factors: What to multiply the mutant's answer by, for each case; 1 if left out.
    """
    if factors is None:
        factors = [1.0] * len(evidence.outputs)
    cases = [call.case for call in evidence.returned]
    results = evaluate(evidence.assignment, evidence.exercise, mutant, cases)
    return all(
        result is not None
        and agrees(
            output.tensors,
            output.case,
            tuple(factor * tensor for tensor in evidence.own(result)),
            argument_dtype=output.argument_dtype,
            size_of_terms=output.size_of_terms,
        )
        for result, factor, output in zip(results, factors, evidence.outputs, strict=True)
    )


def _explain_edit(evidence: Evidence, mutant: Mutant, number: int = 0) -> Explanation:
    """The explanation for one of a mutant's edits. If two edits spoil two targets, either may be meant."""
    edit = mutant.edits[number]
    if edit.name == "own_entry_only" and not evidence.has_right_shapes:
        edit = EDITS["drop_sum"]
    if edit.name == "operand_sign" and mutant.operands[number] in evidence.exercise.targets:
        return Explanation(id="other_loss", message=evidence.say("sign_of_target"))
    if edit.name == "other_power" and computes_more(evidence.written, evidence.solution):
        return Explanation(id="other_operation", message=evidence.say("power_or_factor"))
    if edit.name in ("other_brackets", "factor_of_all") and brackets_are_in_no_sum(evidence.written):
        return Explanation(id="other_operation", message=evidence.say("factor_of_other_terms"))
    part = evidence.parts[evidence.wrong_target] if len(evidence.exercise.parts) > 1 else ""
    written = as_written(edit.name, evidence.written, part)
    if written is not None:
        return Explanation(id=written[0], message=evidence.say(written[1], name=written[2]))
    wrong = evidence.wrong_targets if len(mutant.edits) > 1 else (evidence.wrong_target,)
    text = edit.observation if evidence.is_gradient or not edit.of_value else edit.of_value
    operand = mutant.operands[number]
    if edit.of_other and not evidence.has_examples_in_rows(operand):
        text = edit.of_other
    message = text.format(
        function=evidence.exercise.name,
        part=" or ".join(called(evidence.parts[part], evidence.exercise) for part in wrong),
        target=target_of(evidence.parts[wrong[0]], evidence.exercise),
        operand=operand or "an argument",
        rows=evidence.rows,
    )
    return Explanation(id=edit.diagnosis, message=message)
