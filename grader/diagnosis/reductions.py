"""
Edits of sums and means over dimensions of a tensor.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator, Sequence

from grader.diagnosis.syntax import Alternative, first_name, integer_in, number, parsed
from grader.trees import expression_of

__all__ = ["REDUCTIONS", "edits_of_axis", "edits_of_reduction"]

REDUCTIONS = ("sum", "mean", "amax", "amin", "prod")
KEEPS = ("keepdim", "keepdims")
_OTHER_AXES = {0: (1, 2), 1: (0, 2), 2: (1, 0), 3: (2, 1), -1: (-2, 0, (-2, -1)), -2: (-1, 0)}


def edits_of_reduction(node: ast.Call, function: ast.Attribute) -> Iterator[Alternative]:
    """Edits of a call such as `t.sum(0)` or `t.mean(dim=1, keepdim=True)`."""
    receiver = function.value
    if function.attr in ("sum", "mean"):
        reduction = "mean" if function.attr == "sum" else "sum"
        swapped = ast.Call(ast.Attribute(receiver, reduction, ast.Load()), node.args, node.keywords)
        yield f"{reduction}_for_{function.attr}", swapped, ""
        yield from _one_for_all(node, receiver)
        if isinstance(receiver, ast.BinOp) and isinstance(receiver.op, ast.Mult):
            left, right = (
                ast.Call(ast.Attribute(side, function.attr, ast.Load()), node.args, node.keywords)
                for side in (receiver.left, receiver.right)
            )
            yield "product_of_sums", ast.BinOp(left, ast.Mult(), right), first_name(receiver)
    if function.attr == "mean":
        yield from _edits_of_mean(node, receiver)
    yield "drop_sum", receiver, ""
    yield from edits_of_axis(node, function)
    if function.attr == "mean":
        yield from _mean_of_another_axis(node, receiver)


def _mean_of_another_axis(node: ast.Call, receiver: ast.expr) -> Iterator[Alternative]:
    """A sum over another axis, divided by the right size."""
    axis = next((integer_in(value) for value in _axes(node)), None)
    for other in _OTHER_AXES.get(axis, ()) if axis is not None else ():
        yield "other_axis_of_mean", parsed(f"(X).sum({other}, keepdim=True) / (X).shape[{axis}]", X=receiver), ""


def _edits_of_mean(node: ast.Call, receiver: ast.expr) -> Iterator[Alternative]:
    """A mean that divides by a number that is one too small or too large, or that is taken of one entry only."""
    axes = _axes(node)
    size = "(X).numel()" if not axes else f"(X).shape[{ast.unparse(axes[0])}]"
    if not axes or integer_in(axes[0]) is not None:
        for change in ("- 1", "+ 1"):
            yield "size_off_by_one", parsed(f"(L) * {size} / ({size} {change})", L=node, X=receiver), ""
        yield "own_entry_of_mean", parsed(f"(X) / {size}", X=receiver), first_name(receiver)
    axis = integer_in(axes[0]) if axes else None
    if axis is not None:
        for other in (0, -1) if axis not in (0, -1) else (-1 - axis,):
            wrong = parsed(f"(L) * (X).shape[{axis}] / (X).shape[{other}]", L=node, X=receiver)
            yield "other_size", wrong, first_name(receiver)
        yield "sum_of_all_in_term", parsed(f"(X).sum() / (X).shape[{axis}]", X=receiver), first_name(receiver)


def _one_for_all(node: ast.Call, receiver: ast.expr) -> Iterator[Alternative]:
    """The first or the last index of dimensions that are summed or averaged over."""
    axes = [integer_in(axis) for value in _axes(node) for axis in _elements(value)]
    keeps = any(keyword.arg in KEEPS for keyword in node.keywords)
    for count in range(1, len(axes) + 1):
        for chosen in itertools.combinations([axis for axis in axes if axis is not None], count):
            rest = [axis for axis in axes if axis not in chosen]
            for kind, index in (("last_of_sum", -1), ("first_of_sum" if 0 in chosen else "first_of_parts", 0)):
                one = ast.unparse(receiver)
                for axis in chosen:
                    one = f"({one}).narrow({axis}, {'-1' if index else '0'}, 1)"
                # What is left of a dimension of size 1 is dropped by a sum over it.
                dropped = ", ".join(str(axis) for axis in (*chosen, *rest) if axis is not None)
                keepdim = ", keepdim=True" if keeps else ""
                name = first_name(receiver)
                total = f"({one}).sum(({dropped},){keepdim})"
                yield kind, expression_of(total), name


def _axes(node: ast.Call) -> list[ast.expr]:
    return [keyword.value for keyword in node.keywords if keyword.arg in ("dim", "axis")] + node.args[:1]


def _elements(node: ast.expr) -> Sequence[ast.expr]:
    return node.elts if isinstance(node, (ast.Tuple, ast.List)) else [node]


def edits_of_axis(node: ast.Call, function: ast.Attribute, before: Sequence[ast.expr] = ()) -> Iterator[Alternative]:
    """
    Edits of the axes of a reduction.

    Args:
        before: The arguments that come before the axis.
    """
    keepdim = [keyword for keyword in node.keywords if keyword.arg in KEEPS]
    rest = [keyword for keyword in node.keywords if keyword.arg not in ("dim", "axis", *KEEPS)]
    axes = _axes(node)
    axis = next((integer_in(value) for value in axes), None)
    if keepdim:
        yield "drop_keepdim", ast.Call(function, node.args, [k for k in node.keywords if k.arg not in KEEPS]), ""
    for other in _OTHER_AXES.get(axis, ()) if axis is not None else ():
        wrong_axis = ast.keyword("dim", expression_of(repr(other)))
        yield "other_axis", ast.Call(function, list(before), [wrong_axis, *keepdim, *rest]), ""
        if keepdim:
            yield "other_axis_dropped", ast.Call(function, list(before), [wrong_axis, *rest]), ""
    for several in (value.elts for value in axes if isinstance(value, ast.Tuple)):
        for left_out in several:
            fewer = [kept for kept in several if kept is not left_out]
            every = ast.Tuple(fewer, ast.Load())
            yield "drop_axis", ast.Call(function, [], [ast.keyword("dim", every), *keepdim, *rest]), ""
            for instead in set(range(4)) - {integer_in(axis) for axis in several}:
                others = ast.Tuple([*fewer, number(instead)], ast.Load())
                yield "other_axis", ast.Call(function, [], [ast.keyword("dim", others), *keepdim, *rest]), ""
    if axis in (0, 1, -1) and keepdim and not before:  # sums of the rows, laid out as if they were those of the columns
        other, shape = (1, "(1, -1)") if axis == 0 else (0, "(-1, 1)")
        total = f"({ast.unparse(function)})({other}).reshape{shape}"
        yield "other_axis", expression_of(total), ""
    if axes and not before:
        yield "sum_of_everything", ast.Call(function, [], rest), ""
