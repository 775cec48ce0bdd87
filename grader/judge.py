"""
Decides outcomes, points and the sentences that a student reads, from a notebook's code and what its functions returned.

No other module gives points.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from grader.assignment.load import Assignment
from grader.compare import Comparison, compare
from grader.execution.calls import CHAIN, Returned, read_losses, read_tensors
from grader.execution.channel import Reply
from grader.execution.execute import Execution
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
from grader.notebook.functions import Definition, FunctionIndex
from grader.notebook.read import Notebook
from grader.reference.cases import ChainCase

__all__ = ["Attempt", "judge_chain", "judge_exercise"]

_NOT_CALLED = (Outcome.BLANK, Outcome.SYNTAX_ERROR, Outcome.MISSING)
"""Outcomes of an exercise whose function could not be called."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What is known about a notebook before it is judged: its code, the functions in it, and how it ran."""

    notebook: Notebook
    functions: FunctionIndex
    execution: Execution


def judge_exercise(
    exercise: Exercise, attempt: Attempt, returned: Sequence[Returned], *, autograd: str
) -> tuple[ExerciseResult, tuple[Flag, ...]]:
    """
    Decide the result of one exercise, and what an instructor should check.

    Args:
        returned: What became of the call on each case.
        autograd: What to do if the function uses autograd: "forbid" (no points), "flag" (tell instructors) or "allow".
    """
    definition = attempt.functions.last(exercise.name)
    flags = _flags(exercise, definition, returned) if autograd != "allow" else ()
    compared = [_comparisons(call) for call in returned]
    cases = tuple(
        _case_result(call, of_call, exercise.targets) for call, of_call in zip(returned, compared, strict=True)
    )
    outcome, message = _decide(exercise, attempt, returned, cases)
    code = definition.code if definition else None
    if outcome in _NOT_CALLED:
        broken = attempt.functions.broken_names.get(exercise.name)
        error = attempt.functions.syntax_errors.get(broken) if broken is not None else None
        return ExerciseResult.of(exercise, outcome, message, error=error, code=code), flags
    if flags and autograd == "forbid":
        outcome = Outcome.FORBIDDEN
        message = f"{exercise.name} lets autograd do the work ({flags[0].evidence}). Derive this gradient by hand."
    result = ExerciseResult.of(
        exercise,
        outcome,
        message,
        cases=cases,
        notices=(
            *_notices(exercise, attempt.functions.definitions.get(exercise.name, ()), returned),
            *_notice_of_constants(exercise, compared),
        ),
        error=next((case.error for case in cases if case.error is not None), None),
        code=code,
        views=_views(exercise, returned),
    )
    return result, flags


def judge_chain(
    assignment: Assignment, chain: ChainCase, reply: Reply, outcomes: Mapping[str, Outcome]
) -> Chain | None:
    """
    Judge the backward pass in which each function is called with what the others returned. It decides no points.

    Args:
        outcomes: The outcome of each exercise when it is called with the right arguments.

    Returns:
        None if the backward pass was not run.
    """
    if CHAIN not in reply.records:
        return None
    gradients = read_tensors(reply.records[CHAIN][1])
    links: dict[str, Outcome] = {}
    for depth, exercise in enumerate(assignment.exercises, start=1):
        got = [gradients.get(f"{exercise.name}/d{target}") for target in exercise.targets]
        if all(gradient is not None for gradient in got):
            compared = [
                compare(
                    gradient,
                    chain.expected[f"d{target}"],
                    terms=depth * chain.terms,
                    argument_dtype=torch.float32,
                    scale=depth * chain.scales.get(f"d{target}", 0.0),
                )
                for target, gradient in zip(exercise.targets, got, strict=True)
                if gradient is not None
            ]
            is_match = all(comparison.outcome is Outcome.MATCH for comparison in compared)
            links[exercise.name] = Outcome.MATCH if is_match else Outcome.MISMATCH
        elif outcomes[exercise.name].passed is True:
            links[exercise.name] = Outcome.SKIPPED
        else:
            links[exercise.name] = outcomes[exercise.name]
    losses = read_losses(reply, steps=assignment.steps)
    if not losses:
        return Chain(links=links)
    shapes: dict[str, torch.Size] = {}
    for name, gradient in gradients.items():
        shapes.setdefault(name.rpartition("/d")[2], gradient.shape)
    never_updated = [name for name, parameter in chain.parameters.items() if shapes.get(name) != parameter.shape]
    curve = Curve(reference=chain.losses, student=losses)
    return Chain(links=links, training=curve, message=_never_updated(never_updated) if never_updated else "")


def _never_updated(parameters: Sequence[str]) -> str:
    if len(parameters) == 1:
        return f"In training, {parameters[0]} was never updated: its gradient was missing or had the wrong shape."
    names = f"{', '.join(parameters[:-1])} and {parameters[-1]}"
    return f"In training, {names} were never updated: their gradients were missing or had the wrong shape."


# ------------------------------------------------------------------------------------------------------ one case


