"""
Decides outcomes, points and the sentence a student reads, from the static look and from what came back of the calls.

This is the only place where a point is given.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from grader.assignment.load import Assignment
from grader.compare import Comparison, compare
from grader.execution.calls import CHAIN, Returned, read_losses, read_tensors
from grader.execution.execute import Answer, Execution
from grader.model import (
    BatchView,
    CallError,
    CaseResult,
    Chain,
    Curve,
    Exercise,
    ExerciseResult,
    Flag,
    Notice,
    Outcome,
    most_telling,
)
from grader.notebook.functions import Definition, StaticLook
from grader.reference.cases import ChainCase

__all__ = ["judge_chain", "judge_exercise", "unread_exercise"]


def unread_exercise(exercise: Exercise, problem: str) -> ExerciseResult:
    """The result where there is no notebook to look into: nothing was found, and the message says why."""
    return ExerciseResult(
        name=exercise.name,
        outcome=Outcome.MISSING,
        points=0.0,
        max_points=exercise.points,
        arguments=exercise.arguments,
        targets=exercise.targets,
        message=problem,
        question=exercise.question,
    )


def judge_exercise(
    exercise: Exercise,
    look: StaticLook,
    execution: Execution,
    answer: Answer,
    returned: Sequence[Returned],
    *,
    autograd: str,
) -> tuple[ExerciseResult, tuple[Flag, ...]]:
    """
    The result of one exercise.

    Args:
        returned: What became of each of its cases.
        autograd: What using autograd means: "forbid" (no points), "flag" (told to the instructor) or "allow".
    """
    definitions = look.definitions.get(exercise.name, ())
    last = look.last(exercise.name)
    flags = _flags(exercise, last, returned) if autograd != "allow" else ()
    compared = [_compare(call, exercise.targets) for call in returned]
    cases = tuple(case for case, _ in compared)
    outcome, message = _decide(exercise, look, execution, answer, last, returned, cases)
    if flags and autograd == "forbid" and outcome not in (Outcome.BLANK, Outcome.SYNTAX_ERROR, Outcome.MISSING):
        outcome = Outcome.FORBIDDEN
        message = f"{exercise.name} lets autograd do the work ({flags[0].evidence}). Derive this gradient by hand."
    looked_at = outcome not in (Outcome.BLANK, Outcome.SYNTAX_ERROR, Outcome.MISSING)
    error = next((case.error for case in cases if case.error is not None), None)
    return ExerciseResult(
        name=exercise.name,
        outcome=outcome,
        points=exercise.points if outcome.passed else 0.0,
        max_points=exercise.points,
        arguments=exercise.arguments,
        targets=exercise.targets,
        message=message,
        cases=cases if looked_at else (),
        notices=_notices(exercise, definitions, returned) if looked_at else (),
        error=look.syntax_errors.get(look.broken_names.get(exercise.name, 0)) if not looked_at else error,
        code=last.code if last else None,
        question=exercise.question,
        views=_views(exercise, returned) if looked_at else (),
    ), flags


def judge_chain(
    assignment: Assignment, chain: ChainCase, answer: Answer, outcomes: Mapping[str, Outcome]
) -> Chain | None:
    """How far the student's functions carry when each is fed what the others made. It decides no points."""
    if CHAIN not in answer.records:
        return None
    gradients = read_tensors(answer.records[CHAIN][1])
    links: dict[str, Outcome] = {}
    for depth, exercise in enumerate(assignment.exercises, start=1):
        names = {f"{exercise.name}/d{target}": f"d{target}" for target in exercise.targets}
        if outcomes[exercise.name].passed is not True and not all(name in gradients for name in names):
            links[exercise.name] = outcomes[exercise.name]
        elif not all(name in gradients for name in names):
            links[exercise.name] = Outcome.SKIPPED
        else:
            right = all(
                compare(gradients[name], chain.expected[target], terms=depth * chain.terms, given=torch.float32).outcome
                is Outcome.MATCH
                for name, target in names.items()
            )
            links[exercise.name] = Outcome.MATCH if right else Outcome.MISMATCH
    losses = read_losses(answer, steps=assignment.steps)
    if not losses:
        return Chain(links=links)
    shapes: dict[str, torch.Size] = {}
    for name, gradient in gradients.items():
        shapes.setdefault(name.rpartition("/d")[2], gradient.shape)
    still = [name for name, parameter in chain.parameters.items() if shapes.get(name) != parameter.shape]
    message = f"In training, {', '.join(still)} stayed as drawn: no gradient of the right shape came." if still else ""
    return Chain(links=links, training=Curve(reference=chain.losses, student=losses), message=message)


# ------------------------------------------------------------------------------------------------------ one case


