"""
Recognisers of context: what a function takes from elsewhere than its arguments, and what it does not look at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import torch

from grader.diagnosis.evidence import Evidence, Found
from grader.model import Outcome

__all__ = [
    "hard_coded_literal",
    "ignores_upstream",
    "keeps_state",
    "leaves_unused",
    "reading",
    "reads_global",
    "reads_global_and_fails",
    "reads_network_global",
]

_ABOUT_SIZES = re.compile(r"size|shape|dimension|index|batch|assert|expand|broadcast", re.IGNORECASE)


def reads_network_global(evidence: Evidence) -> Iterator[Found]:
    """It reads x, w2 or dz1 of the notebook: data that it should be given."""
    if evidence.of_network:
        yield reading(evidence, evidence.of_network)


def reads_global(evidence: Evidence) -> Iterator[Found]:
    """It reads data of the notebook, and nothing else explains its numbers."""
    if evidence.scope.reads and evidence.scope.unused:
        yield reading(evidence, evidence.scope.reads)


def reads_global_and_fails(evidence: Evidence) -> Iterator[Found]:
    """It reads data of the network from the notebook, and fails over sizes or on some cases only."""
    errors = [call.error for call in evidence.returned if call.error is not None]
    is_about_sizes = (
        any(_ABOUT_SIZES.search(error.message) for error in errors) or evidence.outcome is not Outcome.RAISED
    )
    if evidence.of_network and (is_about_sizes or evidence.outputs):
        yield reading(evidence, evidence.of_network, key="reads_global_fails")


def reading(evidence: Evidence, names: Sequence[str], *, key: str = "reads_global") -> Found:
    """The diagnosis that a function reads these names; `key` is that of the observation."""
    return Found(id="reads_global", message=evidence.say(key, names=" and ".join(names[:3])))


def hard_coded_literal(evidence: Evidence) -> Iterator[Found]:
    """A size is written into the function, and it fails where the batch has another one."""
    cases = [call.case for call in evidence.returned]
    fixed = {size for case in cases for a in (*case.arguments.values(), *case.expected) for size in a.shape}
    fixed |= {
        int(number) for number in re.findall(r"\d+", evidence.assignment.solution_code.get(evidence.exercise.name, ""))
    }
    rows = {call.case.rows for call in evidence.returned}
    written = [number for number in evidence.scope.numbers if number not in fixed - rows]
    errors = [call.error for call in evidence.returned if call.error is not None]
    fails_over_sizes = any(
        error.type in ("AssertionError", "IndexError", "RuntimeError", "ValueError") for error in errors
    )
    if written and fails_over_sizes:
        public = next((number for number in written if number in rows), written[0])
        yield Found(id="hard_coded_size", message=evidence.say("hard_coded_literal", size=public))


def keeps_state(evidence: Evidence) -> Iterator[Found]:
    """Every answer is the first one, or the sum of all so far."""
    target = evidence.wrong_target
    got = [output.tensors[target].double() for output in evidence.outputs]
    expected = [output.case.expected[target] for output in evidence.outputs]
    if len(got) < 3 or len({tuple(tensor.shape) for tensor in got}) != 1 or got[0].shape != expected[0].shape:
        return
    is_constant = all(torch.equal(got[0], other) for other in got[1:])
    # Between the first case and the others, the whole backward pass is made again and again.
    grows = all(
        bool(((later - earlier - right).abs() <= 1e-3 * right.abs().max()).all())
        for earlier, later, right in zip(got[1:], got[2:], expected[2:], strict=False)
    )
    if (
        is_constant
        and not evidence.scope.unused
        and float(got[0].abs().max()) > 0
        and len(set(got[0].flatten().tolist())) > 2
    ) or grows:
        yield Found(id="keeps_state", message=evidence.say("keeps_state"))


def ignores_upstream(evidence: Evidence) -> Iterator[Found]:
    """Two upstream gradients, one answer."""
    by_name = {output.case.name: output for output in evidence.outputs}
    if not evidence.upstream or "linear" not in by_name:
        return
    one, other = by_name["vjp"], by_name["linear"]
    if all(torch.equal(a, b) for a, b in zip(one.tensors, other.tensors, strict=True)):
        yield Found(
            id="ignores_upstream", message=evidence.say("ignores_upstream", names=" and ".join(evidence.upstream))
        )


def leaves_unused(evidence: Evidence) -> Iterator[Found]:
    """An argument that the solution needs is never looked at."""
    if len(evidence.scope.unused) >= len(evidence.exercise.arguments):
        return
    unused = [name for name in evidence.scope.unused if name in evidence.exercise.arguments]
    upstream = [name for name in unused if name in evidence.upstream]
    if upstream:
        yield Found(id="ignores_upstream", message=evidence.say("ignores_upstream", names=" and ".join(upstream)))
    elif unused:
        yield Found(id="ignores_argument", message=evidence.say("ignores_argument", names=" and ".join(unused)))
