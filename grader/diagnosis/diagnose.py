"""
Explains why a gradient is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence

from grader.assignment.load import Assignment
from grader.diagnosis.evidence import Evidence, Explanation
from grader.diagnosis.fingerprint import DIAGNOSED
from grader.diagnosis.projection import CaseOutput
from grader.diagnosis.recognise import recognise
from grader.diagnosis.wording import worded
from grader.execution.calls import Returned
from grader.model import Diagnosis, Exercise, Outcome
from grader.notebook.scope import Scope

__all__ = ["diagnose"]

_MOST_DIAGNOSES = 2


def diagnose(
    assignment: Assignment,
    exercise: Exercise,
    outcome: Outcome,
    returned: Sequence[Returned],
    scope: Scope,
) -> tuple[Diagnosis, ...]:
    """
    Explain why an exercise is wrong.

    Args:
        returned: What became of the call on each case.
        scope: What the function reads from outside itself; its reads have been confirmed.

    Returns:
        The best explanation first; nothing if nothing is wrong, or if no explanation is certain enough.
    """
    if outcome not in DIAGNOSED:
        return ()
    evidence = Evidence(
        assignment=assignment,
        exercise=exercise,
        outcome=outcome,
        returned=tuple(returned),
        outputs=tuple(
            CaseOutput(case=call.case, argument_dtype=call.argument_dtype, tensors=call.tensors)
            for call in returned
            if call.outcome is None and not any(tensor.is_complex() for tensor in call.tensors)
        ),
        scope=scope,
    )
    first_of_kind: dict[str, Explanation] = {}
    for explanation in recognise(evidence):
        first_of_kind.setdefault(explanation.id, explanation)
    facts = _facts_for_hints(evidence)
    return tuple(
        worded(found.id, found.message, facts, level=assignment.hints, misconception=found.misconception)
        for found in list(first_of_kind.values())[:_MOST_DIAGNOSES]
    )


def _facts_for_hints(evidence: Evidence) -> dict[str, str]:
    """What the placeholders in hints stand for: names, and the shapes of the first case."""
    exercise, wrong = evidence.exercise, evidence.wrong_target
    call = evidence.returned[0] if evidence.returned else None
    return {
        "function": exercise.name,
        "target": exercise.targets[wrong],
        "expected": str(tuple(call.case.expected[wrong].shape)) if call else "",
        "got": str(call.shapes[wrong]) if call and wrong < len(call.shapes) else "",
        "arguments": ", ".join(exercise.arguments),
    }
