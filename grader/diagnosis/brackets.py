"""
Edits that leave out a pair of brackets, or close it too late: Python then computes in another order.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

__all__ = ["with_other_brackets"]


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
                (found,) = ast.parse(other).body
            except (SyntaxError, ValueError):
                continue
            if (plain := ast.unparse(found)) not in known:
                known.add(plain)
                yield found


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
