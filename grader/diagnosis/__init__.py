"""
Says why a gradient is wrong, and makes the fingerprint by which equal wrong answers are known again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from grader.assignment import Assignment
from grader.calls import Returned
from grader.diagnosis.bank import Seen, project
from grader.diagnosis.evidence import Evidence, Found
from grader.diagnosis.recognise import recognise
from grader.diagnosis.wording import worded
from grader.model import Diagnosis, Exercise, Outcome
from grader.scope import Scope

__all__ = ["diagnose", "fingerprint"]

_DIAGNOSED = frozenset(
    {
        Outcome.MISMATCH,
        Outcome.WRONG_SHAPE,
        Outcome.WRONG_DTYPE,
        Outcome.WRONG_TYPE,
        Outcome.NOT_FINITE,
        Outcome.RAISED,
    }
)
_MOST = 2


def diagnose(
    assignment: Assignment,
    exercise: Exercise,
    outcome: Outcome,
    returned: Sequence[Returned],
    scope: Scope,
) -> tuple[Diagnosis, ...]:
    """
    Explain a wrong exercise.

    Args:
        returned: What became of each of its cases.
        scope: What its source reads.

    Returns:
        The best explanation first; nothing where nothing is certain enough, or nothing is wrong.
    """
    if outcome not in _DIAGNOSED:
        return ()
    evidence = Evidence(
        assignment=assignment,
        exercise=exercise,
        outcome=outcome,
        returned=tuple(returned),
        seen=tuple(
            Seen(case=call.case, given=call.given, tensors=call.tensors)
            for call in returned
            if call.outcome is None and not any(tensor.is_complex() for tensor in call.tensors)
        ),
        scope=scope,
    )
    case = next(iter(returned), None)
    facts = {
        "function": exercise.name,
        "target": exercise.targets[0],
        "expected": str(tuple(case.case.expected[0].shape)) if case else "",
        "got": str(case.shapes[0]) if case and case.shapes else "",
        "arguments": ", ".join(exercise.arguments),
    }
    found = dict[str, Found]()
    for one in recognise(evidence):
        found.setdefault(one.id, one)
    return tuple(worded(one.id, one.message, facts, level=assignment.hints) for one in list(found.values())[:_MOST])


def fingerprint(exercise: Exercise, outcome: Outcome, returned: Sequence[Returned]) -> str | None:
    """
    What equal wrong answers have in common: 16 hexadecimal digits, from which no number can be read back.

    It depends on the fixed cases and on three digits of what was returned: not on names, styles or rounding.
    """
    if outcome not in _DIAGNOSED:
        return None
    digest = hashlib.sha256(exercise.name.encode())
    for call in returned:
        digest.update(f"/{call.case.name}/{call.outcome}/{call.type if not call.tensors else ''}".encode())
        digest.update((call.error.type if call.error else "").encode())
        for tensor in call.tensors:
            projection = project(tensor if not tensor.is_complex() else tensor.real)
            digest.update(str(projection.shape).encode())
            for value in () if projection.values is None else projection.values.tolist():
                digest.update(f"{value:.2e}".encode())
    return digest.hexdigest()[:16]
