"""
Edits one node of a solution's syntax tree. Each edit is a mistake that people make in derivations.

`texts/edits.toml` describes each kind of edit in words.
"""

from __future__ import annotations

import ast
import builtins
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from grader.diagnosis.brackets import with_other_brackets
from grader.diagnosis.operands import edits_of_argument, edits_of_subscript, other_sizes
from grader.diagnosis.slopes import edits_of_comparison, edits_of_slope
from grader.diagnosis.syntax import (
    Alternative,
    filled,
    first_name,
    integer_in,
    is_called_like_a_size,
    is_mask,
    number,
    parsed,
)

__all__ = ["edited_everywhere", "edits_of", "replaced"]

ALONG_AN_AXIS = ("softmax", "log_softmax", "logsumexp")
OTHER_AXIS = {0: 1, -1: -2, -2: -1}
KEEPS = ("keepdim", "keepdims")
REDUCTIONS = ("sum", "mean", "amax", "amin", "prod")
OVERWRITES = {
    "index_add_": "index_copy_",
    "index_add": "index_copy",
    "scatter_add_": "scatter_",
    "scatter_add": "scatter",
}
_SMALLEST_SIZE = 3
"""A smaller number that something is divided by is hardly a size."""
_LEAKS = ((0.01, 0.1), (0.1, 0.01), (0.2, 0.01), (0.2, 0.1))
"""Slopes of a leaky relu that people mix up."""
_MEAN = "(X).flatten()[:, None].mean(0, keepdim=True)"
"""What is left of a column that has met a row, after the average over all of that row."""

_PRODUCTS = (
    ("product_of_sums", "(L).sum(1)[:, None] * (R).sum(0)[None]"),
    ("sum_over_other_axis", "((L).mT * (R)).sum(1, keepdim=True)"),
    ("drop_last_row", "(L)[..., :-1] @ (R)[..., :-1, :]"),
    ("only_first_row", "(L)[..., :1] @ (R)[..., :1, :]"),
    ("only_last_row", "(L)[..., -1:] @ (R)[..., -1:, :]"),
)
"""What people write in place of a matrix product L @ R."""


def edits_of(node: ast.AST, arguments: Sequence[str]) -> Iterator[Alternative]:
    """
    Every edit of one node.

    Args:
        arguments: The names of the function's arguments.
    """
    edits = _EDITS.get(type(node))
    if edits is not None:
        yield from edits(node)
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in arguments:
        yield from edits_of_argument(node, arguments)


def _edits_of_addition(node: ast.AugAssign) -> Iterator[Alternative]:
    if isinstance(node.op, (ast.Add, ast.Sub)):
        yield "overwrite", ast.Assign([node.target], node.value), ""
        yield "drop_term", ast.Pass(), first_name(node.value)
        if isinstance(node.target, ast.Subscript) and isinstance(node.target.slice, ast.Tuple):
            is_one = isinstance(node.value, ast.Constant) and node.value.value == 1
            kind, count = (
                ("count_for_one", f"len({ast.unparse(node.target.value)})") if is_one else ("one_for_count", "1")
            )
            yield kind, ast.AugAssign(node.target, node.op, ast.parse(count, mode="eval").body), ""
    yield from _edits_of_brackets(node)


def _edits_of_brackets(node: ast.stmt) -> Iterator[Alternative]:
    for other in with_other_brackets(node):
        yield "other_brackets", other, ""


def _edits_of_assignment(node: ast.Assign) -> Iterator[Alternative]:
    """`d[z <= 0] = 0`, left out."""
    target = node.targets[0]
    if isinstance(target, ast.Subscript) and isinstance(node.value, ast.Constant):
        stops = is_mask(target.slice) and node.value.value == 0
        yield "drop_mask" if stops else "drop_setting", ast.Pass(), first_name(target.slice)
    yield from _edits_of_brackets(node)


def _edits_of_attribute(node: ast.Attribute) -> Iterator[Alternative]:
    if node.attr in ("T", "mT"):
        yield "drop_transpose", node.value, ""
        yield "reshaped_operand", parsed("(X).reshape((L).shape)", X=node.value, L=node), first_name(node.value)


def _edits_of_constant(node: ast.Constant) -> Iterator[Alternative]:
    if type(node.value) in (int, float) and node.value not in (0, 1):
        yield "change_constant", ast.Constant(1), ""
    for one, other in _LEAKS:
        if node.value == one:
            yield "other_leak", ast.Constant(other), ""


def _edits_of_sign(node: ast.UnaryOp) -> Iterator[Alternative]:
    if isinstance(node.op, (ast.Invert, ast.Not)):
        yield "flip_comparison", node.operand, ""
    elif isinstance(node.operand, ast.Constant):
        yield "change_constant", node.operand, ""  # an exponent or an axis
    else:
        yield "flip_term", node.operand, ""


