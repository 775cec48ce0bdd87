"""
Calls a student's function on cases, and describes what it returned or raised.
"""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import linecache
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from safetensors.torch import load, save

from grader.calling.answer import read_answer, type_name
from grader.calling.asked import Asked
from grader.calling.lines import Lines
from grader.calling.nested import from_json, tensors_in, with_tensors
from grader.harness.entrances import watched_entrances
from grader.harness.journal import Journal, Write
from grader.harness.observer import Observer
from grader.harness.origin import is_own_raise, place_of
from grader.harness.rebind import rebound
from grader.harness.trace import AutogradTrace, sees_a_pass
from grader.harness.wire import Message, pack
from grader.modes import default_dtype
from grader.trees import tree_of

__all__ = ["Call", "NotebookState", "call_cases", "call_function"]

_MESSAGE_CHARACTERS = 2_000
_NAME_CHARACTERS = 100
_FRAMES, _FRAMES_READ = 12, 200
_clone = torch.Tensor.clone  # as it is before the notebook runs
_UNWATCHED = "could not be watched: the grader no longer sees a backward pass of its own"


@dataclasses.dataclass(frozen=True, slots=True)
class NotebookState:
    """
    The state that a notebook left when it had run.

    Attributes:
        variables: Its variables by name.
        cells: The numbers of its cells, `In [number]`, by the file name that Python knows each cell by.
        forward: The forward pass, where it is at hand; else a request has its code.
        default_dtype: The dtype that the notebook has chosen for tensors without one.
        journal: What is seen during calls.
    """

    variables: dict[str, Any]
    cells: Mapping[str, int]
    forward: Callable[..., dict[str, Any]] | None = None
    default_dtype: torch.dtype = dataclasses.field(default_factory=torch.get_default_dtype)
    journal: Journal = dataclasses.field(default_factory=Journal)

    def trees(self) -> list[tuple[str, ast.Module]]:
        """The syntax trees of the cells that ran, by file name, in their order; of those that can be read again."""
        found = []
        for file, _ in sorted(self.cells.items(), key=lambda entry: entry[1]):
            with contextlib.suppress(SyntaxError, ValueError, RecursionError):
                found.append((file, tree_of("".join(linecache.getlines(file)))))
        return found


@dataclasses.dataclass(frozen=True, slots=True)
class Call:
    """
    The result of one call.

    Attributes:
        tensors: What the function returned, if that was a dense tensor on the CPU, or a collection of such tensors: by
            the number of the part that each of them is.
        description: What it returned or raised, as JSON data. `status` is returned, raised, out_of_memory or missing.
        rounds: Whether it rounded float64 numbers to float32, as `x.float()` does.
    """

    tensors: dict[int, torch.Tensor]
    description: dict[str, Any]
    rounds: bool = False


def call_cases(request: Message, state: NotebookState, write: Write) -> None:
    """Call a function on the cases of a request, and write one message for each, besides those about what is seen."""
    header, payload = request
    tensors = load(payload)
    asked = Asked.of(header)
    function = asked.function
    if asked.is_lines:
        state, place = _with_lines(state, asked)
    else:
        place = place_of(state.variables.get(function), function, state.cells)
    is_watched = not header.get("trial") or sees_a_pass(state.journal)
    for case in header["cases"]:
        state.journal.turn_to(case, write)
        if not is_watched:
            write(pack({"case": case, "did": [_UNWATCHED]}))  # not by a journal that may have been changed, too
        on = header.get("on", case)
        given = header.get("given", {}).get(on)
        arguments = {
            name: tensors[f"{on}/{name}"] if given is None else from_json(given[name], tensors)
            for name in header["arguments"]
        }
        change = header.get("rebind", {}).get(case)
        with rebound(state.variables, state.variables.get(function), change):
            call = _call_in_either_dtype(asked, arguments, state, inference=bool(header["inference"]))
        write(pack({"case": case, "place": place, **call.description}, _encode(call, limit=int(header["limit"]))))


def _with_lines(state: NotebookState, asked: Asked) -> tuple[NotebookState, list[int] | None]:
    """The state in which straight lines, if there are any, have the exercise's name; and where they begin."""
    found = Lines.among(state.trees(), asked.parts)
    variables = {name: value for name, value in state.variables.items() if name != asked.function}
    if found is None:
        return dataclasses.replace(state, variables=variables), None
    lines, (file, line) = found
    return dataclasses.replace(state, variables={**variables, asked.function: lines}), [state.cells[file], line]


def _call_in_either_dtype(asked: Asked, arguments: dict[str, Any], state: NotebookState, *, inference: bool) -> Call:
    """Call a function with arguments in their own dtype, or else in float32."""
    call = call_function(state, asked, arguments, inference=inference)
    returned_float32 = any(dtype == "float32" for dtype in call.description.get("dtypes", ()))
    is_wide = any(tensor.dtype == torch.float64 for _, tensor in tensors_in("", list(arguments.values())))
    if is_wide and (call.description["status"] == "raised" or returned_float32 or call.rounds):
        # With float64 arguments, float32 tensors in a right answer may raise, or round numbers on the way.
        again = call_function(state, asked, with_tensors(arguments, _narrowed), inference=inference)
        if again.description["status"] == "returned":
            return Call(again.tensors, {**again.description, "narrowed": True})
    return call


