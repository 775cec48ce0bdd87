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

__all__ = ["edited_everywhere", "edits_of", "replaced"]

Alternative = tuple[str, ast.AST, str]
"""The kind of edit, the node that replaces the edited one, and the argument that the edit is about, or nothing."""

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
ONCE_MORE = ("sigmoid", "tanh")
"""Functions that an operand has been through already, and that the edit applies again."""

_PRODUCTS = (
    ("product_of_sums", "(L).sum(1)[:, None] * (R).sum(0)[None]"),
    ("sum_over_other_axis", "((L).mT * (R)).sum(1, keepdim=True)"),
    ("drop_last_row", "(L)[..., :-1] @ (R)[..., :-1, :]"),
    ("only_first_row", "(L)[..., :1] @ (R)[..., :1, :]"),
    ("only_last_row", "(L)[..., -1:] @ (R)[..., -1:, :]"),
)
"""What people write in place of a matrix product L @ R."""

_SLOPES = (
    ("drop_comparison", "(L).clamp(min=0)"),
    ("leaky_slope", "((L) > (R)).double() * 0.99 + 0.01"),
    ("sigmoid_slope", "(L).sigmoid() * (1 - (L).sigmoid())"),
    ("tanh_slope", "1 - (L).tanh() ** 2"),
    ("shift_boundary", "(L) > (R) + 1"),
)
"""What people write in place of a comparison L > R as the slope of a relu."""

_OPPOSITE = {ast.Gt: ast.LtE, ast.GtE: ast.Lt, ast.Lt: ast.GtE, ast.LtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq}
_NEIGHBOUR = {ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Lt: ast.LtE, ast.LtE: ast.Lt}


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
        yield from _edits_of_argument(node, arguments)


def _edits_of_addition(node: ast.AugAssign) -> Iterator[Alternative]:
    if isinstance(node.op, (ast.Add, ast.Sub)):
        yield "overwrite", ast.Assign([node.target], node.value), ""
        yield "drop_term", ast.Pass(), _argument(node.value)


def _edits_of_assignment(node: ast.Assign) -> Iterator[Alternative]:
    """`d[z <= 0] = 0`, left out."""
    target = node.targets[0]
    if isinstance(target, ast.Subscript) and isinstance(node.value, ast.Constant):
        is_mask = _is_mask(target.slice) and node.value.value == 0
        yield "drop_mask" if is_mask else "drop_setting", ast.Pass(), _argument(target.slice)


def _edits_of_attribute(node: ast.Attribute) -> Iterator[Alternative]:
    if node.attr in ("T", "mT"):
        yield "drop_transpose", node.value, ""


def _edits_of_constant(node: ast.Constant) -> Iterator[Alternative]:
    if type(node.value) in (int, float) and node.value not in (0, 1):
        yield "change_constant", ast.Constant(1), ""


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
        code = ast.parse(f"(RESULT){tail}", mode="eval").body
        yield kind, ast.Return(_filled(code, value)), ""


def _edits_of_operation(node: ast.BinOp) -> Iterator[Alternative]:
    left, right = node.left, node.right
    if isinstance(node.op, ast.Mult):
        yield from _edits_of_factors(left, right)
    elif isinstance(node.op, ast.Div):
        yield "drop_divisor", left, ""
        yield "multiply_not_divide", ast.BinOp(left, ast.Mult(), right), ""
    elif isinstance(node.op, ast.MatMult):
        yield "swap_operands", ast.BinOp(right, ast.MatMult(), left), ""
        for kept in (left, right):
            yield "drop_factor", kept, ""
        for kind, template in _PRODUCTS:
            yield kind, ast.parse(_text(template, left, right), mode="eval").body, ""
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


def _edits_of_factors(left: ast.expr, right: ast.expr) -> Iterator[Alternative]:
    for kept, dropped in ((left, right), (right, left)):
        yield "drop_mask" if _is_mask(dropped) else "drop_factor", kept, _argument(dropped)
    if not _is_mask(right) and not isinstance(right, ast.Constant):
        yield "divide_not_multiply", ast.BinOp(left, ast.Div(), right), _argument(right)


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
        yield "drop_term", left, _argument(node.right)
    if not isinstance(right, ast.Constant):
        yield "drop_term", right, _argument(node.left)
    if isinstance(left, ast.BinOp) and isinstance(left.op, (ast.Add, ast.Sub)):
        first: ast.expr = left
        while isinstance(first, ast.BinOp) and isinstance(first.op, (ast.Add, ast.Sub)):
            first = first.left
        yield "drop_terms", first, ""


