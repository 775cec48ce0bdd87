"""The trace records evidence of autograd, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from grader.harness.trace import AutogradTrace

X = torch.tensor([[1.0, -2.0], [3.0, 4.0]])


def traced(function: Callable[[torch.Tensor], object], *, inference: bool = True) -> list[str]:
    """The evidence from a call that is made as `grader.harness.call` makes it."""
    trace = AutogradTrace(inference=inference)
    with torch.inference_mode() if inference else torch.enable_grad(), trace.hooks(), trace:
        function(X.clone())
    return trace.evidence


@pytest.mark.parametrize("inference", [True, False])
@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.T @ (x * (x > 0)) / len(x),
        lambda x: torch.einsum("ij,ik->jk", x, x).sum(0, keepdim=True),
        lambda x: torch.relu(x).clamp(0, 1).softmax(-1),
        lambda x: torch.vmap(lambda row: row.sum())(x),
        lambda x: x.mul_(2).detach(),
    ],
)
def test_arithmetic_is_not_autograd(function: Callable[[torch.Tensor], object], inference: bool) -> None:
    assert traced(function, inference=inference) == []


@pytest.mark.parametrize("inference", [True, False])
def test_operators_of_a_backward_pass_are_recorded(inference: bool) -> None:
    """Each is recorded once, even if it runs several times."""

    def function(x: torch.Tensor) -> None:
        for _ in range(3):
            torch.ops.aten.threshold_backward(x, x, 0)
        torch.ops.aten.tanh_backward(x, x)

    assert traced(function, inference=inference) == ["called aten::threshold_backward", "called aten::tanh_backward"]


def test_a_graph_for_autograd_is_recorded() -> None:
    """In grad mode a graph is evidence enough, even if nothing is differentiated."""
    evidence = traced(lambda x: (x.requires_grad_() ** 2).sum(), inference=False)

    assert evidence == ["recorded a graph for autograd"]


def test_a_whole_backward_pass_leaves_two_pieces_of_evidence() -> None:
    def function(x: torch.Tensor) -> torch.Tensor | None:
        x.requires_grad_()
        torch.sigmoid(x).sum().backward()
        return x.grad

    assert traced(function, inference=False) == ["recorded a graph for autograd", "called aten::sigmoid_backward"]


def test_leaving_inference_mode_is_recorded() -> None:
    def function(x: torch.Tensor) -> torch.Tensor | None:
        with torch.inference_mode(False), torch.enable_grad():
            leaf = torch.ones(2, requires_grad=True)
            (leaf**2).sum().backward()
            return leaf.grad

    evidence = traced(function)

    assert evidence[0] == "switched inference mode off"
    assert "recorded a graph for autograd" in evidence


def test_there_are_at_most_five_pieces_of_evidence() -> None:
    def function(x: torch.Tensor) -> None:
        torch.ops.aten.threshold_backward(x, x, 0)
        torch.ops.aten.tanh_backward(x, x)
        torch.ops.aten.sigmoid_backward(x, x)
        torch.ops.aten.elu_backward(x, 1.0, 1.0, 1.0, False, x)
        torch.ops.aten.hardtanh_backward(x, x, 0.0, 1.0)
        torch.ops.aten.leaky_relu_backward(x, x, 0.1, False)

    assert len(traced(function)) == 5
