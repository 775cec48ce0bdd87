"""
Edits of sums: a term that is left out, that has another size, or that is multiplied with others.
"""

from __future__ import annotations

import ast
import functools
import itertools
import re
from collections.abc import Iterator
from typing import TypeGuard

from grader.diagnosis.syntax import Alternative, factors_of, first_name, parsed

__all__ = ["edits_of_sum", "scaled"]

_MEAN = re.compile(r"mean|average|avg|^mu")
_MOST_TERMS = 4
_SIZES = ("len(X)", "X.shape[-1]")
"""What a term is divided or multiplied by, by mistake: sizes of the first tensor in it."""


def edits_of_sum(node: ast.BinOp) -> Iterator[Alternative]:
    """Edits of a sum or a difference."""
    yield from _left_out(node)
    yield "flip_term", ast.BinOp(node.left, ast.Sub() if isinstance(node.op, ast.Add) else ast.Add(), node.right), ""
    for side, other in ((node.left, node.right), (node.right, node.left)):
        if not isinstance(other, ast.Constant) and not _is_sum(side):
            for kind, term, operand in scaled(side):
                sides = (term, node.right) if side is node.left else (node.left, term)
                yield kind, ast.BinOp(sides[0], node.op, sides[1]), operand
    yield from _factor_of_all(node)
    yield from _cross_terms(node)


def scaled(term: ast.expr) -> Iterator[tuple[str, ast.expr, str]]:
    """A term with a number too many in it."""
    if isinstance(term, ast.Constant):
        return
    for template in ("2 * (L)", "(L) / 2"):
        yield "scaled_term", parsed(template, L=term), first_name(term)
    name = first_name(term)
    for size, operation in itertools.product(_SIZES if name else (), ("/", "*")):
        yield "term_by_size", parsed(f"(L) {operation} {size.replace('X', name)}", L=term), name


def _left_out(node: ast.BinOp) -> Iterator[Alternative]:
    left = node.left
    right = node.right if isinstance(node.op, ast.Add) else ast.UnaryOp(ast.USub(), node.right)
    # If only 1 is left of `1 - h`, it is clearer to report that the whole factor is missing.
    if not isinstance(left, ast.Constant):
        is_a_mean = isinstance(node.op, ast.Sub) and isinstance(node.right, ast.Name) and _MEAN.search(node.right.id)
        yield "not_centred" if is_a_mean else "drop_term", left, first_name(node.right)
    if not isinstance(right, ast.Constant):
        yield "drop_term", right, first_name(node.left)
    terms = list(_terms(node))
    if len(terms) > 2:
        yield "drop_terms", terms[0][1], ""
    for count in range(1, len(terms) if len(terms) <= _MOST_TERMS else 0):
        for kept in itertools.combinations(terms, count):
            if not all(isinstance(term, ast.Constant) for _, term in kept):
                yield "drop_several", _sum_of(kept), ""


def _is_sum(node: ast.expr) -> TypeGuard[ast.BinOp]:
    return isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub))


def _terms(node: ast.expr, *, is_added: bool = True) -> Iterator[tuple[bool, ast.expr]]:
    """The terms of a sum, each with whether it is added; that of a difference is subtracted."""
    if _is_sum(node):
        yield from _terms(node.left, is_added=is_added)
        yield from _terms(node.right, is_added=is_added == isinstance(node.op, ast.Add))
    else:
        yield is_added, node


def _sum_of(terms: tuple[tuple[bool, ast.expr], ...]) -> ast.expr:
    (is_added, total), *others = terms
    if not is_added:
        total = ast.UnaryOp(ast.USub(), total)
    for is_added, term in others:
        total = ast.BinOp(total, ast.Add() if is_added else ast.Sub(), term)
    return total


def _factor_of_all(node: ast.BinOp) -> Iterator[Alternative]:
    """`b * (a + c)` for `a + b * c`, and `(a + c) / n` for `a + c / n`."""
    for term, other in ((node.right, node.left), (node.left, node.right)):
        if not isinstance(term, ast.BinOp) or not isinstance(term.op, (ast.Mult, ast.Div)):
            continue
        for factor, kept in _taken_out(term):
            sides = (other, kept) if term is node.right else (kept, other)
            total = ast.BinOp(sides[0], node.op, sides[1])
            yield "factor_of_all", ast.BinOp(total, term.op, factor), ""


def _taken_out(term: ast.BinOp) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Each factor of a product, or what a quotient is divided by, with what is left without it."""
    if isinstance(term.op, ast.Div):
        yield term.right, term.left
        return
    factors = list(factors_of(term))
    for place, factor in enumerate(factors):
        rest = factors[:place] + factors[place + 1 :]
        yield factor, functools.reduce(lambda left, right: ast.BinOp(left, ast.Mult(), right), rest)
    if len(factors) > 2:
        yield term.left, term.right


def _before_sum(node: ast.expr) -> ast.expr:
    is_sum = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "sum"
    return node.func.value if is_sum else node  # type: ignore[attr-defined]


def _cross_terms(node: ast.BinOp) -> Iterator[Alternative]:
    """`(a + b) @ (c + d)` for `a @ c + b @ d`."""
    terms = list(_terms(node))
    products = [term for is_added, term in terms if is_added and isinstance(term, ast.BinOp)]
    if len(products) < len(terms) or len({type(product.op) for product in products}) != 1:
        return
    operation = products[0].op
    if isinstance(operation, (ast.Mult, ast.MatMult)):
        lefts = tuple((True, each.left) for each in products)
        rights = tuple((True, _before_sum(each.right)) for each in products)
        yield "cross_terms", ast.BinOp(_sum_of(lefts), operation, _sum_of(rights)), ""