def _compare(call: Returned, targets: Sequence[str]) -> tuple[CaseResult, Comparison | None]:
    """The worst target of a call, in numbers."""
    case = call.case
    if call.outcome is not None:
        result = CaseResult(
            name=case.name,
            outcome=call.outcome,
            public=case.public,
            shape=call.shapes[0] if len(call.shapes) == 1 else None,
            expected_shape=tuple(case.expected[0].shape) if len(case.expected) == 1 else None,
            dtype=call.dtypes[0] if len(call.dtypes) == 1 else None,
            expected_dtype=str(call.given).removeprefix("torch."),
            type=call.type,
            error=call.error,
        )
        return result, None
    comparisons = [
        compare(got, expected, terms=case.terms, given=call.given)
        for got, expected in zip(call.tensors, case.expected, strict=True)
    ]
    outcome = most_telling([comparison.outcome for comparison in comparisons])
    number = next(n for n, comparison in enumerate(comparisons) if comparison.outcome is outcome)
    worst = comparisons[number]
    result = CaseResult(
        name=case.name,
        outcome=outcome,
        public=case.public,
        max_abs_error=_told(worst.max_abs_error, case.public),
        max_rel_error=_told(worst.max_rel_error, case.public),
        tolerance=_told(worst.tolerance, case.public),
        wrong_entries=worst.wrong_entries,
        entries=worst.entries,
        shape=call.shapes[number],
        expected_shape=tuple(case.expected[number].shape),
        dtype=call.dtypes[number],
        expected_dtype=str(call.given).removeprefix("torch."),
        type=call.type,
        worst=worst.worst if case.public else None,
        target=targets[number] if len(targets) > 1 else None,
    )
    return result, worst


def _told(number: float | None, public: bool) -> float | None:
    """A number as reports have it: of a hidden case two digits, since the error of an answer of zeros is its value."""
    return number if number is None or public else float(f"{number:.1e}")


# ------------------------------------------------------------------------------------------------- one exercise


def _decide(
    exercise: Exercise,
    look: StaticLook,
    execution: Execution,
    answer: Answer,
    last: Definition | None,
    returned: Sequence[Returned],
    cases: Sequence[CaseResult],
) -> tuple[Outcome, str]:
    name = exercise.name
    if last is not None and last.is_blank:
        return Outcome.BLANK, f"{name} is still blank."
    if last is None and name in look.broken_names:
        cell = look.broken_names[name]
        return Outcome.SYNTAX_ERROR, f"In [{cell}] is not Python: {look.syntax_errors[cell].message}."
    if answer.status == "unreachable":
        return _unreachable(name, execution)
    if any(case.outcome is Outcome.MISSING for case in cases):
        return Outcome.MISSING, _why_missing(name, look, execution, last, returned)
    outcome = most_telling([case.outcome for case in cases])
    case = next(case for case in cases if case.outcome is outcome)
    return outcome, _message(exercise, outcome, case, answer)


def _unreachable(name: str, execution: Execution) -> tuple[Outcome, str]:
    slow = any(error.type == "TimeoutError" for error in execution.errors.values())
    outcome = Outcome.TIMED_OUT if slow else Outcome.CRASHED
    reason = execution.stopped or "When the notebook had run, its process did not answer any more."
    return outcome, f"{name} could not be called. {reason}"


def _why_missing(
    name: str, look: StaticLook, execution: Execution, last: Definition | None, returned: Sequence[Returned]
) -> str:
    kind = next((call.type for call in returned if call.outcome is Outcome.MISSING), None)
    if kind:
        return f"{name} is no function when the notebook has run, but a {kind}."
    if last is not None:
        error = execution.errors.get(last.code.cell)
        because = f", because that cell stopped: {_sentence(error)}" if error else ""
        return f"{name} stands in In [{last.code.cell}], but was never defined{because}."
    others = [other for other in look.definitions if other not in execution.answers]
    near = difflib.get_close_matches(name, others, n=1, cutoff=0.75)
    if near:
        return f"There is no function {name}. There is one called {near[0]}: was it renamed?"
    return f"There is no function {name} in the notebook. Was its cell deleted, or made a text cell?"


def _message(exercise: Exercise, outcome: Outcome, case: CaseResult, answer: Answer) -> str:
    name = exercise.name
    where = "" if case.public else f" (case {case.name})"
    if outcome is Outcome.MATCH:
        return f"{name} is right."
    if outcome is Outcome.RAISED:
        error = case.error
        return f"{name} raised {_sentence(error)}{where}." if error else f"{name} raised an exception{where}."
    if outcome is Outcome.TIMED_OUT:
        return f"{name} did not return in time: is there a loop without an end?"
    if outcome is Outcome.OUT_OF_MEMORY:
        return f"{name} asked for more memory than it may have{where}."
    if outcome is Outcome.CRASHED:
        detail = f" ({answer.detail})" if answer.detail else ""
        return f"{name} ended the process that it ran in{detail}, instead of returning a gradient."
    if outcome is Outcome.WRONG_TYPE:
        return _wrong_type(exercise, case)
    if outcome is Outcome.WRONG_DTYPE:
        return f"{name} returned {case.dtype} numbers; a gradient is {case.expected_dtype}."
    if outcome is Outcome.WRONG_SHAPE:
        return _wrong_shape(exercise, case, where)
    if outcome is Outcome.NOT_FINITE:
        return f"{name} returned numbers that are not finite (nan or inf){where}."
    return _mismatch(f"The d{case.target} of {name}" if case.target else name, case, where)


