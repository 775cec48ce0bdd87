"""
A student's source as coloured, numbered lines: Pygments finds the tokens, the template does the markup.
"""

from __future__ import annotations

import dataclasses
import functools

from pygments.lexers.python import PythonLexer
from pygments.token import Token, _TokenType

from grader.model import CallError, Code
from grader.reports.words import visible

__all__ = ["CodeLine", "CodeView", "list_code", "warm_up"]

MAX_CODE, MAX_CODE_LINES = 8_000, 160


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CodeLine:
    """One line of source: coloured pieces as (class, text), and whether the error happened here."""

    number: int
    pieces: tuple[tuple[str, str], ...]
    hit: bool


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CodeView:
    """A function as it stands in the notebook; `more` lines were left out."""

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
    """Compile the lexer's patterns, which takes longer than what it is used for."""
    _lexer()


@functools.cache
def _colour(kind: _TokenType) -> str:
    # A token type is a tuple of names, and contains those that begin with it.
    return next((name for group, name in COLOURED.items() if kind[: len(group)] == group), "")


def list_code(code: Code, error: CallError | None) -> CodeView:
    """Colour a function's source, numbered as in its cell, with the line marked on which the error was raised."""
    source = visible(code.text).rstrip("\n")
    lines: list[list[tuple[str, str]]] = [[]]
    shown = "\n".join(source[:MAX_CODE].split("\n")[:MAX_CODE_LINES])
    for kind, text in _lexer().get_tokens(shown):
        name = _colour(kind)
        for place, part in enumerate(text.split("\n")):
            if place:
                lines.append([])
            if part and lines[-1] and lines[-1][-1][0] == name:
                lines[-1][-1] = (name, lines[-1][-1][1] + part)
            elif part:
                lines[-1].append((name, part))
    hit = error.line if error is not None and error.cell == code.cell else None
    return CodeView(
        cell=code.cell,
        lines=tuple(
            CodeLine(number=place, pieces=tuple(pieces), hit=place == hit)
            for place, pieces in enumerate(lines, start=code.line)
        ),
        more=len(source) - len(shown),
    )
