"""
Sentences about what a function raised, and about what it returned that is no tensor.
"""

from __future__ import annotations

import re

from grader.calling.equation import Equation
from grader.calling.exercise import Exercise
from grader.execution.calls import Returned
from grader.model import CallError

__all__ = ["quoted", "unset", "with_article", "wrong_type"]

_LONGEST = 200


def quoted(error: CallError | None) -> str:
    """An exception within a sentence: its type, and of its message as much as one can read by itself."""
    if error is None:
        return "an exception"
    message = _first_sentence(error.message)
    return f"{error.type}: {message}" if message else error.type


def unset(exercise: Exercise, error: CallError | None) -> str:
    """What was read after the calls, outside of a student's code, and was not there, as the end of a sentence."""
    if error is None or error.cell is not None or not exercise.equation:
        return ""
    if error.type not in ("KeyError", "AttributeError") or not (names := re.findall(r"'(\w+)'", error.message)):
        return ""
    places = (Equation.of(exercise.equation).place_of(part)[0] for part in range(len(exercise.parts)))
    missing = next((code for code in places if code.endswith((f"['{names[-1]}']", f".{names[-1]}"))), "")
    return f", because nothing has set `{missing}`" if missing else ""


def _first_sentence(message: str) -> str:
    r"""
    The first line of a message, without the words that announce the next line, and without a full stop.

    >>> _first_sentence("all() received a wrong argument - got (bool), but expected one of:\n * (Tensor input)")
    'all() received a wrong argument - got (bool)'
    >>> _first_sentence("Error(s) in loading state_dict for Net:\n\tsize mismatch for w1: copying")
    'Error(s) in loading state_dict for Net'
    """
    first, *more = message.strip().split("\n")
    first = first.rstrip()
    if first.endswith(":") and more:
        first = first.rsplit(", ", 1)[0].rstrip(":")
    if len(first) > _LONGEST:
        sentence = re.match(rf".{{20,{_LONGEST}}}?[.;](?= )", first)
        first = sentence[0].rstrip(";") if sentence else first[:_LONGEST].rsplit(" ", 1)[0]
    return first.rstrip(".")


def with_article(noun: str) -> str:
    """
    A noun with `a` or `an`.

    >>> with_article("int"), with_article("tuple")
    ('an int', 'a tuple')
    """
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"


def wrong_type(exercise: Exercise, call: Returned) -> str:
    """The sentence about a result that is no tensor, or not the tensors that are asked for."""
    name, count = exercise.name, len(exercise.parts)
    one = "a tensor" if exercise.arrays == "torch" else "an array"
    wanted = one if count == 1 else f"a tuple of {count} {one.split()[1]}s"
    if exercise.equation:
        equation = Equation.of(exercise.equation)
        wanted = equation.result if count > 1 else wanted
        for part in range(count):
            if (call.collection or part in call.absent) and part not in call.parts_found:
                said = _where_is(equation, part, exercise, call, wanted)
                if said:
                    return said
    if call.type == "NoneType":
        return f"{name} returned None. Is there a `return`?"
    if call.type == "torch.Tensor" and count == 1:
        return f"{name} returned a tensor without ordinary numbers; it should return a dense tensor."
    got = with_article(call.type or "value")
    if call.collection and call.parts != count:
        got = f"{got} of {call.parts}"
    return f"{name} returned {got}; it should return {wanted}."


def _where_is(equation: Equation, part: int, exercise: Exercise, call: Returned, wanted: str) -> str:
    """
    What is in the place of a part, named as the call names it: a method that was called, an attribute that was read.

    Nothing if the function's result is that part and no more.
    """
    code, is_whole = equation.place_of(part)
    own = re.match(rf"{re.escape(exercise.name)}\(", code) is not None
    kind, asked = call.absent.get(part), exercise.parts[part]
    found = "None" if kind == "NoneType" else with_article(kind or "value")
    if own and is_whole and len(exercise.parts) == 1:
        return ""
    if not is_whole:
        said = f"{asked} is {found if kind else 'missing'}."
        return f"In what {exercise.name} returned, {said} It should return {wanted}." if own else f"In `{code}`, {said}"
    if kind == "NoneType" and code.endswith(")"):
        return f"`{code}` returned None; it should be {asked}. Is there a `return`?"
    return f"`{code}` is {found}; it should be {asked}."
