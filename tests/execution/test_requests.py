"""Requests come in a fixed order, and a function that did harm gets no more of them."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from safetensors.torch import load

from grader.assignment.exercises import lines_for
from grader.calling.exercise import Exercise
from grader.execution.channel import Reply, Request
from grader.execution.questions import Questions
from grader.execution.requests import requests_for
from grader.model import Limits
from grader.notebook.functions import FunctionIndex, find_functions
from grader.notebook.read import Notebook
from grader.reference.cases import Case
from grader.reference.chain import ChainCase
from tests.case_samples import LAYER, WEIGHT, assignment_of, case_of

BIAS = Exercise(name="grad_b", targets=("b",), arguments=("dz",))
EXERCISES = (WEIGHT, BIAS, LAYER)
LIMITS = Limits(call_s=3.0, call_cpu_s=2.0, result_bytes=1000)
ASSIGNMENT = assignment_of(*EXERCISES, limits=LIMITS, network="EPS = 1", steps=4, learning_rate=0.5)
CASES = {
    exercise.name: (
        case_of("mnist"),
        case_of("mnist_hidden", public=False),
        case_of("vjp", public=False, dtype=torch.float64),
    )
    for exercise in EXERCISES
}
CHAIN_CASE = ChainCase(
    inputs={"x": torch.ones(3, 2)},
    parameters={"w": torch.zeros(2, 2)},
    expected={},
    losses=(),
    terms=1,
    arguments={exercise.name: exercise.arguments for exercise in EXERCISES},
    returned={exercise.name: exercise.parts for exercise in EXERCISES},
    given=("dz",),
)
READS = ["a1 = z1 = 1\n\ndef grad_w(x, dz):\n    return x * a1 * EPS\n\ndef grad_layer(x, dz, a=z1):\n    return a"]


def index_of(codes: list[str]) -> FunctionIndex:
    return find_functions(Notebook.of(codes), [exercise.name for exercise in EXERCISES])


def asked(
    statuses: dict[str, str] | None = None,
    codes: list[str] | None = None,
    cases: dict[str, tuple[Case, ...]] | None = None,
    **settings: str,
) -> list[Request]:
    """All requests, if the replies have these statuses by key; the others are `done`."""
    replies: dict[str, Reply] = {}
    requests = []
    assignment = dataclasses.replace(ASSIGNMENT, **settings)
    chosen = cases or CASES
    practice = {name: of_exercise[-2:] for name, of_exercise in chosen.items()}
    questions = Questions(assignment, chosen, practice, CHAIN_CASE)
    for request in requests_for(questions, index_of(codes or []), replies):
        requests.append(request)
        replies[request.key] = Reply(status=(statuses or {}).get(request.key, "done"))
    return requests


def described(requests: list[Request]) -> list[tuple[str, ...]]:
    return [(request.key, *request.header.get("cases", ())) for request in requests]


HIDDEN = ("mnist_hidden", "vjp")


def test_the_order_of_requests() -> None:
    """Public cases come first, then all that explains, then the chain; hidden cases are the last."""
    requests = asked(codes=READS)

    assert described(requests) == [
        ("grad_w", "mnist"),
        ("grad_b", "mnist"),
        ("grad_layer", "mnist"),
        ("grad_w practice", *HIDDEN),
        ("grad_b practice", *HIDDEN),
        ("grad_layer practice", *HIDDEN),
        ("chain",),
        ("grad_w rebound", "the same again", "values of a1", "rows of a1"),
        ("grad_layer rebound", "the same again", "values of z1", "rows of z1"),
        ("grad_w hidden", *HIDDEN),
        ("grad_b hidden", *HIDDEN),
        ("grad_layer hidden", *HIDDEN),
    ]
    assert [request.is_hidden for request in requests] == [False] * 9 + [True] * 3
    assert [request.key for request in requests if request.header.get("apart")] == [
        "grad_w rebound",
        "grad_layer rebound",
    ]
    assert [request.key for request in requests if request.header.get("trial")] == [
        "grad_w practice",
        "grad_b practice",
        "grad_layer practice",
    ]


def test_hidden_numbers_are_sent_after_all_public_cases() -> None:
    requests = asked()

    early = [name.split("/")[0] for request in requests[:3] for name in load(request.payload)]
    assert set(early) == {"mnist"}
    assert load(requests[6].payload).keys() == {"x", "w"}


@pytest.mark.parametrize("status", ["crashed", "timed_out", "too_large", "out_of_memory", "unreachable"])
def test_a_function_that_did_harm_is_not_called_again(status: str) -> None:
    requests = asked({"grad_w": status}, READS)

    assert described(requests)[3:] == [
        ("grad_b practice", *HIDDEN),
        ("grad_layer practice", *HIDDEN),
        ("chain",),
        ("grad_layer rebound", "the same again", "values of z1", "rows of z1"),
        ("grad_b hidden", *HIDDEN),
        ("grad_layer hidden", *HIDDEN),
    ]
    assert [exercise["function"] for exercise in requests[5].header["exercises"]] == ["grad_b", "grad_layer"]


@pytest.mark.parametrize("status", ["crashed", "timed_out"])
def test_lines_that_did_harm_do_it_once(status: str) -> None:
    """They run from the first one on for each part, and would do it again."""
    lines = Exercise(name="lines", **lines_for("lines", ["a", "b", "c"], {}))
    case = dataclasses.replace(case_of("vjp", public=False), arguments={}, expected=(torch.ones(1),) * 3)
    assignment = dataclasses.replace(ASSIGNMENT, exercises=(lines,))
    replies: dict[str, Reply] = {}
    keys = []
    questions = Questions(assignment, {"lines": (case,)}, {"lines": (case,)}, CHAIN_CASE)
    for request in requests_for(questions, index_of([]), replies):
        keys.append(request.key)
        replies[request.key] = Reply(status=status if request.key == "lines hidden 1" else "done")

    assert keys[-2:] == ["lines hidden 0", "lines hidden 1"]


def test_hidden_cases_are_sent_even_if_the_chain_fails() -> None:
    assert described(asked({"chain": "timed_out"})) == described(asked())


def test_variables_are_changed_only_for_functions_that_read_data() -> None:
    """Constants of the network do not count, since functions are meant to read them."""
    codes = ["EPS = 1\n\ndef grad_w(x, dz):\n    return x * EPS\n\ndef grad_b(dz):\n    a = 2\n    return dz * a"]

    assert not any(request.header.get("apart") for request in asked(codes=codes))


def test_variables_are_changed_on_the_public_case() -> None:
    """If a default argument reads the variable, the request says so."""
    weight, layer = (request.header for request in asked(codes=READS) if request.header.get("apart"))

    assert weight["on"] == layer["on"] == "mnist"
    assert weight["rebind"] == {
        "values of a1": {"name": "a1", "kind": "values", "frozen": False},
        "rows of a1": {"name": "a1", "kind": "rows", "frozen": False},
    }
    assert {change["frozen"] for change in layer["rebind"].values()} == {True}


def test_an_assignment_without_a_public_case() -> None:
    """Then no variable is changed."""
    cases = {name: cases[1:] for name, cases in CASES.items()}

    assert described(asked(codes=READS, cases=cases)) == [
        *((exercise.name,) for exercise in EXERCISES),
        *((f"{exercise.name} practice", *HIDDEN) for exercise in EXERCISES),
        ("chain",),
        *((f"{exercise.name} hidden", *HIDDEN) for exercise in EXERCISES),
    ]


@pytest.mark.parametrize(("autograd", "inference"), [("forbid", True), ("flag", False), ("allow", False)])
def test_inference_mode_is_used_if_autograd_is_forbidden(autograd: str, inference: bool) -> None:
    calls = [request for request in asked(codes=READS, autograd=autograd) if request.key != "chain"]

    assert {request.header["inference"] for request in calls} == {inference}


def test_the_contents_of_a_request() -> None:
    call, chain = asked()[0], asked()[6]

    limits = {"seconds": 3.0, "cpu_seconds": 2.0, "limit": 1000}
    assert call.header == {
        "operation": "call",
        "function": "grad_w",
        "arguments": ["x", "dz"],
        "targets": ["w"],
        "cases": ["mnist"],
        "inference": True,
        **limits,
    }
    assert load(call.payload).keys() == {"mnist/x", "mnist/dz"}
    assert chain.header == {
        "operation": "chain",
        "network": "EPS = 1",
        "inputs": ["x"],
        "parameters": ["w"],
        "exercises": [
            {
                "function": e.name,
                "arguments": list(e.arguments),
                "targets": list(e.targets),
                "returns": list(e.targets),
            }
            for e in EXERCISES
        ],
        "given": ["dz"],
        "learning_rate": 0.5,
        "steps": 4,
        **limits,
    }
