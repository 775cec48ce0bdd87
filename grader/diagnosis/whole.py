"""
Edits of a whole function: arguments that change places, an average over what arrives, one of two terms divided.
"""

from __future__ import annotations

import ast
import copy
import itertools
from collections.abc import Iterator, Sequence

from grader.diagnosis.syntax import first_name, parsed

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
    for edited in _divided_in_part(function):
        yield "other_brackets", edited, ""
    if adds_to_entries(function) and any(name in arguments for name in upstream):
        yield "average_of_entries", _averaged(function, arguments, upstream), ""


def _divided_in_part(function: ast.FunctionDef) -> Iterator[ast.FunctionDef]:
    """`d[i] -= 1 / n` or `d = a / n; d[i] -= 1` for `d = a; d[i] -= 1; d / n`: only one of two terms is divided."""
    for place, (first, second) in enumerate(itertools.pairwise(function.body)):
        if not isinstance(first, ast.Assign) or not isinstance(second, ast.AugAssign):
            continue
        name = ast.unparse(first.targets[0])
        if not isinstance(second.op, (ast.Add, ast.Sub)) or first_name(second.target) != name:
            continue
        for later, divided in enumerate(function.body[place + 2 :], place + 2):
            total = _total(divided, name)
            if total is None:
                continue
            between, after = function.body[place + 2 : later], function.body[later + 1 :]
            undivided = [ast.Return(total.left)] if isinstance(divided, ast.Return) else []
            in_first = [ast.Assign(first.targets, ast.BinOp(first.value, total.op, total.right)), second]
            in_second = [first, ast.AugAssign(second.target, second.op, ast.BinOp(second.value, total.op, total.right))]
            for terms in (in_first, in_second):
                edited = copy.copy(function)
                edited.body = [*function.body[:place], *terms, *between, *undivided, *after]
                yield edited


def _total(statement: ast.stmt, name: str) -> ast.BinOp | None:
    """What a variable is multiplied with or divided by as a whole: `return d / n`, or `d /= n`."""
    if isinstance(statement, ast.AugAssign) and ast.unparse(statement.target) == name:
        total: ast.expr | None = ast.BinOp(ast.Name(name, ast.Load()), statement.op, statement.value)
    else:
        total = statement.value if isinstance(statement, ast.Return) else None
    if not isinstance(total, ast.BinOp) or not isinstance(total.op, (ast.Mult, ast.Div)):
        return None
    return total if ast.unparse(total.left) == name else None


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
