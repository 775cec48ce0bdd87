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

from grader.calling.exercise import Exercise
from grader.compare import ACCEPTED_NAMES, Comparison
from grader.execution.calls import Returned, Told, compared, outcomes_of_parts, place_in
from grader.execution.channel import Reply
from grader.execution.record import Attempt, Execution
from grader.execution.sentences import quoted, unset, with_article, wrong_type
from grader.model import BatchView, CallError, CaseResult, ExerciseResult, Flag, Outcome, PartResult, most_telling
from grader.notebook.functions import Definition, FunctionIndex
from grader.notices import flags_of, notice_of_constants, notices_of

__all__ = ["Attempt", "judge_exercise"]

_NOT_CALLED = (Outcome.BLANK, Outcome.SYNTAX_ERROR, Outcome.MISSING)
"""Outcomes of an exercise for which there was nothing to call."""


def judge_exercise(
    exercise: Exercise,
    attempt: Attempt,
    returned: Sequence[Returned],
    *,
    practice: Sequence[Returned] = (),
    told: Sequence[Told] = (),
    autograd: str,
) -> tuple[ExerciseResult, tuple[Flag, ...]]:
    """
    Decide the result of one exercise, and what an instructor should check.

    Args:
        returned: What became of the call on each case that students may see.
        practice: What became of the calls on practice batches. They explain a result, and decide none.
        told: The word of each hidden case.
        autograd: What to do if the function uses autograd: "forbid" (no points), "flag" (tell instructors) or "allow".
    """
    execution, definitions = attempt.execution, attempt.functions.definitions.get(exercise.name, ())
    definition = attempt.functions.ran(exercise.name, place_in(execution.replies[exercise.name]))
    seen = (*returned, *practice)
    comparisons = [compared(call) for call in seen]
    results = [
        _case_result(call, of_call, exercise.parts, autograd) for call, of_call in zip(seen, comparisons, strict=True)
    ]
    pairs = list(zip(results, seen, strict=True))
    known = {
        "upstream": next((call.case.upstream for call in seen), ()),
        "notices": (
            *notices_of(exercise, definitions, definition, seen),
            *notice_of_constants(exercise, comparisons),
        ),
        "code": definition.code if definition is not None else None,
        "views": _views(exercise, returned),
    }

    def result_by(told: Sequence[Told]) -> ExerciseResult:
        hidden = [CaseResult(name=word.case, outcome=word.outcome, public=False) for word in told]
        cases = (*results[: len(returned)], *hidden)
        outcome, message, error = _decide(exercise, attempt, definition, pairs, cases, counted=len(returned))
        if outcome not in _NOT_CALLED or any(case.outcome is outcome for case in hidden):
            parts = _parts(exercise, [*(outcomes_of_parts(call, autograd=autograd) for call in returned)], told)
            return ExerciseResult.of(exercise, outcome, message, error=error, cases=cases, parts=parts, **known)
        shown = definition or attempt.functions.last(exercise.name)
        code = shown.code if shown is not None else None
        return ExerciseResult.of(exercise, outcome, message, error=error, code=code)

    used = tuple(dict.fromkeys(use for call in seen for use in call.autograd))
    did = tuple(dict.fromkeys(what for call in seen for what in call.did))
    flags = flags_of(exercise, definition, used, told, did=did) if autograd != "allow" else ()
    return dataclasses.replace(result_by(told), before_hidden=result_by(()) if told else None), flags


def _parts(exercise: Exercise, returned: Sequence[tuple[Outcome, ...]], told: Sequence[Told]) -> tuple[PartResult, ...]:
    """The results of the parts that have points of their own. A part is right if it is so in every case."""
    of_cases = [*returned, *(word.of_parts for word in told)]
    results = []
    for number, points in enumerate(exercise.shares):
        outcome = most_telling([outcomes[number] for outcomes in of_cases])
        results.append(
            PartResult(
                name=exercise.parts[number],
                outcome=outcome,
                points=points if outcome.passed else 0.0,
                max_points=points,
            )
        )
    return tuple(results)


# ------------------------------------------------------------------------------------------------------ one case


def _case_result(call: Returned, comparisons: Sequence[Comparison], parts: Sequence[str], autograd: str) -> CaseResult:
    """The result of one call, with the numbers of its worst part."""
    described = _described(call, comparisons, parts)
    is_forbidden = bool(call.autograd) and autograd == "forbid"
    return dataclasses.replace(described, outcome=Outcome.FORBIDDEN) if is_forbidden else described