def _edits_of_entrywise(node: ast.BinOp) -> Iterator[Alternative]:
    left, right = node.left, node.right
    if isinstance(node.op, (ast.Add, ast.Sub, ast.Mult)) and isinstance(right, ast.Name):
        yield "flatten_operand", ast.BinOp(left, node.op, ast.parse(f"{right.id}.flatten()", mode="eval").body), ""
    if isinstance(node.op, ast.Sub) and isinstance(right, ast.BinOp) and isinstance(right.op, ast.Pow):
        difference = ast.BinOp(left, ast.Sub(), right.left)
        yield "power_of_difference", ast.BinOp(difference, ast.Pow(), right.right), _argument(right.left)
    if isinstance(node.op, ast.Sub) and not isinstance(left, ast.Constant):
        yield "sign_only", ast.parse(f"({ast.unparse(node)}).sign()", mode="eval").body, ""
        yield "square_result", ast.parse(f"({ast.unparse(node)}) ** 2", mode="eval").body, ""
        yield (
            "root_of_loss",
            ast.parse(_text("((L) - (R)) / ((L) - (R)).square().mean().sqrt()", left, right), mode="eval").body,
            "",
        )


def _edits_of_comparison(node: ast.Compare) -> Iterator[Alternative]:
    if len(node.ops) > 1:
        return
    operation, left, right = type(node.ops[0]), node.left, node.comparators[0]
    if operation in _OPPOSITE:
        yield "flip_comparison", ast.Compare(left, [_OPPOSITE[operation]()], [right]), ""
    if operation in _NEIGHBOUR:
        yield "move_boundary", ast.Compare(left, [_NEIGHBOUR[operation]()], [right]), ""
    yield "drop_comparison", left, _argument(left)
    for kind, template in _SLOPES:
        yield kind, ast.parse(_text(template, left, right), mode="eval").body, _argument(left)
    yield "drop_mask", ast.Constant(1), _argument(left)
    yield "sign_not_mask", ast.parse(f"({ast.unparse(left)}).sign()", mode="eval").body, _argument(left)


def _edits_of_call(node: ast.Call) -> Iterator[Alternative]:
    function = node.func
    if isinstance(function, ast.Name) and not hasattr(builtins, function.id) and node.args:
        yield "drop_call", node.args[0], _argument(node.args[0])
    if not isinstance(function, ast.Attribute):
        return
    yield from _edits_of_method(node, function)
    if not isinstance(function.value, ast.Name) or function.value.id not in ("torch", "F", "np"):
        return
    if function.attr == "where" and len(node.args) == 3:
        condition, chosen, otherwise = node.args
        yield "drop_mask", chosen, _argument(condition)
        yield "flip_comparison", ast.Call(function, [condition, otherwise, chosen], node.keywords), ""
    elif function.attr in ALONG_AN_AXIS:
        yield from _edits_of_axis(ast.Call(function, node.args[1:], node.keywords), function, node.args[:1])
    elif len(node.args) == 1:
        yield "drop_function", node.args[0], _argument(node.args[0])


def _edits_of_method(node: ast.Call, function: ast.Attribute) -> Iterator[Alternative]:
    receiver = function.value
    if function.attr in ("sum", "mean"):
        reduction = "mean" if function.attr == "sum" else "sum"
        swapped = ast.Call(ast.Attribute(receiver, reduction, ast.Load()), node.args, node.keywords)
        yield f"{reduction}_for_{function.attr}", swapped, ""
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
    if function.attr in REDUCTIONS:
        yield "drop_sum", receiver, ""
        yield from _edits_of_axis(node, function)
    elif function.attr in ("t", "transpose", "permute"):
        yield "drop_transpose", receiver, ""
    elif function.attr not in ("size", "numel", "dim", "clone", "to", "type", "float", "double"):
        yield "drop_function", receiver, _argument(receiver)


