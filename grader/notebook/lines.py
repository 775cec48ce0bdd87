"""
Finds the lines of a file where the cells of a notebook begin.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["first_lines"]


def first_lines(text: str, cells: Iterable[tuple[int, str]]) -> dict[int, int]:
    """
    The line of the file, counted from 1, where each code cell of a notebook in text form begins, by the cell's index.

    Args:
        cells: The index and the code of each code cell, in order. Empty cells have no line.
    """
    lines = text.split("\n")
    first: dict[int, int] = {}
    start = 0
    for index, code in cells:
        if not code.strip():
            continue
        code_lines = code.split("\n")
        for number in range(start, len(lines) - len(code_lines) + 1):
            if lines[number : number + len(code_lines)] == code_lines:
                first[index] = number + 1
                start = number + len(code_lines)
                break
    return first