def _described(call: Returned, comparisons: Sequence[Comparison], parts: Sequence[str]) -> CaseResult:
    case = call.case
    if call.outcome is not None:
        place = _wrong_place(call)
        return CaseResult(
            name=case.name,
            outcome=call.outcome,
            public=case.public,
            shape=call.shapes[place] if place is not None else None,
            expected_shape=tuple(case.expected[place or 0].shape) if place is not None or len(parts) == 1 else None,
            dtype=call.dtypes[place] if place is not None else None,
            expected_dtype=_dtype_text(call.argument_dtype),
            type=call.type,
            part=parts[place] if place is not None and len(parts) > 1 else None,
            error=call.error,
        )
    outcome = most_telling([comparison.outcome for comparison in comparisons])
    place = next(place for place, comparison in enumerate(comparisons) if comparison.outcome is outcome)
    worst = comparisons[place]
    return CaseResult(
        name=case.name,
        outcome=outcome,
        public=case.public,
        max_abs_error=worst.max_abs_error,
        max_rel_error=worst.max_rel_error,
        tolerance=worst.tolerance,
        wrong_entries=worst.wrong_entries,
        entries=worst.entries,
        shape=call.shapes[place],
        expected_shape=tuple(case.expected[place].shape),
        dtype=call.dtypes[place],
        expected_dtype=_dtype_text(call.argument_dtype),
        type=call.type,
        worst=worst.worst,
        part=parts[place] if len(parts) > 1 else None,
    )


def _wrong_place(call: Returned) -> int | None:
    """Which of the tensors that were not sent the outcome is about; None if they do not correspond to the parts."""
    expected = [tuple(tensor.shape) for tensor in call.case.expected]
    if not len(call.shapes) == len(call.dtypes) == len(expected):
        return None
    if call.outcome is Outcome.WRONG_DTYPE:
        return next((place for place, dtype in enumerate(call.dtypes) if dtype not in ACCEPTED_NAMES), 0)
    return next((place for place, shape in enumerate(call.shapes) if shape != expected[place]), 0)


