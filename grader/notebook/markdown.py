"""
Finds the code cells in Markdown: MyST with `{code-cell}`, or Markdown, where Python may stand in fences of any kind.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from markdown_it import MarkdownIt
from markdown_it.token import Token

from grader.notebook.forms import LANGUAGES, TextCell, options_of

__all__ = ["markdown_cells"]

_PYTHON = frozenset({"python", "py", "python3", "py3", "ipython", "ipython3"})
_CELL = "{code-cell}"
_REGION = re.compile(r"<!--\s*#(region|markdown|md|raw)\b[^\n]*-->\s*$")
_END = re.compile(r"<!--\s*#end(region|markdown|md|raw)\s*-->\s*$")
_PARSER = MarkdownIt("commonmark")
_PARSER.core.ruler.enableOnly(["normalize", "block"])
_PARSER.block.ruler.disable(["reference"])


def markdown_cells(lines: Sequence[str], start: int, form: str | None) -> Iterator[TextCell]:
    """
    The code cells of a Markdown file.

    If no fence names a language, those that define a function are Python.

    Args:
        start: The line from which on they are read, counted from 0.
        form: `markdown` or `myst`, where cells stand in no list; None if that depends on whether there is a
            `{code-cell}`.
    """
    fences = [token for token in _PARSER.parse("\n".join(lines[start:])) if token.type == "fence" and token.map]
    if form == "myst" or (form is None and any(token.info.startswith(_CELL) for token in fences)):
        for token in fences:
            if token.level == 0 and token.info.startswith(_CELL):
                yield _myst_cell(token, start)
        return
    fences = list(_outside_regions(lines, start, [token for token in fences if not (form and token.level)]))
    python = [token for token in fences if _language(token.info) in _PYTHON]
    python = python or [token for token in fences if not token.info.strip() and "def " in token.content]
    chosen = set(map(id, python))
    for token in fences:
        language, _, rest = token.info.strip().partition(" ")
        is_python = id(token) in chosen
        options = options_of(rest if is_python or language in LANGUAGES else "")
        if ".noeval" in rest.split() or not options.is_code:
            continue
        line = start + (token.map or [0])[0] + 1
        code = token.content.removesuffix("\n")
        if is_python:
            yield TextCell(line + 1, code)
        elif language in LANGUAGES and token.level == 0:
            yield TextCell(line, "\n".join([f"%%{language} {options.arguments}".rstrip(), code]), is_python=False)


def _myst_cell(token: Token, start: int) -> TextCell:
    """A cell of MyST without its options: lines between two of dashes, or lines that begin with a colon."""
    lines = token.content.removesuffix("\n").split("\n")
    first = 0
    if lines[0].startswith("---"):
        first = next((number + 1 for number in range(1, len(lines)) if lines[number].startswith("---")), 0)
    else:
        while first < len(lines) and lines[first].lstrip().startswith(":"):
            first += 1
    if first < len(lines) and not lines[first].strip():
        first += 1
    return TextCell(start + (token.map or [0])[0] + 2 + first, "\n".join(lines[first:]))


def _outside_regions(lines: Sequence[str], start: int, fences: Sequence[Token]) -> Iterator[Token]:
    """The fences that do not stand in a cell of words, which jupytext puts between two comments."""
    number, region = start, ""
    for token in fences:
        first, end = (place + start for place in token.map or (0, 0))
        while number < first:
            found = (_END if region else _REGION).match(lines[number])
            if found:
                region = "" if found[1] == region else region or found[1]
            number += 1
        if not region:
            yield token
            number = end


def _language(info: str) -> str:
    words = info.strip().strip("{}.").replace(",", " ").replace("}", " ").split()
    return words[0].lower() if words else ""
