"""
The marks with which courses say where students write: where a blank begins, and where it ends.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = [
    "begins_blank",
    "end_of_blank",
    "end_of_header",
    "indent_of",
    "is_filler",
    "is_mark",
    "is_ruler",
    "says_marks",
]

_WHAT = r"(?:CODE|SOLUTION|IMPLEMENTATION|ANSWER|TODO|ASSIGN\w*)"
_YOURS = r"YOUR (?:CODE|SOLUTION|IMPLEMENTATION|ANSWER)"
_START = re.compile(
    rf"^\s*#\W*(?:(?:START|BEGIN)\b.*\b{_WHAT}\b|(?:{_YOURS}|TODO)\W+(?:STARTS?|BEGINS?)\b)",
    re.IGNORECASE,
)
_END = re.compile(
    rf"^\s*#(?:\W*(?:END\b.*\b{_WHAT}\b|END(?:\s+HERE)?\W*$|(?:{_YOURS}|TODO)\W+(?:ENDS?|STOPS?)\b)|\W*/\s*{_YOURS}\b)",
    re.IGNORECASE,
)
_HERE = re.compile(
    rf"^\s*#\W*(?:TODO\W*)?(?:(?:WRITE |PUT |INSERT |ADD |FILL IN |IMPLEMENT )?{_YOURS}\b"
    r"|(?:INSERT|WRITE|ADD|FILL IN) (?:THE )?CODE (?:HERE|BELOW)\b|IMPLEMENT THIS\b)",
    re.IGNORECASE,
)
_TASK = re.compile(r"^\s*#\W*TODO\b", re.IGNORECASE)
_RAISES = re.compile(r"^\s*raise NotImplementedError\b")
_FILLER = re.compile(
    r"^\s*(?:pass|\.\.\.|raise NotImplementedError.*|(?:[\w, ]+=\s*)?(?:None|\.\.\.)(?:\s*,\s*None)*)?\s*(?:#.*)?$"
)
_RULER = re.compile(r"^\s*#\s*([#*=~_-])\1{4,}\s*#?\s*$|^\s*#{5,}\s*$")
_MOST_LINES = 2000
"""A blank is shorter than that."""
_IN_TEXT = re.compile(
    rf"\b(?:(?:START|BEGIN|END)(?: OF)?(?: THE| YOUR)? {_WHAT}(?: HERE)?|{_YOURS}(?: HERE)?"
    r"|(?:START|BEGIN)\b\W{1,9}(?:(?:and|to|or)\b\W{1,9})?END"
    r"|(?i:(?:start|begin)\w*\W{1,5}(?:(?:and|to|or)\W{1,5})?(?:the )?end\w*\W{1,5}"
    r"(?:marks?|markers?|comments?|tags?)))\b"
)
"""Small letters are a mark only where the text says so: a lecture may speak of the start and the end of a loop."""


def begins_blank(line: str) -> bool:
    """Whether a line says that students write here, or below."""
    if _END.match(line):
        return False
    return any(mark.match(line) is not None for mark in (_START, _HERE, _TASK, _RAISES))


def is_mark(line: str, *, alone: bool = False) -> bool:
    """
    Whether a line is nothing but a mark; a task, `# TODO: add the bias`, is more than that.

    Args:
        alone: Whether rulers, and a `TODO` above a task, are none.
    """
    if any(mark.match(line) is not None for mark in (_START, _END, _HERE)):
        return True
    return not alone and not re.search(r"\w", _TASK.sub("", line))


def is_filler(line: str) -> bool:
    """Whether a line is empty, a comment, or stands where a solution belongs, such as `pass` or `dw = None`."""
    return _FILLER.match(line) is not None


def is_ruler(line: str) -> bool:
    """Whether a line is a comment that draws a line."""
    return _RULER.match(line) is not None


def says_marks(text: str) -> str:
    """The first mark that a text tells students of, `END CODE HERE`; empty if there is none."""
    found = _IN_TEXT.search(text)
    return found.group() if found else ""


def end_of_header(lines: Sequence[str], begin: int) -> int:
    """Behind the comments that belong to the mark in a line: the task, and rulers around it."""
    if _RAISES.match(lines[begin]):
        return begin
    end = begin + 1
    while end < len(lines) and (not lines[end].strip() or lines[end].lstrip().startswith("#")):
        if _END.match(lines[end]):
            break
        end += 1
    return end


def end_of_blank(lines: Sequence[str], begin: int) -> int | None:
    """
    The line of the mark that closes the blank which begins in a line; None if nothing closes it.

    It is the first mark of an end before the block of code ends; or a ruler like the one above the blank, below code.
    """
    body = end_of_header(lines, begin)
    indent = indent_of(lines, begin)
    above = lines[begin - 1].strip() if begin and is_ruler(lines[begin - 1]) else None
    ruled = None
    has_code = False
    for number in range(begin + 1, min(len(lines), begin + _MOST_LINES)):
        line = lines[number]
        if _END.match(line):
            return number
        is_code = bool(line.strip()) and not line.lstrip().startswith("#")
        if is_code and len(line) - len(line.lstrip()) < len(indent):
            break
        has_code = has_code or (is_code and number >= body)
        if ruled is None and has_code and above is not None and line.strip() == above:
            ruled = number
    return ruled


def indent_of(lines: Sequence[str], begin: int) -> str:
    """The indent of the code of a blank: that of its mark, unless the code below is indented more."""
    own = _space_before(lines[begin])
    code = next((line for line in lines[begin + 1 :] if line.strip() and not line.lstrip().startswith("#")), "")
    below = _space_before(code)
    return below if below.startswith(own) else own


def _space_before(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]
