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

from grader.diagnosis.brackets import with_other_brackets, without_brackets
from grader.diagnosis.losses import edits_of_difference, edits_of_losses
from grader.diagnosis.operands import (
    edits_before_sum,
    edits_of_argument,
    edits_of_subscript,
    in_every_row,
    is_size,
    other_sizes,
)
from grader.diagnosis.reductions import REDUCTIONS, edits_of_reduction
from grader.diagnosis.reshapes import filled_in_another_order, repeated_as_a_whole, without_last_places
from grader.diagnosis.slopes import edits_of_comparison, edits_of_slope
from grader.diagnosis.softmaxes import ALONG_AN_AXIS, edits_of_softmax, edits_of_softmax_slope
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
from grader.diagnosis.terms import edits_of_sum, scaled
from grader.trees import expression_of

__all__ = ["edited_everywhere", "edits_of", "replaced"]

OVERWRITES = {
    "index_add_": "index_copy_",
    "index_add": "index_copy",
    "scatter_add_": "scatter_",
    "scatter_add": "scatter",
}
ADDS = ("add_", "index_add_", "scatter_add_", "index_put_")
"""Methods that add to a tensor in place."""
_SMALLEST_SIZE = 3
"""A smaller number that something is divided by is hardly a size."""
_LEAKS = ((0.01, 0.1), (0.1, 0.01), (0.2, 0.01), (0.2, 0.1))
"""Slopes of a leaky relu that people mix up."""
_MEAN = "(X).flatten()[:, None].mean(0, keepdim=True)"
"""What is left of a column that has met a row, after the average over all of that row."""

