"""
Explains why a gradient is wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from grader.assignment.load import Assignment
from grader.calling.exercise import Exercise
from grader.diagnosis.evidence import Evidence, Explanation, called, target_of
from grader.diagnosis.fingerprint import DIAGNOSED
from grader.diagnosis.projection import CaseOutput
from grader.diagnosis.recognise import recognise
from grader.diagnosis.wording import worded
from grader.execution.calls import Returned
from grader.model import Diagnosis, Outcome
from grader.notebook.scope import Scope
from grader.notebook.written import Written

__all__ = ["diagnose"]

_MOST_DIAGNOSES = 2
NOT_ABOUT_NUMBERS = frozenset(
    {
        "reads_global", "mutates_input", "returns_none", "wrong_type", "wrong_dtype", "hard_coded_size", "keeps_state",
        "redefined_helper", "swapped_outputs", "precedence", "reshaped",
    }
)  # fmt: skip
"""Diagnoses whose hints fit a value of the forward pass as well as a gradient."""
_MOST_PARTS = 6
"""Of how many parts of a result the mistakes are explained, if not all together."""


def diagnose(
    assignment: Assignment,
    exercise: Exercise,
    outcome: Outcome,
    returned: Sequence[Returned],
    scope: Scope,
    written: Written | None = None,
) -> tuple[Diagnosis, ...]:
    """
    Explain why an exercise is wrong.

    Args:
        returned: What became of the call on each case.
        scope: What the function reads from outside itself; its reads have been confirmed.
        written: What stands in the function's code, if it is known: evidence where several mistakes have one effect.

    Returns:
        The best explanation first, or that of most parts; nothing if nothing is wrong, or if no explanation is certain
        enough.
    """
    if outcome not in DIAGNOSED:
        return ()
    evidence = Evidence(
        assignment=assignment,
        exercise=exercise,
        outcome=outcome,
        returned=tuple(returned),
        outputs=tuple(
            CaseOutput.of(call.case, call.argument_dtype, call.tensors)
            for call in returned
            if call.outcome is None and not any(tensor.is_complex() for tensor in call.tensors)
        ),
        scope=scope,
        written=written or Written(),
    )
    # Where parts have points of their own, several that are wrong may be so for several reasons.
    are_apart = bool(exercise.shares) and evidence.is_complete and len(evidence.wrong_targets) > 1
    found = _explained(evidence, together=are_apart)[:_MOST_DIAGNOSES]
    if found or len(exercise.parts) == 1:
        return found
    of_parts = (evidence.of_part(place) for place in range(len(exercise.parts)))
    wrong = [part for part in of_parts if part.is_complete and part.wrong_targets][:_MOST_PARTS]
    explained = [diagnosis for part in wrong for diagnosis in _explained(part)[:1]]
    if exercise.is_lines:
        return tuple(explained)
    parts_with = Counter(diagnosis.id for diagnosis in explained)
    first_of_kind = {diagnosis.id: diagnosis for diagnosis in reversed(explained)}
    return tuple(first_of_kind[diagnosis_id] for diagnosis_id, _ in parts_with.most_common())


def _explained(evidence: Evidence, *, together: bool = False) -> tuple[Diagnosis, ...]:
    """
    The explanations of a wrong answer, or of one part of it, with their hints: the best one of each kind.

    Args:
        together: Look only for one mistake that explains all parts.
    """
    first_of_kind: dict[str, Explanation] = {}
    for explanation in recognise(evidence, together=together):
        first_of_kind.setdefault(explanation.id, explanation)
    facts, level = _facts_for_hints(evidence), evidence.assignment.hints
    return tuple(
        worded(
            found.id,
            found.message,
            facts,
            level=level,
            misconception=found.misconception,
            is_gradient=evidence.is_gradient or found.id in NOT_ABOUT_NUMBERS,
        )
        for found in first_of_kind.values()
    )


def _facts_for_hints(evidence: Evidence) -> dict[str, str]:
    """What the placeholders in hints stand for: names, and the shapes of the first case."""
    exercise, wrong = evidence.exercise, evidence.wrong_target
    call = evidence.returned[0] if evidence.returned else None
    target = target_of(evidence.parts[wrong], exercise)
    is_one_number = call is not None and evidence.own(call.case.expected)[wrong].ndim == 0
    return {
        "entry": target if is_one_number else f"one entry of {target}",
        "function": exercise.name,
        "part": called(evidence.parts[wrong], exercise),
        "target": target,
        "expected": str(tuple(evidence.own(call.case.expected)[wrong].shape)) if call else "",
        "got": str(evidence.own(call.shapes)[wrong]) if call and len(call.shapes) == len(exercise.parts) else "",
        "arguments": ", ".join(exercise.arguments),
    }
