"""
Small questions about a syntax tree, and templates of code that expressions are put into.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from grader.trees import expression_of

__all__ = [
    "Alternative",
    "factors_of",
    "filled",
    "first_name",
    "integer_in",
    "is_called_like_a_size",
    "is_mask",
    "number",
    "parsed",
]

_A_SIZE = re.compile(r"n|m|b|bs|n_\w+|num\w*|batch_?\w*|\w*size|count|rows|samples", re.IGNORECASE)

Alternative = tuple[str, ast.AST, str]
"""The kind of edit, the node that replaces the edited one, and the argument that the edit is about, or nothing."""


def parsed(template: str, **expressions: ast.expr) -> ast.expr:
    """
    An expression, written as a template with other expressions in place of its (L), (R) and so on.

    >>> ast.unparse(parsed("(L).sum() * (R)", L=ast.Name("a"), R=ast.Name("b")))
    'a.sum() * b'
    """
    texts = {name: f"({ast.unparse(expression)})" for name, expression in expressions.items()}
    text = re.sub(r"\(([A-Z])\)", lambda found: texts.get(found[1], found[0]), template)
    return expression_of(text)


def filled(code: ast.expr, value: ast.expr) -> ast.expr:
    """Code with a value in place of each RESULT."""
    return _Filled(value).visit(code)  # type: ignore[no-any-return]


class _Filled(ast.NodeTransformer):
    def __init__(self, value: ast.expr) -> None:
        self._value = value

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self._value if node.id == "RESULT" else node


def is_called_like_a_size(name: str) -> bool:
    """Whether a variable has a name such as `n` or `batch_size`."""
    return _A_SIZE.fullmatch(name) is not None


def is_mask(node: ast.expr) -> bool:
    """Whether an expression contains a comparison, or a name that contains `mask`."""
    return any(
        isinstance(inner, ast.Compare) or (isinstance(inner, ast.Name) and "mask" in inner.id)
        for inner in ast.walk(node)
    )


def first_name(node: ast.expr) -> str:
    """The first name in an expression, or nothing."""
    return next((inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)), "")


def number(value: int) -> ast.expr:
    """A whole number as code."""
    return ast.Constant(value) if value >= 0 else ast.UnaryOp(ast.USub(), ast.Constant(-value))


def integer_in(node: ast.expr) -> int | None:
    """The whole number that an expression is, if it is one."""
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError):
        return None
    return value if type(value) is int else None


def factors_of(node: ast.expr) -> Iterator[ast.expr]:
    """The factors of a product, from left to right; the node itself if it is none."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        yield from factors_of(node.left)
        yield from factors_of(node.right)
    else:
        yield node
