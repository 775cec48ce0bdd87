"""
Writes solutions in numpy as the edits know them, and edits as numpy knows them.

`np.sum(x, axis=0)` becomes `x.sum(axis=0)`; and what an edit has written for tensors, such as `.clamp(min=0)`, becomes
what arrays have.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from typing import Any

from grader.trees import expression_of

__all__ = ["for_arrays", "with_methods"]

_MODULES = ("np", "numpy")
_REDUCTIONS = ("sum", "mean", "max", "min", "argmax", "argmin")
_OPERATORS: dict[str, type[ast.operator]] = {
    "dot": ast.MatMult,
    "matmul": ast.MatMult,
    "multiply": ast.Mult,
    "divide": ast.Div,
    "add": ast.Add,
    "subtract": ast.Sub,
    "power": ast.Pow,
}
_OF_ONE = ("abs", "sign", "tanh", "exp", "log", "square", "sqrt")
"""Methods of tensors that arrays do not have, but that are functions of numpy."""


def with_methods(tree: Any) -> Any:
    """A tree in which numpy's functions are methods and operators; the tree itself changes."""
    return _WithMethods().visit(tree)


def for_arrays(tree: Any) -> Any:
    """A tree in which methods that only tensors have are those of arrays; the tree itself changes."""
    return ast.fix_missing_locations(_ForArrays().visit(tree))


class _WithMethods(ast.NodeTransformer):
    def visit_Call(self, node: ast.Call) -> ast.expr:
        node = ast.Call(
            self.visit(node.func), [self.visit(a) for a in node.args], [self.visit(k) for k in node.keywords]
        )
        function = node.func
        if not isinstance(function, ast.Attribute):
            return node
        if not _is_module(function.value):
            if function.attr == "dot" and len(node.args) == 1 and not node.keywords:
                return ast.BinOp(function.value, ast.MatMult(), node.args[0])
            return node
        literal = (ast.List, ast.Tuple, ast.GeneratorExp, ast.ListComp, ast.Constant)
        if any(isinstance(argument, (*literal, ast.Starred)) for argument in node.args[:1]):
            return node
        if function.attr in _REDUCTIONS and node.args:
            return ast.Call(ast.Attribute(node.args[0], function.attr, ast.Load()), node.args[1:], node.keywords)
        if function.attr in _OPERATORS and len(node.args) == 2 and not node.keywords:
            return ast.BinOp(node.args[0], _OPERATORS[function.attr](), node.args[1])
        if function.attr == "square" and len(node.args) == 1 and not node.keywords:
            return ast.BinOp(node.args[0], ast.Pow(), ast.Constant(2))
        if function.attr == "transpose" and len(node.args) == 1 and not node.keywords:
            return ast.Attribute(node.args[0], "T", ast.Load())
        return node


class _ForArrays(ast.NodeTransformer):
    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        return ast.Attribute(self.visit(node.value), "T" if node.attr == "mT" else node.attr, node.ctx)

    def visit_Call(self, node: ast.Call) -> ast.expr:
        node = ast.Call(
            self.visit(node.func), [self.visit(a) for a in node.args], [self.visit(k) for k in node.keywords]
        )
        for keyword in node.keywords:
            keyword.arg = {"dim": "axis", "keepdim": "keepdims"}.get(keyword.arg or "", keyword.arg)
        function = node.func
        if not isinstance(function, ast.Attribute) or _is_module(function.value):
            return node
        receiver = function.value
        if function.attr in _OF_ONE and not node.args:
            return ast.Call(ast.Attribute(ast.Name("np", ast.Load()), function.attr, ast.Load()), [receiver], [])
        change = _METHODS.get(function.attr)
        return change(receiver, node) if change is not None else node


def _is_module(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in _MODULES


def _called(template: str) -> Callable[[ast.expr, ast.Call], ast.expr]:
    """Writes a call as a template says, with the receiver and the first argument in place of R and A."""

    def write(receiver: ast.expr, node: ast.Call) -> ast.expr:
        parts = {"R": f"({ast.unparse(receiver)})", "A": ast.unparse(node.args[0]) if node.args else ""}
        return expression_of(re.sub(r"\b[RA]\b", lambda found: parts[found[0]], template))

    return write


def _with_two(template: str) -> Callable[[ast.expr, ast.Call], ast.expr]:
    """The same with two arguments, A and B."""

    def write(receiver: ast.expr, node: ast.Call) -> ast.expr:
        first, second = node.args[:2]
        parts = {"R": f"({ast.unparse(receiver)})", "A": ast.unparse(first), "B": ast.unparse(second)}
        return expression_of(re.sub(r"\b[RAB]\b", lambda found: parts[found[0]], template))

    return write


_METHODS: dict[str, Callable[[ast.expr, ast.Call], ast.expr]] = {
    "clamp": lambda receiver, node: ast.Call(ast.Attribute(receiver, "clip", ast.Load()), node.args, node.keywords),
    "double": _called("R * 1.0"),
    "expand_as": _called("R + 0 * (A)"),
    "flip": _called("np.flip(R, A)"),
    "amax": lambda receiver, node: ast.Call(ast.Attribute(receiver, "max", ast.Load()), node.args, node.keywords),
    "gather": _with_two("np.take_along_axis(R, B, A)"),
    "narrow": _with_two("np.take(R, [B], A)"),
    "numel": _called("R.size"),
    "softmax": _called("np.exp(R) / np.exp(R).sum(A, keepdims=True)"),
    "permute": lambda receiver, node: ast.Call(
        ast.Attribute(receiver, "transpose", ast.Load()), node.args, node.keywords
    ),
    "sigmoid": _called("1 / (1 + np.exp(-R))"),
}
