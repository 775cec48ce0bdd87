"""
Edits that leave out a pair of brackets, or close it too late: Python then computes in another order.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from grader.diagnosis.syntax import factors_of
from grader.trees import tree_of

__all__ = ["with_other_brackets", "without_brackets"]


def with_other_brackets(statement: ast.stmt) -> Iterator[ast.stmt]:
    """
    The statement without one of its pairs of brackets, or with one that closes later, if that is another computation.

    >>> [ast.unparse(other) for other in with_other_brackets(ast.parse("d = a * (b - c) / n").body[0])]
    ['d = a * b - c / n', 'd = a * (b - c / n)']
    """
    text = ast.unparse(statement)
    known = {text}
    for opens, closes in _groups(text):
        end = _end(text, closes + 1)
        for other in (
            f"{text[:opens]}{text[opens + 1 : closes]}{text[closes + 1 :]}",
            f"{text[:closes]}{text[closes + 1 : end]}){text[end:]}",
        ):
            try:
                (found,) = tree_of(other).body
            except (SyntaxError, ValueError):
                continue
            if (plain := ast.unparse(found)) not in known:
                known.add(plain)
                yield found


def without_brackets(product: ast.BinOp) -> Iterator[ast.expr]:
    """
    The product or quotient as if some of what stands around a sum in it belonged to one of its two terms only.

    >>> [ast.unparse(other) for other in without_brackets(ast.parse("(a - b) * c").body[0].value)]
    ['a * c - b', 'a - b * c']
    >>> [ast.unparse(other) for other in without_brackets(ast.parse("(a - b) * c / n").body[0].value)][2:4]
    ['a * c / n - b / n', 'a / n - b * c / n']
    """
    for total, around in _sums_in(product):
        every = range(len(around))
        for lost in (set(every), *([{one} for one in every] if len(around) > 1 else [])):
            kept = [each for number, each in enumerate(around) if number not in lost]
            yield ast.BinOp(_within(total.left, around), total.op, _within(total.right, kept))
            yield ast.BinOp(_within(total.left, kept), total.op, _within(total.right, around))


_Around = tuple[ast.operator, ast.expr, bool]
"""An operation that one side of it takes part in, the other side, and whether that is the right one."""


def _sums_in(product: ast.BinOp, around: tuple[_Around, ...] = ()) -> Iterator[tuple[ast.BinOp, tuple[_Around, ...]]]:
    """The sums that are factors of a product, or of what is divided; each with what stands around it, inside first."""
    if isinstance(product.op, (ast.Add, ast.Sub)):
        if around:
            yield product, around
        return
    if not isinstance(product.op, (ast.Mult, ast.Div)):
        return
    if isinstance(product.left, ast.BinOp):
        yield from _sums_in(product.left, ((product.op, product.right, True), *around))
    if isinstance(product.right, ast.BinOp) and isinstance(product.op, ast.Mult):
        before = [(product.op, factor, False) for factor in reversed(list(factors_of(product.left)))]
        yield from _sums_in(product.right, (*before, *around))


def _within(inner: ast.expr, around: Sequence[_Around]) -> ast.expr:
    for operation, other, is_right in around:
        inner = ast.BinOp(inner, operation, other) if is_right else ast.BinOp(other, operation, inner)
    return inner


def _groups(text: str) -> Iterator[tuple[int, int]]:
    """The places of the round brackets that hold an operation together, and call nothing."""
    waiting: list[int] = []
    for place, character in enumerate(text):
        if character == "(":
            waiting.append(place)
        elif character == ")" and waiting:
            opens = waiting.pop()
            before = text[:opens].rstrip()[-1:]
            is_called = before == text[opens - 1 : opens] and (before.isalnum() or before in ("_", ")", "]"))
            if not is_called:
                yield opens, place


def _end(text: str, start: int) -> int:
    """Where the expression ends that goes on at `start`."""
    depth = 0
    for place in range(start, len(text)):
        depth += (text[place] in "([{") - (text[place] in ")]}")
        if depth < 0 or (depth == 0 and text[place] == ","):
            return place
    return len(text)
