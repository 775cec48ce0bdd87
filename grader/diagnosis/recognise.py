"""
Which thought was wrong: the evidence, weighed.

An explanation that reproduces a student's numbers exactly, on every case, comes before one that only fits; where
nothing does, nothing is said. The order of the recognisers in `recognise` is that of their strength.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from grader.diagnosis.bank import bank, evaluate
from grader.diagnosis.context import (
    hard_coded_literal,
    ignores_upstream,
    keeps_state,
    leaves_unused,
    reading,
    reads_global,
    reads_global_and_fails,
    reads_network_global,
)
from grader.diagnosis.evidence import Evidence, Found
from grader.diagnosis.factors import Factor, name_factor
from grader.diagnosis.form import (
    broadcast,
    low_precision,
    not_finite,
    region,
    rescaled,
    right_in_another_form,
    rounded,
    wrong_dtype,
    wrong_type,
)
from grader.diagnosis.mutants import Mutant, as_mutant
from grader.diagnosis.projection import agrees, fits, ratio

__all__ = ["recognise"]

_KINDS_OF_FACTOR = ("mean_not_sum", "sum_not_mean")

Recogniser = Callable[[Evidence], Iterable[Found]]


def recognise(evidence: Evidence) -> tuple[Found, ...]:
    """The diagnoses of a wrong exercise, the best one first; none where nothing explains it."""
    if evidence.is_complete:
        order: tuple[Recogniser, ...] = (
            _named_by_the_author, not_finite, wrong_dtype, right_in_another_form, _factor, _mutant,
            reads_network_global, keeps_state, ignores_upstream, low_precision, rounded,
            rescaled, _mutant_and_factor, region, _pair, broadcast, reads_global, leaves_unused,
        )  # fmt: skip
    else:
        order = (
            _named_by_the_author, not_finite, wrong_dtype, wrong_type, hard_coded_literal, reads_global_and_fails,
            leaves_unused,
        )  # fmt: skip
    for recogniser in order:
        found = tuple(recogniser(evidence))
        if found:
            return found
    return ()


def _named_by_the_author(evidence: Evidence) -> Iterator[Found]:
    """A mistake that the assignment's author knows: by the answer itself, or by a function that answers the same."""
    for misconception in evidence.assignment.misconceptions.get(evidence.exercise.name, ()):
        if evidence.fingerprint in misconception.fingerprints or (
            misconception.code
            and evidence.is_complete
            and _reproduces(evidence, as_mutant(misconception), [1.0] * len(evidence.outputs))
        ):
            yield Found(id=misconception.id, message=misconception.observation, misconception=misconception)
            return


def _factor(evidence: Evidence) -> Iterator[Found]:
    """A constant times the right gradient, on every case."""
    factor = _factor_of(evidence)
    if factor is None:
        return
    if factor.is_sign:
        yield Found(id="sign", message=evidence.say("sign"))
        return
    special = next((m for m in _matching(evidence) if m.edits[0].diagnosis in _KINDS_OF_FACTOR), None)
    if special is not None and factor.is_plain:
        yield _of_mutant(evidence, special)
    if factor.power and evidence.scope.reads:
        yield reading(evidence, evidence.scope.reads)
    elif factor.hard_coded:
        yield Found(id="hard_coded_size", message=evidence.say("hard_coded_size", size=factor.hard_coded))
    else:
        yield Found(id="constant_factor", message=_say_factor(evidence, factor))


def _factor_of(evidence: Evidence) -> Factor | None:
    target = evidence.wrong_target
    observed = []
    for output in evidence.outputs:
        got, expected = output.tensors[target].double(), output.case.expected[target]
        square = float((expected * expected).sum())
        if got.shape != expected.shape or square == 0:
            return None
        factor = float((got * expected).sum()) / square
        if factor == 0 or not agrees(
            (output.tensors[target],), output.case, (factor * expected,), argument_dtype=output.argument_dtype
        ):
            return None
        observed.append((factor, output.case.rows))
    return name_factor(observed, _sizes(evidence))


