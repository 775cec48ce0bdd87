"""
Composes a student's functions into one backward pass, and trains the network with it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import torch
from safetensors.torch import load, save

from grader.calling.asked import Asked
from grader.calling.nested import from_json
from grader.calling.returned import gradients_in
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
        gradients: By name, such as `dw1`: those that no function is asked for, and those that functions returned. If
            two return the same gradient, the first one counts.
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
    for step in range(int(header["steps"]) + 1):
        with torch.inference_mode():
            losses.append(float(forward(**inputs, **parameters)["loss"]))
        if step == header["steps"]:
            break
        gradients = _run_backward(header, forward, {**inputs, **parameters}, state).gradients
        for name, parameter in parameters.items():
            gradient = gradients.get(f"d{name}")
            if gradient is None or gradient.dtype not in _GRADIENT_DTYPES:
                continue
            if gradient.shape == parameter.shape:
                with torch.inference_mode():
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
    given = _autograd(header.get("given", []), forward, leaves)
    backward = _Backward(gradients=given, returned={}, failures={"failed": []})
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
            got = call.tensors[number]
            for name, gradient in gradients_in(part, got, exercise["returns"], known, forward.__globals__):
                shaped = _like(known.get(name[1:]), gradient) if exercise.get("squeezable") else gradient
                backward.returned[f"{exercise['function']}/{name}"] = shaped
                backward.gradients.setdefault(name, shaped)
    return backward


def _like(value: object, gradient: torch.Tensor) -> torch.Tensor:
    """A gradient in the shape of its tensor, if only dimensions of size 1 are missing, or too many."""
    if isinstance(value, torch.Tensor) and value.squeeze().shape == gradient.squeeze().shape:
        return gradient.reshape(value.shape)
    return gradient


def _autograd(names: Sequence[str], forward: Forward, leaves: Tensors) -> Tensors:
    """Autograd's gradients of the loss that the backward pass begins with, because no exercise asks for them."""
    if not names:
        return {}
    tracked = {name: tensor.clone().requires_grad_(tensor.is_floating_point()) for name, tensor in leaves.items()}
    values = {**tracked, **forward(**tracked)}
    wanted = [values[name[1:]] for name in names]
    gradients = torch.autograd.grad(values["loss"], wanted, allow_unused=True, materialize_grads=True)
    return dict(zip(names, gradients, strict=True))
