"""
Runs inside the student's process: calls functions on the cases it is sent, and sends back what they return.

Nothing here is trusted or secret. The notebook may have changed this module, torch or Python itself: what leaves is
data, and every decision is made by the process at the other end of the channel.

Calls are made in a child, forked from the state that the notebook left (`grader.harness.child`). It writes one message
per case, so that a function that exits, hangs or crashes loses no more than its own remaining cases; the next exercise
gets a new child.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import socket
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Any

import torch
from IPython.core.getipython import get_ipython
from safetensors.torch import load, save
from torch.utils._python_dispatch import TorchDispatchMode

from grader.harness.child import Worker, be_alone, has_company
from grader.harness.rebind import rebound
from grader.harness.wire import CHANNEL_VARIABLE, PREFIX, pack, unpack_header, unpack_prefix

__all__ = ["serve", "warm_up"]

_MESSAGE_CHARACTERS = 2_000
_FRAMES = 12
_REQUEST_LIMIT_BYTES = 1 << 30


def serve() -> None:
    """Say hello on the channel, then answer requests until it is closed. Called in the kernel, after the last cell."""
    shell: Any = get_ipython()
    namespace: dict[str, Any] = shell.user_ns
    filenames: Mapping[str, int] = shell.compile._filename_map  # the file name of each cell, and its execution count
    kind, _, where = os.environ[CHANNEL_VARIABLE].partition(":")
    if kind != "fd":
        raise ValueError(f"unknown channel {kind!r}")
    be_alone()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()  # a thread that still publishes what the notebook printed would slow down the calls
    worker: Worker | None = None
    with socket.socket(fileno=int(where)) as channel:
        channel.setblocking(True)
        channel.sendall(pack({"status": "ready"}))
        while (request := _receive(channel)) is not None:
            header, payload = request
            if worker is None or worker.has_ended:
                worker = Worker(functools.partial(_work, namespace, filenames))
            status, results = worker.ask(header, payload, seconds=float(header["seconds"]), limit=int(header["limit"]))
            if worker.has_ended or has_company(expected=2):
                if not worker.has_ended:
                    worker.end()
                be_alone()
            channel.sendall(pack(status, results))


def warm_up() -> None:
    """Call a function once, in the process that kernels are forked from: what the first call sets up is then there."""
    header = {"cases": ["case"], "arguments": ["x"], "function": "f", "inference": True, "limit": 1 << 10}
    payload = save({"case/x": torch.zeros(2, 2, dtype=torch.float64)})
    _call_cases(header, payload, {"f": lambda x: x.T @ x}, {}, lambda _: None)


def _work(
    namespace: dict[str, Any],
    filenames: Mapping[str, int],
    header: dict[str, Any],
    payload: bytes,
    write: Callable[[bytes], None],
) -> None:
    torch.set_num_threads(1)
    operation = {"call": _call_cases, "chain": _run_chain}[header["operation"]]
    operation(header, payload, namespace, filenames, write)


def _receive(channel: socket.socket) -> tuple[dict[str, Any], bytes] | None:
    prefix = _read_exactly(channel, PREFIX.size)
    if prefix is None:
        return None
    header_length, payload_length = unpack_prefix(prefix, payload_limit=_REQUEST_LIMIT_BYTES)
    header = _read_exactly(channel, header_length)
    payload = _read_exactly(channel, payload_length)
    if header is None or payload is None:
        return None
    return unpack_header(header), payload


def _read_exactly(channel: socket.socket, length: int) -> bytes | None:
    content = bytearray()
    while len(content) < length:
        chunk = channel.recv(min(1 << 20, length - len(content)))
        if not chunk:
            return None
        content += chunk
    return bytes(content)


def _call_cases(
    header: dict[str, Any],
    payload: bytes,
    namespace: dict[str, Any],
    filenames: Mapping[str, int],
    write: Callable[[bytes], None],
) -> None:
    tensors = load(payload)
    for case in header["cases"]:
        arguments = {name: tensors[f"{header.get('on', case)}/{name}"] for name in header["arguments"]}
        change = header.get("rebind", {}).get(case)
        with rebound(namespace, namespace.get(header["function"]), change):
            result, described = _call_either(header, arguments, namespace, filenames)
        write(pack({"case": case, **described}, _encode(result, described, limit=int(header["limit"]))))


def _call_either(
    header: dict[str, Any],
    arguments: dict[str, torch.Tensor],
    namespace: dict[str, Any],
    filenames: Mapping[str, int],
) -> tuple[list[torch.Tensor], dict[str, Any]]:
    """In the dtype of the arguments, else in float32."""
    inference = bool(header["inference"])
    result, described = _call(namespace, header["function"], arguments, filenames, inference=inference)
    narrow = described["status"] == "raised" or any(dtype == "float32" for dtype in described.get("dtypes", ()))
    if narrow and any(tensor.dtype == torch.float64 for tensor in arguments.values()):
        # float32 constants in a right answer either raise among float64 arguments or narrow them.
        narrowed = {
            name: tensor.float() if tensor.dtype == torch.float64 else tensor for name, tensor in arguments.items()
        }
        again, described_again = _call(namespace, header["function"], narrowed, filenames, inference=inference)
        if described_again["status"] == "returned":
            return again, {**described_again, "narrowed": True}
    return result, described


def _call(
    namespace: dict[str, Any],
    name: str,
    arguments: dict[str, torch.Tensor],
    filenames: Mapping[str, int],
    *,
    traced: bool = True,
    inference: bool = True,
) -> tuple[list[torch.Tensor], dict[str, Any]]:
    """Call a function on fresh copies; what it returned as tensors, and a description of what it was."""
    function = namespace.get(name)
    if not callable(function):
        return [], {"status": "missing", "type": None if name not in namespace else _type_name(function)}
    copies = {key: tensor.clone() for key, tensor in arguments.items()}
    described: dict[str, Any]
    trace = _AutogradTrace(inference=inference)
    mode = torch.inference_mode() if inference else torch.enable_grad()
    try:
        with mode, trace.hooks(), trace if traced else contextlib.nullcontext():
            value = _bind(function, copies)
    except MemoryError as error:
        return [], {"status": "out_of_memory", "error": _describe_exception(error, filenames)}
    except BaseException as error:  # SystemExit and KeyboardInterrupt too: the student's function raised it
        status = "out_of_memory" if "can't allocate memory" in str(error) else "raised"
        described = {"status": status, "error": _describe_exception(error, filenames), "autograd": trace.evidence}
        return [], described
    try:
        return _describe(value, arguments, copies, trace.evidence)
    except BaseException as error:  # a subclass of Tensor may raise wherever it is touched
        return [], {"status": "raised", "error": _describe_exception(error, filenames), "autograd": trace.evidence}


def _describe(
    value: Any, arguments: dict[str, torch.Tensor], copies: dict[str, torch.Tensor], evidence: list[str]
) -> tuple[list[torch.Tensor], dict[str, Any]]:
    parts = value if type(value) is tuple else (value,)
    described: dict[str, Any] = {
        "status": "returned",
        "type": _type_name(value),
        "tuple": len(parts) if type(value) is tuple else None,
        "autograd": evidence,
        "mutated": [key for key, copy in copies.items() if not _same(copy, arguments[key])],
    }
    if not all(isinstance(part, torch.Tensor) for part in parts):
        return [], described
    described["shapes"] = [list(torch.Tensor.size(part)) for part in parts]
    described["dtypes"] = [str(part.dtype).removeprefix("torch.") for part in parts]
    described["requires_grad"] = any(part.requires_grad for part in parts)
    if not all(part.layout is torch.strided and part.device.type == "cpu" for part in parts):
        return [], described  # sparse or meta: there are no plain numbers to send
    return [part.detach().as_subclass(torch.Tensor) for part in parts], described


class _AutogradTrace(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """
    Evidence that autograd did the work: operators named `…_backward`, and tensors that a graph saved.

    Evidence, not proof: it lives in the student's process. Without inference mode's protection nothing saves a tensor.
    """

    def __init__(self, *, inference: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._inference = inference
        self.evidence: list[str] = []

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # skipping it would import it first, for a second

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name
        if self._inference and not torch.is_inference_mode_enabled():
            self._note("switched inference mode off")
        if name.endswith("_backward"):
            self._note(f"called {name}")
        return func(*args, **(kwargs or {}))

    def hooks(self) -> torch.autograd.graph.saved_tensors_hooks:
        """See what a graph saves for its backward pass."""

        def save_for_backward(tensor: torch.Tensor) -> torch.Tensor:
            self._note("recorded a graph for autograd")
            return tensor

        return torch.autograd.graph.saved_tensors_hooks(save_for_backward, lambda tensor: tensor)

    def _note(self, what: str) -> None:
        if what not in self.evidence and len(self.evidence) < 5:
            self.evidence.append(what)


def _bind(function: Callable[..., Any], arguments: dict[str, torch.Tensor]) -> Any:
    """By name where the function's parameters are just the expected ones in another order; by position otherwise."""
    try:
        parameters = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        parameters = []
    if parameters != list(arguments) and sorted(parameters) == sorted(arguments):
        return function(**arguments)
    return function(*arguments.values())