def _edits_of_axis(node: ast.Call, function: ast.Attribute, before: Sequence[ast.expr] = ()) -> Iterator[Alternative]:
    """
    Edits of the axes of a reduction.

    Args:
        before: The arguments that come before the axis.
    """
    keepdim = [keyword for keyword in node.keywords if keyword.arg in KEEPS]
    rest = [keyword for keyword in node.keywords if keyword.arg not in ("dim", "axis", *KEEPS)]
    axes = [keyword.value for keyword in node.keywords if keyword.arg in ("dim", "axis")] + node.args[:1]
    axis = next((_integer(value) for value in axes), None)
    if keepdim:
        yield "drop_keepdim", ast.Call(function, node.args, [k for k in node.keywords if k.arg not in KEEPS]), ""
    if axis is not None:
        wrong_axis = ast.keyword("dim", _constant(OTHER_AXIS.get(axis, 0)))
        yield "other_axis", ast.Call(function, list(before), [wrong_axis, *keepdim, *rest]), ""
    for several in (value.elts for value in axes if isinstance(value, ast.Tuple)):
        for left_out in several:
            fewer = ast.Tuple([kept for kept in several if kept is not left_out], ast.Load())
            yield "drop_axis", ast.Call(function, [], [ast.keyword("dim", fewer), *keepdim, *rest]), ""
    if axes and not before:
        yield "sum_of_everything", ast.Call(function, [], rest), ""


def _edits_of_subscript(node: ast.Subscript) -> Iterator[Alternative]:
    index = _integer(node.slice)
    if not isinstance(node.ctx, ast.Load):
        return
    if index is not None and isinstance(node.value, ast.Attribute) and node.value.attr == "shape":
        yield "other_size", ast.Subscript(node.value, ast.Constant(1 if index == 0 else 0), ast.Load()), ""
        yield "other_size", ast.Call(ast.Attribute(node.value.value, "numel", ast.Load()), [], []), ""
    elif isinstance(node.slice, (ast.Tuple, ast.Slice)):
        yield "drop_index", node.value, ""


def _edits_of_argument(node: ast.Name, arguments: Sequence[str]) -> Iterator[Alternative]:
    for name in arguments:
        if name != node.id:
            yield "wrong_operand", ast.Name(name, ast.Load()), name
    for kind, code in (
        ("add_transpose", f"{node.id}.mT"),
        ("operand_abs", f"{node.id}.abs()"),
        ("operand_sign", f"{node.id}.sign()"),
        ("operand_rounded", f"{node.id}.round()"),
        ("operand_clamped", f"{node.id}.clamp(min=0)"),
        ("operand_to_mask", f"({node.id} > 0)"),
        ("drop_last_row", f"{node.id}[:-1]"),
        ("only_first_row", f"{node.id}[:1]"),
        ("only_last_row", f"{node.id}[-1:]"),
        ("operand_of_ones", f"({node.id} * 0 + 1)"),
        *((f"{function}_once_more", f"{node.id}.{function}()") for function in ONCE_MORE),
    ):
        yield kind, ast.parse(code, mode="eval").body, node.id


_EDITS: dict[type[ast.AST], Callable[[Any], Iterator[Alternative]]] = {
    ast.Return: _edits_of_result,
    ast.BinOp: _edits_of_operation,
    ast.Compare: _edits_of_comparison,
    ast.UnaryOp: _edits_of_sign,
    ast.Assign: _edits_of_assignment,
    ast.AugAssign: _edits_of_addition,
    ast.Call: _edits_of_call,
    ast.Attribute: _edits_of_attribute,
    ast.Subscript: _edits_of_subscript,
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


def _filled(code: ast.expr, value: ast.expr) -> ast.expr:
    """Code with a value in place of each RESULT."""
    for node in [inner for inner in ast.walk(code) if isinstance(inner, ast.Name) and inner.id == "RESULT"]:
        code = replaced(code, node, value)
    return code


def _text(template: str, left: ast.expr, right: ast.expr) -> str:
    """A template with expressions in place of its (L) and (R)."""
    return template.replace("(L)", f"({ast.unparse(left)})").replace("(R)", f"({ast.unparse(right)})")


def _is_mask(node: ast.expr) -> bool:
    """Whether an expression contains a comparison, or a name that contains `mask`."""
    return any(
        isinstance(inner, ast.Compare) or (isinstance(inner, ast.Name) and "mask" in inner.id)
        for inner in ast.walk(node)
    )


def _argument(node: ast.expr) -> str:
    """The first name in an expression, or nothing."""
    return next((inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)), "")


def _constant(number: int) -> ast.expr:
    return ast.Constant(number) if number >= 0 else ast.UnaryOp(ast.USub(), ast.Constant(-number))


def _integer(node: ast.expr) -> int | None:
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError):
        return None
    return value if type(value) is int else None
