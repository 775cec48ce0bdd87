"""
Makes the requests that call exercises.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from safetensors.torch import save

from grader.assignment.load import Assignment
from grader.calling.exercise import Exercise
from grader.calling.nested import to_json
from grader.execution.channel import Request
from grader.model import Limits
from grader.reference.cases import Case
from grader.reference.chain import ChainCase

__all__ = [
    "CHAIN",
    "call_request",
    "chain_request",
    "hidden_keys",
    "practice_key",
    "practice_request",
    "small_key",
    "small_request",
]

CHAIN = "chain"


def call_request(exercise: Exercise, cases: Sequence[Case], limits: Limits, *, autograd: str = "forbid") -> Request:
    """The request to call an exercise on cases, in inference mode if autograd is forbidden."""
    tensors = {f"{case.name}/{name}": a.contiguous() for case in cases for name, a in case.tensors.items()}
    header = {
        "operation": "call",
        **_asked(exercise),
        "arguments": list(cases[0].arguments) if cases else [],
        "cases": [case.name for case in cases],
        "inference": autograd == "forbid",
        "seconds": limits.call_s,
        "cpu_seconds": limits.call_cpu_s,
        "limit": limits.result_bytes,
    }
    if exercise.equation:
        header["given"] = {case.name: _given(case) for case in cases}
    return Request(key=exercise.name, header=header, payload=save(tensors))


def _asked(exercise: Exercise) -> dict[str, Any]:
    """What `grader.calling.asked` reads."""
    asked = {"function": exercise.name, "targets": list(exercise.targets)}
    special = {"equation": exercise.equation, "is_lines": exercise.is_lines}
    arrays = {"arrays": exercise.arrays} if exercise.arrays != "torch" else {}
    return asked | {name: value for name, value in special.items() if value} | arrays


def _given(case: Case) -> dict[str, Any]:
    """The arguments of a case as JSON data, with the names of its tensors in the payload."""
    return {name: to_json(f"{case.name}/{name}", value) for name, value in case.arguments.items()}


def chain_request(assignment: Assignment, exercises: Sequence[Exercise], chain: ChainCase, limits: Limits) -> Request:
    """The request to compose those that take part into one backward pass, and to train the network with it."""
    by_name = {exercise.name: exercise for exercise in exercises}
    header = {
        "operation": "chain",
        "network": assignment.network,
        "inputs": list(chain.inputs),
        "parameters": list(chain.parameters),
        "exercises": [
            {
                **_asked(by_name[name]),
                "arguments": list(chain.arguments[name]),
                "returns": [gradient[1:] for gradient in returned],
                **({"squeezable": True} if by_name[name].is_squeezable else {}),
            }
            for name, returned in chain.returned.items()
            if name in by_name
        ],
        "given": list(chain.given),
        **({"constants": {name: to_json(name, v) for name, v in chain.constants.items()}} if chain.constants else {}),
        "learning_rate": assignment.learning_rate,
        "steps": assignment.steps,
        "seconds": limits.call_s,
        "cpu_seconds": limits.call_cpu_s,
        "limit": limits.result_bytes,
    }
    tensors = {**chain.inputs, **chain.parameters}
    return Request(key=CHAIN, header=header, payload=save({n: t.contiguous() for n, t in tensors.items()}))


def practice_key(exercise: Exercise) -> str:
    """The key of the request to call an exercise on practice batches. With its space, it is no exercise's name."""
    return f"{exercise.name} practice"


def practice_request(exercise: Exercise, cases: Sequence[Case], limits: Limits, *, autograd: str = "forbid") -> Request:
    """
    The request to call an exercise on practice batches.

    The harness first tries whether it still sees a backward pass, now that the notebook and the function have run.
    """
    request = call_request(exercise, cases, limits, autograd=autograd)
    return dataclasses.replace(request, key=practice_key(exercise), header={**request.header, "trial": True})


def small_key(exercise: Exercise) -> str:
    """The key of the request to call an exercise on small cases. With its space, it is no exercise's name."""
    return f"{exercise.name} small"


def small_request(exercise: Exercise, cases: Sequence[Case], limits: Limits, *, autograd: str = "forbid") -> Request:
    """The request to call a wrong exercise on small cases, in a process of its own: nothing else sees what it does."""
    request = call_request(exercise, cases, limits, autograd=autograd)
    return dataclasses.replace(request, key=small_key(exercise), header={**request.header, "apart": True})


def hidden_keys(exercise: Exercise) -> tuple[str, ...]:
    """The keys of the requests to call an exercise on hidden cases: for straight lines, one for each part."""
    if not exercise.is_lines:
        return (f"{exercise.name} hidden",)
    return tuple(f"{exercise.name} hidden {number}" for number in range(len(exercise.parts)))
