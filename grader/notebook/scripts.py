"""
Divides a Python script into cells at its top-level statements.

So a comment stays a comment, a function stays whole, and a function that is not Python costs only itself.
"""

from __future__ import annotations

import ast
import itertools
import re
import warnings
from collections.abc import Iterator

__all__ = ["cells_of", "is_python"]

_BLOCKS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_STARTS = re.compile(r"(?:def|class|async|import|from)\s|@|[A-Za-z_]\w*\s*=|[%!]")
_JOINED = 12
"""How many pieces of broken code are tried as one: a text over several lines may contain lines that look like code."""


def cells_of(text: str) -> Iterator[str]:
    r"""
    The cells of a script, in order: each function or class, with the comments above it, and what stands between them.

    >>> list(cells_of("x = 1\n\n# of f\ndef f():\n    return x\n\nf()\n"))
    ['x = 1', '# of f\ndef f():\n    return x', 'f()']
    """
    lines = text.split("\n")
    tree = _parsed(text)
    starts = _starts(lines) if tree is None else _block_starts(tree)
    edges = [0, *sorted({_with_comments(lines, start) for start in starts} - {0}), len(lines)]
    pieces = ["\n".join(lines[start:end]) for start, end in itertools.pairwise(edges)]
    for piece in pieces if tree is not None else _whole(pieces):
        trimmed = re.sub(r"\A(?:[ \t]*\n)+", "", piece).rstrip()
        if trimmed:
            yield trimmed


def is_python(text: str) -> bool:
    """Whether a text as a whole is Python, without magics."""
    return _parsed(text) is not None


def _parsed(text: str) -> ast.Module | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None


def _block_starts(tree: ast.Module) -> Iterator[int]:
    """The lines, from 0, where a block begins, and where something else follows it."""
    follows_block = False
    for node in tree.body:
        is_block = isinstance(node, _BLOCKS)
        if is_block or follows_block:
            yield min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", ()))]) - 1
        follows_block = is_block


def _starts(lines: list[str]) -> Iterator[int]:
    """The lines, from 0, of broken code where a top-level statement may begin."""
    for number, line in enumerate(lines):
        decorated = number > 0 and lines[number - 1].startswith("@")
        if _STARTS.match(line) and not decorated:
            yield number


def _with_comments(lines: list[str], start: int) -> int:
    """Where the comments begin that stand directly above a line."""
    while start > 0 and lines[start - 1].startswith("#"):
        start -= 1
    return start


def _whole(pieces: list[str]) -> Iterator[str]:
    """Pieces of broken code, joined where several of them are one statement; what stays broken stands alone."""
    place = 0
    while place < len(pieces):
        ends = range(place + 1, min(place + _JOINED, len(pieces)) + 1)
        end = next((end for end in ends if is_python("\n".join(pieces[place:end]))), place + 1)
        yield "\n".join(pieces[place:end])
        place = end
