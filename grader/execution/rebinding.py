"""
Does a function read what its source names? It is called on the public batch again, with those variables changed.

A name in a source proves little: it may stand in a branch that is never taken. Where another value of the variable
makes another answer, and the same value the same one, it is read. That is evidence for a diagnosis, and no more: it
decides neither an outcome nor a point.
"""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Sequence

import torch

from grader.assignment.load import Assignment
from grader.execution.calls import Returned, call_request, read_call
from grader.execution.channel import Reply, Request
from grader.model import Exercise
from grader.notebook.read import Notebook
from grader.notebook.scope import Scope, notebook_data
from grader.reference.cases import Case

__all__ = ["confirm", "rebind_key", "rebind_request"]

_SAME = "the same again"
_KINDS = ("values", "rows")
_MOST_NAMES = 3


def rebind_key(exercise: Exercise) -> str:
    """The key of the request, and of its answer: no exercise has a name with a space in it."""
    return f"{exercise.name} rebound"


def rebind_request(
    assignment: Assignment, exercise: Exercise, cases: Sequence[Case], scope: Scope
) -> tuple[Request, ...]:
    """
    The request that shows which data of the notebook an exercise reads; none where its source names no such data.

    Its cases are all the first public one: once as it was, then once for each variable and kind of change.
    """
    names = _named(assignment, scope)
    public = next((case for case in cases if case.public), None)
    if not names or public is None:
        return ()
    changes = {
        _label(name, kind): {"name": name, "kind": kind, "frozen": name in scope.frozen}
        for name in names
        for kind in _KINDS
    }
    request = call_request(exercise, [public], assignment.limits, autograd=assignment.autograd)
    header = request.header | {"cases": [_SAME, *changes], "on": public.name, "rebind": changes}
    return (dataclasses.replace(request, key=rebind_key(exercise), header=header, is_evidence=True),)


def confirm(
    assignment: Assignment, scope: Scope, returned: Sequence[Returned], reply: Reply | None, notebook: Notebook
) -> Scope:
    """
    What a function gets from outside, without the variables that its source names and it does not read.

    Args:
        returned: What became of its cases when nothing was changed.
        answer: To `rebind_request`; without one, or where it does not always answer the same, nothing is confirmed.
    """
    names = _named(assignment, scope)
    before = next((call for call in returned if call.case.public), None)
    if not names or before is None or reply is None:
        return dataclasses.replace(scope, reads=())
    labels = [_SAME, *(_label(name, kind) for name in names for kind in _KINDS)]
    calls = [dataclasses.replace(before.case, name=label) for label in labels if label in reply.records]
    told = {call.case.name: _differ(before, call) for call in read_call(calls, reply, notebook)}
    is_steady = told.get(_SAME) is False
    reads = tuple(name for name in names if is_steady and any(told.get(_label(name, kind)) for kind in _KINDS))
    return dataclasses.replace(scope, reads=reads)


def _named(assignment: Assignment, scope: Scope) -> tuple[str, ...]:
    """Data of the notebook that the source names; a constant of the network (`EPS`) is there to be read."""
    constants = notebook_data([ast.parse(assignment.network)])
    return tuple(name for name in scope.reads if name not in constants)[:_MOST_NAMES]


def _label(name: str, kind: str) -> str:
    return f"{kind} of {name}"


def _differ(one: Returned, other: Returned) -> bool:
    """Whether two calls came to different ends, or to tensors that are not the same to the last bit."""
    return _end(one) != _end(other) or any(
        not torch.equal(_bits(a), _bits(b)) for a, b in zip(one.tensors, other.tensors, strict=True)
    )


def _end(call: Returned) -> tuple[object, ...]:
    error = (call.error.type, call.error.message) if call.error is not None else None
    return call.outcome, call.type, call.shapes, call.dtypes, len(call.tensors), error


def _bits(tensor: torch.Tensor) -> torch.Tensor:
    """NaN is the same as NaN; any dtype will do."""
    return tensor.contiguous().reshape(-1).view(torch.uint8)
