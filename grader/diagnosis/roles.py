"""
What the nodes of a function's syntax tree are there for.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from grader.diagnosis.operands import is_size

__all__ = ["in_comparisons", "in_terms", "names_read", "no_numbers", "normalisers"]


def in_terms(function: ast.FunctionDef) -> set[int]:
    """The ids of all nodes inside a sum, a difference, or an assignment to a name that goes on into other numbers."""
    nodes = list(ast.walk(function))
    terms = [node for node in nodes if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub))]
    results = [node.value for node in nodes if isinstance(node, ast.Return) and node.value is not None]
    parts = {name.id for result in results for name in _elements(result) if isinstance(name, ast.Name)}

    def goes_on(node: ast.AST) -> bool:
        targets = [node.target] if isinstance(node, ast.AugAssign) else getattr(node, "targets", [])
        return bool(results) and all(isinstance(target, ast.Name) and target.id not in parts for target in targets)

    steps = [node for node in nodes if isinstance(node, (ast.Assign, ast.AugAssign)) and goes_on(node)]
    return {id(inner) for node in (*terms, *steps) for inner in ast.walk(node)}


def in_comparisons(function: ast.FunctionDef) -> set[int]:
    """The ids of all nodes inside a comparison."""
    comparisons = (node for node in ast.walk(function) if isinstance(node, ast.Compare))
    return {id(inner) for comparison in comparisons for inner in ast.walk(comparison)}


def _elements(node: ast.expr) -> Iterator[ast.expr]:
    """What a result is made of: the elements of a tuple, a list or a dict, or the node itself."""
    if isinstance(node, (ast.Tuple, ast.List)):
        for element in node.elts:
            yield from _elements(element)
    elif isinstance(node, ast.Dict):
        for value in node.values:
            yield from _elements(value)
    else:
        yield node


def no_numbers(function: ast.FunctionDef) -> set[int]:
    """
    The ids of nodes whose numbers do not matter: `x` in `x.shape`, `len(x)`, `zeros_like(x)`; `kind == "relu"`.

    A number that says which axis, which index or which power of a tensor is meant is no constant of a formula either.
    """
    found: set[int] = set()
    for node in ast.walk(function):
        if isinstance(node, ast.keyword) and node.arg in ("dim", "axis"):
            found.update(_constants_in(node.value))
        elif isinstance(node, ast.Subscript):
            found.update(_constants_in(node.slice))
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow) and not is_size(node.left):
            found.update(_constants_in(node.right))
        if isinstance(node, ast.Attribute) and node.attr in ("shape", "dtype", "new_zeros", "new_ones"):
            found.add(id(node.value))
        elif isinstance(node, ast.Call) and re.fullmatch(r"len|(torch|np)\.\w+_like", ast.unparse(node.func)):
            found.update(map(id, node.args[:1]))
        elif isinstance(node, ast.Compare) and any(_is_text(side) for side in (node.left, *node.comparators)):
            found.update(map(id, ast.walk(node)))
    return found


def normalisers(function: ast.FunctionDef) -> set[int]:
    """The ids of sums that a tensor is divided by its own: without the sum, there would be ones."""
    return {
        id(node.right)
        for node in ast.walk(function)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)
        if isinstance(node.right, ast.Call) and isinstance(node.right.func, ast.Attribute)
        if ast.unparse(node.right.func.value) == ast.unparse(node.left)
    }


def _constants_in(node: ast.expr) -> Iterator[int]:
    return (id(inner) for inner in ast.walk(node) if isinstance(inner, (ast.Constant, ast.UnaryOp)))


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def names_read(function: ast.FunctionDef) -> tuple[str, ...]:
    """Every name that the body of a function reads, as often as it reads it."""
    return tuple(
        node.id
        for statement in function.body
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    )
