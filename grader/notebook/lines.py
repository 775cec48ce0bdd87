"""
Where a notebook's cells stand in its file, line by line.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["first_lines"]


def first_lines(text: str, cells: Iterable[tuple[int, str]]) -> dict[int, int]:
    """
    For each code cell of a notebook in text form, the line of the file where its code begins, counted from 1.

    Args:
        cells: The index and the code of each code cell, in their order. Empty cells have no line.
    """
    lines = text.split("\n")
    found: dict[int, int] = {}
    start = 0
    for index, code in cells:
        if not code.strip():
            continue
        wanted = code.split("\n")
        for number in range(start, len(lines) - len(wanted) + 1):
            if lines[number : number + len(wanted)] == wanted:
                found[index] = number + 1
                start = number + len(wanted)
                break
    return found