def _say_factor(evidence: Evidence, factor: Factor) -> str:
    if factor.power:
        return evidence.say("factor_rows", factor=factor.text, rows=evidence.outputs[0].case.rows)
    return evidence.say("factor", factor=factor.text)


def _sizes(evidence: Evidence) -> dict[str, list[int]]:
    """Sizes of the arguments that are the same in every case."""
    cases = [output.case for output in evidence.outputs]
    return {
        name: [size for n, size in enumerate(a.shape) if all(case.arguments[name].shape[n] == size for case in cases)]
        for name, a in cases[0].arguments.items()
    }


def _mutant(evidence: Evidence) -> Iterator[Found]:
    for mutant in _matching(evidence):
        yield _of_mutant(evidence, mutant)
        return


def _pair(evidence: Evidence) -> Iterator[Found]:
    """Two mistakes at once."""
    for mutant in _matching(evidence, pairs=True):
        yield from (_of_mutant(evidence, mutant, number) for number in range(len(mutant.edits)))
        return


def _matching(evidence: Evidence, *, pairs: bool = False) -> Iterator[Mutant]:
    """The mutants that return what the student's function returned, on every case."""
    same = [1.0] * len(evidence.outputs)
    for entry in bank(evidence.assignment, evidence.exercise, pairs=pairs):
        last = slice(-len(entry.cases), None)
        screened = all(map(fits, evidence.outputs[last], evidence.projections[last], entry.cases))
        if screened and _reproduces(evidence, entry.mutant, same):
            yield entry.mutant


def _mutant_and_factor(evidence: Evidence) -> Iterator[Found]:
    """A mistake, and a constant that is wrong as well."""
    if any(bool((output.tensors[0] == output.tensors[0].flatten()[:1]).all()) for output in evidence.outputs):
        return  # any two numbers have a ratio
    for entry in bank(evidence.assignment, evidence.exercise):
        ratios = list(map(ratio, evidence.projections, entry.cases))
        observed = [(r, output.case.rows) for r, output in zip(ratios, evidence.outputs, strict=True) if r is not None]
        factor = name_factor(observed, _sizes(evidence)) if len(observed) == len(ratios) else None
        if factor is None or not factor.is_plain or (factor.power and factor.text not in ("N", "1/N")):
            continue
        if _reproduces(evidence, entry.mutant, [r for r, _ in observed]):
            yield _of_mutant(evidence, entry.mutant)
            if factor.is_sign:
                yield Found(id="sign", message=evidence.say("sign"))
            else:
                yield Found(id="constant_factor", message=evidence.say("also_factor", factor=factor.text))
            return


def _reproduces(evidence: Evidence, mutant: Mutant, factors: Sequence[float]) -> bool:
    """Whether a mutant's answers, each times its factor, are what was seen."""
    results = evaluate(evidence.assignment, evidence.exercise, mutant, [output.case for output in evidence.outputs])
    return all(
        result is not None
        and agrees(
            output.tensors,
            output.case,
            tuple(factor * tensor for tensor in result),
            argument_dtype=output.argument_dtype,
        )
        for result, factor, output in zip(results, factors, evidence.outputs, strict=True)
    )


def _of_mutant(evidence: Evidence, mutant: Mutant, number: int = 0) -> Found:
    """What is said of one of a mutant's edits; where two edits spoil two targets, it may be about either."""
    edit = mutant.edits[number]
    wrong = evidence.wrong_targets if len(mutant.edits) > 1 else (evidence.wrong_target,)
    message = edit.observation.format(
        function=evidence.exercise.name,
        target=" or d".join(evidence.exercise.targets[place] for place in wrong),
        operand=mutant.operands[number] or "an argument",
    )
    return Found(id=edit.diagnosis, message=message)
