"""
Edits of a whole function: arguments that change places, and an average over what arrives at each entry.
"""

from __future__ import annotations

import ast
import copy
import itertools
from collections.abc import Iterator, Sequence

from grader.diagnosis.syntax import parsed

__all__ = ["adds_to_entries", "edits_of_function"]

_SCATTERS = ("index_add_", "index_add", "scatter_add_", "scatter_add")
_EVERY = "every"
_FEWEST_OF_FAMILIES = 4
"""How many arguments a function has at least if one of them is used in place of several others."""


def edits_of_function(function: ast.FunctionDef, upstream: Sequence[str]) -> Iterator[tuple[str, ast.FunctionDef, str]]:
    """Each edit of a whole function: its kind, the function with it, and the argument that it is about."""
    arguments = [argument.arg for argument in function.args.args]
    for first, second in itertools.combinations(arguments, 2):
        edited = _Renamed({first: second, second: first}).visit(copy.deepcopy(function))
        edited.args = function.args
        yield "arguments_swapped", edited, first
    for kept in arguments if len(arguments) >= _FEWEST_OF_FAMILIES else ():
        family = [name for name in arguments if name != kept and name[:1] == kept[:1] and len(name) == len(kept)]
        if len(family) > 1:
            edited = _Renamed(dict.fromkeys(family, kept)).visit(copy.deepcopy(function))
            edited.args = function.args
            yield "one_for_several", edited, kept
    if adds_to_entries(function) and any(name in arguments for name in upstream):
        yield "average_of_entries", _averaged(function, arguments, upstream), ""


def adds_to_entries(function: ast.AST) -> bool:
    """Whether several numbers may arrive at one entry of a result."""
    return any(
        (isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Subscript))
        or (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _SCATTERS)
        for node in ast.walk(function)
    )


def _averaged(function: ast.FunctionDef, arguments: Sequence[str], upstream: Sequence[str]) -> ast.FunctionDef:
    """The function, divided by what it returns if each upstream gradient is 1: how many of them arrive."""
    inner = copy.deepcopy(function)
    inner.name = _EVERY
    ones = ", ".join(f"{name} * 0 + 1" if name in upstream else name for name in arguments)
    result = parsed(f"{_EVERY}({', '.join(arguments)}) / {_EVERY}({ones}).clamp(min=1)")
    outer = copy.copy(function)
    outer.body = [inner, ast.Return(result)]
    return outer


class _Renamed(ast.NodeTransformer):
    def __init__(self, names: dict[str, str]) -> None:
        self._names = names

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(self._names.get(node.id, node.id), node.ctx)
