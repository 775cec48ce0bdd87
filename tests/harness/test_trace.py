"""The trace records evidence of autograd, and nothing else."""

from __future__ import annotations

import _thread
import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
import torch

from grader.harness.journal import Journal
from grader.harness.passes import next_pass
from grader.harness.trace import AutogradTrace, sees_a_pass
from grader.harness.wire import unpack_all


class Layer(NamedTuple):
    """A student's layer."""

    backward: Callable[[torch.Tensor], torch.Tensor]


class Squared(torch.autograd.Function):
    """A student's function whose backward pass is written by hand."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor) -> torch.Tensor:
        (x,) = ctx.saved_tensors
        return 2 * x * upstream


X = torch.tensor([[1.0, -2.0], [3.0, 4.0]])


PASS = "started a backward pass of autograd"
FORWARD = "used forward-mode differentiation"
READ = "read what a graph saved for autograd"
CALLED = "called a node of autograd's graph"


def traced(function: Callable[[torch.Tensor], object], *, inference: bool = True, is_alone: bool = True) -> list[str]:
    """The evidence from a call that is made as `grader.harness.call` makes it. The call may raise."""
    journal, written = Journal(is_alone=is_alone), bytearray()
    journal.turn_to("case", written.extend)
    with (
        contextlib.suppress(Exception),
        torch.inference_mode() if inference else torch.enable_grad(),
        AutogradTrace(journal).watching(),
    ):
        function(X.clone())
    return [use for header, _ in unpack_all(bytes(written)) for use in header.get("autograd", ())]


def outside(function: Callable[[torch.Tensor], object]) -> Callable[[torch.Tensor], object]:
    """The function, outside of inference mode."""

    def called(x: torch.Tensor) -> object:
        with torch.inference_mode(False), torch.enable_grad():
            return function(x.clone())

    return called


@pytest.mark.parametrize("inference", [True, False])
@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.T @ (x * (x > 0)) / len(x),
        lambda x: torch.einsum("ij,ik->jk", x, x).sum(0, keepdim=True),
        lambda x: torch.relu(x).clamp(0, 1).softmax(-1),
        lambda x: torch.vmap(lambda row: row.sum())(x),
        lambda x: x.mul_(2).detach(),
        lambda x: (torch.zeros(2, 2, requires_grad=True) * x).sum(),  # records a graph, and that is all
        lambda x: x.requires_grad_() if not x.is_inference() else x,
        outside(lambda x: (x.requires_grad_() ** 2).sum().detach()),
        Layer(lambda d: d * 2).backward,
        lambda x: Squared.backward(SimpleNamespace(saved_tensors=(x,)), x),
        lambda x: Squared.apply(x),
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


@pytest.mark.parametrize("inference", [True, False])
def test_backward_is_a_word_in_the_name_of_an_operator(inference: bool) -> None:
    def function(x: torch.Tensor) -> None:
        torch._softmax_backward_data(x, x, -1, x.dtype)
        torch.ops.aten.native_layer_norm_backward(x, x, [2], x[:, :1], x[:, :1], None, None, [True, False, False])

    assert traced(function, inference=inference) == [
        "called aten::_softmax_backward_data",
        "called aten::native_layer_norm_backward",
    ]


engine_of_torch, grad_of_torch = torch.autograd.graph._engine_run_backward, torch.autograd.grad


def engine(x: torch.Tensor) -> object:
    """A backward pass without torch's Python."""
    leaf = torch.zeros(2, 2, requires_grad=True)
    torch.autograd.Variable._execution_engine.run_backward((leaf + 1,), (x,), False, False, (), True, True)
    return leaf.grad


def imported_before(x: torch.Tensor) -> object:
    leaf = torch.zeros(2, 2, requires_grad=True)
    return engine_of_torch((leaf * 2,), (x,), False, False, (leaf,), allow_unreachable=True)


def walks_the_graph(x: torch.Tensor) -> object:
    return (torch.ones(2, 2, requires_grad=True) * x).grad_fn(x)


def duals(x: torch.Tensor) -> object:
    level = torch._C._enter_dual_level()
    try:
        return torch._VF._unpack_dual(torch.sin(torch._VF._make_dual(x, x, level=level)), level=level)
    finally:
        torch._C._exit_dual_level(level=level)


