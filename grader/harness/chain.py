"""
Composes a student's functions into one backward pass, and trains the network with it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import torch
from safetensors.torch import load, save

from grader.harness.call import NotebookState, call_function
from grader.harness.journal import Write
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


def _forward_in(code: str) -> Forward:
    namespace: dict[str, Any] = {}
    exec(compile(code, "<network>", "exec"), namespace)  # noqa: S102 - the assignment's own
    forward: Forward = namespace["forward"]
    return forward


def _run_backward(header: dict[str, Any], forward: Forward, leaves: Tensors, state: NotebookState) -> _Backward:
    with torch.inference_mode():
        values: dict[str, Any] = {**leaves, **forward(**leaves)}
    backward = _Backward(gradients={}, returned={}, failures={"failed": []})
    for exercise in header["exercises"]:
        known = {**values, **backward.gradients}
        if not all(isinstance(known.get(name), torch.Tensor) for name in exercise["arguments"]):
            backward.failures["failed"].append(exercise["function"])
            continue
        arguments = {name: known[name] for name in exercise["arguments"]}
        call = call_function(state, exercise["function"], arguments, targets=exercise["targets"], traced=False)
        if len(call.tensors) != len(exercise["targets"]):
            backward.failures["failed"].append(exercise["function"])
            backward.failures.setdefault("error", call.description.get("error"))
            continue
        for target, tensor in zip(exercise["targets"], call.tensors, strict=True):
            backward.returned[f"{exercise['function']}/d{target}"] = tensor
            backward.gradients.setdefault(f"d{target}", tensor)
    return backward
