"""
Decides outcomes, points and the sentences that a student reads, from a notebook's code and what its functions returned.

No other module gives points.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Sequence

import numpy as np
import torch

from grader.compare import ACCEPTED_NAMES, Comparison
from grader.execution.calls import Returned, place_in
from grader.execution.channel import Reply
from grader.execution.execute import Execution
from grader.model import (
    BatchView,
    CallError,
    CaseResult,
    Exercise,
    ExerciseResult,
    Flag,
    Outcome,
    most_telling,
)
from grader.notebook.functions import Definition, FunctionIndex
from grader.notebook.read import Notebook
from grader.notices import flags_of, notice_of_constants, notices_of

__all__ = ["Attempt", "judge_exercise"]

_NOT_CALLED = (Outcome.BLANK, Outcome.SYNTAX_ERROR, Outcome.MISSING)
"""Outcomes of an exercise for which there was nothing to call."""


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
    definition = attempt.functions.ran(exercise.name, place_in(attempt.execution.replies[exercise.name]))
    used = tuple(dict.fromkeys(use for call in returned for use in call.autograd))
    flags = flags_of(exercise, definition, used) if autograd != "allow" else ()
    compared = [_comparisons(call) for call in returned]
    cases = tuple(
        _case_result(call, of_call, exercise.targets) for call, of_call in zip(returned, compared, strict=True)
    )
    outcome, message, error = _decide(exercise, attempt, definition, returned, cases)
    if outcome in _NOT_CALLED:
        shown = definition or attempt.functions.last(exercise.name)
        code = shown.code if shown is not None else None
        return ExerciseResult.of(exercise, outcome, message, error=error, code=code), flags
    if used and autograd == "forbid":
        outcome = Outcome.FORBIDDEN
        message = f"{exercise.name} lets autograd do the work: when called, it {used[0]}. Derive this gradient by hand."
    result = ExerciseResult.of(
        exercise,
        outcome,
        message,
        cases=cases,
        notices=(
            *notices_of(exercise, attempt.functions.definitions.get(exercise.name, ()), definition, returned),
            *notice_of_constants(exercise, compared),
        ),
        error=error,
        code=definition.code if definition is not None else None,
        views=_views(exercise, returned),
    )
    return result, flags


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
        place = _wrong_place(call)
        return CaseResult(
            name=case.name,
            outcome=call.outcome,
            public=case.public,
            shape=call.shapes[place] if place is not None else None,
            expected_shape=tuple(case.expected[place or 0].shape) if place is not None or len(targets) == 1 else None,
            dtype=call.dtypes[place] if place is not None else None,
            expected_dtype=_dtype_text(call.argument_dtype),
            type=call.type,
            target=targets[place] if place is not None and len(targets) > 1 else None,
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


def _wrong_place(call: Returned) -> int | None:
    """Which of the tensors that were not sent the outcome is about; None if they do not correspond to the targets."""
    expected = [tuple(tensor.shape) for tensor in call.case.expected]
    if not len(call.shapes) == len(call.dtypes) == len(expected):
        return None
    if call.outcome is Outcome.WRONG_DTYPE:
        return next((place for place, dtype in enumerate(call.dtypes) if dtype not in ACCEPTED_NAMES), 0)
    return next((place for place, shape in enumerate(call.shapes) if shape != expected[place]), 0)


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
    exercise: Exercise,
    attempt: Attempt,
    definition: Definition | None,
    returned: Sequence[Returned],
    cases: Sequence[CaseResult],
) -> tuple[Outcome, str, CallError | None]:
    """
    The outcome, its sentence, and the error behind it. What ran decides: the code only helps to explain it.

    Args:
        definition: That of what ran, if it is known.
    """
    name = exercise.name
    reply = attempt.execution.replies[name]
    if reply.status == "unreachable":
        return *_unreachable(name, attempt.execution), None
    is_missing = any(case.outcome is Outcome.MISSING for case in cases)
    if is_missing or _is_blank(definition, returned):
        kind = next((call.type for call in returned if call.outcome is Outcome.MISSING), None)
        cell = _broken_cell(name, attempt.functions)
        if cell is not None and not kind:
            broken = attempt.functions.syntax_errors[cell]
            return Outcome.SYNTAX_ERROR, f"In [{cell}] is not Python: {broken.message}.", broken
        if is_missing:
            return Outcome.MISSING, _why_missing(name, attempt, kind), None
        return Outcome.BLANK, f"{name} is still blank.", None
    outcome = most_telling([case.outcome for case in cases])
    case = next(case for case in cases if case.outcome is outcome)
    error = next((case.error for case in cases if case.error is not None), None)
    return outcome, _message(exercise, outcome, case, returned[cases.index(case)], reply), error


def _is_blank(definition: Definition | None, returned: Sequence[Returned]) -> bool:
    """Whether every call did what a blank one does: raise the blank's error, or nothing where there is nothing."""
    if definition is not None and not definition.is_blank:
        return False
    raised = all(call.is_blank for call in returned)
    return bool(returned) and (raised or (definition is not None and all(call.type == "NoneType" for call in returned)))


