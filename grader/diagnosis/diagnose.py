"""
Says why a gradient is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence

from grader.assignment.load import Assignment
from grader.diagnosis.evidence import Evidence, Found
from grader.diagnosis.fingerprint import DIAGNOSED
from grader.diagnosis.projection import CaseOutput
from grader.diagnosis.recognise import recognise
from grader.diagnosis.wording import worded
from grader.execution.calls import Returned
from grader.model import Diagnosis, Exercise, Outcome
from grader.notebook.scope import Scope

__all__ = ["diagnose"]

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
        scope: What it gets from elsewhere than its arguments; what it reads has been confirmed.

    Returns:
        The best explanation first; nothing where nothing is certain enough, or nothing is wrong.
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
    case = next(iter(returned), None)
    wrong = evidence.wrong_target
    facts = {
        "function": exercise.name,
        "target": exercise.targets[wrong],
        "expected": str(tuple(case.case.expected[wrong].shape)) if case else "",
        "got": str(case.shapes[wrong]) if case and wrong < len(case.shapes) else "",
        "arguments": ", ".join(exercise.arguments),
    }
    found = dict[str, Found]()
    for one in recognise(evidence):
        found.setdefault(one.id, one)
    return tuple(
        worded(one.id, one.message, facts, level=assignment.hints, misconception=one.misconception)
        for one in list(found.values())[:_MOST]
    )