def _comparisons(call: Returned) -> tuple[Comparison, ...]:
    """The comparison of each target, if the call returned tensors."""
    if call.outcome is not None:
        return ()
    return tuple(
        call.case.compare(got, target=target, argument_dtype=call.argument_dtype)
        for target, got in enumerate(call.tensors)
    )


def _case_result(call: Returned, comparisons: Sequence[Comparison], targets: Sequence[str]) -> CaseResult:
    """The result of one call, with the numbers of its worst target."""
    case = call.case
    if call.outcome is not None:
        return CaseResult(
            name=case.name,
            outcome=call.outcome,
            public=case.public,
            shape=call.shapes[0] if len(call.shapes) == 1 else None,
            expected_shape=tuple(case.expected[0].shape) if len(case.expected) == 1 else None,
            dtype=call.dtypes[0] if len(call.dtypes) == 1 else None,
            expected_dtype=_dtype_text(call.argument_dtype),
            type=call.type,
            error=call.error,
        )
    outcome = most_telling([comparison.outcome for comparison in comparisons])
    place = next(place for place, comparison in enumerate(comparisons) if comparison.outcome is outcome)
    worst = comparisons[place]
    return CaseResult(
        name=case.name,
        outcome=outcome,
        public=case.public,
        max_abs_error=_reported(worst.max_abs_error, case.public),
        max_rel_error=_reported(worst.max_rel_error, case.public),
        tolerance=_reported(worst.tolerance, case.public),
        wrong_entries=worst.wrong_entries,
        entries=worst.entries,
        shape=call.shapes[place],
        expected_shape=tuple(case.expected[place].shape),
        dtype=call.dtypes[place],
        expected_dtype=_dtype_text(call.argument_dtype),
        type=call.type,
        worst=worst.worst if case.public else None,
        target=targets[place] if len(targets) > 1 else None,
    )


def _reported(number: float | None, public: bool) -> float | None:
    """
    A number as it stands in reports: for a hidden case, rounded to two digits.

    The error of an answer of zeros is the value of the gradient, and nobody may see that.
    """
    return number if number is None or public else float(f"{number:.1e}")