def _narrowed(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.float() if tensor.dtype == torch.float64 else tensor


def call_function(
    state: NotebookState, asked: Asked, arguments: dict[str, Any], *, traced: bool = True, inference: bool = True
) -> Call:
    """
    Call a function on copies of its arguments.

    Args:
        arguments: By name, tensors or what is made of tensors.
        traced: Record what autograd does, as evidence that the function uses it, and which arguments it changes.
        inference: Call the function in inference mode.
    """
    name = asked.function
    function: Any = state.variables.get(name)
    if not (callable(function) or isinstance(function, Lines)):
        return Call({}, {"status": "missing", "type": type_name(function) if name in state.variables else None})
    copies = with_tensors(arguments, _clone)
    trace = AutogradTrace(state.journal)
    mode = torch.inference_mode() if inference else torch.enable_grad()
    try:
        with default_dtype(state.default_dtype), mode, _watched(state, trace) if traced else contextlib.nullcontext():
            call = _called(state, asked, function, copies)
            if traced and call.description["status"] == "returned":
                call.description["mutated"] = [key for key in copies if not _are_same(copies[key], arguments[key])]
    except BaseException as error:  # the notebook may have left torch in any state
        return Call({}, _of_error(error, function, asked, state))
    return dataclasses.replace(call, rounds=trace.rounds)


def _called(state: NotebookState, asked: Asked, function: Any, arguments: dict[str, Any]) -> Call:
    """The result of a call. What an exception says belongs to it: the student's code may say it."""
    try:
        description, tensors = read_answer(asked.call(state.variables, arguments), asked)
        if asked.is_lines and function.error is not None:
            description |= _of_error(function.error, function, asked, state)
            kind = type_name(function.error)
            description["absent"] = [[n, kind] for n, part in enumerate(asked.parts) if part in function.failed]
    except MemoryError as error:
        return Call({}, {"status": "out_of_memory", "error": _describe_exception(error, state)})
    except BaseException as error:  # SystemExit and KeyboardInterrupt, too: the student's function raised them
        return Call({}, _of_error(error, function, asked, state))
    return Call(tensors, description)


def _of_error(error: BaseException, function: Any, asked: Asked, state: NotebookState) -> dict[str, Any]:
    """The description of a call that raised an exception."""
    is_blank = type(error) is NotImplementedError and (
        str(error) == f"{asked.function} is still blank"
        if asked.is_lines
        else is_own_raise(error, function, asked.function)
    )
    status = "out_of_memory" if "can't allocate memory" in str(error) else "raised"
    return {"status": status, "error": _describe_exception(error, state), "blank": is_blank}


@contextlib.contextmanager
def _watched(state: NotebookState, trace: AutogradTrace) -> Iterator[None]:
    """The context of a call: what it does is noted. In a student's own check, only the use of autograd is."""
    with trace.watching():
        if not state.journal.is_alone:
            yield
            return
        observer = Observer(state.journal, state.cells)
        with watched_entrances(trace, observer), observer.during_a_call():
            yield


def _are_same(copy: Any, original: Any) -> bool:
    first, second = ([tensor for _, tensor in tensors_in("", value)] for value in (copy, original))
    return len(first) == len(second) and all(map(_same, first, second))


def _same(first: torch.Tensor, second: torch.Tensor) -> bool:
    if first.shape != second.shape or first.dtype != second.dtype:
        return False
    if torch.equal(first, second):
        return True
    return first.is_floating_point() and bool(((first == second) | (first.isnan() & second.isnan())).all())


def _encode(call: Call, *, limit: int) -> bytes:
    """The tensors of a call in the safetensors format; empty if they are too large or cannot be saved."""
    size = sum(tensor.numel() * tensor.element_size() for tensor in call.tensors.values())
    if not call.tensors or size > limit // 4:
        return b""
    try:
        return save({str(number): tensor.clone().contiguous() for number, tensor in call.tensors.items()})
    except BaseException:  # a quantized tensor, for example: its shape and dtype are enough
        return b""


def _describe_exception(error: BaseException, state: NotebookState) -> dict[str, Any]:
    frames = [
        {"cell": state.cells[frame.filename], "line": frame.lineno, "function": frame.name[:_NAME_CHARACTERS]}
        for frame in traceback.extract_tb(error.__traceback__, limit=None)[-_FRAMES_READ:]
        if frame.filename in state.cells
    ]
    return {
        "type": type(error).__qualname__[:_NAME_CHARACTERS],
        "message": str(error)[:_MESSAGE_CHARACTERS],
        "frames": frames[-_FRAMES:],
    }
