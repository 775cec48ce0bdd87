"""
Recognises mistakes in what a function depends on: data of the notebook, a fixed size, earlier calls, unused arguments.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import torch

from grader.diagnosis.bank import mutants_of
from grader.diagnosis.evidence import Evidence, Explanation
from grader.diagnosis.syntax import is_called_like_a_size
from grader.diagnosis.whole import adds_to_entries
from grader.model import Outcome
from grader.notebook.written import features_of
from grader.trees import tree_of

__all__ = [
    "changes_outside",
    "explain_reads",
    "hard_coded_literal",
    "ignores_upstream",
    "keeps_state",
    "lost_in_loop",
    "reads_global",
    "reads_global_and_fails",
    "reads_network_global",
    "redefined_helper",
    "set_in_loop",
    "unused_argument",
]

_ABOUT_SIZES = re.compile(r"size|shape|dimension|index|batch|assert|expand|broadcast", re.IGNORECASE)
_RAISED_OVER_SIZES = ("AssertionError", "IndexError", "RuntimeError", "ValueError")


def reads_network_global(evidence: Evidence) -> Iterator[Explanation]:
    """The function reads data of the network from the notebook, such as x, w2 or dz1, instead of from its arguments."""
    if evidence.network_reads:
        yield explain_reads(evidence, evidence.network_reads)


def reads_global(evidence: Evidence) -> Iterator[Explanation]:
    """The function reads any data of the notebook, and does not use all of its arguments; or it reads a size."""
    if evidence.scope.reads and evidence.scope.unused:
        yield explain_reads(evidence, evidence.scope.reads)
    elif _sizes_read(evidence):
        yield explain_reads(evidence, _sizes_read(evidence), key="reads_size")


def _sizes_read(evidence: Evidence) -> tuple[str, ...]:
    """The variables of the notebook that the function reads and that are called like a size."""
    return tuple(name for name in evidence.scope.reads if is_called_like_a_size(name))


def reads_global_and_fails(evidence: Evidence) -> Iterator[Explanation]:
    """The function reads data of the network, or a size, from the notebook, and fails over sizes, or only sometimes."""
    errors = [call.error for call in evidence.returned if call.error is not None]
    is_about_sizes = (
        any(_ABOUT_SIZES.search(error.message) for error in errors) or evidence.outcome is not Outcome.RAISED
    )
    reads = evidence.network_reads or _sizes_read(evidence)
    if reads and (is_about_sizes or evidence.outputs):
        yield explain_reads(evidence, reads, key="reads_global_fails")


def redefined_helper(evidence: Evidence) -> Iterator[Explanation]:
    """The function calls another one that a later cell defines again, so that not the one runs that was meant."""
    for name, meant, runs in evidence.scope.redefined[:1]:
        message = evidence.say("redefined_helper", name=name, meant=meant, runs=runs)
        yield Explanation(id="redefined_helper", message=message)


def explain_reads(evidence: Evidence, names: Sequence[str], *, key: str = "reads_global") -> Explanation:
    """The explanation that the function reads these variables of the notebook. `key` is the key of the observation."""
    return Explanation(id="reads_global", message=evidence.say(key, names=" and ".join(names[:3])))


def hard_coded_literal(evidence: Evidence) -> Iterator[Explanation]:
    """
    The function contains a number that looks like a batch size, and raises on a batch of another size.

    Sizes that are the same in every case do not count, and neither do numbers in the solution.
    """
    cases = [call.case for call in evidence.returned]
    sizes = {size for case in cases for tensor in (*case.tensors.values(), *case.expected) for size in tensor.shape}
    solution = evidence.assignment.solution_code.get(evidence.exercise.name, "")
    known = sizes | {int(number) for number in re.findall(r"\d+", solution)}
    rows = {case.rows for case in cases}
    suspects = [number for number in evidence.scope.numbers if number not in known - rows]
    errors = [call.error for call in evidence.returned if call.error is not None]
    if suspects and any(error.type in _RAISED_OVER_SIZES for error in errors):
        size = next((number for number in suspects if number in rows), suspects[0])
        yield Explanation(id="hard_coded_size", message=evidence.say("hard_coded_literal", size=size))


def keeps_state(evidence: Evidence) -> Iterator[Explanation]:
    """The function returns its first result again and again, or the sum of all results so far."""
    target = evidence.wrong_target
    got = [output.tensors[target].double() for output in evidence.outputs]
    expected = [output.case.expected[target] for output in evidence.outputs]
    if len(got) < 3 or len({tuple(tensor.shape) for tensor in got}) != 1 or got[0].shape != expected[0].shape:
        return
    if _adds_up(got, expected) or (not evidence.scope.unused and _repeats_the_first(got)):
        yield Explanation(id="keeps_state", message=evidence.say("keeps_state"))


def changes_outside(evidence: Evidence) -> Iterator[Explanation]:
    """The function changes a variable outside of it, and computes with it."""
    for name in evidence.written.changed_outside[:1]:
        yield Explanation(id="keeps_state", message=evidence.say("changes_outside", name=name))


def set_in_loop(evidence: Evidence) -> Iterator[Explanation]:
    """The function sets entries in a loop where the solution adds to them, and returns zeros where it should."""
    solution = evidence.assignment.solution_code.get(evidence.exercise.name, "")
    target = evidence.wrong_target
    if not evidence.written.set_in_loop or not adds_to_entries(tree_of(solution)):
        return
    pairs = [(output.tensors[target], output.case.expected[target]) for output in evidence.outputs]
    if all(got.shape == right.shape and bool((got[right == 0] == 0).all()) and bool(got.any()) for got, right in pairs):
        name = evidence.written.set_in_loop[0]
        yield Explanation(id="overwrites", message=evidence.say("set_in_loop", name=name))


def lost_in_loop(evidence: Evidence) -> Iterator[Explanation]:
    """The function sets a variable anew in each step of a loop, and returns what is left of it."""
    for name in evidence.written.lost_in_loop[:1]:
        yield Explanation(id="overwrites", message=evidence.say("overwritten", name=name))


def _repeats_the_first(got: Sequence[torch.Tensor]) -> bool:
    """Whether all results are the same, and more than a constant or a mask."""
    is_repeated = all(_are_equal(got[0], later) for later in got[1:])
    return is_repeated and float(got[0].abs().max()) > 0 and len(set(got[0].flatten().tolist())) > 2


def _are_equal(first: torch.Tensor, second: torch.Tensor) -> bool:
    return first.dtype == second.dtype and torch.equal(first, second)  # of some dtypes, it compares none with another


def _adds_up(got: Sequence[torch.Tensor], expected: Sequence[torch.Tensor]) -> bool:
    """
    Whether each result is the one before it plus the right gradient.

    From the second result on: between the first case and the second, the training of the chain calls the function, too.
    """
    return all(
        later.shape == right.shape and bool(((later - earlier - right).abs() <= 1e-3 * right.abs().max()).all())
        for earlier, later, right in zip(got[1:], got[2:], expected[2:], strict=False)
    )


def ignores_upstream(evidence: Evidence) -> Iterator[Explanation]:
    """The function returns the same for two different upstream gradients."""
    by_case = {output.case.name: output for output in evidence.outputs}
    if not evidence.upstream or "linear" not in by_case:
        return
    if evidence.are_zeros and not set(evidence.upstream) <= set(evidence.scope.unused):
        return  # it is read, and lost on the way
    # These two cases differ in their upstream gradients only.
    pairs = zip(by_case["vjp"].tensors, by_case["linear"].tensors, strict=True)
    if all(_are_equal(first, second) for first, second in pairs):
        yield _explain_ignored_upstream(evidence, evidence.upstream)


def unused_argument(evidence: Evidence) -> Iterator[Explanation]:
    """
    The function never reads one of its arguments. An unused upstream gradient is reported before any other.

    A function that raises has another problem first, and one that calls `mean` in place of an argument `mean`.
    """
    if evidence.outcome is Outcome.RAISED:
        return
    if len(evidence.scope.unused) >= len(evidence.exercise.arguments):
        return
    solution, written = evidence.solution, evidence.written
    unused = [
        name
        for name in evidence.scope.unused
        if name in evidence.exercise.arguments and name not in written.words
        if solution.count(name) or not solution.is_known  # more than its size
    ]
    upstream = [name for name in unused if name in evidence.upstream]
    if upstream:
        term = _term_with(evidence, upstream)
        yield term or _explain_ignored_upstream(evidence, upstream)
    elif unused:
        message = evidence.say("ignores_argument", names=" and ".join(unused))
        yield Explanation(id="ignores_argument", message=message)


def _term_with(evidence: Evidence, names: Sequence[str]) -> Explanation | None:
    """
    The explanation that a term is left out, if the solution has one of these upstream gradients in one term only.

    If the student uses all that stands in no other term, the term is there, with something else in its place.
    """
    if evidence.exercise.name not in evidence.assignment.solutions:
        return None
    code = evidence.assignment.solution_code[evidence.exercise.name]
    for mutant in mutants_of(evidence.assignment, evidence.exercise, evidence.returned[0].case):
        name = mutant.operands[0] if mutant.operands else ""
        if mutant.edits[0].name == "drop_term_of_upstream" and name in names:
            left = features_of(mutant.code)
            of_term = {each for each in evidence.exercise.arguments if each in features_of(code) and each not in left}
            if of_term == {name} or not of_term <= evidence.written.words | {name}:
                return Explanation(id="missing_term", message=evidence.say("missing_term_of_upstream", name=name))
    return None


def _explain_ignored_upstream(evidence: Evidence, names: Sequence[str]) -> Explanation:
    return Explanation(id="ignores_upstream", message=evidence.say("ignores_upstream", names=" and ".join(names)))
