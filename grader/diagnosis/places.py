"""
Recognises right numbers in wrong places, and wrong numbers in a part that has a name.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Sequence

import torch

from grader.diagnosis.evidence import Evidence, Explanation
from grader.diagnosis.masks import has_another_slope
from grader.diagnosis.projection import CaseOutput, different_numbers
from grader.model import Outcome

__all__ = ["rearranged", "reordered", "same_places", "swapped_outputs", "wrong_region"]

_MOST_DIMENSIONS = 4
_FEWEST_NUMBERS = 3
"""Fewer different numbers than this are in the same order by chance."""

_NEARLY_ALL = 0.98
"""A few numbers in a part that is wrong may be right by chance."""

_CLOSE = 1e-4
_SMALLEST_IMAGE = 3
_FEWEST_IN_A_RANGE = 8
"""Fewer numbers than this are in one range by chance."""

_Change = Callable[[torch.Tensor], torch.Tensor]


def swapped_outputs(evidence: Evidence) -> Iterator[Explanation]:
    """What should be one part of the result is another."""
    wrong = evidence.wrong_targets
    if len(wrong) < 2:
        return
    found = {part: next((other for other in wrong if _is_other_part(evidence, part, other)), part) for part in wrong}
    if all(part != other for part, other in found.items()) and len(set(found.values())) == len(found):
        parts = evidence.parts
        yield Explanation(id="swapped_outputs", message=evidence.say("swapped_outputs", other=parts[found[wrong[0]]]))


def _is_other_part(evidence: Evidence, part: int, other: int) -> bool:
    """Whether a part of what was returned is another part of what should have been, on every case."""
    return part != other and all(
        output.case.compare(output.tensors[part], target=other, argument_dtype=output.argument_dtype).outcome
        is Outcome.MATCH
        for output in evidence.outputs
    )


def rearranged(evidence: Evidence) -> Iterator[Explanation]:
    """The right numbers, transposed, reshaped where they should be transposed, or counted from the other end."""
    dimensions = evidence.outputs[0].case.expected[evidence.wrong_target].ndim
    if not 1 <= dimensions <= _MOST_DIMENSIONS or not _has_the_right_numbers(evidence):
        return
    for diagnosis_id, key, change in _arrangements(dimensions):
        if _is_right_if(evidence, change):
            yield Explanation(id=diagnosis_id, message=evidence.say(key))
            return


def _arrangements(dimensions: int) -> Iterator[tuple[str, str, _Change]]:
    """What people do to a tensor: the diagnosis, the key of the observation, and what it makes of the right tensor."""
    every = tuple(range(dimensions))
    orders = [order for order in itertools.permutations(every) if order != every]
    swapped = "transposed_square" if dimensions == 2 else "dimensions_swapped"
    yield from (("transposed", swapped, functools.partial(torch.permute, dims=order)) for order in orders)
    for order in orders:
        for change in (_refilled, _read_on, _turned_back):
            yield "reshaped", "reshaped", functools.partial(change, order)
    for count in every:
        for axes in itertools.combinations(every, count + 1):
            yield "misplaced", "flipped", functools.partial(torch.flip, dims=axes)
    for axis, steps in itertools.product(every, (1, -1)):
        yield "misplaced", "rolled", functools.partial(torch.roll, shifts=steps, dims=axis)


def _refilled(order: tuple[int, ...], right: torch.Tensor) -> torch.Tensor:
    """The numbers in another order, reshaped to the right shape."""
    return right.permute(order).reshape(right.shape)


def _read_on(order: tuple[int, ...], right: torch.Tensor) -> torch.Tensor:
    """The numbers in the right order, in another shape."""
    return right.reshape(right.permute(order).shape)


def _turned_back(order: tuple[int, ...], right: torch.Tensor) -> torch.Tensor:
    """The numbers in the right order, put into another shape that is then transposed to the right one."""
    return _read_on(order, right).permute([order.index(place) for place in range(len(order))])


def reordered(evidence: Evidence) -> Iterator[Explanation]:
    """The right numbers, each as often as it should be there, but not where they should be."""
    target = evidence.wrong_target
    same_shape = all(output.tensors[target].shape == output.case.expected[target].shape for output in evidence.outputs)
    if same_shape and _has_the_right_numbers(evidence):
        yield Explanation(id="misplaced", message=evidence.say("misplaced"))


def _has_the_right_numbers(evidence: Evidence) -> bool:
    """Whether every case returned the right numbers in any order; and so many different ones that it is no chance."""
    target = evidence.wrong_target
    return all(
        output.tensors[target].numel() == output.case.expected[target].numel()
        and _equals(evidence, number, _sorted(output.case.expected[target]), change=_sorted)
        and different_numbers(output.case.expected[target]) >= _FEWEST_NUMBERS
        for number, output in _smallest_first(evidence)
    )


def _sorted(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.flatten().sort().values


def _is_right_if(evidence: Evidence, change: _Change) -> bool:
    """Whether every case returned the right gradient with this change."""
    target = evidence.wrong_target
    return all(
        _equals(evidence, number, change(output.case.expected[target])) for number, output in _smallest_first(evidence)
    )


def _smallest_first(evidence: Evidence) -> list[tuple[int, CaseOutput]]:
    return sorted(enumerate(evidence.outputs), key=lambda each: each[1].case.rows)


def _equals(evidence: Evidence, number: int, expected: torch.Tensor, *, change: _Change | None = None) -> bool:
    """Whether what a case returned, with a change, is this."""
    target, output = evidence.wrong_target, evidence.outputs[number]
    case, got = output.case, output.tensors[target]
    if change is not None:
        got = change(got)
    if got.shape != expected.shape or (case.ignored and case.ignored[target] is not None):
        return False  # the entries that do not count have places, too
    compared = case.compare(got, target=target, argument_dtype=output.argument_dtype, expected=expected.contiguous())
    return compared.outcome is Outcome.MATCH


# ------------------------------------------------------------------------------------------------------------- regions


def same_places(evidence: Evidence) -> Iterator[Explanation]:
    """What arrives is put into a few places, the same in every example, where the right answer has numbers anywhere."""
    target = evidence.wrong_target
    if not evidence.has_right_shapes or evidence.outputs[0].case.expected[target].ndim < 3:
        return
    left_out: torch.Tensor | None = None
    for output in evidence.outputs:
        got, right = output.tensors[target], output.case.expected[target]
        empty = ~got.flatten(0, -3).any(0)
        left_out = empty if left_out is None else left_out
        should_be_zero = ~right.flatten(0, -3).any(0)
        if not torch.equal(empty, left_out) or bool((should_be_zero & empty).any()):
            return
        arrives = right.sum((-2, -1))
        if not bool(((got.double().sum((-2, -1)) - arrives).abs() <= _CLOSE * arrives.abs().max()).all()):
            return
    if left_out is not None and not bool(left_out.all()) and 2 * int(left_out.sum()) > left_out.numel():
        count, places = left_out.numel() - int(left_out.sum()), left_out.numel()
        yield Explanation(id="wrong_region", message=evidence.say("same_places", count=count, places=places))


def wrong_region(evidence: Evidence) -> Iterator[Explanation]:
    """The answer is wrong in exactly one part that has a name, such as the last row, or the entries where z1 ≤ 0."""
    target = evidence.wrong_target
    wrong, matters, every = [], [], [output.tensors[target] for output in evidence.outputs]
    for output, got in zip(evidence.outputs, every, strict=True):
        expected = output.case.expected[target]
        if got.shape != expected.shape:
            return
        compared = output.case.compare(got, target=target, argument_dtype=output.argument_dtype)
        tolerance = compared.tolerance or 0.0
        wrong.append((got.double() - expected).abs() > tolerance)
        # Where both are zero, being right proves nothing.
        matters.append((got.double().abs() > tolerance) | (expected.abs() > tolerance))
    # A region of values needs something that treats some values in another way than others.
    decides = not evidence.written.is_known or evidence.written.decides or evidence.solution.decides
    for key, facts, regions in (
        *(_signs(evidence, target) if decides else ()),
        *_labels(evidence, target),
        *_slabs(wrong),
        *_borders(wrong),
        *(_ranges(evidence, wrong) if decides else ()),
    ):
        if all(map(_is_wrong_exactly_in, regions, wrong, matters)):
            if key == "region_of_sign" and _are_multiples(evidence, target, regions):
                yield Explanation(id="wrong_slope", message=evidence.say("region_of_another_slope", **facts))
                return
            if (
                key == "region_of_sign"
                and evidence.outputs[0].case.tensors[facts["argument"]].is_floating_point()
                and _should_be_zero(evidence, target, regions)
                and has_another_slope(evidence, facts["argument"], regions)
            ):
                yield Explanation(id="wrong_slope", message=evidence.say("region_of_slope", **facts))
                return
            are_zeros = all(bool((got.double()[region] == 0).all()) for got, region in zip(every, regions, strict=True))
            is_most = any(2 * int(region.sum()) > region.numel() for region in regions)
            if key == "region_of_rows" and is_most and not are_zeros:
                continue  # a little of it may be right by chance
            yield Explanation(
                id="wrong_region",
                message=evidence.say("region_of_zeros" if are_zeros and key == "region_of_rows" else key, **facts),
            )
            return


def _are_multiples(evidence: Evidence, target: int, regions: Sequence[torch.Tensor]) -> bool:
    """Whether all numbers in a part are the right ones times one factor, the same on every case, and not zero."""
    factors = []
    for output, region in zip(evidence.outputs, regions, strict=True):
        got, right = output.tensors[target].double()[region], output.case.expected[target].double()[region]
        factor = float(got @ right) / max(float(right @ right), 1e-30)
        if not factor or not bool(((got - factor * right).abs() <= _CLOSE * got.abs().max()).all()):
            return False
        factors.append(factor)
    return all(math.isclose(factor, factors[0], rel_tol=_CLOSE) for factor in factors)


def _should_be_zero(evidence: Evidence, target: int, regions: Sequence[torch.Tensor]) -> bool:
    """Whether all numbers in a part should be zero, on every case."""
    rights = (output.case.expected[target] for output in evidence.outputs)
    return all(not bool(right[region].any()) for right, region in zip(rights, regions, strict=True))


def _is_wrong_exactly_in(region: torch.Tensor, wrong: torch.Tensor, matters: torch.Tensor) -> bool:
    """Whether a part of a tensor, which is not all of it, has all the wrong entries and no right one that matters."""
    is_right_outside = bool((~wrong | region).all())
    inside = region & matters
    is_wrong_inside = int((wrong & inside).sum()) >= _NEARLY_ALL * int(inside.sum())
    return is_right_outside and is_wrong_inside and not bool((region | ~matters).all())


def _signs(evidence: Evidence, target: int) -> Iterator[tuple[str, dict[str, str], list[torch.Tensor]]]:
    """Where an argument is positive, and where not: the key of an observation, its facts, and a mask for each case."""
    shapes = [output.case.expected[target].shape for output in evidence.outputs]
    for name in evidence.outputs[0].case.tensors:
        arguments = [output.case.tensors[name] for output in evidence.outputs]
        if name in evidence.upstream or [argument.shape for argument in arguments] != shapes:
            continue
        right_where = {"argument": name, "sign": "positive", "opposite": "not"}
        yield "region_of_sign", right_where, [argument <= 0 for argument in arguments]
        right_where = {"argument": name, "sign": "not positive", "opposite": "positive"}
        yield "region_of_sign", right_where, [argument > 0 for argument in arguments]


def _labels(evidence: Evidence, target: int) -> Iterator[tuple[str, dict[str, str], list[torch.Tensor]]]:
    """The entry of each row that an argument of whole numbers names; and all the others."""
    rights = [output.case.expected[target] for output in evidence.outputs]
    for name in evidence.outputs[0].case.tensors:
        arguments = [output.case.tensors[name] for output in evidence.outputs]
        if name in evidence.scope.unused or any(
            argument.dtype is not torch.int64 or right.ndim != 2 or argument.shape != right.shape[:1]
            for argument, right in zip(arguments, rights, strict=True)
        ):
            continue
        named = [
            torch.arange(right.shape[1]) == argument[:, None] for argument, right in zip(arguments, rights, strict=True)
        ]
        yield "region_of_labels", {"argument": name, "where": "in all the others"}, [~mask for mask in named]
        yield "region_of_labels", {"argument": name, "where": "there"}, named


def _ranges(
    evidence: Evidence, wrong: Sequence[torch.Tensor]
) -> Iterator[tuple[str, dict[str, str], list[torch.Tensor]]]:
    """Where an argument is in a range of values that has all the wrong entries, in each case."""
    for name in evidence.outputs[0].case.tensors:
        arguments = [output.case.tensors[name] for output in evidence.outputs]
        if name in evidence.upstream or name not in evidence.written.words:
            continue
        if any(argument.shape != each.shape for argument, each in zip(arguments, wrong, strict=True)):
            continue
        inside = [argument[each] for argument, each in zip(arguments, wrong, strict=True)]
        if any(len(values) < _FEWEST_IN_A_RANGE for values in inside[:1]) or any(not len(values) for values in inside):
            continue
        ranges = [(values.min(), values.max()) for values in inside]
        regions = [(each >= low) & (each <= high) for each, (low, high) in zip(arguments, ranges, strict=True)]
        low, high = (f"{end:.2g}" for end in ranges[0])
        yield "region_of_values", {"argument": name, "low": low, "high": high}, regions


def _borders(wrong: Sequence[torch.Tensor]) -> Iterator[tuple[str, dict[str, str], list[torch.Tensor]]]:
    """The border of images, and their inside; the diagonal of square matrices, and what is not on it."""
    if any(tensor.ndim < 2 or min(tensor.shape[-2:]) < _SMALLEST_IMAGE for tensor in wrong):
        return
    edges, diagonals = [], []
    for tensor in wrong:
        edge = torch.ones(tensor.shape[-2:], dtype=torch.bool)
        edge[1:-1, 1:-1] = False
        edges.append(edge.expand_as(tensor))
        diagonals.append(torch.eye(*tensor.shape[-2:], dtype=torch.bool).expand_as(tensor))
    if all(tensor.ndim > 2 for tensor in wrong):
        yield "region_of_rows", {"place": "its border"}, edges
        yield "region_of_rows", {"place": "its inside, away from the border"}, [~edge for edge in edges]
    if all(tensor.shape[-1] == tensor.shape[-2] for tensor in wrong):
        yield "region_of_rows", {"place": "its diagonal"}, diagonals
        yield "region_of_rows", {"place": "the entries that are not on its diagonal"}, [~each for each in diagonals]
        ones = [torch.ones_like(tensor) for tensor in wrong]
        yield "region_of_rows", {"place": "the entries above its diagonal"}, [each.triu(1) for each in ones]
        yield "region_of_rows", {"place": "the entries below its diagonal"}, [each.tril(-1) for each in ones]


def _slabs(wrong: Sequence[torch.Tensor]) -> Iterator[tuple[str, dict[str, str], list[torch.Tensor]]]:
    """The rows that have wrong entries, or the columns, or the parts along another dimension, if they have a name."""
    dimensions = {tensor.ndim for tensor in wrong}
    if len(dimensions) != 1:
        return
    (ndim,) = dimensions
    for axis in range(ndim):
        others = [place for place in range(ndim) if place != axis]
        along = [tensor.any(others) if others else tensor for tensor in wrong]
        names = [_names_of(indices, axis, ndim) for indices in along if bool(indices.any())]
        if 2 * len(names) < len(wrong) or any(len(indices) < 2 for indices in along):
            continue
        common = [name for name in names[0] if all(name in of_case for of_case in names)]
        if common:
            shape = [-1 if place == axis else 1 for place in range(ndim)]
            regions = [indices.reshape(shape).expand_as(tensor) for indices, tensor in zip(along, wrong, strict=True)]
            yield "region_of_rows", {"place": common[0]}, regions


def _names_of(chosen: torch.Tensor, axis: int, ndim: int) -> list[str]:
    """What some indices of a dimension are called, such as `the last row` or `the first 3 columns`."""
    size, indices = len(chosen), chosen.nonzero().flatten().tolist()
    count = len(indices)
    one, many = (
        ("row", "rows") if axis == 0 and ndim == 2 else ("column", "columns") if ndim == 2 else ("part", "parts")
    )
    where = "" if ndim == 2 else f" along dimension {axis}"
    names = []
    if indices == list(range(count)):
        names += [f"the first {one}{where}"] if count == 1 else [f"the first {count} {many}{where}"]
        names.append(f"all {many}{where} but the last" + (f" {size - count}" if size - count > 1 else ""))
    if indices == list(range(size - count, size)):
        names += [f"the last {one}{where}"] if count == 1 else [f"the last {count} {many}{where}"]
        names.append(f"all {many}{where} but the first" + (f" {size - count}" if size - count > 1 else ""))
    for first in (0, 1):
        if count > 1 and indices == list(range(first, size, 2)):
            names.append(f"every other {one}{where}, from the {('first', 'second')[first]} on")
    if count == 1:
        names.append(f"{one} {indices[0]}{where}")
    return sorted(names, key=lambda name: name.startswith("all ") != (2 * count > size))
