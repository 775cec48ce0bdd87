"""
Edits of one operand: an argument of the function, or a part of a tensor, where its value is read.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator, Sequence

from grader.diagnosis.syntax import Alternative, first_name, integer_in, is_called_like_a_size, is_mask, number, parsed
from grader.trees import expression_of

__all__ = [
    "COMPUTED_AGAIN",
    "OF_TENSORS",
    "edits_before_sum",
    "edits_of_argument",
    "edits_of_subscript",
    "in_every_row",
    "is_size",
    "other_sizes",
]

ONCE_MORE = {"sigmoid": "sigmoid()", "tanh": "tanh()", "softmax": "softmax(-1)"}
"""Functions that an operand has been through already, and that the edit applies again."""

_CHANGES = (
    ("add_transpose", "X.mT"),
    ("operand_abs", "X.abs()"),
    ("operand_sign", "X.sign()"),
    ("operand_rounded", "X.round()"),
    ("operand_clamped", "X.clamp(min=0)"),
    ("operand_to_mask", "(X > 0)"),
    ("first_row_for_all", "X[:1].expand_as(X)"),
    ("last_row_for_all", "X[-1:].expand_as(X)"),
    ("first_part_for_all", "X[:, :1].expand_as(X)"),
    ("last_part_for_all", "X[:, -1:].expand_as(X)"),
    ("drop_last_row", "X[:-1]"),
    ("only_first_row", "X[:1]"),
    ("only_last_row", "X[-1:]"),
    ("operand_of_ones", "(X * 0 + 1)"),
    ("one_added", "(X + 1)"),
    ("operand_squared", "X ** 2"),
    ("operand_squared", "(X ** 2 / 2)"),
    *((f"{function}_once_more", f"X.{call}") for function, call in ONCE_MORE.items()),
    ("operand_summed", "X.sum(0, keepdim=True).expand_as(X)"),
    ("operand_summed", "X.sum(-1, keepdim=True).expand_as(X)"),
    ("operand_flipped", "X.flip(0)"),
    ("operand_flipped", "X.flip(-1)"),
)
"""What people write in place of an operand X."""

OF_TENSORS = frozenset(kind for kind, _ in _CHANGES)
"""Edits of what is a tensor. One of a text such as "relu" would only choose another branch of the solution."""


_DEVIATION = "(X - X.mean(A, keepdim=True)).square()"
COMPUTED_AGAIN = ("computed_again", "variance_of_sample")
"""Edits that compute a mean or a variance of another argument, which is no gradient."""
_COMPUTED_AGAIN = {
    "mean": (("computed_again", "X.mean(A, keepdim=True)"),),
    "var": (
        ("computed_again", f"{_DEVIATION}.mean(A, keepdim=True)"),
        ("variance_of_sample", f"({_DEVIATION}.sum(A, keepdim=True) / (X.shape[A] - 1))"),
    ),
}
"""What people compute from another argument X, along a dimension A, in place of an argument with such a name."""


def edits_of_argument(node: ast.Name, arguments: Sequence[str]) -> Iterator[Alternative]:
    """Edits of an argument that is read."""
    for name in arguments:
        if name != node.id:
            yield "wrong_operand", ast.Name(name, ast.Load()), name
            yield "operand_added", expression_of(f"({node.id} + {name})"), name
            again = _COMPUTED_AGAIN.get(node.id, ()) if name not in _COMPUTED_AGAIN else ()
            for (kind, code), axis in itertools.product(again, "01"):
                yield kind, expression_of(code.replace("A", axis).replace("X", name)), name
    if is_mask(node):
        yield "flip_comparison", expression_of(f"({node.id} == 0)"), node.id
    for kind, code in _CHANGES:
        yield kind, expression_of(code.replace("X", node.id)), node.id


def edits_before_sum(product: ast.BinOp, arguments: Sequence[str]) -> Iterator[Alternative]:
    """`h1.T @ d` for `h0.T @ d.sum(0, keepdim=True)`: an argument of rows in place of one row for all."""
    total = product.right
    if isinstance(total, ast.Call) and isinstance(total.func, ast.Attribute) and total.func.attr == "sum":
        for name in arguments:
            if name not in ast.unparse(product):
                yield "wrong_operand", parsed(f"{name}.T @ (D)", D=total.func.value), name


def edits_of_subscript(node: ast.Subscript) -> Iterator[Alternative]:
    """Edits of an index, or of a size."""
    if not isinstance(node.ctx, ast.Load):
        return
    index = integer_in(node.slice)
    if isinstance(node.value, ast.Attribute) and node.value.attr == "shape":
        if index is not None:
            for axis in sorted({0, 1, 2, -1} - {index}, key=abs):
                yield "other_size", ast.Subscript(node.value, number(axis), ast.Load()), ""
            yield "other_size", ast.Call(ast.Attribute(node.value.value, "numel", ast.Load()), [], []), ""
        yield from other_sizes(node)
        return
    for other in _neighbours(node.slice):
        yield "other_step", ast.Subscript(node.value, other, ast.Load()), first_name(node.value)
    if isinstance(node.slice, ast.Tuple):
        yield from _flipped(node, node.slice)
    if isinstance(node.slice, (ast.Tuple, ast.Slice)):
        yield "drop_index", node.value, ""


def in_every_row(target: ast.expr) -> Iterator[ast.Subscript]:
    """`d[:, y]` for `d[torch.arange(n), y]`."""
    if not isinstance(target, ast.Subscript) or not isinstance(target.slice, ast.Tuple):
        return
    indices = target.slice.elts
    everywhere = [ast.Slice() if _counts_rows(index) else index for index in indices]
    if any(map(_counts_rows, indices)):
        yield ast.Subscript(target.value, ast.Tuple(everywhere, ast.Load()), target.ctx)
        named = [index for index in indices if not _counts_rows(index)]
        if len(named) == 1:
            yield ast.Subscript(target.value, named[0], target.ctx)  # d[y]


def _counts_rows(index: ast.expr) -> bool:
    return isinstance(index, ast.Call) and isinstance(index.func, ast.Attribute) and index.func.attr == "arange"


def is_size(node: ast.expr) -> bool:
    """Whether an expression is the size of a tensor: `len(x)`, `x.shape[0]`, `n`, or products of such."""
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.Mult) and is_size(node.left) and is_size(node.right)
    if isinstance(node, ast.Name):
        return is_called_like_a_size(node.id)
    if isinstance(node, ast.Subscript):
        return isinstance(node.value, ast.Attribute) and node.value.attr == "shape"
    function = node.func if isinstance(node, ast.Call) else None
    if isinstance(function, ast.Name):
        return function.id == "len"
    return isinstance(function, ast.Attribute) and function.attr in ("size", "numel")


def other_sizes(size: ast.expr) -> Iterator[Alternative]:
    """A size that is off by one."""
    for operation in (ast.Sub(), ast.Add()):
        yield "size_off_by_one", ast.BinOp(size, operation, ast.Constant(1)), first_name(size)


def _neighbours(index: ast.expr) -> Iterator[ast.expr]:
    """The steps before and after the one that an index means: `t` is one, `t - 1` and `-1`."""
    if isinstance(index, ast.BinOp) and isinstance(index.right, ast.Constant):
        yield index.left
    if isinstance(index, ast.UnaryOp) and (value := integer_in(index)) is not None:
        yield from (number(other) for other in (value - 1, value + 1))
    elif isinstance(index, (ast.BinOp, ast.UnaryOp, ast.Name)):
        for operation in (ast.Sub(), ast.Add()):
            yield ast.BinOp(index, operation, ast.Constant(1))


def _flipped(node: ast.Subscript, indices: ast.Tuple) -> Iterator[Alternative]:
    """Indices that count from the other end; or two of them swapped."""
    names = [place for place, index in enumerate(indices.elts) if isinstance(index, ast.Name)]
    for chosen in (names, *([place] for place in names)):
        elements = [
            ast.BinOp(number(-1), ast.Sub(), index) if place in chosen else index
            for place, index in enumerate(indices.elts)
        ]
        yield "index_flipped", _with_indices(node, elements), first_name(node.value)
    for first, second in itertools.pairwise(names):
        elements = list(indices.elts)
        elements[first], elements[second] = elements[second], elements[first]
        yield "indices_swapped", _with_indices(node, elements), first_name(node.value)


def _with_indices(node: ast.Subscript, elements: list[ast.expr]) -> ast.Subscript:
    return ast.Subscript(node.value, ast.Tuple(elements, ast.Load()), ast.Load())
