"""
Reads the harness's replies to the requests that call exercises.

The student's process wrote everything in a reply. Here it becomes typed data: a reply that is not as expected becomes
an outcome. There are two kinds of replies. What a function returned or raised on a case that students may see is a
`Returned`. Of a hidden case there is nothing but a `Told`: one word, so that no later code has anything to reveal.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from grader.calling.exercise import Exercise
from grader.compare import ACCEPTED_NAMES, Comparison
from grader.execution.asking import CHAIN
from grader.execution.border import safe_text
from grader.execution.channel import Reply
from grader.execution.tensors import read_tensors
from grader.harness.journal import NOTES
from grader.model import CallError, Outcome, most_telling
from grader.notebook.functions import Place
from grader.notebook.read import Notebook
from grader.reference.cases import Case

__all__ = [
    "Returned",
    "Told",
    "compared",
    "outcome_of",
    "outcomes_of_parts",
    "place_in",
    "read_call",
    "read_gradients",
    "read_losses",
    "read_told",
]

_MESSAGE_CHARACTERS = 500
_MOST_PARTS = 100
_MOST_NOTES = 5
_COLLECTIONS = ("tuple", "named tuple", "list", "dict")
_NO_NOTEBOOK = Notebook.of([])
_WITHOUT_RECORD = {
    "done": Outcome.CRASHED,  # the process ended early and without an error, by os._exit
    "timed_out": Outcome.TIMED_OUT,
    "too_large": Outcome.CRASHED,
    "out_of_memory": Outcome.OUT_OF_MEMORY,
    "crashed": Outcome.CRASHED,
    "unreachable": Outcome.CRASHED,
}
"""The outcome of a case without a record, by the status of the reply."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """
    All that a hidden case tells.

    Attributes:
        case: Its name.
        outcome: One word. It is `forbidden` if autograd is forbidden and was used.
        uses_autograd: Whether autograd was used where that is only flagged.
        of_parts: One word for each part of the result, where parts have points of their own.
    """

    case: str
    outcome: Outcome
    uses_autograd: bool = False
    of_parts: tuple[Outcome, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """
    What became of the call on one case that students may see.

    Attributes:
        outcome: None if the function returned tensors, which still have to be compared.
        argument_dtype: The dtype of the floating arguments, in the call that counts.
        shapes, dtypes: Of the tensors that were returned, even if the tensors themselves were not sent.
        type: The name of the type of the returned value.
        collection: What kind of collection it is, such as `list`, if it is one.
        parts: How many values are in it.
        parts_found: If some parts of the result are missing, the others, by their number.
        absent: The numbers of parts that are not what they should be, and the types that they have.
        is_blank: Whether the function did what a blank one does: its own code raised NotImplementedError.
        mutated: The arguments that the function changed in place.
        autograd: The uses of autograd that were observed while the function ran.
        did: What else was observed that an instructor may want to look at.
    """

    case: Case
    outcome: Outcome | None
    argument_dtype: torch.dtype
    tensors: tuple[torch.Tensor, ...] = ()
    shapes: tuple[tuple[int, ...], ...] = ()
    dtypes: tuple[str, ...] = ()
    type: str | None = None
    collection: str | None = None
    parts: int = 1
    parts_found: Mapping[int, torch.Tensor] = dataclasses.field(default_factory=dict)
    absent: Mapping[int, str] = dataclasses.field(default_factory=dict)
    is_blank: bool = False
    requires_grad: bool = False
    mutated: tuple[str, ...] = ()
    autograd: tuple[str, ...] = ()
    did: tuple[str, ...] = ()
    error: CallError | None = None


def read_call(cases: Sequence[Case], reply: Reply, notebook: Notebook = _NO_NOTEBOOK) -> tuple[Returned, ...]:
    """
    What became of the call on each case, in their order. A case without a record has the outcome of the process.

    Args:
        notebook: Its lines stand in the tracebacks of exceptions.
    """
    return tuple(_read_case(case, reply, notebook) for case in cases)


def _read_case(case: Case, reply: Reply, notebook: Notebook) -> Returned:
    header, payload = reply.records.get(case.name, ({}, b""))
    if "status" in header:
        call = _read_record(case, header, payload, notebook)
    else:
        call = Returned(case=case, outcome=_WITHOUT_RECORD[reply.status], argument_dtype=case.dtype)
    autograd, did = (tuple(dict.fromkeys(_note(n) for n in _list(header.get(word))[:_MOST_NOTES])) for word in NOTES)
    return dataclasses.replace(call, autograd=autograd, did=did)


def _note(note: Any) -> str:
    return safe_text(note, 100)


def read_told(
    cases: Sequence[Case], replies: Sequence[Reply], *, autograd: str, by_parts: bool = False
) -> tuple[Told, ...]:
    """
    The word of each hidden case, in their order. All else that the reply says is forgotten here.

    Args:
        autograd: "forbid" if the use of autograd is an outcome, "flag" if it is to be told beside it, or "allow".
        replies: To the requests about hidden cases: one, or one for each part.
        by_parts: Whether parts of the result have points of their own.
    """
    if len(replies) == 1:
        return tuple(_told(call, autograd, by_parts=by_parts) for call in read_call(cases, replies[0]))
    of_replies = [[_told(call, autograd, by_parts=True) for call in read_call(cases, reply)] for reply in replies]
    return tuple(_together([words[number] for words in of_replies], by_parts=by_parts) for number in range(len(cases)))


def _together(words: Sequence[Told], *, by_parts: bool) -> Told:
    """
    The word of a hidden case of which each part was asked for alone.

    Autograd that works for one part may have worked for all: what it computes can be kept.
    """
    of_parts = tuple(word.of_parts[number] for number, word in enumerate(words))
    if any(word.outcome is Outcome.FORBIDDEN for word in words):
        of_parts = (Outcome.FORBIDDEN,) * len(words)
    return Told(
        case=words[0].case,
        outcome=most_telling(list(of_parts)),
        uses_autograd=any(word.uses_autograd for word in words),
        of_parts=of_parts if by_parts else (),
    )


def _told(call: Returned, autograd: str, *, by_parts: bool) -> Told:
    outcome = outcome_of(call, autograd=autograd)
    return Told(
        case=call.case.name,
        outcome=outcome,
        uses_autograd=bool(call.autograd) and autograd == "flag",
        of_parts=outcomes_of_parts(call, autograd=autograd) if by_parts else (),
    )


def compared(call: Returned) -> tuple[Comparison, ...]:
    """The comparison of each target with its reference; none if the call did not return tensors to compare."""
    if call.outcome is not None:
        return ()
    return tuple(
        call.case.compare(got, target=target, argument_dtype=call.argument_dtype)
        for target, got in enumerate(call.tensors)
    )


def outcome_of(call: Returned, *, autograd: str) -> Outcome:
    """What became of a call: forbidden, if that is what autograd is and it was used; else by what it returned."""
    if call.autograd and autograd == "forbid":
        return Outcome.FORBIDDEN
    return call.outcome or most_telling([comparison.outcome for comparison in compared(call)])


def outcomes_of_parts(call: Returned, *, autograd: str) -> tuple[Outcome, ...]:
    """What became of each part of a result, whatever became of the others."""
    count = len(call.case.expected)
    if call.outcome not in (None, Outcome.WRONG_TYPE, Outcome.RAISED) or (call.autograd and autograd == "forbid"):
        return (outcome_of(call, autograd=autograd),) * count
    found = call.parts_found or dict(enumerate(call.tensors))
    return tuple(
        call.case.compare(found[part], target=part, argument_dtype=call.argument_dtype).outcome
        if part in found
        else _without(part, call)
        for part in range(count)
    )


def _without(part: int, call: Returned) -> Outcome:
    """What became of a part that was not found."""
    if call.outcome is Outcome.RAISED:
        return Outcome.RAISED if part in call.absent or not call.parts_found else Outcome.MISSING
    return Outcome.WRONG_TYPE if part in call.absent else Outcome.MISSING


def place_in(reply: Reply) -> Place | None:
    """Where the code of the function that was called begins; None if the reply does not say."""
    for header, _ in reply.records.values():
        place = _list(header.get("place"))
        if len(place) == 2 and all(type(number) is int for number in place):
            return Place(*place)
    return None


def _read_record(case: Case, header: Mapping[str, Any], payload: bytes, notebook: Notebook) -> Returned:
    status = header.get("status")
    argument_dtype = torch.float32 if header.get("narrowed") is True else case.dtype
    if status in ("raised", "out_of_memory"):
        return Returned(
            case=case,
            outcome=Outcome.RAISED if status == "raised" else Outcome.OUT_OF_MEMORY,
            argument_dtype=argument_dtype,
            is_blank=header.get("blank") is True,
            parts_found=_parts_found(payload),
            absent=_absent(header.get("absent"), count=len(case.expected)),
            error=_read_error(header.get("error"), notebook),
        )
    type_name = safe_text(header.get("type"), 100)
    if status == "missing":
        return Returned(case=case, outcome=Outcome.MISSING, argument_dtype=argument_dtype, type=type_name or None)
    if status != "returned":
        return Returned(case=case, outcome=Outcome.CRASHED, argument_dtype=argument_dtype)
    shapes = tuple(_shape(shape) for shape in _list(header.get("shapes")))
    dtypes = tuple(safe_text(dtype, 20) for dtype in _list(header.get("dtypes")))
    found = _parts_found(payload)
    values = tuple(found.values()) if tuple(found) == tuple(range(len(found))) else ()
    outcome: Outcome | None = None
    if len(values) != len(case.expected):
        # More or fewer tensors than expected; or tensors that were not sent, because they are huge or not dense.
        outcome = Outcome.WRONG_TYPE
        if not values and len(shapes) == len(case.expected) and shapes != tuple(tuple(e.shape) for e in case.expected):
            outcome = Outcome.WRONG_SHAPE
        elif not values and any(dtype not in ACCEPTED_NAMES for dtype in dtypes):
            outcome = Outcome.WRONG_DTYPE
    return Returned(
        case=case,
        outcome=outcome,
        argument_dtype=argument_dtype,
        tensors=values,
        parts_found=found if outcome is not None else {},
        absent=_absent(header.get("absent"), count=len(case.expected)),
        shapes=tuple(tuple(value.shape) for value in values) or shapes,
        dtypes=tuple(str(value.dtype).removeprefix("torch.") for value in values) or dtypes,
        type=type_name,
        collection=next((kind for kind in _COLLECTIONS if kind == header.get("collection")), None),
        parts=header["parts"] if type(header.get("parts")) is int else 1,
        requires_grad=header.get("requires_grad") is True,
        mutated=tuple(name for name in map(str, _list(header.get("mutated"))) if name in case.arguments),
    )


def read_gradients(reply: Reply, exercises: Sequence[Exercise]) -> dict[str, torch.Tensor] | None:
    """The gradients of the backward pass, by `function/dname`; None if it was not run."""
    if CHAIN not in reply.records:
        return None
    return read_tensors(reply.records[CHAIN][1], [f"{e.name}/d{target}" for e in exercises for target in e.targets])


def read_losses(reply: Reply, *, steps: int) -> tuple[float, ...]:
    """The losses of training with the student's gradients; empty if the reply has no such losses."""
    losses = _list(reply.records.get("training", ({}, b""))[0].get("losses"))
    if len(losses) != steps + 1 or not all(type(loss) is float for loss in losses):
        return ()
    return tuple(losses)


