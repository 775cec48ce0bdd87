"""
Edits of a softmax: of its slope, and of what it is normalised over.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from grader.diagnosis.reductions import edits_of_axis
from grader.diagnosis.syntax import Alternative, factors_of, first_name, parsed

__all__ = ["ALONG_AN_AXIS", "edits_of_softmax", "edits_of_softmax_slope"]

ALONG_AN_AXIS = ("softmax", "log_softmax", "logsumexp")


def edits_of_softmax(node: ast.Call, function: ast.Attribute, *, is_method: bool) -> Iterator[Alternative]:
    """Edits of a call such as `torch.softmax(t, dim=1)` or `t.softmax(1)`."""
    of, rest = (function.value, node.args) if is_method else (node.args[0], node.args[1:])
    yield "drop_function", of, first_name(of)
    yield from edits_of_axis(ast.Call(function, rest, node.keywords), function, () if is_method else [of])
    if function.attr != "logsumexp":
        over_all = parsed(f"(X).flatten().{function.attr}(0).reshape((X).shape)", X=of)
        yield "softmax_of_everything", over_all, first_name(of)
    if function.attr == "softmax":
        yield "sigmoid_for_softmax", parsed("(X).sigmoid()", X=of), first_name(of)
        for exponentials in ("(X).exp()", "((X) - (X).amax(-1, keepdim=True)).exp()"):
            yield "softmax_not_normalised", parsed(exponentials, X=of), first_name(of)
        yield "log_for_softmax", parsed("(X).log_softmax(-1)", X=of), first_name(of)


def edits_of_softmax_slope(node: ast.BinOp) -> Iterator[Alternative]:
    """The slope of a softmax, p (d − Σ p d), where that of its logarithm, d − p Σ d, belongs; and the reverse."""
    left, right = node.left, node.right
    if isinstance(node.op, ast.Div) and _is_sum_of(right, left):
        yield "log_for_softmax", parsed("(L).log()", L=node), first_name(left)
    if isinstance(node.op, ast.Sub) and isinstance(right, ast.BinOp) and isinstance(right.op, ast.Mult):
        for output, total in ((right.left, right.right), (right.right, right.left)):
            if _is_sum_of(total, left):
                slope = parsed("(P) * ((D) - (T))", P=output, D=left, T=_sum_like(total, output, left))
                yield "softmax_for_its_logarithm", slope, first_name(output)
                without = parsed("(P) * ((D) - (T))", P=output, D=left, T=total)
                yield "only_effect_on_others", without, first_name(output)
                turned = parsed("(D) - (T)", D=left, T=_sum_like(total, output, left))
                yield "jacobian_transposed", turned, first_name(output)
    if isinstance(node.op, ast.Mult) and isinstance(right, ast.BinOp) and isinstance(right.op, ast.Sub):
        total = right.right
        if isinstance(total, ast.Call) and isinstance(total.func, ast.Attribute) and total.func.attr == "sum":
            product = total.func.value
            factors = {ast.unparse(each) for each in factors_of(product)}
            if factors == {ast.unparse(left), ast.unparse(right.left)}:
                plain = ast.Call(ast.Attribute(right.left, "sum", ast.Load()), total.args, total.keywords)
                slope = parsed("(D) - (P) * (T)", P=left, D=right.left, T=plain)
                yield "softmax_for_its_logarithm", slope, first_name(left)
                without = parsed("(P) * ((D) * (P) - (T))", P=left, D=right.left, T=total)
                yield "only_effect_on_others", without, first_name(left)


def _is_sum_of(total: ast.expr, of: ast.expr) -> bool:
    return (
        isinstance(total, ast.Call)
        and isinstance(total.func, ast.Attribute)
        and total.func.attr == "sum"
        and ast.unparse(total.func.value) == ast.unparse(of)
    )


def _sum_like(total: ast.expr, output: ast.expr, of: ast.expr) -> ast.expr:
    """The sum of a product, over what another sum is over."""
    assert isinstance(total, ast.Call)
    product = ast.BinOp(output, ast.Mult(), of)
    return ast.Call(ast.Attribute(product, "sum", ast.Load()), total.args, total.keywords)
