"""
Edits of what a loss begins with: the gradient of another loss of the same outputs.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from grader.diagnosis.syntax import Alternative, parsed

__all__ = ["AT_THE_LOSS", "OF_LOSSES", "edits_of_difference", "edits_of_losses"]

OF_LOSSES = ("loss_without_logarithm", "another_logarithm")
"""Edits that bring in the value that the loss is of, which is no gradient."""
AT_THE_LOSS = (
    "cross_entropy", "loss_of_outputs", "loss_of_probabilities", "multiplied_by_output", "power_of_loss",
    "root_of_squares", "squares_of_probabilities",
)  # fmt: skip
"""Edits of the gradient with which everything begins: where nothing arrives from upstream."""

_DIFFERENCES = (
    ("sign_only", "((L) - (R)).sign()"),
    ("clamped_difference", "((L) - (R)).clamp(-1, 1)"),
    ("clamped_difference", "((L) - (R)).tanh()"),
    ("square_result", "((L) - (R)) ** 2"),
    ("root_of_loss", "((L) - (R)) / ((L) - (R)).square().mean().sqrt()"),
    ("root_of_loss", "((L) - (R)) / ((L) - (R)).square().sum(-1, keepdim=True).sqrt()"),
)
"""What people write in place of a difference, as the gradient of another loss or by mistake."""

_OF_ARGUMENTS = (
    ("power_of_loss", "((L) - (R)) ** 3"),
    ("cross_entropy", "((L) - (R)) / ((L) * (1 - (L)))"),
    ("cross_entropy", "-(R) / (L)"),
    ("loss_of_outputs", "(L).sigmoid() - (R)"),
    ("loss_of_outputs", "(L).softmax(-1) - (R)"),
    ("loss_of_outputs", "((L) - (R)) * (L) * (1 - (L))"),
)
"""The same where the difference is one of two arguments: an output and a target."""


def edits_of_difference(node: ast.BinOp) -> Iterator[Alternative]:
    """Edits of a difference."""
    left, right = node.left, node.right
    for kind, template in _DIFFERENCES:
        yield kind, parsed(template, L=left, R=right), ""
    if isinstance(left, ast.Name) and isinstance(right, ast.Name):
        for kind, template in _OF_ARGUMENTS:
            yield kind, parsed(template, L=left, R=right), left.id
        yield "multiplied_by_output", parsed("((L) - (R)) * (L)", L=left, R=right), left.id


def edits_of_losses(value: ast.expr, arguments: Sequence[str]) -> Iterator[tuple[str, ast.expr, str]]:
    """Results that belong to a loss without a logarithm, or with one more: p and 1/p come in as factors."""
    for name in arguments:
        yield "loss_without_logarithm", parsed(f"(L) * {name}.exp()", L=value), name
        yield "another_logarithm", parsed(f"(L) / {name}", L=value), name
        yield "loss_of_probabilities", parsed(f"(L) / {name}.exp()", L=value), name
        yield "multiplied_by_output", parsed(f"(L) * {name}", L=value), name
        yield "root_of_squares", parsed("(L) / (L).square().sum().sqrt()", L=value), name
        slope = f"{name}.softmax(-1) * ((L) - ((L) * {name}.softmax(-1)).sum(-1, keepdim=True))"
        for factor in ("", "2 * "):
            yield "squares_of_probabilities", parsed(f"{factor}{slope}", L=value), name
        for labels in arguments:
            if labels != name:
                chosen = f"{name}.softmax(-1).gather(-1, {labels}[:, None])"
                yield "loss_without_logarithm", parsed(f"(L) * {chosen}", L=value), name