def _dtype_text(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


# ------------------------------------------------------------------------------------------------- one exercise


def _decide(
    exercise: Exercise, attempt: Attempt, returned: Sequence[Returned], cases: Sequence[CaseResult]
) -> tuple[Outcome, str]:
    name, functions = exercise.name, attempt.functions
    reply = attempt.execution.replies[name]
    definition = functions.last(name)
    if definition is not None and definition.is_blank:
        return Outcome.BLANK, f"{name} is still blank."
    if definition is None and name in functions.broken_names:
        cell = functions.broken_names[name]
        return Outcome.SYNTAX_ERROR, f"In [{cell}] is not Python: {functions.syntax_errors[cell].message}."
    if reply.status == "unreachable":
        return _unreachable(name, attempt.execution)
    if any(case.outcome is Outcome.MISSING for case in cases):
        return Outcome.MISSING, _why_missing(name, attempt, returned)
    outcome = most_telling([case.outcome for case in cases])
    case = next(case for case in cases if case.outcome is outcome)
    return outcome, _message(exercise, outcome, case, reply)


def _unreachable(name: str, execution: Execution) -> tuple[Outcome, str]:
    timed_out = any(error.type == "TimeoutError" for error in execution.errors.values())
    reason = execution.stopped or "After the notebook ran, its process no longer answered."
    return Outcome.TIMED_OUT if timed_out else Outcome.CRASHED, f"{name} could not be called. {reason}"


def _why_missing(name: str, attempt: Attempt, returned: Sequence[Returned]) -> str:
    type_name = next((call.type for call in returned if call.outcome is Outcome.MISSING), None)
    if type_name:
        return f"After the notebook ran, {name} was {_with_article(type_name)}, not a function."
    definition = attempt.functions.last(name)
    if definition is not None:
        error = attempt.execution.errors.get(definition.code.cell)
        because = f", because that cell stopped: {_sentence(error)}" if error else ""
        return f"{name} is in In [{definition.code.cell}], but it was never defined{because}."
    others = [other for other in attempt.functions.definitions if other not in attempt.execution.replies]
    similar = difflib.get_close_matches(name, others, n=1, cutoff=0.75)
    if similar:
        return f"There is no function {name}, but there is one called {similar[0]}. Was it renamed?"
    return f"There is no function {name} in the notebook. Was its cell deleted, or turned into a text cell?"


def _with_article(noun: str) -> str:
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"


def _message(exercise: Exercise, outcome: Outcome, case: CaseResult, reply: Reply) -> str:
    name = exercise.name
    where = "" if case.public else f" (case {case.name})"
    if outcome is Outcome.MATCH:
        return f"{name} is right."
    if outcome is Outcome.RAISED:
        error = case.error
        return f"{name} raised {_sentence(error)}{where}." if error else f"{name} raised an exception{where}."
    if outcome is Outcome.TIMED_OUT:
        return f"{name} did not return in time. Does it loop forever?"
    if outcome is Outcome.OUT_OF_MEMORY:
        return f"{name} asked for more memory than it may use{where}."
    if outcome is Outcome.CRASHED:
        detail = f" ({reply.detail})" if reply.detail else ""
        return f"{name} ended its process{detail} instead of returning a gradient."
    if outcome is Outcome.WRONG_TYPE:
        return _wrong_type(exercise, case)
    if outcome is Outcome.WRONG_DTYPE:
        return f"{name} returned a tensor of dtype {case.dtype}; the gradient should be {case.expected_dtype}."
    if outcome is Outcome.WRONG_SHAPE:
        return _wrong_shape(exercise, case, where)
    if outcome is Outcome.NOT_FINITE:
        return f"{name} returned numbers that are nan or inf{where}."
    return _mismatch(f"The d{case.target} of {name}" if case.target else name, case, where)


def _wrong_shape(exercise: Exercise, case: CaseResult, where: str) -> str:
    got, expected = _shape_text(case.shape), _shape_text(case.expected_shape)
    target = case.target or exercise.targets[0]
    which = f" for d{target}" if len(exercise.targets) > 1 else ""
    return f"{exercise.name} returned the shape {got}{which}; {target} has the shape {expected}{where}."


def _wrong_type(exercise: Exercise, case: CaseResult) -> str:
    name, count = exercise.name, len(exercise.targets)
    wanted = "a tensor" if count == 1 else f"a tuple of {count} tensors"
    if case.type == "NoneType":
        return f"{name} returned None. Is there a `return`?"
    if case.type == "torch.Tensor" and count == 1:
        return f"{name} returned a tensor without ordinary numbers; it should return a dense tensor."
    return f"{name} returned {_with_article(case.type or 'value')}; it should return {wanted}."


def _mismatch(name: str, case: CaseResult, where: str) -> str:
    if case.wrong_entries == case.entries:
        return f"{name} has the right shape, but all of its entries are wrong{where}."
    return f"{name} has the right shape, but {case.wrong_entries:,} of {case.entries:,} entries are wrong{where}."


def _shape_text(shape: tuple[int, ...] | None) -> str:
    return "?" if shape is None else repr(shape)


def _sentence(error: CallError | None) -> str:
    if error is None:
        return "an exception"
    first_line = error.message.strip().split("\n")[0][:200]
    return f"{error.type}: {first_line}" if first_line else error.type


# -------------------------------------------------------------------------------------------- notices and flags


def _notices(exercise: Exercise, definitions: Sequence[Definition], returned: Sequence[Returned]) -> tuple[Notice, ...]:
    name = exercise.name
    notices = []
    mutated = sorted({argument for call in returned for argument in call.mutated})
    if mutated:
        notices.append(
            Notice(
                id="mutates_input",
                message=f"{name} changes its argument {', '.join(mutated)} in place, and so the caller's tensor, too. "
                "Work on a clone.",
            )
        )
    if any(call.requires_grad for call in returned):
        notices.append(
            Notice(id="requires_grad", message=f"{name} returns a tensor that requires grad: autograd is still on.")
        )
    if any("float64" in call.dtypes and call.argument_dtype == torch.float32 for call in returned):
        notices.append(
            Notice(
                id="wider_dtype", message=f"{name} returns float64 for float32 arguments, which takes twice the memory."
            )
        )
    if any(call.argument_dtype != call.case.dtype for call in returned):
        notices.append(
            Notice(
                id="float32_only",
                message=f"{name} works only in float32: it makes a tensor of a fixed dtype (try `dtype=` or `*_like`).",
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


def _notice_of_constants(exercise: Exercise, compared: Sequence[Sequence[Comparison]]) -> tuple[Notice, ...]:
    """A remark if in float64 the answer is off by what constants in float32 explain, and not by more."""
    errors = [c.max_rel_error or 0.0 for comparisons in compared for c in comparisons if c.has_float32_constants]
    if not errors or any(c.outcome is not Outcome.MATCH for comparisons in compared for c in comparisons):
        return ()
    return (
        Notice(
            id="float32_constant",
            message=f"For float64 arguments, {exercise.name} is off by {max(errors):.0e} of its largest entry, as if a "
            "constant in it were made in float32. That is right. To keep all digits, use a plain number, or give "
            "`dtype=` where you make a tensor.",
        ),
    )


def _flags(exercise: Exercise, definition: Definition | None, returned: Sequence[Returned]) -> tuple[Flag, ...]:
    """A flag for each use of autograd that the code shows, or that was observed when the function ran."""
    traced = dict.fromkeys(f"when called, it {use}" for call in returned for use in call.autograd)
    evidence = (*(definition.autograd if definition is not None else ()), *traced)
    return tuple(Flag(id="autograd", exercise=exercise.name, evidence=use) for use in evidence)


def _views(exercise: Exercise, returned: Sequence[Returned]) -> tuple[BatchView, ...]:
    """The gradients of the public batch, for pictures."""
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