def _dtype_text(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


# ------------------------------------------------------------------------------------------------- one exercise


def _decide(
    exercise: Exercise,
    attempt: Attempt,
    definition: Definition | None,
    seen: Sequence[tuple[CaseResult, Returned]],
    cases: Sequence[CaseResult],
    *,
    counted: int,
) -> tuple[Outcome, str, CallError | None]:
    """
    The outcome, its sentence, and the error behind it. What ran decides: the code only helps to explain it.

    Args:
        definition: That of what ran, if it is known.
        seen: The results of calls that may be spoken of, and the calls: those that count, and then those of practice.
        cases: The results that count. Of a hidden case, it is only an outcome.
        counted: How many of the calls count.
    """
    name = exercise.name
    reply = attempt.execution.replies[name]
    if reply.status == "unreachable":
        return *_unreachable(name, attempt.execution), None
    calls = [call for _, call in seen[:counted]]
    is_missing = any(call.outcome is Outcome.MISSING for call in calls)
    if is_missing or _is_blank(exercise, definition, calls):
        kind = next((call.type for call in calls if call.outcome is Outcome.MISSING), None)
        cell = _broken_cell(name, attempt.functions)
        if cell is not None and not kind:
            broken = attempt.functions.syntax_errors[cell]
            return Outcome.SYNTAX_ERROR, f"In [{cell}] is not Python: {broken.message}.", broken
        written = attempt.functions.last(name)
        if is_missing and not (exercise.is_lines and written is not None and written.is_blank):
            return Outcome.MISSING, _why_missing(exercise, attempt, kind), None
        return Outcome.BLANK, f"{name} is still blank.", None
    outcome = most_telling([case.outcome for case in cases])
    if outcome is Outcome.MATCH:
        return outcome, f"{name} is right.", None
    error = next((result.error for result, _ in seen if result.error is not None), None)
    for number, (result, call) in enumerate(seen):
        if result.outcome is outcome:
            where = f" (case {result.name})" if number else ""
            return outcome, _message(exercise, result, call, reply, where), error
    return outcome, _WORDS[outcome].format(name=name), error


def _is_blank(exercise: Exercise, definition: Definition | None, returned: Sequence[Returned]) -> bool:
    """Whether every call did what a blank one does: raise the blank's error, or nothing where there is nothing."""
    may_be_blank = definition is None or definition.is_blank or (exercise.is_composed and definition.has_blank)
    if not may_be_blank:
        return False
    # Code around a blank may call another exercise, and meet that one's blank first.
    has_blank = definition is not None and definition.has_blank
    raised = all(call.is_blank or (has_blank and _met_a_blank(call)) for call in returned)
    return bool(returned) and (raised or (definition is not None and all(call.type == "NoneType" for call in returned)))


def _met_a_blank(call: Returned) -> bool:
    error = call.error
    return error is not None and error.type == "NotImplementedError" and error.message.endswith(" is still blank")


def _broken_cell(name: str, functions: FunctionIndex) -> int | None:
    """The cell that would have given a function its last definition, if it were Python."""
    cell, last = functions.broken_names.get(name), functions.last(name)
    return cell if cell is not None and (last is None or cell > last.code.cell) else None


def _unreachable(name: str, execution: Execution) -> tuple[Outcome, str]:
    timed_out = any(error.type == "TimeoutError" for error in execution.errors.values())
    reason = execution.stopped or "After the notebook ran, its process no longer answered."
    return Outcome.TIMED_OUT if timed_out else Outcome.CRASHED, f"{name} could not be called. {reason}"


def _why_missing(exercise: Exercise, attempt: Attempt, kind: str | None) -> str:
    name, thing = exercise.name, "class" if exercise.is_class else "function"
    if exercise.is_lines:
        return f"No cell computes {', '.join(exercise.parts[:3])}. Was the cell of {name} deleted, or made a text cell?"
    if kind:
        return f"After the notebook ran, {name} was {with_article(kind)}, not a {thing}."
    definition = attempt.functions.last(name)
    cell = definition.code.cell if definition is not None else _failed_cell_with(name, attempt)
    if cell is not None:
        error = attempt.execution.errors.get(cell)
        because = f", because that cell stopped: {quoted(error)}" if error else ""
        return f"{name} is in In [{cell}], but it was never defined{because}."
    others = [other for other in attempt.functions.definitions if other not in attempt.execution.replies]
    similar = difflib.get_close_matches(name, others, n=1, cutoff=0.75)
    if similar:
        return f"There is no {thing} {name}, but there is one called {similar[0]}. Was it renamed?"
    return f"There is no {thing} {name} in the notebook. Was its cell deleted, or turned into a text cell?"


def _failed_cell_with(name: str, attempt: Attempt) -> int | None:
    """The last cell that raised and whose text defines the name, such as the body of a magic that is missing."""
    defines = re.compile(rf"^\s*(?:(?:async\s+)?def|class)\s+{re.escape(name)}\b", re.MULTILINE)
    cells = [cell for cell in attempt.notebook.cells if cell.number in attempt.execution.errors]
    return next((cell.number for cell in reversed(cells) if defines.search(cell.code)), None)


def _message(exercise: Exercise, case: CaseResult, call: Returned, reply: Reply, where: str) -> str:
    """The sentence about a case that may be spoken of. `where` says which one it is, unless it is the first."""
    name, outcome = exercise.name, case.outcome
    if outcome is Outcome.CRASHED:
        detail = f" ({reply.detail})" if reply.detail and not where else ""
        return f"{name} ended its process{detail} instead of returning a gradient."
    if outcome is Outcome.WRONG_TYPE:
        return wrong_type(exercise, call)
    if outcome is Outcome.WRONG_DTYPE:
        what = "an array" if exercise.arrays == "numpy" else "a tensor"
        which = f" for {case.part}" if case.part else ""
        return f"{name} returned {what} of dtype {case.dtype}{which}; the gradient should be {case.expected_dtype}."
    if outcome is Outcome.WRONG_SHAPE:
        return _wrong_shape(exercise, case, where)
    if outcome is Outcome.MISMATCH:
        return _mismatch(f"The {case.part} of {name}" if case.part else name, case, where)
    use = call.autograd[0] if call.autograd else "used autograd"
    sentences = {
        Outcome.FORBIDDEN: f"lets autograd do the work: when called, it {use}. Derive this gradient by hand.",
        Outcome.RAISED: f"raised {quoted(case.error)}{unset(exercise, case.error)}{where}{_left_out(exercise, call)}.",
        Outcome.TIMED_OUT: "did not return in time. Does it loop forever?",
        Outcome.OUT_OF_MEMORY: f"asked for more memory than it may use{where}.",
        Outcome.NOT_FINITE: f"returned numbers that are nan or inf{where}.",
    }
    return f"{name} {sentences[outcome]}" if outcome in sentences else _WORDS[outcome].format(name=name)


_WORDS = {
    Outcome.FORBIDDEN: "{name} lets autograd do the work, in a hidden case. Derive this gradient by hand.",
    Outcome.CRASHED: "{name} ended its process in a hidden case, instead of returning a gradient.",
    Outcome.TIMED_OUT: "{name} did not return in time in a hidden case.",
    Outcome.OUT_OF_MEMORY: "{name} asked for more memory than it may use in a hidden case.",
    Outcome.MISSING: "In a hidden case, {name} was no longer a function.",
    Outcome.RAISED: "{name} raised an exception in a hidden case.",
    Outcome.WRONG_TYPE: "{name} returned a value of the wrong type in a hidden case.",
    Outcome.WRONG_DTYPE: "{name} returned numbers of the wrong dtype in a hidden case.",
    Outcome.WRONG_SHAPE: "{name} returned the wrong shape in a hidden case.",
    Outcome.NOT_FINITE: "{name} returned numbers that are nan or inf in a hidden case.",
    Outcome.MISMATCH: "{name} returned wrong numbers in a hidden case.",
    Outcome.GRADER_ERROR: "{name} could not be graded. This is not your fault: tell your instructor.",
    Outcome.SYNTAX_ERROR: "{name} could not be read.",
    Outcome.BLANK: "{name} is still blank.",
    Outcome.SKIPPED: "{name} was not graded.",
}
"""All that is said about an exercise if only a hidden case shows what is wrong with it."""


def _wrong_shape(exercise: Exercise, case: CaseResult, where: str) -> str:
    got, expected = _shape_text(case.shape), _shape_text(case.expected_shape)
    part = case.part or exercise.parts[0]
    which = f" for {part}" if len(exercise.parts) > 1 else ""
    wanted = next((target for target in exercise.targets if part == f"d{target}"), None)
    if wanted is None:
        return f"{exercise.name} returned the shape {got}{which}; it should have the shape {expected}{where}."
    return f"{exercise.name} returned the shape {got}{which}; {wanted} has the shape {expected}{where}."


def _mismatch(name: str, case: CaseResult, where: str) -> str:
    if case.entries == 1 and case.shape == ():
        return f"{name} is a wrong number{where}."
    if case.wrong_entries == case.entries:
        which = "its only entry is" if case.entries == 1 else "all of its entries are"
        return f"{name} has the right shape, but {which} wrong{where}."
    verb = "is" if case.wrong_entries == 1 else "are"
    return f"{name} has the right shape, but {case.wrong_entries:,} of {case.entries:,} entries {verb} wrong{where}."


def _left_out(exercise: Exercise, call: Returned) -> str:
    """What straight lines did not compute because one of them raised, as the end of a sentence."""
    missing = [part for place, part in enumerate(exercise.parts) if place not in call.parts_found]
    if not exercise.is_lines or not missing:
        return ""
    more = len(missing) - 1
    return f", so there is no {missing[0]}" + (f", nor {more} other{'s' * (more > 1)}" if more else "")


def _shape_text(shape: tuple[int, ...] | None) -> str:
    return "?" if shape is None else repr(shape)


# ------------------------------------------------------------------------------------------------------- pictures


def _views(exercise: Exercise, returned: Sequence[Returned]) -> tuple[BatchView, ...]:
    """The gradients of the public batch, for pictures."""
    for call in returned:
        if call.case.public and len(call.tensors) == len(exercise.parts):
            return tuple(
                BatchView(part=part, got=_array(got), expected=_array(expected))
                for part, got, expected in zip(exercise.parts, call.tensors, call.case.expected, strict=True)
            )
    return ()


def _array(tensor: torch.Tensor) -> np.typing.NDArray[np.float32]:
    real = tensor.real if tensor.is_complex() else tensor
    return real.to(torch.float32).numpy() if real.numel() <= 4_000_000 else np.zeros(0, dtype=np.float32)