def _same(first: torch.Tensor, second: torch.Tensor) -> bool:
    if first.shape != second.shape or first.dtype != second.dtype:
        return False
    return (
        bool(((first == second) | (first.isnan() & second.isnan())).all())
        if first.is_floating_point()
        else bool(torch.equal(first, second))
    )


def _encode(tensors: list[torch.Tensor], described: dict[str, Any], *, limit: int) -> bytes:
    """As safetensors; nothing where the tensors are too large or of a kind that has no plain numbers."""
    if not tensors or sum(tensor.numel() * tensor.element_size() for tensor in tensors) > limit // 4:
        return b""
    try:
        return save({str(number): tensor.clone().contiguous() for number, tensor in enumerate(tensors)})
    except BaseException as error:  # sparse, meta, quantized: the shapes above say enough
        described["unreadable"] = type(error).__name__
        return b""


def _type_name(value: object) -> str:
    kind = type(value)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return name[:100]


def _describe_exception(error: BaseException, filenames: Mapping[str, int]) -> dict[str, Any]:
    frames = [
        {"cell": filenames[frame.filename], "line": frame.lineno, "function": frame.name[:100]}
        for frame in traceback.extract_tb(error.__traceback__, limit=None)[-200:]
        if frame.filename in filenames
    ]
    return {
        "type": type(error).__qualname__[:100],
        "message": str(error)[:_MESSAGE_CHARACTERS],
        "frames": frames[-_FRAMES:],
    }