def _wrong_shape(exercise: Exercise, case: CaseResult, where: str) -> str:
    got, expected = shape_text(case.shape), shape_text(case.expected_shape)
    target = case.target or exercise.targets[0]
    which = f" for d{target}" if len(exercise.targets) > 1 else ""
    return f"{exercise.name} returned the shape {got}{which}; {target} has the shape {expected}{where}."


def _wrong_type(exercise: Exercise, case: CaseResult) -> str:
    name, count = exercise.name, len(exercise.targets)
    wanted = "a tensor" if count == 1 else f"a tuple of {count} tensors"
    if case.type == "NoneType":
        return f"{name} returned None: is there a `return`?"
    if case.type == "torch.Tensor" and count == 1:
        return f"{name} returned a tensor that has no plain numbers; it should return an ordinary dense one."
    return f"{name} returned a {case.type}; it should return {wanted}."


def _mismatch(name: str, case: CaseResult, where: str) -> str:
    if case.wrong_entries == case.entries:
        return f"{name} has the right shape, but none of its entries is right{where}."
    return f"{name} has the right shape, but {case.wrong_entries:,} of {case.entries:,} entries are wrong{where}."


def shape_text(shape: tuple[int, ...] | None) -> str:
    """
    A shape as it is written in Python.

    >>> shape_text((50,))
    '(50,)'
    """
    return "?" if shape is None else repr(shape)


def _sentence(error: CallError | None) -> str:
    if error is None:
        return "an exception"
    first = error.message.strip().split("\n")[0][:200]
    return f"{error.type}: {first}" if first else error.type


# -------------------------------------------------------------------------------------------- notices and flags


def _notices(exercise: Exercise, definitions: Sequence[Definition], returned: Sequence[Returned]) -> tuple[Notice, ...]:
    name = exercise.name
    notices = []
    mutated = sorted({argument for call in returned for argument in call.mutated})
    if mutated:
        notices.append(
            Notice(
                id="mutates_input",
                message=f"{name} changes its argument {', '.join(mutated)} in place: whoever called it is in for a "
                "surprise. Work on a clone.",
            )
        )
    if any(call.requires_grad for call in returned):
        notices.append(
            Notice(id="requires_grad", message=f"{name} returns a tensor that requires grad: autograd is still on.")
        )
    if any("float64" in call.dtypes and str(call.given) == "torch.float32" for call in returned):
        notices.append(
            Notice(id="wider_dtype", message=f"{name} returns float64 where it is given float32: twice the memory.")
        )
    if any(str(call.given) != str(call.case.dtype) for call in returned):
        notices.append(
            Notice(
                id="float32_only",
                message=f"{name} works in float32 only: a constant in it has a fixed dtype (try `dtype=` or `*_like`).",
            )
        )
    if len(definitions) > 1:
        cells = ", ".join(f"In [{definition.code.cell}]" for definition in definitions)
        notices.append(
            Notice(
                id="defined_twice",
                message=f"{name} is defined {len(definitions)} times ({cells}): the last one counts.",
            )
        )
    return tuple(notices)


def _flags(exercise: Exercise, last: Definition | None, returned: Sequence[Returned]) -> tuple[Flag, ...]:
    """What the source shows, and what was seen when it ran."""
    traced = dict.fromkeys(f"when called, it {use}" for call in returned for use in call.autograd)
    evidence = (*(last.autograd if last is not None else ()), *traced)
    return tuple(Flag(id="autograd", exercise=exercise.name, evidence=use) for use in evidence)


def _views(exercise: Exercise, returned: Sequence[Returned]) -> tuple[BatchView, ...]:
    """The public batch's gradients, for pictures."""
    for call in returned:
        if call.case.public and len(call.tensors) == len(exercise.targets):
            return tuple(
                BatchView(target=target, got=_array(got), expected=_array(expected))
                for target, got, expected in zip(exercise.targets, call.tensors, call.case.expected, strict=True)
            )
    return ()


def _array(tensor: torch.Tensor) -> np.typing.NDArray[np.float32]:
    real = tensor.real if tensor.is_complex() else tensor
    return real.to(torch.float32).numpy() if real.numel() <= 4_000_000 else np.zeros(0, dtype=np.float32)
