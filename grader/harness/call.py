"""
Calls a student's function on cases, and describes what it returned or raised.
"""

from __future__ import annotations

import contextlib
import dataclasses
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from safetensors.torch import load, save

from grader.harness.bind import call_with
from grader.harness.entrances import watched_entrances
from grader.harness.journal import Journal, Write
from grader.harness.observer import Observer
from grader.harness.origin import is_own_raise, place_of
from grader.harness.rebind import rebound
from grader.harness.trace import AutogradTrace, sees_a_pass
from grader.harness.wire import Message, pack
from grader.modes import default_dtype

__all__ = ["Call", "NotebookState", "call_cases", "call_function"]

_MESSAGE_CHARACTERS = 2_000
_NAME_CHARACTERS = 100
_FRAMES, _FRAMES_READ = 12, 200
_MOST_PARTS = 100
_LARGEST_COPY = 1 << 26
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


@dataclasses.dataclass(frozen=True, slots=True)
class Call:
    """
    The result of one call.

    Attributes:
        tensors: What the function returned, if that was a dense tensor on the CPU, or a collection of such tensors.
        description: What it returned or raised, as JSON data. `status` is returned, raised, out_of_memory or missing.
        rounds: Whether it rounded float64 numbers to float32, as `x.float()` does.
    """

    tensors: list[torch.Tensor]
    description: dict[str, Any]
    rounds: bool = False


def call_cases(request: Message, state: NotebookState, write: Write) -> None:
    """Call a function on the cases of a request, and write one message for each, besides those about what is seen."""
    header, payload = request
    tensors = load(payload)
    function = header["function"]
    place = place_of(state.variables.get(function), function, state.cells)
    is_watched = not state.journal.is_alone or sees_a_pass()
    for case in header["cases"]:
        state.journal.turn_to(case, write)
        if not is_watched:
            write(pack({"case": case, "did": [_UNWATCHED]}))  # not by a journal that may have been changed, too
        arguments = {name: tensors[f"{header.get('on', case)}/{name}"] for name in header["arguments"]}
        change = header.get("rebind", {}).get(case)
        with rebound(state.variables, state.variables.get(function), change):
            call = _call_in_either_dtype(header, arguments, state)
        write(pack({"case": case, "place": place, **call.description}, _encode(call, limit=int(header["limit"]))))


def _call_in_either_dtype(header: dict[str, Any], arguments: dict[str, torch.Tensor], state: NotebookState) -> Call:
    """Call a function with arguments in their own dtype, or else in float32."""
    name, inference, targets = header["function"], bool(header["inference"]), header["targets"]
    call = call_function(state, name, arguments, targets=targets, inference=inference)
    returned_float32 = any(dtype == "float32" for dtype in call.description.get("dtypes", ()))
    is_wide = any(tensor.dtype == torch.float64 for tensor in arguments.values())
    if is_wide and (call.description["status"] == "raised" or returned_float32 or call.rounds):
        # With float64 arguments, float32 tensors in a right answer may raise, or round numbers on the way.
        narrowed = {
            key: tensor.float() if tensor.dtype == torch.float64 else tensor for key, tensor in arguments.items()
        }
        again = call_function(state, name, narrowed, targets=targets, inference=inference)
        if again.description["status"] == "returned":
            return Call(again.tensors, {**again.description, "narrowed": True})
    return call


def call_function(
    state: NotebookState,
    name: str,
    arguments: dict[str, torch.Tensor],
    *,
    targets: Sequence[str] = (),
    traced: bool = True,
    inference: bool = True,
) -> Call:
    """
    Call a function on copies of its arguments.

    Args:
        targets: What the function returns the gradients of, in that order. A result may name them.
        traced: Record what autograd does, as evidence that the function uses it.
        inference: Call the function in inference mode.
    """
    function = state.variables.get(name)
    if not callable(function):
        type_name = _type_name(function) if name in state.variables else None
        return Call([], {"status": "missing", "type": type_name})
    copies = {key: tensor.clone() for key, tensor in arguments.items()}
    trace = AutogradTrace(state.journal)
    mode = torch.inference_mode() if inference else torch.enable_grad()
    try:
        with default_dtype(state.default_dtype), mode, _watched(state, trace) if traced else contextlib.nullcontext():
            answer = _read_answer(call_with(function, copies), targets)
    except MemoryError as error:
        return Call([], {"status": "out_of_memory", "error": _describe_exception(error, state)})
    except BaseException as error:  # SystemExit and KeyboardInterrupt, too: the student's function raised them
        status = "out_of_memory" if "can't allocate memory" in str(error) else "raised"
        is_blank = type(error) is NotImplementedError and is_own_raise(error, function, name)
        return Call([], {"status": status, "error": _describe_exception(error, state), "blank": is_blank})
    description, tensors = answer
    description["mutated"] = [key for key, copy in copies.items() if not _same(copy, arguments[key])]
    return Call(tensors, description, trace.rounds)


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


