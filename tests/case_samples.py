"""
Small exercises, cases and assignments made by hand: what a grading would take from a source notebook and from autograd.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
from safetensors.torch import save

from grader.assignment.load import Assignment
from grader.calling.exercise import Exercise
from grader.execution.calls import Returned
from grader.model import CallError, Limits, Outcome
from grader.reference.cases import Case

WEIGHT = Exercise(name="grad_w", targets=("w",), arguments=("x", "dz"), points=2.0, question="The gradient of w.")
LAYER = Exercise(name="grad_layer", targets=("w", "b"), arguments=("x", "dz"))

EXPECTED = torch.tensor([[1.0, 2.0], [3.0, -4.0]], dtype=torch.float64)
"""The reference for w, float64 (2, 2)."""
EXPECTED_BIAS = torch.tensor([[5.0, 6.0]], dtype=torch.float64)
"""The reference for b, float64 (1, 2)."""

RAISED = CallError(type="ValueError", message="bad shapes")


def case_of(
    name: str = "mnist",
    *expected: torch.Tensor,
    public: bool = True,
    dtype: torch.dtype = torch.float32,
    terms: int = 10,
) -> Case:
    """A case whose arguments are tensors of ones; without `expected`, a case of `WEIGHT`."""
    return Case(
        name=name,
        public=public,
        dtype=dtype,
        rows=3,
        arguments={"x": torch.ones(3, 2, dtype=dtype), "dz": torch.ones(3, 2, dtype=dtype)},
        cotangents={"dz": torch.ones(3, 2, dtype=torch.float64)},
        expected=expected or (EXPECTED,),
        terms=terms,
    )


def answered(case: Case, *tensors: torch.Tensor, **details: Any) -> Returned:
    """A call that returned these tensors."""
    described = Returned(
        case=case,
        outcome=None,
        argument_dtype=case.dtype,
        tensors=tensors,
        shapes=tuple(tuple(tensor.shape) for tensor in tensors),
        dtypes=tuple(str(tensor.dtype).removeprefix("torch.") for tensor in tensors),
        type="torch.Tensor" if len(tensors) == 1 else "tuple",
    )
    return dataclasses.replace(described, **details)


def failed(case: Case, outcome: Outcome, **details: Any) -> Returned:
    """A call that already has an outcome, so that nothing is compared."""
    return answered(case, outcome=outcome, **({"type": None} | details))


def assignment_of(*exercises: Exercise, **settings: Any) -> Assignment:
    """An assignment of these exercises, whose network is never called."""

    def forward(**_: Any) -> dict[str, Any]:
        raise AssertionError("the network is not called here")

    fields: dict[str, Any] = {"network": "", "limits": Limits(), "solutions": {}, "solution_code": {}} | settings
    return Assignment(
        id="by_hand",
        title="By hand",
        version="1",
        exercises=exercises,
        forward=forward,
        init_parameters=forward,
        hidden_seed=1,
        **fields,
    )


def payload_of(tensors: Mapping[str, torch.Tensor]) -> bytes:
    """Tensors in the safetensors format, by name; they may share memory."""
    return save({name: tensor.clone().contiguous() for name, tensor in tensors.items()})
