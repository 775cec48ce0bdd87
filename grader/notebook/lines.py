"""
Finds the lines of a file where the cells of a notebook stand.
"""

from __future__ import annotations

import bisect
import json
import re
from collections.abc import Iterable, Iterator

__all__ = ["first_lines", "json_lines"]

_SPACE = re.compile(r"[ \t\r\n]*")
_MAGIC = re.compile(r"^\s*[%!]|=\s*[%!]")
_DECODER = json.JSONDecoder(parse_int=float)


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
            if _stand_there(lines[number : number + len(code_lines)], code_lines):
                first[index] = number + 1
                start = number + len(code_lines)
                break
    return first


def _stand_there(lines: list[str], code_lines: list[str]) -> bool:
    """Whether lines of a file are these lines of code. A list in Markdown indents them; scripts comment magics."""
    return lines == code_lines or all(
        line.strip() == code.strip() or (_MAGIC.search(code) and line.strip() == f"# {code.strip()}")
        for line, code in zip(lines, code_lines, strict=True)
    )


def json_lines(text: str) -> list[list[int]]:
    r"""
    For each cell of a notebook's JSON, the line of the file where each line of its source stands.

    >>> json_lines('{"cells": [\n{"source": [\n"a = 1\\n",\n"b = 2"]}]}')
    [[3, 4]]
    """
    ends = [match.start() for match in re.finditer("\n", text)]
    cells = dict(_members(text, _skip(text, 0))).get("cells")
    starts = _items(text, cells) if cells is not None and text[cells] == "[" else ()
    return [[bisect.bisect_left(ends, place) + 1 for place in _source_places(text, cell)] for cell in starts]


def _source_places(text: str, cell: int) -> Iterator[int]:
    """Where in the text each line of a cell's source begins."""
    source = dict(_members(text, cell)).get("source") if text[cell] == "{" else None
    if source is None:
        yield cell
        return
    is_new = True
    for piece in _items(text, source) if text[source] == "[" else (source,):
        value, _ = _DECODER.raw_decode(text, piece)
        parts = str(value).split("\n") if isinstance(value, str) else []
        for number, part in enumerate(parts):
            is_new = is_new or number > 0
            if is_new and (part or number < len(parts) - 1):
                yield piece
                is_new = False


def _skip(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _members(text: str, position: int) -> Iterator[tuple[str, int]]:
    """The keys of the object that begins there, each with where its value begins."""
    position = _skip(text, position + 1)
    while text[position] != "}":
        key, position = _DECODER.raw_decode(text, position)
        position = _skip(text, _skip(text, position) + 1)
        yield key, position
        position = _after(text, position)


def _items(text: str, position: int) -> Iterator[int]:
    """Where each item of the list that begins there begins."""
    position = _skip(text, position + 1)
    while text[position] != "]":
        yield position
        position = _after(text, position)


def _after(text: str, position: int) -> int:
    """Where the next member begins, or the bracket that closes."""
    _, end = _DECODER.raw_decode(text, position)
    end = _skip(text, end)
    return _skip(text, end + 1) if text[end] == "," else end
