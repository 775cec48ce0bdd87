"""
Where a report's exercises stand in the student's file: the physical line, in a notebook's JSON as in its text form.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from grader.model import Submission
from grader.notebook.lines import first_lines
from grader.notebook.read import TEXT_SUFFIXES, Notebook, Unreadable, read_notebook, read_submission

__all__ = ["Place", "find_places", "json_lines"]

_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """A line of a file, counted from 1; the file's path from the working directory, if it is in there."""

    file: str
    line: int


def find_places(report: Mapping[str, Any], notebooks: Sequence[Path]) -> dict[str, Place]:
    """
    For each exercise of a report, the line to look at: the one that raised, else the one where the function begins.

    Where the notebook has a pair in text form beside it that says the same, that is the file to look at. An exercise
    that is nowhere to be found has no place, and nothing has one if no file is the one that was graded, byte for byte.

    Args:
        report: Its JSON, read back.

    Raises:
        SubmissionError: There is no such file.
    """
    for path in notebooks:
        submission = read_submission(path)
        parsed = read_notebook(submission)
        if submission.sha256 == report["submission"]["sha256"] and not isinstance(parsed, Unreadable):
            return _places(report, *_lines(path, submission, parsed))
    return {}


def _places(report: Mapping[str, Any], file: Path, lines: Mapping[int, Sequence[int]]) -> dict[str, Place]:
    places = {}
    for exercise in report["exercises"]:
        cell, line = _where(exercise)
        physical = lines.get(cell or 0)
        if physical and line is not None:
            places[exercise["name"]] = Place(_from_here(file), physical[min(line, len(physical)) - 1])
    return places


def _from_here(path: Path) -> str:
    here = Path.cwd()
    whole = here / path
    return (whole.relative_to(here) if whole.is_relative_to(here) else path).as_posix()


def _where(exercise: Mapping[str, Any]) -> tuple[int | None, int | None]:
    error = exercise.get("error") or {}
    at = error if error.get("cell") and error.get("line") else exercise
    return at.get("cell"), at.get("line")


def _lines(path: Path, submission: Submission, notebook: Notebook) -> tuple[Path, dict[int, list[int]]]:
    """The file to look at, and for each cell, `In [number]`, the lines of that file where its lines stand."""
    if path.suffix.lower() in TEXT_SUFFIXES:
        return path, _text_lines(submission, notebook)
    for suffix in TEXT_SUFFIXES:
        pair = path.with_suffix(suffix)
        if pair.is_file():
            other = read_submission(pair)
            parsed = read_notebook(other)
            if not isinstance(parsed, Unreadable) and _codes(parsed) == _codes(notebook):
                return pair, _text_lines(other, parsed)
    found = dict(enumerate(json_lines(submission.content.decode("utf-8-sig"))))
    return path, {cell.number: found.get(cell.index, []) for cell in notebook.cells}


def _codes(notebook: Notebook) -> list[str]:
    return [cell.code.strip() for cell in notebook.cells]


def _text_lines(submission: Submission, notebook: Notebook) -> dict[int, list[int]]:
    text = submission.content.decode("utf-8-sig", errors="replace").replace("\r\n", "\n").replace("\r", "\n")
    first = first_lines(text, ((cell.index, cell.code) for cell in notebook.cells))
    return {
        cell.number: list(range(first[cell.index], first[cell.index] + cell.code.count("\n") + 1))
        for cell in notebook.cells
        if cell.index in first
    }


# ------------------------------------------------------------------------------------------------ a notebook's JSON


def json_lines(text: str) -> list[list[int]]:
    r"""
    For each cell of a notebook's JSON, the line of the file where each line of its source stands.

    >>> json_lines('{"cells": [\n{"source": [\n"a = 1\\n",\n"b = 2"]}]}')
    [[3, 4]]
    """
    cells = dict(_members(text, _skip(text, 0))).get("cells")
    starts = _items(text, cells) if cells is not None else ()
    return [list(_source_lines(text, cell)) for cell in starts]


def _source_lines(text: str, cell: int) -> Iterator[int]:
    source = dict(_members(text, cell)).get("source")
    if source is None:
        yield _line(text, cell)
        return
    is_new = True
    for piece in _items(text, source) if text[source] == "[" else (source,):
        value, _ = _DECODER.raw_decode(text, piece)
        parts = str(value).split("\n")
        for number, part in enumerate(parts):
            is_new = is_new or number > 0
            if is_new and (part or number < len(parts) - 1):
                yield _line(text, piece)
                is_new = False


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


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