def _broken_cell(name: str, functions: FunctionIndex) -> int | None:
    """The cell that would have given a function its last definition, if it were Python."""
    cell, last = functions.broken_names.get(name), functions.last(name)
    return cell if cell is not None and (last is None or cell > last.code.cell) else None


def _unreachable(name: str, execution: Execution) -> tuple[Outcome, str]:
    timed_out = any(error.type == "TimeoutError" for error in execution.errors.values())
    reason = execution.stopped or "After the notebook ran, its process no longer answered."
    return Outcome.TIMED_OUT if timed_out else Outcome.CRASHED, f"{name} could not be called. {reason}"


def _why_missing(name: str, attempt: Attempt, kind: str | None) -> str:
    if kind:
        return f"After the notebook ran, {name} was {_with_article(kind)}, not a function."
    definition = attempt.functions.last(name)
    cell = definition.code.cell if definition is not None else _failed_cell_with(name, attempt)
    if cell is not None:
        error = attempt.execution.errors.get(cell)
        because = f", because that cell stopped: {_sentence(error)}" if error else ""
        return f"{name} is in In [{cell}], but it was never defined{because}."
    others = [other for other in attempt.functions.definitions if other not in attempt.execution.replies]
    similar = difflib.get_close_matches(name, others, n=1, cutoff=0.75)
    if similar:
        return f"There is no function {name}, but there is one called {similar[0]}. Was it renamed?"
    return f"There is no function {name} in the notebook. Was its cell deleted, or turned into a text cell?"


def _failed_cell_with(name: str, attempt: Attempt) -> int | None:
    """The last cell that raised and whose text defines the function, such as the body of a magic that is missing."""
    defines = re.compile(rf"^\s*(?:async\s+)?def\s+{re.escape(name)}\b", re.MULTILINE)
    cells = [cell for cell in attempt.notebook.cells if cell.number in attempt.execution.errors]
    return next((cell.number for cell in reversed(cells) if defines.search(cell.code)), None)


def _with_article(noun: str) -> str:
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"


def _message(exercise: Exercise, outcome: Outcome, case: CaseResult, call: Returned, reply: Reply) -> str:
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
        return _wrong_type(exercise, call)
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


def _wrong_type(exercise: Exercise, call: Returned) -> str:
    name, count = exercise.name, len(exercise.targets)
    wanted = "a tensor" if count == 1 else f"a tuple of {count} tensors"
    if call.type == "NoneType":
        return f"{name} returned None. Is there a `return`?"
    if call.type == "torch.Tensor" and count == 1:
        return f"{name} returned a tensor without ordinary numbers; it should return a dense tensor."
    got = _with_article(call.type or "value")
    if call.collection and call.parts != count:
        got = f"{got} of {call.parts}"
    return f"{name} returned {got}; it should return {wanted}."


def _mismatch(name: str, case: CaseResult, where: str) -> str:
    if case.wrong_entries == case.entries:
        return f"{name} has the right shape, but all of its entries are wrong{where}."
    return f"{name} has the right shape, but {case.wrong_entries:,} of {case.entries:,} entries are wrong{where}."


def _shape_text(shape: tuple[int, ...] | None) -> str:
    return "?" if shape is None else repr(shape)


def _sentence(error: CallError | None) -> str:
    if error is None:
        return "an exception"
    first_line = error.message.strip().split("\n")[0][:200].rstrip(".")
    return f"{error.type}: {first_line}" if first_line else error.type


# ------------------------------------------------------------------------------------------------------- pictures


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