USES = {
    "backward": (lambda x: (torch.zeros(2, 2, requires_grad=True) + x).sum().backward(), PASS),
    "grad": (lambda x: grad_of_torch((leaf := torch.ones(2, 2, requires_grad=True)).sum(), leaf), PASS),
    "functional": (lambda x: torch.autograd.functional.vjp(torch.sin, x, x), "called torch.autograd.functional"),
    "vjp": (lambda x: torch.func.vjp(torch.sin, x)[1](x), PASS),
    "func.grad": (lambda x: torch.func.grad(lambda z: torch.func.grad(lambda y: (y**3).sum())(z).sum())(x), PASS),
    "jacrev": (lambda x: torch.func.jacrev(torch.sin)(x), PASS),
    "jvp": (lambda x: torch.func.jvp(torch.sin, (x,), (x,)), FORWARD),
    "jacfwd": (lambda x: torch.func.jacfwd(torch.sin)(x), FORWARD),
    "linearize": (lambda x: torch.func.linearize(torch.sin, x)[1](x), FORWARD),
    "dual numbers": (duals, FORWARD),
}
WITH_A_GRAPH = {
    "engine": (engine, PASS),
    "imported before": (imported_before, PASS),
    "walks the graph": (walks_the_graph, "read what a graph saved for autograd"),
}


@pytest.mark.filterwarnings("ignore")  # torch warns about its own code
@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("mode", ["inference", "left", "grad"])
def test_every_use_of_autograd_is_recorded(use: str, mode: str) -> None:
    """In inference mode, where some of them raise; outside of it; and where the function leaves it."""
    function, evidence = USES[use]

    assert evidence in traced(outside(function) if mode == "left" else function, inference=mode != "grad")


@pytest.mark.parametrize("use", WITH_A_GRAPH)
@pytest.mark.parametrize("inference", [True, False])
def test_every_use_of_a_graph_is_recorded(use: str, inference: bool) -> None:
    """Whatever name a notebook has given to it, and however far below Python it is."""
    function, evidence = WITH_A_GRAPH[use]

    assert evidence in traced(outside(function), inference=inference)


def test_a_backward_pass_is_one_piece_of_evidence() -> None:
    """Its operators are not named one by one."""

    def function(x: torch.Tensor) -> torch.Tensor | None:
        x.requires_grad_()
        torch.sigmoid(x).sum().backward()
        return x.grad

    assert traced(function, inference=False) == [PASS]


IN_A_THREAD: dict[str, tuple[Callable[[], object], list[str]]] = {
    "arithmetic": (lambda: (X + 1.0).clone().requires_grad_() * 2, []),
    "torch.func": (lambda: torch.func.vjp(torch.sin, X.clone())[1](X), [PASS]),
    "a node of a graph": (
        lambda: X.clone().requires_grad_().sin().grad_fn(X),
        [CALLED, READ],
    ),  # type: ignore[misc]
    "an operator": (lambda: torch.ops.aten.threshold_backward(X, X, 0), ["called aten::threshold_backward"]),
}


@pytest.mark.parametrize("use", IN_A_THREAD)
def test_a_thread_is_watched_too(use: str) -> None:
    """A thread has no inference mode and no trace of its own."""
    function, evidence = IN_A_THREAD[use]

    def in_a_pool(_: torch.Tensor) -> None:
        with ThreadPoolExecutor(2) as pool:
            pool.submit(function).result()

    assert traced(in_a_pool) == evidence


def test_torch_func_works_where_autograd_is_allowed() -> None:
    """Hooks on saved tensors would make it raise."""
    results: list[torch.Tensor] = []

    traced(lambda x: results.append(torch.func.vjp(torch.sin, x)[1](x)[0]), inference=False)

    assert results[0].tolist() == (X.cos() * X).tolist()


def test_torch_is_as_before_afterwards() -> None:
    """Also if the function raises."""
    parts = [
        (torch.autograd, "_engine_run_backward"),
        (torch.autograd.graph, "_engine_run_backward"),
        (torch.autograd.graph, "disable_saved_tensors_hooks"),
        (torch.autograd.functional, "_grad_preprocess"),
        (torch.autograd.forward_ad, "enter_dual_level"),
        (threading, "_start_new_thread"),
        (_thread, "start_new_thread"),
    ]
    before = [getattr(module, name) for module, name in parts]

    traced(lambda x: x @ torch.ones(3))

    assert [getattr(module, name) for module, name in parts] == before


