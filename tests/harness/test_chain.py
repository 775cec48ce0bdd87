"""A student's functions are composed into one backward pass, and train the network."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from safetensors.torch import load, save

from grader.harness.call import NotebookState
from grader.harness.chain import run_chain
from grader.harness.journal import Journal
from grader.harness.passes import next_pass
from grader.harness.trace import AutogradTrace
from grader.harness.wire import unpack_all

NETWORK = """
def forward(x, y, w, b):
    z = x @ w + b
    loss = ((z - y) ** 2).sum()
    return {"z": z, "loss": loss, "rows": len(x)}
"""
X, Y = torch.tensor([[1.0, 2.0], [3.0, -1.0]]), torch.tensor([[1.0], [0.0]])
W, B = torch.tensor([[0.5], [0.25]]), torch.zeros(1, 1)
RATE = 0.01

GRAD_Z = {"function": "grad_z", "arguments": ["z", "y"], "targets": ["z"], "returns": ["z"]}
GRAD_W = {"function": "grad_w", "arguments": ["x", "dz"], "targets": ["w"], "returns": ["w"]}
GRAD_B = {"function": "grad_b", "arguments": ["dz"], "targets": ["b"], "returns": ["b"]}
LAYER = {"function": "grad_layer", "arguments": ["x", "dz"], "targets": ["w", "b"], "returns": ["w", "b"]}
RIGHT: dict[str, Callable[..., Any]] = {
    "grad_z": lambda z, y: 2 * (z - y),
    "grad_w": lambda x, dz: x.T @ dz,
    "grad_b": lambda dz: dz.sum(0, keepdim=True),
    "grad_layer": lambda x, dz: (x.T @ dz, dz.sum(0, keepdim=True)),
}
DZ = 2 * (X @ W + B - Y)


@dataclasses.dataclass(frozen=True, slots=True)
class Ran:
    """What `run_chain` wrote."""

    chain: dict[str, Any]
    tensors: dict[str, torch.Tensor]
    training: dict[str, Any]


def ran(
    functions: dict[str, Any],
    *exercises: dict[str, Any],
    steps: int = 2,
    network: str = NETWORK,
    forward: Callable[..., dict[str, Any]] | None = None,
    given: tuple[str, ...] = (),
) -> Ran:
    header = {
        "network": network,
        "inputs": ["x", "y"],
        "parameters": ["w", "b"],
        "exercises": list(exercises) or [GRAD_Z, GRAD_W, GRAD_B],
        "given": list(given),
        "learning_rate": RATE,
        "steps": steps,
    }
    written: list[bytes] = []
    payload = save({"x": X, "y": Y, "w": W, "b": B})
    run_chain((header, payload), NotebookState(functions, {}, forward), written.append)
    (chain, content), (training, rest) = unpack_all(b"".join(written))
    assert rest == b""
    return Ran(chain, load(content) if content else {}, training)


def descended(steps: int, *, with_bias: bool = True) -> list[float]:
    """The losses of gradient descent by autograd."""
    w, b, losses = W.clone().requires_grad_(), B.clone().requires_grad_(), []
    for _ in range(steps + 1):
        loss = ((X @ w + b - Y) ** 2).sum()
        losses.append(float(loss.detach()))
        dw, db = torch.autograd.grad(loss, [w, b])
        w = (w - RATE * dw).detach().requires_grad_()
        b = (b - RATE * db * with_bias).detach().requires_grad_()
    return losses


def test_right_functions_agree_with_autograd() -> None:
    result = ran(RIGHT, steps=5)

    assert result.chain == {"case": "chain", "status": "returned", "failed": []}
    assert {name: tensor.tolist() for name, tensor in result.tensors.items()} == {
        "grad_z/dz": DZ.tolist(),
        "grad_w/dw": (X.T @ DZ).tolist(),
        "grad_b/db": DZ.sum(0, keepdim=True).tolist(),
    }
    assert (result.training["case"], result.training["status"]) == ("training", "returned")
    assert result.training["losses"] == pytest.approx(descended(5))
    assert all(type(loss) is float for loss in result.training["losses"])


def test_a_given_forward_pass_replaces_the_code() -> None:
    def forward(x: torch.Tensor, y: torch.Tensor, w: torch.Tensor, b: torch.Tensor) -> dict[str, Any]:
        return {"z": x @ w + b, "loss": torch.tensor(7.0)}

    assert ran(RIGHT, network="this is not Python", forward=forward).training["losses"] == [7.0] * 3


def test_a_mistake_is_passed_on() -> None:
    """Functions get the gradients that the student's other functions returned."""
    result = ran(RIGHT | {"grad_z": lambda z, y: z - y})

    assert result.tensors["grad_w/dw"].tolist() == (X.T @ DZ / 2).tolist()


