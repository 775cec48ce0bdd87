"""
Composes a student's functions into one backward pass, and trains the network with it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from safetensors.torch import load, save

from grader.calling.asked import Asked
from grader.calling.equation import evaluate, free_names
from grader.calling.nested import from_json
from grader.harness.call import NotebookState, call_function
from grader.harness.journal import Write
from grader.harness.passes import next_pass
from grader.harness.wire import Message, pack

__all__ = ["run_chain"]

_LARGEST_NUMEL = 10_000_000
_GRADIENT_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
"""Others can be neither sent nor subtracted from a parameter, or not both."""

Tensors = dict[str, torch.Tensor]
Forward = Callable[..., dict[str, Any]]


@dataclasses.dataclass(frozen=True, slots=True)
class _Backward:
    """
    One pass from the loss to the parameters.

    Attributes:
        gradients: By name, such as `dw1`. If two functions return the same gradient, the first one counts.
        returned: Each gradient that a function returned, by `function/dname`.
        failures: `failed`: the functions that could not be called or failed; `error`: the exception of the first one.
    """

    gradients: Tensors
    returned: Tensors
    failures: dict[str, Any]


def run_chain(request: Message, state: NotebookState, write: Write) -> None:
    """Run one backward pass with the student's functions and write its gradients; then train and write the losses."""
    header, payload = request
    tensors = load(payload)
    forward = state.forward or _forward_in(header["network"])
    inputs = {name: tensors[name] for name in header["inputs"]}
    parameters = {name: tensors[name].clone() for name in header["parameters"]}

    backward = _run_backward(header, forward, {**inputs, **parameters}, state)
    small = {
        name: tensor.clone().contiguous()
        for name, tensor in backward.returned.items()
        if tensor.numel() <= _LARGEST_NUMEL and tensor.dtype in _GRADIENT_DTYPES
    }
    write(pack({"case": "chain", "status": "returned", **backward.failures}, save(small) if small else b""))

    losses = []
    with torch.inference_mode():
        for step in range(int(header["steps"]) + 1):
            losses.append(float(forward(**inputs, **parameters)["loss"]))
            if step == header["steps"]:
                break
            gradients = _run_backward(header, forward, {**inputs, **parameters}, state).gradients
            for name, parameter in parameters.items():
                gradient = gradients.get(f"d{name}")
                if gradient is None or gradient.dtype not in _GRADIENT_DTYPES:
                    continue
                if gradient.shape == parameter.shape:
                    parameter.sub_(header["learning_rate"] * gradient)
    write(pack({"case": "training", "status": "returned", "losses": losses}))
    state.journal.passes = next_pass()  # nobody watches what functions do here


def _forward_in(code: str) -> Forward:
    namespace: dict[str, Any] = {}
    exec(compile(code, "<network>", "exec"), namespace)  # noqa: S102 - the assignment's own
    forward: Forward = namespace["forward"]
    return forward


def _run_backward(header: dict[str, Any], forward: Forward, leaves: Tensors, state: NotebookState) -> _Backward:
    with torch.inference_mode():
        constants = {name: from_json(value, {}) for name, value in header.get("constants", {}).items()}
        values: dict[str, Any] = {**constants, **leaves, **forward(**leaves)}
    backward = _Backward(gradients={}, returned={}, failures={"failed": []})
    for exercise in header["exercises"]:
        known = {**values, **backward.gradients}
        if not all(known.get(name) is not None for name in exercise["arguments"]):
            backward.failures["failed"].append(exercise["function"])
            continue
        arguments = {name: known[name] for name in exercise["arguments"]}
        asked = Asked.of(exercise)
        parts = asked.parts
        call = call_function(state, asked, arguments, traced=False)
        if len(call.tensors) != len(parts):
            backward.failures["failed"].append(exercise["function"])
            backward.failures.setdefault("error", call.description.get("error"))
            continue
        for number, part in enumerate(parts):
            for name, gradient in _gradients_in(part, call.tensors[number], exercise["targets"], known, forward):
                backward.returned[f"{exercise['function']}/{name}"] = gradient
                backward.gradients.setdefault(name, gradient)
    return backward


def _gradients_in(
    part: str, got: torch.Tensor, targets: Sequence[str], known: Mapping[str, Any], forward: Forward
) -> Iterator[tuple[str, torch.Tensor]]:
    """
    The gradient that a part of a result is or, entry by entry, is computed from: `dw` is a half of `2 * dw`.

    None where the part is made of no gradient, of several, or mixes entries.
    """
    names = [f"d{target}" for target in targets if f"d{target}" in free_names(part)]
    if [part] == names:
        yield part, got
    elif len(names) == 1 and isinstance(value := known.get(names[0][1:]), torch.Tensor) and value.shape == got.shape:
        at_0, at_1, at_2 = (
            evaluate(part, {**known, names[0]: torch.full_like(value, number)}, forward.__globals__)
            for number in (0.0, 1.0, 2.0)
        )
        slope = at_1 - at_0
        if slope.shape == got.shape and torch.allclose(at_2 - at_1, slope) and bool((slope != 0).all()):
            yield names[0], (got - at_0) / slope
