"""
Recognisers of form: what kind of thing came back, in which shape and precision, and on which part of it the error lies.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from grader.compare import compare
from grader.diagnosis.evidence import Evidence, Found
from grader.diagnosis.projection import agrees
from grader.model import Outcome

__all__ = [
    "broadcast",
    "low_precision",
    "not_finite",
    "region",
    "rescaled",
    "right_in_another_form",
    "rounded",
    "wrong_dtype",
    "wrong_type",
]

_HALF = 4e-3
_ON_BOUNDARY = 0.01
_HELD = 3  # entries at the bound: one or two may be there by chance


def not_finite(evidence: Evidence) -> Iterator[Found]:
    """There is nan or inf in it."""
    if evidence.outcome is Outcome.NOT_FINITE:
        yield Found(id="not_finite", message=evidence.say("not_finite"))


def wrong_type(evidence: Evidence) -> Iterator[Found]:
    """It is no tensor."""
    if evidence.outcome is not Outcome.WRONG_TYPE:
        return
    kind = (
        next((call.type for call in evidence.returned if call.outcome is Outcome.WRONG_TYPE), None) or "something else"
    )
    if kind == "NoneType":
        yield Found(id="returns_none", message=evidence.say("returns_none"))
    else:
        yield Found(id="wrong_type", message=evidence.say("wrong_type", type=kind))


def wrong_dtype(evidence: Evidence) -> Iterator[Found]:
    """It is a tensor of numbers that no gradient is made of."""
    if evidence.outcome is not Outcome.WRONG_DTYPE:
        return
    dtypes = [dtype for call in evidence.returned for dtype in call.dtypes]
    coarse = next((dtype for dtype in dtypes if dtype in ("float16", "bfloat16")), None)
    if coarse:
        yield Found(id="low_precision", message=evidence.say("low_precision_dtype", dtype=coarse))
    elif dtypes:
        yield Found(id="wrong_dtype", message=evidence.say("wrong_dtype", dtype=dtypes[0]))


def right_in_another_form(evidence: Evidence) -> Iterator[Found]:
    """The right numbers in the wrong shape."""
    target = evidence.wrong_target
    pairs = [(output, output.tensors[target], output.case.expected[target]) for output in evidence.outputs]
    if all(got.shape == expected.shape for _, got, expected in pairs):
        return
    got, expected = tuple(pairs[0][1].shape), tuple(pairs[0][2].shape)
    for key, bring_back in (
        ("transposed", _transposed),
        ("dropped_dim", _with_dimension),
        ("extra_dim", _without_dimension),
        ("not_summed", _summed),
        ("repeated", _first_of_repeated),
    ):
        back = [bring_back(got, expected) for _, got, expected in pairs]
        if all(
            one is not None
            and agrees(
                (one.to(output.tensors[target].dtype),), output.case, (expected,), argument_dtype=output.argument_dtype
            )
            for one, (output, _, expected) in zip(back, pairs, strict=True)
        ):
            name = {"extra_dim": "wrong_dimension", "repeated": "broadcast_shape"}.get(key, key)
            yield Found(id=name, message=evidence.say(key, got=got, expected=expected))
            return


def _transposed(got: torch.Tensor, expected: torch.Tensor) -> torch.Tensor | None:
    return got.mT if got.ndim == 2 and got.mT.shape == expected.shape else None


def _with_dimension(got: torch.Tensor, expected: torch.Tensor) -> torch.Tensor | None:
    return got.reshape(expected.shape) if got.ndim < expected.ndim and _same(got, expected) else None


def _without_dimension(got: torch.Tensor, expected: torch.Tensor) -> torch.Tensor | None:
    return got.reshape(expected.shape) if got.ndim > expected.ndim and _same(got, expected) else None


def _same(got: torch.Tensor, expected: torch.Tensor) -> bool:
    """Whether two shapes are the same but for dimensions of size 1."""
    return [size for size in got.shape if size != 1] == [size for size in expected.shape if size != 1]


def _summed(got: torch.Tensor, expected: torch.Tensor) -> torch.Tensor | None:
    if got.numel() <= expected.numel() or got.ndim == 0:
        return None
    total = got.double().sum(0)
    return total.reshape(expected.shape) if total.numel() == expected.numel() else None


def _first_of_repeated(got: torch.Tensor, expected: torch.Tensor) -> torch.Tensor | None:
    try:
        is_repeated = got.numel() > expected.numel() and torch.equal(got, got[:1].expand_as(got))
    except (IndexError, RuntimeError):
        return None
    return got[:1].reshape(expected.shape) if is_repeated and got[:1].numel() == expected.numel() else None


def broadcast(evidence: Evidence) -> Iterator[Found]:
    """A wrong shape that nothing else explains, if it is that of broadcasting."""
    target = evidence.wrong_target
    for output in evidence.outputs:
        shape, rows = tuple(output.tensors[target].shape), output.case.rows
        if not (len(shape) == 2 and shape == (rows, rows) != tuple(output.case.expected[target].shape)):
            return
    yield Found(
        id="broadcast_shape",
        message=evidence.say("broadcast_shape", got=tuple(evidence.outputs[0].tensors[target].shape)),
    )


def low_precision(evidence: Evidence) -> Iterator[Found]:
    """It is right to three digits, and no further."""
    target = evidence.wrong_target
    for output in evidence.outputs:
        got, expected = output.tensors[target].double(), output.case.expected[target]
        if got.shape != expected.shape:
            return
        error = got - expected
        if not bool((error.abs() <= _HALF * (expected.abs() + expected.abs().mean())).all()):
            return
        if abs(float((error * expected.sign()).sum())) > float(error.abs().sum()) / 2:
            return  # rounding goes both ways; this is a factor
    yield Found(id="low_precision", message=evidence.say("low_precision"))


def rounded(evidence: Evidence) -> Iterator[Found]:
    """It is the right gradient, rounded to some places."""
    target = evidence.wrong_target
    pairs = [(output.tensors[target].double(), output.case.expected[target]) for output in evidence.outputs]
    if any(got.shape != expected.shape or bool((got == got.flatten()[:1]).all()) for got, expected in pairs):
        return
    for what, places, rounding in (
        ("whole numbers", 0, torch.round),
        ("the next smaller whole number", 0, torch.floor),
        ("whole numbers, towards zero", 0, torch.trunc),
        *((f"{places} decimals" if places > 1 else "one decimal", places, torch.round) for places in range(1, 5)),
    ):
        # An entry on the boundary may have gone the other way.
        if all(
            float(((rounding(expected * 10**places) / 10**places - got).abs() > 1e-6).double().mean()) < _ON_BOUNDARY
            for got, expected in pairs
        ):
            yield Found(id="low_precision", message=evidence.say("rounded", what=what))
            return


def rescaled(evidence: Evidence) -> Iterator[Found]:
    """The right gradient has been clipped, or brought to length one."""
    target = evidence.wrong_target
    pairs = [(output, output.tensors[target].double(), output.case.expected[target]) for output in evidence.outputs]
    if any(got.shape != expected.shape or not float(expected.norm()) for _, got, expected in pairs):
        return

    def is_now(brought: list[torch.Tensor]) -> bool:
        return all(
            agrees((output.tensors[target],), output.case, (one,), argument_dtype=output.argument_dtype)
            for one, (output, _, _) in zip(brought, pairs, strict=True)
        )

    if is_now([expected / expected.norm() for _, _, expected in pairs]):
        yield Found(id="rescaled", message=evidence.say("normalised"))
        return
    bounds = [float(got.abs().max()) for _, got, expected in pairs if float((got - expected).abs().max()) > 0]
    bound = min(bounds, default=0.0)
    held = sum(int((got.abs() >= bound * (1 - 1e-6)).sum()) for _, got, _ in pairs)
    if bound and held >= _HELD and is_now([expected.clamp(-bound, bound) for _, _, expected in pairs]):
        yield Found(id="rescaled", message=evidence.say("clipped", bound=f"{bound:.3g}"))


def region(evidence: Evidence) -> Iterator[Found]:
    """It is wrong exactly on a part that has a name."""
    target = evidence.wrong_target
    wrong = []
    for output in evidence.outputs:
        got, expected = output.tensors[target].double(), output.case.expected[target]
        if got.shape != expected.shape:
            return
        bound = (
            compare(
                output.tensors[target], expected, terms=output.case.terms, argument_dtype=output.argument_dtype
            ).tolerance
            or 0.0
        )
        wrong.append((got - expected).abs() > bound)
    for key, facts, regions in _named_regions(evidence, target):
        # Where both are zero, being right is no evidence.
        matter = [(output.tensors[target] != 0) | (output.case.expected[target] != 0) for output in evidence.outputs]
        if all(
            bool((w <= r).all()) and bool(w.any()) and not bool(r.all()) and bool((w | ~m | ~r).all())
            for w, r, m in zip(wrong, regions, matter, strict=True)
        ):
            yield Found(id="wrong_region", message=evidence.say(key, **facts))
            return


def _named_regions(evidence: Evidence, target: int) -> Iterator[tuple[str, dict[str, str], list[torch.Tensor]]]:
    """Parts of a gradient that have a name: what to say, the facts in it, and the part itself in each case."""
    shapes = [output.case.expected[target].shape for output in evidence.outputs]
    for name in evidence.exercise.arguments:
        arguments = [output.case.arguments[name] for output in evidence.outputs]
        if name in evidence.upstream or not all(a.shape == shape for a, shape in zip(arguments, shapes, strict=True)):
            continue
        right_where = {"argument": name, "sign": "positive", "opposite": "not"}
        yield "region_of_sign", right_where, [argument <= 0 for argument in arguments]
        right_where = {"argument": name, "sign": "not positive", "opposite": "positive"}
        yield "region_of_sign", right_where, [argument > 0 for argument in arguments]
    if all(len(shape) == 2 for shape in shapes):
        for place, index in (
            ("the first row", (0, slice(None))),
            ("the last row", (-1, slice(None))),
            ("the first column", (slice(None), 0)),
            ("the last column", (slice(None), -1)),
        ):
            regions = [torch.zeros(tuple(shape), dtype=torch.bool) for shape in shapes]
            for region in regions:
                region[index] = True
            yield "region_of_rows", {"place": place}, regions
