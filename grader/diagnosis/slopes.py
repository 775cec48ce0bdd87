"""
Edits that put the slope of one function in the place of another's.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from grader.diagnosis.syntax import Alternative, factors_of, first_name, parsed

__all__ = ["edits_of_comparison", "edits_of_slope"]

_SIGMOID, _TANH = "(L) * (1 - (L))", "1 - (L) ** 2"
"""The slopes of a sigmoid and of a tanh, given what came out of them."""

_ONCE_MORE = {_SIGMOID: "sigmoid_slope", _TANH: "tanh_slope"}

_SLOPES = (
    ("sigmoid_slope", "(L).sigmoid() * (1 - (L).sigmoid())"),
    ("tanh_slope", "1 - (L).tanh() ** 2"),
    ("slope_of_output", _SIGMOID),
    ("slope_of_output", _TANH),
    ("sigmoid_for_slope", "(L).sigmoid()"),
    ("leaky_slope", "((L) > 0).double() * 0.99 + 0.01"),
    ("steeper_leak", "((L) > 0).double() * 0.9 + 0.1"),
)
"""What people write as the slope of a function, given what goes into it or what comes out."""

_INSTEAD_OF_MASK = (("value_for_slope", "(L).clamp(min=0)"), *_SLOPES, ("shift_boundary", "(L) > (R) + 1"))
"""What people write in place of a comparison L > R as the slope of a relu."""

_OPPOSITE = {ast.Gt: ast.LtE, ast.GtE: ast.Lt, ast.Lt: ast.GtE, ast.LtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq}
_NEIGHBOUR = {ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Lt: ast.LtE, ast.LtE: ast.Lt}


def edits_of_comparison(node: ast.Compare) -> Iterator[Alternative]:
    """Edits of the mask of a relu, or of another comparison."""
    if len(node.ops) > 1:
        return
    operation, left, right = type(node.ops[0]), node.left, node.comparators[0]
    if operation in _OPPOSITE:
        yield "flip_comparison", ast.Compare(left, [_OPPOSITE[operation]()], [right]), ""
    if operation in _NEIGHBOUR:
        yield "move_boundary", ast.Compare(left, [_NEIGHBOUR[operation]()], [right]), ""
    if operation is ast.Eq:
        yield "sign_for_equality", parsed("(L) > 0", L=left), first_name(left)
    yield "drop_comparison", left, first_name(left)
    for kind, template in _INSTEAD_OF_MASK:
        yield kind, parsed(template, L=left, R=right), first_name(left)
    yield "drop_mask", ast.Constant(1), first_name(left)
    yield "sign_not_mask", parsed("(L).sign()", L=left), first_name(left)


def edits_of_slope(product: ast.BinOp) -> Iterator[Alternative]:
    """Edits of a product with the slope of a sigmoid or a tanh in it, given what came out: h (1 − h), 1 − h²."""
    factors = list(factors_of(product))
    texts = [ast.unparse(factor) for factor in factors]
    for place, (factor, text) in enumerate(zip(factors, texts, strict=True)):
        if not (isinstance(factor, ast.BinOp) and isinstance(factor.op, ast.Sub) and text.startswith("1 - ")):
            continue
        power = factor.right
        if isinstance(power, ast.BinOp) and isinstance(power.op, ast.Pow):
            if ast.unparse(power.right) == "2":
                yield from _others(factors, {place}, power.left, _TANH)
        elif ast.unparse(power) in texts:
            yield from _others(factors, {place, texts.index(ast.unparse(power))}, power, _SIGMOID)


def _others(factors: Sequence[ast.expr], left_out: set[int], output: ast.expr, right: str) -> Iterator[Alternative]:
    rest = [factor for place, factor in enumerate(factors) if place not in left_out]
    for kind, template in (*_SLOPES, ("mask_for_slope", "(L) > 0")):
        if template == right or kind == _ONCE_MORE[right]:  # edits of the operand are those
            continue
        slope = parsed(template, L=output)
        for factor in rest:
            slope = ast.BinOp(factor, ast.Mult(), slope)
        yield kind, slope, first_name(output)