# ------------------------------------------------------------------------------------------------------- chain


def _run_chain(
    header: dict[str, Any],
    payload: bytes,
    namespace: dict[str, Any],
    filenames: Mapping[str, int],
    write: Callable[[bytes], None],
) -> None:
    """One backward pass made of the student's functions, then gradient descent with it."""
    tensors = load(payload)
    network: dict[str, Any] = {}
    exec(compile(header["network"], "<network>", "exec"), network)  # noqa: S102 - the assignment's own
    inputs = {name: tensors[name] for name in header["inputs"]}
    parameters = {name: tensors[name].clone() for name in header["parameters"]}

    _, made, failed = _backward(header, network, inputs, parameters, namespace, filenames)
    readable = {name: tensor.clone().contiguous() for name, tensor in made.items() if tensor.numel() <= 10_000_000}
    write(pack({"case": "chain", "status": "returned", **failed}, save(readable) if readable else b""))

    losses = []
    with torch.inference_mode():
        for step in range(int(header["steps"]) + 1):
            losses.append(float(network["forward"](**inputs, **parameters)["loss"]))
            if step == header["steps"]:
                break
            gradients, _, _ = _backward(header, network, inputs, parameters, namespace, filenames)
            for name, parameter in parameters.items():
                gradient = gradients.get(f"d{name}")
                if gradient is not None and gradient.shape == parameter.shape:
                    parameter.sub_(header["learning_rate"] * gradient)
    write(pack({"case": "training", "status": "returned", "losses": losses}))


def _backward(
    header: dict[str, Any],
    network: dict[str, Any],
    inputs: dict[str, torch.Tensor],
    parameters: dict[str, torch.Tensor],
    namespace: dict[str, Any],
    filenames: Mapping[str, int],
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor], dict[str, Any]]:
    """
    One pass from the loss to the parameters.

    Returns:
        tuple: The gradients that could be made, by name, of two derivations of one gradient the first; what each
        function made, as `function/dname`; which exercises failed, with the first one's exception.
    """
    with torch.inference_mode():
        values: dict[str, Any] = {**inputs, **parameters, **network["forward"](**inputs, **parameters)}
    gradients: dict[str, torch.Tensor] = {}
    made: dict[str, torch.Tensor] = {}
    failed: dict[str, Any] = {"failed": []}
    for exercise in header["exercises"]:
        known = {**values, **gradients}
        if not all(isinstance(known.get(name), torch.Tensor) for name in exercise["arguments"]):
            failed["failed"].append(exercise["function"])
            continue
        arguments = {name: known[name] for name in exercise["arguments"]}
        results, described = _call(namespace, exercise["function"], arguments, filenames, traced=False)
        if len(results) != len(exercise["targets"]):
            failed["failed"].append(exercise["function"])
            failed.setdefault("error", described.get("error"))
            continue
        for target, result in zip(exercise["targets"], results, strict=True):
            made[f"{exercise['function']}/d{target}"] = result
            gradients.setdefault(f"d{target}", result)
    return gradients, made, failed
