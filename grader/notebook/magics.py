"""
Turns what only IPython reads (magics, `!commands`, `help?`, prompts) into Python, as IPython does, but in linear time.

IPython looks at the whole cell again after each magic that it has found. Here, each statement is looked at once.
"""

from __future__ import annotations

import re
import tokenize
from collections.abc import Callable, Iterator
from typing import cast

from IPython.core.inputtransformer2 import ESCAPE_SINGLES, TRANSFORM_LOOP_LIMIT, TransformerManager

from grader.notebook.parsing import TooComplexError

__all__ = ["as_python"]

_MANAGER = TransformerManager()
_CELL_TRANSFORMS = cast(
    "list[Callable[[list[str]], list[str]]]", _MANAGER.cleanup_transforms + _MANAGER.line_transforms
)
_MOST = TRANSFORM_LOOP_LIMIT - 1
"""How many magics IPython itself reads in one cell."""
_CHARACTERS, _HELP_CHARACTERS = 100_000, 500
"""A longer statement is no magic, and no question: IPython looks at each beginning of one."""
_MAYBE = re.compile(r"^[ \t\f]*[%!?,;/]|=[ \t\f]*(?:\\\n[ \t\f]*)?[%!]|\?[ \t\f]*$", re.MULTILINE)
_BEFORE = frozenset({tokenize.INDENT, tokenize.DEDENT})


def as_python(cell: str) -> str:
    r"""
    The Python that IPython makes of the text of a cell.

    >>> as_python("%matplotlib inline\nx = 1")
    "get_ipython().run_line_magic('matplotlib', 'inline')\nx = 1\n"

    Raises:
        SyntaxError: The cell has a magic that is none.
        TooComplexError: It has more of them than IPython reads.
    """
    lines = (cell if cell.endswith("\n") else f"{cell}\n").splitlines(keepends=True)
    for transform in _CELL_TRANSFORMS:
        lines = transform(lines)
    if not _MAYBE.search("".join(lines)):
        return "".join(lines)
    python: list[str] = []
    magics = 0
    for piece, is_special in _statements(lines):
        is_question = piece[-1].rstrip().endswith("?")
        if is_special and sum(map(len, piece)) <= (_HELP_CHARACTERS if is_question else _CHARACTERS):
            magics += 1
            if magics > _MOST:
                raise TooComplexError(f"it has more than {_MOST} magics")
            python += _MANAGER.do_token_transforms(piece)
        else:
            python += piece
    return "".join(python)


def _statements(lines: list[str]) -> Iterator[tuple[list[str], bool]]:
    """The lines of each statement, and whether it may be one that only IPython reads."""
    start = 0
    while start < len(lines):
        end, is_special = _statement(lines, start)
        yield lines[start:end], is_special
        start = end


def _statement(lines: list[str], start: int) -> tuple[int, bool]:
    """Where the statement that begins in a line ends, and whether it may be one that only IPython reads."""
    if lines[start].lstrip()[:1] in ESCAPE_SINGLES:
        return _continued(lines, start), True
    read = 0

    def next_line() -> str:
        nonlocal read
        read += 1
        return lines[start + read - 1] if start + read <= len(lines) else ""

    depth, is_first, assigns, last = 0, True, False, ""
    try:
        for token in tokenize.generate_tokens(next_line):
            text = token.string
            if (assigns and text in ("%", "!")) or (is_first and text in ESCAPE_SINGLES):
                return _continued(lines, start + token.start[0] - 1), True
            assigns = (text == "=" and depth == 0) or (assigns and text.isspace())
            if token.type == tokenize.NEWLINE or (token.type == tokenize.NL and depth == 0):
                return min(start + token.start[0], len(lines)), last == "?"
            if token.type == tokenize.OP and text in "([{":
                depth += 1
            elif token.type == tokenize.OP and text in ")]}":
                depth = max(0, depth - 1)
            last = text
            is_first = is_first and token.type in _BEFORE
    except (tokenize.TokenError, SyntaxError):
        pass  # a bracket or a text that never ends, or (in Python 3.12) what ends in its line but cannot be read
    return min(start + read, len(lines)), False


def _continued(lines: list[str], start: int) -> int:
    """The line after a line and those that a backslash joins to it."""
    while start < len(lines) - 1 and lines[start].endswith("\\\n"):
        start += 1
    return start + 1
