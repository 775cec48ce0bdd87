"""
Says what an author can change so that the cases catch a mistake that none of them catches.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

import torch

from grader.authoring.survivors import Survivor
from grader.reference.cases import Case
from grader.trees import tree_of

__all__ = ["describe_hole", "line_of"]

_ABOUT_ONE = 0.2


def describe_hole(hole: Survivor, cases: Sequence[Case], *, line: int | None = None) -> str:
    """
    What no case tests, and what to change: two sentences, the first without a capital.

    Args:
        cases: Those of the exercise.
        line: That of the source notebook in which the mistake was made.
    """
    site = f"`{hole.site}`" + (f" (line {line})" if line else "")
    if hole.edit == "drop_mask":
        return (
            f"no case tests the mask {site}: a student who forgets it gets full marks. In every batch, the mask "
            "lets everything through. Does init_parameters draw around zero (randn, not rand)?"
        )
    what = f"no case notices the mistake {hole.edit.replace('_', ' ')!r} in {site}"
    if hole.edit == "flip_sign":
        what = f"no case tests the sign in {site}"
    advice = next(_advice(hole, cases), "Add a case on which it matters (`cases:`), or give the network other numbers.")
    return f"{what}. {advice}"


def line_of(hole: Survivor, code: str, name: str) -> int | None:
    """The line of a solution's code in which a mistake was made, from 1; None if it is not found."""
    nodes = [node for node in ast.walk(tree_of(code)) if isinstance(node, (ast.expr, ast.stmt))]
    inside = next((n for n in nodes if isinstance(n, (ast.FunctionDef, ast.ClassDef)) and n.name == name), None)
    places = [node for node in (ast.walk(inside) if inside is not None else nodes) if hasattr(node, "lineno")]
    return next((node.lineno for node in places if ast.unparse(node) == hole.site), None)


def _advice(hole: Survivor, cases: Sequence[Case]) -> Iterator[str]:
    """What is special about the tensors in the edited part, in every case, and how to change it."""
    named = [name for name in _names(hole.site) if all(name in case.tensors for case in cases)]
    for name in named or list(cases[0].tensors):
        tensors = [case.tensors[name] for case in cases if case.tensors[name].numel()]
        if not tensors or name in cases[0].upstream:
            continue
        every = torch.cat([tensor.double().flatten() for tensor in tensors])
        if not tensors[0].is_floating_point():
            if bool((every == every[0]).all()):
                yield f"`{name}` is {tensors[0].flatten()[0].item()} everywhere: let it vary in `make_inputs`."
        elif bool((every == 0).all()):
            yield f"`{name}` is 0 everywhere: draw it."
        elif float((every - 1).abs().max()) < _ABOUT_ONE:
            yield f"`{name}` is about 1 in every case: draw both signs, and other sizes."
        elif float((every - every[0]).abs().max()) < 1e-6 * float(every.abs().max()):
            yield f"`{name}` is {float(every[0]):g} everywhere: let it vary."
        elif bool((every >= 0).all()):
            yield f"`{name}` is never negative: draw both signs, where the network allows it."
        elif any(tensor.ndim == 2 and tensor.shape[0] == tensor.shape[1] for tensor in tensors):
            yield f"`{name}` is square in some case: give its two dimensions different sizes."


def _names(code: str) -> list[str]:
    try:
        return [node.id for node in ast.walk(tree_of(code)) if isinstance(node, ast.Name)]
    except SyntaxError:
        return []