def _edits_of_result(node: ast.Return) -> Iterator[Alternative]:
    value = node.value
    if value is None:
        return
    yield from _edits_of_brackets(node)
    if isinstance(value, ast.Tuple):
        for first, second in itertools.combinations(range(len(value.elts)), 2):
            elements = list(value.elts)
            elements[first], elements[second] = elements[second], elements[first]
            yield "swap_targets", ast.Return(ast.Tuple(elements, ast.Load())), ""
        return
    yield "flip_sign", ast.Return(ast.UnaryOp(ast.USub(), value)), ""
    for kind, tail in (
        ("result_abs", ".abs()"),
        ("result_clamped", ".clamp(min=0)"),
        ("mean_of_result", ".mean(0, keepdim=True)"),
        ("mean_of_result", ".mean(1, keepdim=True)"),
        ("result_to_number", ".mean()"),
        ("result_to_number", ".sum()"),
        ("sum_of_result", ".sum(0, keepdim=True)"),
        ("sum_of_result", ".sum().expand_as(RESULT)"),
        ("square_result", ".square()"),
        ("transpose_result", ".mT"),
    ):
        yield kind, ast.Return(filled(parsed(f"(RESULT){tail}"), value)), ""


def _edits_of_operation(node: ast.BinOp) -> Iterator[Alternative]:
    left, right = node.left, node.right
    if isinstance(node.op, ast.Mult):
        yield from _edits_of_factors(left, right)
        yield from edits_of_slope(node)
    elif isinstance(node.op, ast.Div):
        yield "drop_divisor", left, ""
        yield "multiply_not_divide", ast.BinOp(left, ast.Mult(), right), ""
        yield from _edits_of_divisor(left, right)
    elif isinstance(node.op, ast.MatMult):
        yield "swap_operands", ast.BinOp(right, ast.MatMult(), left), ""
        for kept in (left, right):
            yield "drop_factor", kept, ""
        for kind, template in _PRODUCTS:
            yield kind, parsed(template, L=left, R=right), right.id if isinstance(right, ast.Name) else ""
    elif isinstance(node.op, ast.Add):
        yield from _edits_of_terms(node, left, right)
        yield "flip_term", ast.BinOp(left, ast.Sub(), right), ""
    elif isinstance(node.op, ast.Sub):
        yield from _edits_of_terms(node, left, ast.UnaryOp(ast.USub(), right))
        yield "flip_term", ast.BinOp(left, ast.Add(), right), ""
    elif isinstance(node.op, ast.Pow):
        yield "drop_power", left, ""
        yield from _edits_of_power(node)
    yield from _edits_of_entrywise(node)


def _edits_of_divisor(left: ast.expr, right: ast.expr) -> Iterator[Alternative]:
    """A size that is written as a number, or with one taken off."""
    size = integer_in(right)
    others = [number(size - 1), number(size + 1)] if size is not None and size >= _SMALLEST_SIZE else []
    if isinstance(right, ast.BinOp) and isinstance(right.op, (ast.Add, ast.Sub)) and integer_in(right.right) == 1:
        others = [right.left]
    if isinstance(right, ast.Name) and is_called_like_a_size(right.id):
        others = [ast.BinOp(right, operation, ast.Constant(1)) for operation in (ast.Sub(), ast.Add())]
    for other in others:
        yield "size_off_by_one", ast.BinOp(left, ast.Div(), other), ""


def _edits_of_factors(left: ast.expr, right: ast.expr) -> Iterator[Alternative]:
    for kept, dropped in ((left, right), (right, left)):
        yield "drop_mask" if is_mask(dropped) else "drop_factor", kept, first_name(dropped)
    if not is_mask(right) and not isinstance(right, ast.Constant):
        yield "divide_not_multiply", ast.BinOp(left, ast.Div(), right), first_name(right)


def _edits_of_power(node: ast.BinOp) -> Iterator[Alternative]:
    try:
        power = ast.literal_eval(node.right)
    except (ValueError, TypeError, SyntaxError):
        return
    for wrong in (power + 1, power - 1, -power):
        if wrong not in (0, 1, power):
            number = ast.Constant(abs(wrong))
            exponent = ast.UnaryOp(ast.USub(), number) if wrong < 0 else number
            yield "other_power", ast.BinOp(node.left, ast.Pow(), exponent), ""