def test_there_are_at_most_five_pieces_of_evidence() -> None:
    def function(x: torch.Tensor) -> None:
        torch.ops.aten.threshold_backward(x, x, 0)
        torch.ops.aten.tanh_backward(x, x)
        torch.ops.aten.sigmoid_backward(x, x)
        torch.ops.aten.elu_backward(x, 1.0, 1.0, 1.0, False, x)
        torch.ops.aten.hardtanh_backward(x, x, 0.0, 1.0)
        torch.ops.aten.leaky_relu_backward(x, x, 0.1, False)

    assert len(traced(function)) == 5


def without_modes(x: torch.Tensor) -> object:
    with torch._C._DisableTorchDispatch(), torch._C.DisableTorchFunction():
        return engine(x)


OUT_OF_SIGHT = {
    "modes switched off": (without_modes, PASS),
    "a node that saved nothing": (lambda x: torch.zeros(1, 2, requires_grad=True).expand(2, 2).grad_fn(x), CALLED),
    "a node by its edge": (
        lambda x: torch.autograd.graph.get_gradient_edge(torch.zeros(2, requires_grad=True) * 1).node(x[0]),
        CALLED,
    ),
    "an operator that consists of others": (
        lambda x: torch.ops.aten.cumprod_backward(x, x, 0, x),
        "called aten::cumprod_backward",
    ),
}


@pytest.mark.parametrize("use", OUT_OF_SIGHT)
@pytest.mark.parametrize("inference", [True, False])
def test_what_a_dispatch_mode_does_not_see_is_recorded(use: str, inference: bool) -> None:
    function, evidence = OUT_OF_SIGHT[use]

    assert evidence in traced(outside(function), inference=inference)


def test_another_thread_that_trains_is_not_the_functions_doing_in_a_check() -> None:
    """Passes that the function did not start are counted only where nothing else runs."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(int).result()  # the thread has started before the call

        def meanwhile(x: torch.Tensor) -> None:
            pool.submit(outside(engine), x).result()

        assert traced(meanwhile, is_alone=False) == []
        assert traced(meanwhile, is_alone=True) == [PASS]


def test_a_node_can_be_looked_at() -> None:
    def function(_: torch.Tensor) -> None:
        hidden = torch.zeros(2, requires_grad=True) + 1
        assert isinstance(hidden.grad_fn, torch.autograd.graph.Node)
        assert hidden.grad_fn == hidden.grad_fn
        assert hidden.grad_fn.name() == "AddBackward0"
        assert repr(hidden)

    assert traced(outside(function)) == []


def test_an_operator_of_the_students_own_may_be_called_backward() -> None:
    library = torch.library.Library("mine_in_a_test", "DEF")
    library.define("rows_backward(Tensor d) -> Tensor")
    library.impl("rows_backward", lambda d: d.sum(0, keepdim=True), "CompositeExplicitAutograd")

    assert traced(lambda x: torch.ops.mine_in_a_test.rows_backward(x)) == []


def test_a_trace_that_was_changed_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sees_a_pass(Journal())

    monkeypatch.setattr(Journal, "note", lambda *_: None)

    assert not sees_a_pass(Journal())


def one_pass() -> None:
    with torch.inference_mode(mode=False), torch.enable_grad():
        torch.ones((), requires_grad=True).mul(2.0).backward()


@pytest.mark.parametrize("where", ["before", "between", "never"])
def test_a_pass_between_two_calls_is_recorded(where: str) -> None:
    """It is the student's, who has some code run where nothing is watched. Passes of the grader's own do not count."""
    journal, written = Journal(is_alone=True), bytearray()
    journal.turn_to("case", written.extend)
    journal.passes = next_pass()
    if where == "before":
        one_pass()
    assert sees_a_pass(journal)
    with torch.inference_mode(), AutogradTrace(journal).watching():
        X.sum()
    if where == "between":
        one_pass()
    with torch.inference_mode(), AutogradTrace(journal).watching():
        X.sum()

    assert (PASS in bytes(written).decode(errors="replace")) == (where != "never")
