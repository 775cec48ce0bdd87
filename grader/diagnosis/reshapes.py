"""
Edits of the order of numbers: in a reshape, and in copies of a tensor.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from grader.diagnosis.syntax import first_name, number, parsed

__all__ = ["filled_in_another_order", "repeated_as_a_whole", "without_last_places"]


def repeated_as_a_whole(node: ast.Call, receiver: ast.expr) -> Iterator[tuple[str, ast.expr, str]]:
    """`a b a b` where a repeat of each entry, `a a b b`, belongs."""
    axes = [keyword.value for keyword in node.keywords if keyword.arg == "dim"] + node.args[1:2]
    inside = [receiver]
    function = receiver.func if isinstance(receiver, ast.Call) else None
    if isinstance(receiver, ast.Call) and isinstance(function, ast.Attribute) and function.attr == "repeat_interleave":
        # along another dimension before
        inside += [other for _, other, _ in repeated_as_a_whole(receiver, function.value)]
    for each in inside if axes else ():
        code = f"torch.cat([(X)] * ({ast.unparse(node.args[0])}), dim={ast.unparse(axes[0])})"
        yield "repeated_as_a_whole", parsed(code, X=each), first_name(receiver)


def filled_in_another_order(node: ast.Call, receiver: ast.expr) -> ast.expr:
    """`t.reshape(n, a, b)` as if it were filled by columns: `t.reshape(n, b, a)`, and the dimensions swapped again."""
    half = len(node.args) // 2
    rows, first, second = node.args[0], node.args[1 : 1 + half], node.args[1 + half :]
    filled_by_columns = ast.Call(ast.Attribute(receiver, "reshape", ast.Load()), [rows, *second, *first], [])
    order = [0, *range(1 + half, 1 + 2 * half), *range(1, 1 + half)]
    return ast.Call(ast.Attribute(filled_by_columns, "permute", ast.Load()), [number(axis) for axis in order], [])


def without_last_places(node: ast.Call, receiver: ast.expr) -> Iterator[ast.expr]:
    """`t.reshape(n, a, b, c, d)` or `t.flatten(2)` without the last, or the first, of `a`, of `b`, or of both."""
    for start, side in ((":-1", "0, 1"), ("1:", "1, 0")):
        for rows, columns in ((start, start), (start, ":"), (":", start)):
            around = ", ".join("0, 0" if kept == ":" else side for kept in (columns, rows))
            if len(node.args) == 1:
                yield parsed(f"torch.nn.functional.pad((X)[..., {rows}, {columns}], ({around})).flatten(2)", X=receiver)
            else:
                yield parsed(f"torch.nn.functional.pad((L)[:, {rows}, {columns}], (0, 0, 0, 0, {around}))", L=node)