@pytest.mark.parametrize(
    ("function", "error"),
    [
        (lambda z, y: 1 / 0, "ZeroDivisionError"),
        (lambda z, y: None, None),
        (lambda z, y: (z, y), None),
        (3, None),
    ],
)
def test_functions_that_lack_an_argument_are_not_called(function: Any, error: str | None) -> None:
    """If no parameter gets a gradient, the loss stays the same. The first error is kept."""
    calls: list[str] = []
    functions = {
        "grad_z": function,
        "grad_w": lambda x, dz: calls.append("w"),
        "grad_b": lambda dz: calls.append("b"),
    }

    result = ran(functions, steps=1)

    assert (calls, result.tensors) == ([], {})
    assert result.chain["failed"] == ["grad_z", "grad_w", "grad_b"]
    assert (result.chain["error"] or {}).get("type") == error
    assert result.training["losses"] == [descended(0)[0]] * 2


def test_the_first_of_several_errors_is_kept() -> None:
    result = ran(RIGHT | {"grad_w": lambda x, dz: {}["w"], "grad_b": lambda dz: 1 / 0})

    assert result.chain["failed"] == ["grad_w", "grad_b"]
    assert result.chain["error"]["type"] == "KeyError"
    assert list(result.tensors) == ["grad_z/dz"]


def test_an_argument_must_be_a_tensor() -> None:
    counts = {"function": "grad_b", "arguments": ["rows"], "targets": ["b"], "returns": ["b"]}

    assert ran(RIGHT, GRAD_Z, counts).chain["failed"] == ["grad_b"]


def test_only_a_gradient_of_the_right_shape_updates_a_parameter() -> None:
    flat = ran(RIGHT | {"grad_b": lambda dz: dz.sum(0)}, steps=5)
    left_out = ran(RIGHT, GRAD_Z, GRAD_W, steps=5)

    assert flat.tensors["grad_b/db"].shape == (1,)
    assert flat.training["losses"] == pytest.approx(descended(5, with_bias=False))
    assert left_out.training["losses"] == pytest.approx(descended(5, with_bias=False))


def test_the_first_of_two_functions_for_one_gradient_is_used_in_training() -> None:
    functions = RIGHT | {"grad_layer": lambda x, dz: (100 * x.T @ dz, dz.sum(0, keepdim=True))}

    result = ran(functions, GRAD_Z, GRAD_W, LAYER, steps=5)

    assert result.tensors.keys() == {"grad_z/dz", "grad_w/dw", "grad_layer/dw", "grad_layer/db"}
    assert result.training["losses"] == pytest.approx(descended(5))


@pytest.mark.parametrize("dtype", [torch.complex64, torch.float8_e4m3fn, torch.int64, torch.bool])
def test_only_a_gradient_of_a_floating_dtype_updates_a_parameter(dtype: torch.dtype) -> None:
    """Others can be neither subtracted nor compared, and are not sent."""
    result = ran(RIGHT | {"grad_b": lambda dz: dz.sum(0, keepdim=True).to(dtype)}, steps=5)

    assert result.tensors.keys() == {"grad_z/dz", "grad_w/dw"}
    assert result.training["losses"] == pytest.approx(descended(5, with_bias=False))


