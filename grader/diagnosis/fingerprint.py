"""
The fingerprint of a wrong answer: equal wrong answers have the same one.

It groups the wrong answers of a class, and recognises a misconception that an author has named by its fingerprint.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from grader.calling.exercise import Exercise
from grader.diagnosis.projection import project
from grader.execution.calls import Returned
from grader.model import Outcome

__all__ = ["DIAGNOSED", "fingerprint"]

DIAGNOSED = frozenset(
    {
        Outcome.MISMATCH,
        Outcome.WRONG_SHAPE,
        Outcome.WRONG_DTYPE,
        Outcome.WRONG_TYPE,
        Outcome.NOT_FINITE,
        Outcome.RAISED,
    }
)
"""Outcomes of a function that was called and gave a wrong answer."""


def fingerprint(exercise: Exercise, outcome: Outcome, returned: Sequence[Returned]) -> str | None:
    """
    The fingerprint of a wrong answer: 16 hexadecimal digits, from which no number can be recovered.

    It depends on the fixed cases and on three digits of what was returned, not on names, style or rounding.

    Returns:
        None if the outcome is not a wrong answer.
    """
    if outcome not in DIAGNOSED:
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
