"""
Finds what students have to write in other tools' notebooks, and marks it as a solution region.

It knows the marks of nbgrader (`### BEGIN SOLUTION`, `# YOUR CODE HERE`), of otter (`# BEGIN SOLUTION`, `# SOLUTION`,
prompts) and of courses that use neither (`grader.authoring.marks`). What stands up to the mark that closes a blank is
the solution.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from grader.assignment.cells import REGION
from grader.authoring.marks import begins_blank, end_of_blank, end_of_header, indent_of, is_filler, is_mark

__all__ = ["STUB", "code_below_blanks", "has_blank", "with_regions"]

STUB = "raise NotImplementedError  # TODO: the solution"
"""Stands for a solution that the notebook does not have."""

_NAMES = re.compile(r"^\s*\w[\w, ]*=")
_LINE = re.compile(r"^(?P<code>\s*\S.*?)\s*#\s*SOLUTION(?: NO PROMPT)?\s*$")
_PROMPT = re.compile(r'^\s*(?:"{3}|\'{3})?\s*#\s*(BEGIN|END) PROMPT\b')
_HIDDEN = re.compile(r"^\s*#+\s*(BEGIN|END) HIDDEN TESTS\b")
_GIVEN = re.compile(
    r"^\s*(?:(?!.*\w\()(?:return\b|[\w\s,.\[\]'\"]+=(?!=))[\w\s,.()\[\]{}'\":]*|(?:assert|def|class|print)\b.*|@.*)$"
)
"""What a notebook may well have below a blank that is none of the solution."""


def has_blank(code: str) -> bool:
    r"""
    Whether there is something for students to write in a cell.

    >>> has_blank("def f(x):\n    # YOUR CODE HERE\n    raise NotImplementedError()"), has_blank("x = 1")
    (True, False)
    """
    return any(REGION.match(line) or _LINE.match(line) or begins_blank(line) for line in code.split("\n"))


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


def code_below_blanks(code: str) -> list[str]:
    """The first line of code below each stub in a cell with regions, in the same block: is it the solution?"""
    lines = code.split("\n")
    found = []
    for number, line in enumerate(lines):
        if line.strip().startswith(STUB):
            end = _first(lines, number, lambda text: REGION.match(text) is not None)
            code_below = (text for text in lines[end:] if text.strip() and not text.lstrip().startswith("#"))
            below = next(code_below, "")
            if below and below.startswith(_indent(line)) and not _GIVEN.match(below):
                found.append(below.strip())
    return found


def _marked(lines: Sequence[str]) -> Iterator[str]:
    number = 0
    while number < len(lines):
        line = lines[number]
        if REGION.match(line):
            end = _first(lines, number + 1, lambda text: REGION.match(text) is not None)
            yield from _region(lines[number + 1 : end], indent_of(lines, number))
            number = end + 1
        elif begins_blank(line):
            header = end_of_header(lines, number)
            closing = end_of_blank(lines, number)
            yield from _task(lines[number:header])
            if closing is None:
                end = _first(lines, number + 1, lambda text: not is_filler(text))
                while end > number + 1 and not lines[end - 1].strip():
                    end -= 1
                yield from _region([text for text in lines[header:end] if _NAMES.match(text)], indent_of(lines, number))
                number = end
            else:
                is_task_above = any(not is_mark(text) for text in lines[number:header])
                first = header if is_task_above else number + 1
                yield from _region(_without_marks(lines[first:closing]), indent_of(lines, number))
                number = _first(lines, closing, lambda text: not (is_mark(text) and text.lstrip().startswith("#")))
        elif _LINE.match(line):
            end = _first(lines, number, lambda text: not _LINE.match(text))
            yield from _region([_LINE.sub(r"\g<code>", text) for text in lines[number:end]], _indent(line))
            number = end
        else:
            yield line
            number += 1


def _task(header: Sequence[str]) -> Iterator[str]:
    """The comments above a blank that say what to write; nothing if they only mark it."""
    if any(not is_mark(line) and line.lstrip().startswith("#") for line in header):
        yield from (line for line in header if line.strip() and not is_mark(line, alone=True))


def _without_marks(inside: Sequence[str]) -> list[str]:
    """The lines of a solution without the rulers and marks around it."""
    first = _first(inside, 0, lambda text: bool(text.strip()) and not is_mark(text))
    last = len(inside) - _first(inside[::-1], 0, lambda text: bool(text.strip()) and not is_mark(text))
    return list(inside[first:last])


def _first(lines: Sequence[str], begin: int, is_end: object) -> int:
    assert callable(is_end)
    return next((number for number in range(begin, len(lines)) if is_end(lines[number])), len(lines))


def _region(inside: Sequence[str], indent: str) -> Iterator[str]:
    is_written = any(not is_filler(line) for line in inside)
    yield f"{indent}### BEGIN SOLUTION"
    if not is_written:
        yield f"{indent}{STUB}"
    yield from inside if is_written else (line for line in inside if _NAMES.match(line))
    yield f"{indent}### END SOLUTION"


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _without(lines: Sequence[str] | Iterator[str], mark: re.Pattern[str]) -> Iterator[str]:
    """The lines that are not between two marks."""
    is_inside = False
    for line in lines:
        found = mark.match(line)
        if found:
            is_inside = found.group(1) == "BEGIN"
        elif not is_inside:
            yield line