_PRODUCTS = (
    ("product_of_sums", "(L).sum(-1, keepdim=True) * (R).sum(-2, keepdim=True)"),
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
        if isinstance(node, ast.Return) and node.value is not None and not isinstance(node.value, ast.Tuple):
            for kind, value, operand in edits_of_losses(node.value, tuple(arguments)):
                yield kind, ast.Return(value), operand
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
            yield from edits_before_sum(node, arguments)
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in arguments:
        yield from edits_of_argument(node, arguments)


def _edits_of_addition(node: ast.AugAssign) -> Iterator[Alternative]:
    if isinstance(node.op, (ast.Add, ast.Sub)):
        yield "overwrite", ast.Assign([node.target], node.value), ""
        yield "drop_term", ast.Pass(), first_name(node.value)
        for scaled_kind, value, operand in scaled(node.value):
            yield scaled_kind, ast.AugAssign(node.target, node.op, value), operand
        if isinstance(node.target, ast.Subscript) and isinstance(node.target.slice, ast.Tuple):
            is_one = isinstance(node.value, ast.Constant) and node.value.value == 1
            kind, count = (
                ("count_for_one", f"len({ast.unparse(node.target.value)})") if is_one else ("one_for_count", "1")
            )
            yield kind, ast.AugAssign(node.target, node.op, expression_of(count)), ""
    for other in in_every_row(node.target):
        yield "set_in_every_row", ast.AugAssign(other, node.op, node.value), first_name(node.target)
    yield from _edits_of_brackets(node)


def _edits_of_statement(node: ast.Expr) -> Iterator[Alternative]:
    """`d.index_add_(0, i, s)`, left out."""
    call = node.value
    if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in ADDS and call.args:
        yield "drop_term", ast.Pass(), first_name(call.args[-1])


def _edits_of_brackets(node: ast.stmt) -> Iterator[Alternative]:
    for other in with_other_brackets(node):
        yield "other_brackets", other, ""


def _edits_of_assignment(node: ast.Assign) -> Iterator[Alternative]:
    """`d[z <= 0] = 0`, left out."""
    target = node.targets[0]
    if isinstance(target, ast.Subscript) and isinstance(node.value, ast.Constant):
        stops = is_mask(target.slice) and node.value.value == 0
        yield "drop_mask" if stops else "drop_setting", ast.Pass(), first_name(target.slice)
    for other in in_every_row(target):
        yield "set_in_every_row", ast.Assign([other], node.value), first_name(target)
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
        ("sum_of_result", ".sum(1, keepdim=True)"),
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
        yield "drop_size" if is_size(right) else "drop_divisor", left, ""
        kind = "multiply_not_divide" if is_size(right) or not _is_tensor(right) else "multiply_by_divisor"
        yield kind, ast.BinOp(left, ast.Mult(), right), first_name(right)
        yield from _edits_of_divisor(left, right)
    elif isinstance(node.op, ast.MatMult):
        yield "swap_operands", ast.BinOp(right, ast.MatMult(), left), ""
        yield "swap_operands", ast.Attribute(node, "mT", ast.Load()), ""
        for kept in (left, right):
            yield "drop_factor", kept, ""
        for kind, template in _PRODUCTS:
            yield kind, parsed(template, L=left, R=right), right.id if isinstance(right, ast.Name) else ""
    elif isinstance(node.op, (ast.Add, ast.Sub)):
        yield from edits_of_sum(node)
    elif isinstance(node.op, ast.Pow):
        yield "drop_power", left, ""
        yield from _edits_of_power(node)
    yield from _edits_of_entrywise(node)
    yield from edits_of_softmax_slope(node)
    yield from (("other_brackets", other, "") for other in without_brackets(node))


def _is_tensor(divisor: ast.expr) -> bool:
    """Whether a divisor is no constant, such as KEEP or the root of a size."""
    parts = [node for node in ast.walk(divisor) if isinstance(node, ast.expr)]
    sizes = {id(inner) for node in parts if is_size(node) for inner in ast.walk(node)}
    names = (node for node in ast.walk(divisor) if isinstance(node, ast.Name) and id(node) not in sizes)
    return any(not name.id.isupper() for name in names)


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
        kind = "change_constant" if _is_number(dropped) else "drop_mask" if is_mask(dropped) else "drop_factor"
        yield kind, kept, first_name(dropped)
        if kind == "drop_mask":
            yield "mask_of_itself", parsed("(L) * ((L) > 0)", L=kept), first_name(dropped)
            if isinstance(kept, ast.BinOp) and isinstance(kept.op, ast.MatMult):
                yield "mask_of_itself", parsed("(L).clamp(min=0) @ (R)", L=kept.left, R=kept.right), first_name(dropped)
        if isinstance(kept, (ast.BinOp, ast.Name)) and not _is_number(dropped):
            yield "mask_selects", parsed("(L)[(R) != 0]", L=kept, R=dropped), first_name(dropped)
    if not is_mask(right) and not isinstance(right, ast.Constant):
        yield "divide_not_multiply", ast.BinOp(left, ast.Div(), right), first_name(right)
    if isinstance(left, ast.Name):
        yield "divide_not_multiply", ast.BinOp(right, ast.Div(), left), left.id


def _is_number(node: ast.expr) -> bool:
    return isinstance(node.operand if isinstance(node, ast.UnaryOp) else node, ast.Constant)


def _edits_of_power(node: ast.BinOp) -> Iterator[Alternative]:
    try:
        power = ast.literal_eval(node.right)
    except (ValueError, TypeError, SyntaxError):
        return
    others = [power + 1, power - 1, -power]
    if float(power) != int(power) and float(2 * power) == int(2 * power):  # x ** -3/2
        twice = parsed(f"(L) ** ({int(2 * power)}) / 2", L=node.left)
        yield "other_brackets", twice, ""
        others += [power + 0.5, power - 0.5, 2 * power]  # where a root is lost
    yield "other_power", parsed(f"({power}) * (L) ** ({power - 1})", L=node.left), ""
    for wrong in others:
        if wrong not in (0, 1, power):
            number = ast.Constant(abs(wrong))
            exponent = ast.UnaryOp(ast.USub(), number) if wrong < 0 else number
            yield "other_power", ast.BinOp(node.left, ast.Pow(), exponent), ""


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
        yield from edits_of_difference(node)


def _edits_of_call(node: ast.Call) -> Iterator[Alternative]:
    function = node.func
    if isinstance(function, ast.Name) and function.id == "len":
        yield from other_sizes(node)
    if isinstance(function, ast.Name) and function.id == "range" and len(node.args) == 1:
        shorter = ast.BinOp(node.args[0], ast.Sub(), ast.Constant(1))
        yield "short_range", ast.Call(function, [shorter], []), ""
        yield "short_range", ast.Call(function, [ast.Constant(1), node.args[0]], []), ""
    if isinstance(function, ast.Name) and not hasattr(builtins, function.id) and node.args:
        yield "drop_call", node.args[0], first_name(node.args[0])
    if not isinstance(function, ast.Attribute):
        return
    yield from _edits_of_method(node, function)
    if function.attr == "one_hot" and node.args:
        yield "set_in_every_row", parsed("(L).amax(0, keepdim=True)", L=node), first_name(node.args[0])
    if isinstance(function.value, ast.Name) and function.value.id in ("torch", "F", "np"):
        yield from _edits_of_function_call(node, function)


def _edits_of_function_call(node: ast.Call, function: ast.Attribute) -> Iterator[Alternative]:
    if function.attr == "where" and len(node.args) == 3:
        condition, chosen, otherwise = node.args
        yield "drop_mask", chosen, first_name(condition)
        yield "flip_comparison", ast.Call(function, [condition, otherwise, chosen], node.keywords), ""
    elif function.attr in ALONG_AN_AXIS and node.args:
        yield from edits_of_softmax(node, function, is_method=False)
    elif function.attr == "zeros_like":
        yield "added_to_argument", parsed("(X).clone()", X=node.args[0]), first_name(node.args[0])
    elif len(node.args) == 1:
        yield "drop_function", node.args[0], first_name(node.args[0])


def _overwrites(node: ast.Call, function: ast.Attribute) -> Iterator[Alternative]:
    """What adds to entries, so that only the last number for each of them is kept."""
    receiver = function.value
    if function.attr == "at" and isinstance(receiver, ast.Attribute) and receiver.attr == "add" and len(node.args) == 3:
        d, i, s = map(ast.unparse, node.args)  # d[i] += s, as an expression
        yield "overwrite", expression_of(f"{d}.__setitem__({i}, {d}[{i}] + {s})"), ""
    if function.attr in OVERWRITES:
        instead = ast.Attribute(receiver, OVERWRITES[function.attr], ast.Load())
        if function.attr.startswith("index_add") and len(node.args) == 3:
            # t[index] += source, which adds only the last of several sources for one index
            dim, index, source = node.args
            selected = ast.Call(ast.Attribute(receiver, "index_select", ast.Load()), [dim, index], [])
            yield "overwrite", ast.Call(instead, [dim, index, ast.BinOp(selected, ast.Add(), source)], []), ""
        yield "overwrite", ast.Call(instead, node.args, node.keywords), ""


def _edits_of_method(node: ast.Call, function: ast.Attribute) -> Iterator[Alternative]:
    receiver = function.value
    yield from _overwrites(node, function)
    if function.attr in ("reshape", "view") and len(node.args) in (3, 5):
        yield "reshaped_operand", filled_in_another_order(node, receiver), first_name(receiver)
        if len(node.args) == 5:
            yield from (("short_range_of_places", each, "") for each in without_last_places(node, receiver))
    elif function.attr == "flatten" and [integer_in(argument) for argument in node.args] == [2]:
        yield from (("short_range_of_places", each, "") for each in without_last_places(node, receiver))
    if function.attr in REDUCTIONS:
        yield from edits_of_reduction(node, function)
    elif function.attr in ALONG_AN_AXIS:
        if not (isinstance(receiver, ast.Name) and receiver.id in ("torch", "F")):
            yield from edits_of_softmax(node, function, is_method=True)
    elif function.attr == "repeat_interleave" and node.args:
        yield "drop_function", receiver, first_name(receiver)
        yield from repeated_as_a_whole(node, receiver)
    elif function.attr in ("t", "transpose", "permute"):
        yield "drop_transpose", receiver, ""
        yield "reshaped_operand", parsed("(X).reshape((L).shape)", X=receiver, L=node), first_name(receiver)
    elif function.attr not in ("size", "numel", "dim", "clone", "to", "type", "float", "double"):
        yield "drop_function", receiver, first_name(receiver)


_EDITS: dict[type[ast.AST], Callable[[Any], Iterator[Alternative]]] = {
    ast.Return: _edits_of_result,
    ast.BinOp: _edits_of_operation,
    ast.Compare: edits_of_comparison,
    ast.UnaryOp: _edits_of_sign,
    ast.Assign: _edits_of_assignment,
    ast.AugAssign: _edits_of_addition,
    ast.Expr: _edits_of_statement,
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
    def __init__(self, kind: str, arguments: Sequence[str], nodes: type[ast.AST]) -> None:
        self._kind, self._arguments, self._nodes = kind, arguments, nodes

    def visit(self, node: ast.AST) -> Any:
        node = self.generic_visit(node)
        if not isinstance(node, self._nodes):
            return node
        replacements = (new for kind, new, _ in edits_of(node, self._arguments) if kind == self._kind)
        return next(replacements, node)


def edited_everywhere(tree: Any, kind: str, arguments: Sequence[str], *, nodes: type[ast.AST] = ast.AST) -> Any:
    """A tree in which one kind of edit is made to all `nodes` where it is possible. The tree itself changes."""
    return _Everywhere(kind, arguments, nodes).visit(tree)