def _read_error(error: object, notebook: Notebook) -> CallError:
    described: Mapping[str, Any] = error if isinstance(error, dict) else {}
    codes = {cell.number: cell.code for cell in notebook.cells}
    lines = []
    cell = line = None
    for frame in _list(described.get("frames"))[-12:]:
        if not isinstance(frame, dict) or not all(type(frame.get(key)) is int for key in ("cell", "line")):
            continue
        if frame["cell"] not in codes:
            continue
        code = codes[frame["cell"]].split("\n")
        # IPython drops leading blank lines.
        dropped = next(count for count, text in enumerate(code) if text.strip())
        if 1 <= frame["line"] <= len(code) - dropped:
            cell, line = frame["cell"], frame["line"] + dropped
            lines.append(f"In [{cell}], line {line}, in {safe_text(frame.get('function'), 100)}")
            lines.append(f"    {code[line - 1].strip()[:200]}")
    return CallError(
        type=safe_text(described.get("type"), 100) or "Exception",
        message=safe_text(described.get("message"), _MESSAGE_CHARACTERS),
        traceback="\n".join(lines),
        cell=cell,
        line=line,
    )


def _parts_found(payload: bytes) -> dict[int, torch.Tensor]:
    """The tensors of a reply, by the number of the part that each of them is."""
    tensors = read_tensors(payload, [str(n) for n in range(_MOST_PARTS)])
    return {n: tensors[str(n)] for n in range(_MOST_PARTS) if str(n) in tensors}


def _absent(described: object, *, count: int) -> dict[int, str]:
    """The types of the parts that are no tensors, by number."""
    pairs = [pair for pair in _list(described) if isinstance(pair, list) and len(pair) == 2]
    return {number: safe_text(name, 100) for number, name in pairs if type(number) is int and 0 <= number < count}


def _list(value: object) -> list[Any]:
    return value[:1000] if isinstance(value, list) else []


def _shape(value: object) -> tuple[int, ...]:
    sizes = _list(value)
    return tuple(size for size in sizes if type(size) is int and 0 <= size < 2**63)[:16]
