"""
Makes text safe for a terminal and for the log of a job: the one place that commands use.

A terminal obeys escape sequences. Whoever runs a job reads its log line by line and obeys what looks like a command:
`::error::` at the start of a line and `##[error]` anywhere (GitHub, Azure), `section_start:` after a carriage return
(GitLab). Lines are wrapped anywhere, so every place in a text may become the start of a line.
"""

from __future__ import annotations

import re

from grader.reports.words import visible

__all__ = ["for_terminal", "lines_for_terminal", "without_commands"]

_COMMAND = re.compile(r"::(?=[A-Za-z])")
_COMMAND_OF_A_LINE = re.compile(r"(?<!\S)::(?=[A-Za-z])")
_OLD_COMMAND = re.compile(r"##(?=(?:vso)?\[)", re.IGNORECASE)
_SECTION = re.compile(r"section_(?=(?:start|end):)")


def for_terminal(text: str) -> str:
    r"""
    Text of anybody's on one line, in which nothing controls a terminal or is a command.

    >>> for_terminal("a\x1b[31mb\n::error::c ##[group]d")
    'a⟨U+001B⟩[31mb : :error: :c ## [group]d'
    """
    line = "".join(
        character if character.isprintable() else f"⟨U+{ord(character):04X}⟩"
        for character in " ".join(visible(text).split())
    )
    return _COMMAND.sub(": :", without_commands(line))


def lines_for_terminal(text: str) -> str:
    """As `for_terminal`, for several lines: they stay apart, with their indentation."""
    lines = visible(text).split("\n")
    return "\n".join(line[: len(line) - len(line.lstrip(" "))] + for_terminal(line) for line in lines)


def without_commands(text: str) -> str:
    """Text in which no line is a command to what reads the log of a job. Lines stay as they are otherwise."""
    return _SECTION.sub("section ", _OLD_COMMAND.sub("## ", _COMMAND_OF_A_LINE.sub(": :", text)))