def _edits_of_terms(node: ast.BinOp, left: ast.expr, right: ast.expr) -> Iterator[Alternative]:
    # If only 1 is left of `1 - h`, it is clearer to report that the whole factor is missing.
    if not isinstance(left, ast.Constant):
        yield "drop_term", left, first_name(node.right)
    if not isinstance(right, ast.Constant):
        yield "drop_term", right, first_name(node.left)
    if isinstance(left, ast.BinOp) and isinstance(left.op, (ast.Add, ast.Sub)):
        first: ast.expr = left
        while isinstance(first, ast.BinOp) and isinstance(first.op, (ast.Add, ast.Sub)):
            first = first.left
        yield "drop_terms", first, ""


def _edits_of_entrywise(node: ast.BinOp) -> Iterator[Alternative]:
    left, right = node.left, node.right
    if isinstance(node.op, (ast.Add, ast.Sub, ast.Mult)):
        if isinstance(right, ast.Name):
            yield "flatten_operand", ast.BinOp(left, node.op, parsed("(X).flatten()", X=right)), ""
        if isinstance(left, ast.Name):
            yield "flatten_operand", ast.BinOp(parsed("(X).flatten()", X=left), node.op, right), ""
        if isinstance(left, ast.Name) and isinstance(right, ast.Name) and not isinstance(node.op, ast.Mult):
            for one, other in ("(X)", _MEAN.replace("X", "Y")), (_MEAN, "(Y)"):
                sides = parsed(one, X=left), parsed(other, Y=right)
                yield "flat_then_averaged", ast.BinOp(sides[0], node.op, sides[1]), ""
    if isinstance(node.op, ast.Sub) and isinstance(right, ast.BinOp) and isinstance(right.op, ast.Pow):
        difference = ast.BinOp(left, ast.Sub(), right.left)
        yield "power_of_difference", ast.BinOp(difference, ast.Pow(), right.right), first_name(right.left)
    if isinstance(node.op, ast.Sub) and not isinstance(left, ast.Constant):
        yield "sign_only", parsed("(L).sign()", L=node), ""
        yield "square_result", parsed("(L) ** 2", L=node), ""
        yield (
            "root_of_loss",
            parsed("((L) - (R)) / ((L) - (R)).square().mean().sqrt()", L=left, R=right),
            "",
        )


def _edits_of_call(node: ast.Call) -> Iterator[Alternative]:
    function = node.func
    if isinstance(function, ast.Name) and function.id == "len":
        yield from other_sizes(node)
    if isinstance(function, ast.Name) and not hasattr(builtins, function.id) and node.args:
        yield "drop_call", node.args[0], first_name(node.args[0])
    if not isinstance(function, ast.Attribute):
        return
    yield from _edits_of_method(node, function)
    if not isinstance(function.value, ast.Name) or function.value.id not in ("torch", "F", "np"):
        return
    if function.attr == "where" and len(node.args) == 3:
        condition, chosen, otherwise = node.args
        yield "drop_mask", chosen, first_name(condition)
        yield "flip_comparison", ast.Call(function, [condition, otherwise, chosen], node.keywords), ""
    elif function.attr in ALONG_AN_AXIS:
        yield from _edits_of_axis(ast.Call(function, node.args[1:], node.keywords), function, node.args[:1])
    elif len(node.args) == 1:
        yield "drop_function", node.args[0], first_name(node.args[0])


def _edits_of_method(node: ast.Call, function: ast.Attribute) -> Iterator[Alternative]:
    receiver = function.value
    if function.attr in ("sum", "mean"):
        reduction = "mean" if function.attr == "sum" else "sum"
        swapped = ast.Call(ast.Attribute(receiver, reduction, ast.Load()), node.args, node.keywords)
        yield f"{reduction}_for_{function.attr}", swapped, ""
    if function.attr == "mean":
        yield from _edits_of_mean(node, receiver)
    if function.attr == "at" and isinstance(receiver, ast.Attribute) and receiver.attr == "add" and len(node.args) == 3:
        d, i, s = map(ast.unparse, node.args)  # d[i] += s, as an expression
        yield "overwrite", ast.parse(f"{d}.__setitem__({i}, {d}[{i}] + {s})", mode="eval").body, ""
    if function.attr in OVERWRITES:
        instead = ast.Attribute(receiver, OVERWRITES[function.attr], ast.Load())
        if function.attr.startswith("index_add") and len(node.args) == 3:
            # t[index] += source, which adds only the last of several sources for one index
            dim, index, source = node.args
            selected = ast.Call(ast.Attribute(receiver, "index_select", ast.Load()), [dim, index], [])
            yield "overwrite", ast.Call(instead, [dim, index, ast.BinOp(selected, ast.Add(), source)], []), ""
        yield "overwrite", ast.Call(instead, node.args, node.keywords), ""
    if function.attr in ("reshape", "view") and len(node.args) in (3, 5):
        yield "reshaped_operand", _filled_in_another_order(node, receiver), first_name(receiver)
    if function.attr in REDUCTIONS:
        yield "drop_sum", receiver, ""
        yield from _edits_of_axis(node, function)
    elif function.attr in ("t", "transpose", "permute"):
        yield "drop_transpose", receiver, ""
        yield "reshaped_operand", parsed("(X).reshape((L).shape)", X=receiver, L=node), first_name(receiver)
    elif function.attr not in ("size", "numel", "dim", "clone", "to", "type", "float", "double"):
        yield "drop_function", receiver, first_name(receiver)


