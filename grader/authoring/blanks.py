"""
Finds what students have to write in other tools' notebooks, and marks it as a solution region.

It knows the marks of nbgrader (`### BEGIN SOLUTION`, `# YOUR CODE HERE`), of otter (`# BEGIN SOLUTION`, `# SOLUTION`,
prompts) and of courses that use neither (`# START CODE HERE`, `# *****START OF YOUR CODE*****`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from grader.assignment.cells import REGION

__all__ = ["STUB", "has_blank", "with_regions"]

STUB = "raise NotImplementedError  # TODO: the solution"
"""Stands for a solution that the notebook does not have."""

_BEGIN = re.compile(r"^\s*#[#*\s]*(?:(?:START|BEGIN)\b.*\bCODE\b|YOUR CODE (?:STARTS|BEGINS)\b)", re.IGNORECASE)
_END = re.compile(r"^\s*#[#*\s]*(?:END\b.*\bCODE\b|YOUR CODE ENDS\b)", re.IGNORECASE)
_HERE = re.compile(
    r"^\s*#[#*\s]*(?:TODO:?\s*)?(?:(?:WRITE |PUT |INSERT |ADD |FILL IN )?YOUR (?:CODE|SOLUTION|IMPLEMENTATION)\b"
    r"|(?:INSERT|WRITE) CODE HERE\b|TODO\b|IMPLEMENT THIS\b)"
    r"|^\s*raise NotImplementedError\b",
    re.IGNORECASE,
)
_NOTHING = re.compile(
    r"^\s*(?:pass|\.\.\.|raise NotImplementedError.*|(?:[\w, ]+=\s*)?(?:None|\.\.\.)(?:\s*,\s*None)*)?\s*(?:#.*)?$"
)
_NAMES = re.compile(r"^\s*\w[\w, ]*=")
_LINE = re.compile(r"^(?P<code>\s*\S.*?)\s*#\s*SOLUTION(?: NO PROMPT)?\s*$")
_PROMPT = re.compile(r'^\s*(?:"{3}|\'{3})?\s*#\s*(BEGIN|END) PROMPT\b')
_HIDDEN = re.compile(r"^\s*#+\s*(BEGIN|END) HIDDEN TESTS\b")


def has_blank(code: str) -> bool:
    r"""
    Whether there is something for students to write in a cell.

    >>> has_blank("def f(x):\n    # YOUR CODE HERE\n    raise NotImplementedError()"), has_blank("x = 1")
    (True, False)
    """
    marks = (REGION, _BEGIN, _HERE, _LINE)
    return any(mark.match(line) for line in code.split("\n") for mark in marks)


def with_regions(code: str) -> str:
    r"""
    A cell's code with a solution region around all that students have to write; a stub where there is no solution.

    >>> print(with_regions("def f(x):\n    # YOUR CODE HERE\n    pass"))
    def f(x):
        ### BEGIN SOLUTION
        raise NotImplementedError  # TODO: the solution
        ### END SOLUTION
    """
    return "\n".join(_marked(list(_without(_without(code.split("\n"), _PROMPT), _HIDDEN))))


def _marked(lines: Sequence[str]) -> Iterator[str]:
    number = 0
    while number < len(lines):
        line = lines[number]
        if REGION.match(line):
            end = _first(lines, number + 1, lambda text: REGION.match(text) is not None)
            yield from _region(lines[number + 1 : end], line)
            number = end + 1
        elif _BEGIN.match(line):
            end = _first(lines, number + 1, lambda text: _END.match(text) is not None)
            yield from _region(lines[number + 1 : end], line)
            number = end + 1
        elif _HERE.match(line):
            end = _first(lines, number + 1, lambda text: not _NOTHING.match(text))
            yield from _region((), line)
            number = end
        elif _LINE.match(line):
            end = _first(lines, number, lambda text: not _LINE.match(text))
            yield from _region([_LINE.sub(r"\g<code>", text) for text in lines[number:end]], line)
            number = end
        else:
            yield line
            number += 1


def _first(lines: Sequence[str], begin: int, is_end: object) -> int:
    assert callable(is_end)
    return next((number for number in range(begin, len(lines)) if is_end(lines[number])), len(lines))


def _region(inside: Sequence[str], mark: str) -> Iterator[str]:
    indent = mark[: len(mark) - len(mark.lstrip())]
    is_written = any(not _NOTHING.match(line) for line in inside)
    yield f"{indent}### BEGIN SOLUTION"
    if not is_written:
        yield f"{indent}{STUB}"
    yield from inside if is_written else (line for line in inside if _NAMES.match(line))
    yield f"{indent}### END SOLUTION"


def _without(lines: Sequence[str] | Iterator[str], mark: re.Pattern[str]) -> Iterator[str]:
    """The lines that are not between two marks."""
    is_inside = False
    for line in lines:
        found = mark.match(line)
        if found:
            is_inside = found.group(1) == "BEGIN"
        elif not is_inside:
            yield line
