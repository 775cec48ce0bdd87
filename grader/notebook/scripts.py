"""
Divides a Python script into cells at its top-level statements.

So a comment stays a comment, a function stays whole, and a function that is not Python costs only itself.
"""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator

from grader.notebook.parsing import parse_code

__all__ = ["cells_of", "is_python"]

_BLOCKS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_STARTS = re.compile(r"(?:def|class|async|import|from)\s|@|[A-Za-z_]\w*\s*=|[%!]")
_TRIES, _TIMES, _CHARACTERS = 5_000, 16, 2_000
_JOINED = 12
"""How many pieces of broken code are tried as one: a text over several lines may contain lines that look like code."""


def cells_of(text: str) -> Iterator[tuple[int, str]]:
    r"""
    The cells of a script, in order: each function or class, with the comments above it, and what stands between them.

    Returns:
        For each cell, the line where it begins, from 1, and its text.

    >>> list(cells_of("x = 1\n\n# of f\ndef f():\n    return x\n\nf()\n"))
    [(1, 'x = 1'), (3, '# of f\ndef f():\n    return x'), (7, 'f()')]
    """
    lines = text.split("\n")
    tree = _parsed(text)
    starts = _starts(lines) if tree is None else _block_starts(tree)
    edges = [0, *sorted({_with_comments(lines, start) for start in starts} - {0}), len(lines)]
    if tree is None:
        edges = _whole(lines, edges)
    for start, end in itertools.pairwise(edges):
        first = next((number for number in range(start, end) if lines[number].strip()), end)
        code = "\n".join(lines[first:end]).rstrip()
        if code:
            yield first + 1, code


def is_python(text: str) -> bool:
    """Whether a text as a whole is Python, without magics."""
    return _parsed(text) is not None


def _parsed(text: str) -> ast.Module | None:
    try:
        return parse_code(text)
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


def _whole(lines: list[str], edges: list[int]) -> list[int]:
    """
    The edges of the pieces of broken code, without those within a statement; what stays broken stands alone.

    What is parsed to find where pieces end is limited: in all, and for each piece by its own length.
    """
    kept, place, tries = [0], 0, _TRIES
    while place < len(edges) - 1:
        allowed = _CHARACTERS + _TIMES * sum(map(len, lines[edges[place] : edges[place + 1]]))
        last = min(place + _JOINED, len(edges) - 1)
        is_magic = lines[edges[place]].startswith(("%", "!"))
        end = place + 1
        for tried in range(place + 1, last + 1) if tries > 0 and not is_magic else ():
            piece = "\n".join(lines[edges[place] : edges[tried]])
            tries, allowed = tries - 1, allowed - len(piece)
            if is_python(piece):
                end = tried
                break
            if allowed < 0:
                break
        place = end
        kept.append(edges[place])
    return kept
