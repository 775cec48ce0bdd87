"""
Finds out which variables of the notebook a function really reads, by calling it again with changed variables.

A name in the code proves little: it may stand in a branch that never runs. If the function returns something else when
the variable has another value, and the same again when it has the same value, the function reads it. That is evidence
for a diagnosis only: it decides no outcome and no points.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch

from grader.assignment.load import Assignment
from grader.calling.exercise import Exercise
from grader.execution.asking import call_request
from grader.execution.calls import Returned, read_call
from grader.execution.channel import Reply, Request
from grader.notebook.read import Notebook
from grader.notebook.scope import Scope, notebook_data
from grader.reference.cases import Case
from grader.trees import tree_of

__all__ = ["confirm_reads", "rebind_key", "rebind_request"]

_SAME = "the same again"
_KINDS = ("values", "rows")
_MOST_NAMES = 3


def rebind_key(exercise: Exercise) -> str:
    """The key of the request and of its reply. It contains a space, so it is not the name of an exercise."""
    return f"{exercise.name} rebound"


def rebind_request(
    assignment: Assignment, exercise: Exercise, cases: Sequence[Case], scope: Scope
) -> tuple[Request, ...]:
    """
    The request that shows which data of the notebook an exercise reads; empty if its code names no such data.

    All of its cases are the first public case: once unchanged, then once for each variable and kind of change.
    """
    names = _names_to_confirm(assignment, scope)
    public = next((case for case in cases if case.public), None)
    if not names or public is None:
        return ()
    changes = {
        _label(name, kind): {"name": name, "kind": kind, "frozen": name in scope.frozen}
        for name in names
        for kind in _KINDS
    }
    request = call_request(exercise, [public], assignment.limits, autograd=assignment.autograd)
    header = request.header | {"cases": [_SAME, *changes], "on": public.name, "rebind": changes, "apart": True}
    return (dataclasses.replace(request, key=rebind_key(exercise), header=header),)


def confirm_reads(
    assignment: Assignment, scope: Scope, returned: Sequence[Returned], reply: Reply | None, notebook: Notebook
) -> Scope:
    """
    The scope of a function, without the variables that its code names but that it does not read.

    Args:
        returned: What became of the call on each case, without any change.
        reply: The reply to `rebind_request`. Without it, no variable is confirmed; neither is one if the function does
            not return the same for the same values.
    """
    names = _names_to_confirm(assignment, scope)
    before = next((call for call in returned if call.case.public), None)
    if not names or before is None or reply is None:
        return dataclasses.replace(scope, reads=())
    labels = [_SAME, *(_label(name, kind) for name in names for kind in _KINDS)]
    calls = [dataclasses.replace(before.case, name=label) for label in labels if label in reply.records]
    changed = {call.case.name: _differ(before, call) for call in read_call(calls, reply, notebook)}
    if changed.get(_SAME) is not False:
        return dataclasses.replace(scope, reads=())
    reads = tuple(name for name in names if any(changed.get(_label(name, kind)) for kind in _KINDS))
    return dataclasses.replace(scope, reads=reads)


def _names_to_confirm(assignment: Assignment, scope: Scope) -> tuple[str, ...]:
    """The data of the notebook that the code names, except for constants of the network, such as `EPS`."""
    constants = notebook_data([tree_of(assignment.network)])
    return tuple(name for name in scope.reads if name not in constants)[:_MOST_NAMES]


def _label(name: str, kind: str) -> str:
    return f"{kind} of {name}"


def _differ(first: Returned, second: Returned) -> bool:
    """Whether two calls ended differently, or returned tensors that are not the same to the last bit."""
    return _how_it_ended(first) != _how_it_ended(second) or any(
        not torch.equal(_bits(a), _bits(b)) for a, b in zip(first.tensors, second.tensors, strict=True)
    )


def _how_it_ended(call: Returned) -> tuple[object, ...]:
    error = (call.error.type, call.error.message) if call.error is not None else None
    return call.outcome, call.type, call.shapes, call.dtypes, len(call.tensors), error


def _bits(tensor: torch.Tensor) -> torch.Tensor:
    """The bytes of a tensor of any dtype: with them, NaN equals NaN."""
    return tensor.contiguous().reshape(-1).view(torch.uint8)