def _filled_in_another_order(node: ast.Call, receiver: ast.expr) -> ast.expr:
    """`t.reshape(n, a, b)` as if it were filled by columns: `t.reshape(n, b, a)`, and the dimensions swapped again."""
    half = len(node.args) // 2
    rows, first, second = node.args[0], node.args[1 : 1 + half], node.args[1 + half :]
    filled_by_columns = ast.Call(ast.Attribute(receiver, "reshape", ast.Load()), [rows, *second, *first], [])
    order = [0, *range(1 + half, 1 + 2 * half), *range(1, 1 + half)]
    return ast.Call(ast.Attribute(filled_by_columns, "permute", ast.Load()), [number(axis) for axis in order], [])


def _edits_of_mean(node: ast.Call, receiver: ast.expr) -> Iterator[Alternative]:
    """A mean that divides by a number that is one too small or too large."""
    axes = [keyword.value for keyword in node.keywords if keyword.arg in ("dim", "axis")] + node.args[:1]
    size = "(X).numel()" if not axes else f"(X).shape[{ast.unparse(axes[0])}]"
    if not axes or integer_in(axes[0]) is not None:
        for change in ("- 1", "+ 1"):
            yield "size_off_by_one", parsed(f"(L) * {size} / ({size} {change})", L=node, X=receiver), ""


def _edits_of_axis(node: ast.Call, function: ast.Attribute, before: Sequence[ast.expr] = ()) -> Iterator[Alternative]:
    """
    Edits of the axes of a reduction.

    Args:
        before: The arguments that come before the axis.
    """
    keepdim = [keyword for keyword in node.keywords if keyword.arg in KEEPS]
    rest = [keyword for keyword in node.keywords if keyword.arg not in ("dim", "axis", *KEEPS)]
    axes = [keyword.value for keyword in node.keywords if keyword.arg in ("dim", "axis")] + node.args[:1]
    axis = next((integer_in(value) for value in axes), None)
    if keepdim:
        yield "drop_keepdim", ast.Call(function, node.args, [k for k in node.keywords if k.arg not in KEEPS]), ""
    if axis is not None:
        wrong_axis = ast.keyword("dim", number(OTHER_AXIS.get(axis, 0)))
        yield "other_axis", ast.Call(function, list(before), [wrong_axis, *keepdim, *rest]), ""
    for several in (value.elts for value in axes if isinstance(value, ast.Tuple)):
        for left_out in several:
            fewer = ast.Tuple([kept for kept in several if kept is not left_out], ast.Load())
            yield "drop_axis", ast.Call(function, [], [ast.keyword("dim", fewer), *keepdim, *rest]), ""
    if axes and not before:
        yield "sum_of_everything", ast.Call(function, [], rest), ""


_EDITS: dict[type[ast.AST], Callable[[Any], Iterator[Alternative]]] = {
    ast.Return: _edits_of_result,
    ast.BinOp: _edits_of_operation,
    ast.Compare: edits_of_comparison,
    ast.UnaryOp: _edits_of_sign,
    ast.Assign: _edits_of_assignment,
    ast.AugAssign: _edits_of_addition,
    ast.Call: _edits_of_call,
    ast.Attribute: _edits_of_attribute,
    ast.Subscript: edits_of_subscript,
    ast.Constant: _edits_of_constant,
}


class _Replace(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self._old, self._new = old, new

    def visit(self, node: ast.AST) -> Any:
        return self._new if node is self._old else super().generic_visit(node)


def replaced(tree: Any, old: ast.AST, new: ast.AST) -> Any:
    """A tree in which one node is replaced by another. The tree itself may change."""
    return _Replace(old, new).visit(tree)


class _Everywhere(ast.NodeTransformer):
    def __init__(self, kind: str, arguments: Sequence[str]) -> None:
        self._kind, self._arguments = kind, arguments

    def visit(self, node: ast.AST) -> Any:
        node = self.generic_visit(node)
        replacements = (new for kind, new, _ in edits_of(node, self._arguments) if kind == self._kind)
        return next(replacements, node)


def edited_everywhere(tree: Any, kind: str, arguments: Sequence[str]) -> Any:
    """A tree in which one kind of edit is made wherever it is possible. The tree itself changes."""
    return _Everywhere(kind, arguments).visit(tree)
