"""
A student's code as coloured, numbered lines: Pygments finds the tokens, and the template adds the markup.
"""

from __future__ import annotations

import dataclasses
import functools

from pygments.lexers.python import PythonLexer
from pygments.token import Token

from grader.model import CallError, Code
from grader.reports.words import visible

__all__ = ["CodeLine", "CodeView", "list_code", "warm_up"]

MAX_CODE, MAX_CODE_LINES = 8_000, 160


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CodeLine:
    """A line of code: its pieces as (CSS class, text), and whether the error was raised here."""

    number: int
    pieces: tuple[tuple[str, str], ...]
    hit: bool


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CodeView:
    """A function as it stands in the notebook; `more` characters at its end were left out."""

    cell: int
    lines: tuple[CodeLine, ...]
    more: int


COLOURED = {
    Token.Comment: "c",
    Token.Keyword: "k",
    Token.Operator.Word: "k",
    Token.Literal.String: "s",
    Token.Literal.Number: "m",
    Token.Name.Function: "f",
    Token.Name.Class: "f",
    Token.Name.Decorator: "f",
    Token.Name.Builtin: "b",
    Token.Name.Exception: "b",
}


@functools.cache
def _lexer() -> PythonLexer:
    return PythonLexer(stripnl=False, ensurenl=False)


def warm_up() -> None:
    """Compile the lexer's patterns, which takes longer than colouring a function."""
    _lexer()


@functools.cache
def _colour(kind: tuple[str, ...]) -> str:
    # A token type is a tuple of names; a longer tuple is a subtype of each of its beginnings.
    return next((name for group, name in COLOURED.items() if kind[: len(group)] == group), "")


def list_code(code: Code, error: CallError | None) -> CodeView:
    """Colour a function's code, number its lines as in its cell, and mark the line that raised the error."""
    text = visible(code.text).rstrip("\n")
    lines: list[list[tuple[str, str]]] = [[]]
    shown = "\n".join(text[:MAX_CODE].split("\n")[:MAX_CODE_LINES])
    for kind, token in _lexer().get_tokens(shown):
        colour = _colour(kind)
        for line, part in enumerate(token.split("\n")):
            if line > 0:
                lines.append([])
            if part and lines[-1] and lines[-1][-1][0] == colour:
                lines[-1][-1] = (colour, lines[-1][-1][1] + part)
            elif part:
                lines[-1].append((colour, part))
    hit = error.line if error is not None and error.cell == code.cell else None
    return CodeView(
        cell=code.cell,
        lines=tuple(
            CodeLine(number=number, pieces=tuple(pieces), hit=number == hit)
            for number, pieces in enumerate(lines, start=code.line)
        ),
        more=len(text) - len(shown),
    )