def _read_answer(value: Any, targets: Sequence[str]) -> tuple[dict[str, Any], list[torch.Tensor]]:
    """
    Describe what a function returned, and copy the tensors in it.

    This belongs to the call: what a student's subclass of Tensor or of dict computes while it is read is computed by
    the student, and what a thread writes into a tensor later does not count.
    """
    collection, parts = _parts(value, targets)
    description: dict[str, Any] = {
        "status": "returned",
        "type": _type_name(value),
        "collection": collection,
        "parts": len(parts),
    }
    if len(parts) > _MOST_PARTS or not all(isinstance(part, torch.Tensor) for part in parts):
        return description, []
    description["shapes"] = [list(torch.Tensor.size(part)) for part in parts]
    description["dtypes"] = [str(part.dtype).removeprefix("torch.") for part in parts]
    description["requires_grad"] = any(part.requires_grad for part in parts)
    if not all(part.layout is torch.strided and part.device.type == "cpu" for part in parts):
        return description, []  # the numbers of sparse or meta tensors cannot be sent
    tensors = [part.detach().as_subclass(torch.Tensor) for part in parts]
    return description, [_copy(tensor) for tensor in tensors]


def _copy(tensor: torch.Tensor) -> torch.Tensor:
    """A copy, unless the tensor is too large to be sent, or of a dtype that can be neither copied nor sent."""
    if tensor.numel() * tensor.element_size() > _LARGEST_COPY:
        return tensor
    try:
        return tensor.clone()
    except (RuntimeError, NotImplementedError):
        return tensor


def _parts(value: Any, targets: Sequence[str]) -> tuple[str | None, Sequence[Any]]:
    """The kind of collection that a value is, if it is one, and what is in it: in the order of the targets it names."""
    if isinstance(value, dict):
        return "dict", _in_order(list(value.keys()), list(value.values()), targets)
    if type(value) is tuple:
        return "tuple", value
    if isinstance(value, tuple):
        return "named tuple", _in_order(getattr(type(value), "_fields", ()), tuple(value), targets)
    if isinstance(value, list):
        return "list", value
    return None, (value,)


def _in_order(names: Sequence[Any], parts: Sequence[Any], targets: Sequence[str]) -> Sequence[Any]:
    """Parts whose names are those of targets, in the order of the targets; other parts take the places between."""
    if not len(names) == len(parts) == len(targets):
        return parts
    wanted = [next((n for n, target in enumerate(targets) if _is_called(name, target)), None) for name in names]
    named = {place: part for place, part in zip(wanted, parts, strict=True) if place is not None}
    others = [part for place, part in zip(wanted, parts, strict=True) if place is None]
    if len(named) + len(others) != len(parts):  # two parts have the name of one target
        return parts
    return [named[place] if place in named else others.pop(0) for place in range(len(targets))]


def _is_called(name: Any, target: str) -> bool:
    return isinstance(name, str) and name in (target, f"d{target}", f"d_{target}", f"grad_{target}")


def _same(first: torch.Tensor, second: torch.Tensor) -> bool:
    if first.shape != second.shape or first.dtype != second.dtype:
        return False
    if first.is_floating_point():
        return bool(((first == second) | (first.isnan() & second.isnan())).all())
    return bool(torch.equal(first, second))


def _encode(call: Call, *, limit: int) -> bytes:
    """The tensors of a call in the safetensors format; empty if they are too large or cannot be saved."""
    if not call.tensors or sum(tensor.numel() * tensor.element_size() for tensor in call.tensors) > limit // 4:
        return b""
    try:
        return save({str(number): tensor.clone().contiguous() for number, tensor in enumerate(call.tensors)})
    except BaseException:  # a quantized tensor, for example: its shape and dtype are enough
        return b""


def _type_name(value: object) -> str:
    cls = type(value)
    name = cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"
    return name[:_NAME_CHARACTERS]


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