def test_results_in_a_collection_are_used() -> None:
    layer = {"grad_layer": lambda x, dz: {"db": dz.sum(0, keepdim=True), "dw": x.T @ dz}}
    functions = RIGHT | layer | {"grad_z": lambda z, y: [2 * (z - y)]}

    assert ran(functions, GRAD_Z, LAYER, steps=5).training["losses"] == pytest.approx(descended(5))


def test_very_large_tensors_are_not_sent() -> None:
    result = ran(RIGHT | {"grad_b": lambda dz: torch.zeros(1).expand(10_000_001)}, steps=0)

    assert result.tensors.keys() == {"grad_z/dz", "grad_w/dw"}
    assert result.chain["failed"] == []


def test_results_may_share_memory() -> None:
    result = ran({"grad_z": lambda z, y: Y, "grad_w": lambda x, dz: W, "grad_b": lambda dz: W[:1]}, steps=0)

    assert result.tensors["grad_w/dw"].tolist() == W.tolist()
    assert result.tensors["grad_b/db"].tolist() == W[:1].tolist()


def test_what_autograd_does_in_a_chain_is_nobodys_in_a_later_call() -> None:
    """Nobody watches there, and the function that is called next has nothing to do with it."""

    def by_autograd(z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode(mode=False), torch.enable_grad():
            z = z.clone().requires_grad_()
            return torch.autograd.grad(((z - y) ** 2).sum(), z)[0]

    journal, written = Journal(is_alone=True), bytearray()
    state = NotebookState({**RIGHT, "grad_z": by_autograd}, {}, journal=journal)
    journal.passes = next_pass()
    header = {"network": NETWORK, "inputs": ["x", "y"], "parameters": ["w", "b"], "exercises": [GRAD_Z]}
    payload = save({"x": X, "y": Y, "w": W, "b": B})
    run_chain((header | {"learning_rate": RATE, "steps": 2}, payload), state, lambda _: None)
    journal.turn_to("case", written.extend)

    with torch.inference_mode(), AutogradTrace(journal).watching():
        X.sum()

    assert not written


def test_what_no_exercise_asks_for_comes_from_autograd() -> None:
    """At each step, for the parameters of that step; it is neither sent nor compared."""
    result = ran(RIGHT, GRAD_W, steps=5, given=("dz", "db"))

    assert result.tensors.keys() == {"grad_w/dw"}
    assert torch.allclose(result.tensors["grad_w/dw"], X.T @ DZ)
    assert result.training["losses"] == pytest.approx(descended(5))


def test_a_function_gets_autograds_gradients_without_their_graph() -> None:
    seen: list[torch.Tensor] = []

    ran(RIGHT | {"grad_w": lambda x, dz: seen.append(dz)}, GRAD_W, given=("dz",))

    assert [dz.requires_grad for dz in seen] == [False] * 3
    assert all(dz.grad_fn is None for dz in seen)


def test_only_the_gradients_that_a_result_is_known_to_have_are_read() -> None:
    result = ran(RIGHT, GRAD_Z, LAYER | {"returns": ["w"]}, steps=5)

    assert result.tensors.keys() == {"grad_z/dz", "grad_layer/dw"}
    assert result.training["losses"] == pytest.approx(descended(5, with_bias=False))


def test_a_gradient_without_dimensions_of_size_1_updates_where_the_author_says_so() -> None:
    flat = RIGHT | {"grad_b": lambda dz: dz.sum(0)}

    result = ran(flat, GRAD_Z, GRAD_W, GRAD_B | {"squeezable": True}, steps=5)

    assert result.tensors["grad_b/db"].shape == (1, 1)
    assert result.training["losses"] == pytest.approx(descended(5))
