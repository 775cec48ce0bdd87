"""
Says why code is not Python, where Python's own message does not help.

There are characters that cannot be seen, characters that only look right, and the syntax of a newer Python than this.
"""

from __future__ import annotations

import itertools
import re
import sys
import unicodedata

__all__ = ["why_not_python"]

_MARKS = re.compile(r"U\+([0-9A-F]{4,6})\b")
_NEWER: tuple[tuple[tuple[int, int], re.Pattern[str], str], ...] = (
    ((3, 11), re.compile(r"^\s*except\s*\*"), "`except*`"),
    ((3, 11), re.compile(r"\w\[(?:[^\]]*,)?\s*\*\w"), "a star in an index"),
    ((3, 12), re.compile(r"^\s*type\s+\w+\s*(?:\[.*\])?\s*=(?!=)"), "a `type` statement"),
    ((3, 12), re.compile(r"^\s*(?:async\s+)?(?:def|class)\s+\w+\s*\["), "a type parameter in brackets after a name"),
    ((3, 14), re.compile(r"^\s*except\*?\s+[\w.]+(?:\s*,\s*[\w.]+)+\s*:"), "`except A, B:` without parentheses"),
    ((3, 14), re.compile(r"(?<![\w'\"])(?:[tT][rR]?|[rR][tT])(?=[\"'])"), "a t-string"),
    ((3, 15), re.compile(r"^\s*lazy\s+(?:import|from)\s"), "a `lazy` import"),
    ((3, 15), re.compile(r"[\[({]\s*\*{1,2}[\w.]+\s+for\s"), "a star in a comprehension"),
)
_NESTED = (3, 12), "quotes of the same kind, a backslash or a comment inside the braces of an f-string"
_STRING = re.compile(r"(?<!\w)(?P<f>[fF][rR]?|[rR][fF])?[rRbBuU]?(?P<quote>'''|\"\"\"|'|\")")
_PAIRS = {"(": ")", "[": "]", "{": "}"}
_SCANNED, _STRINGS, _DEPTH, _LINE = 10_000, 20, 10, 2_000
_LOOKS_LIKE = {
    **dict.fromkeys("“”„‟«»″", '"'),
    **dict.fromkeys("‘’‚‛′", "'"),
    **dict.fromkeys("×·⋅∗", "*"),
    **dict.fromkeys("−–—‐‑‒", "-"),
    **dict.fromkeys("÷∕⁄", "/"),
    "≤": "<=",
    "≥": ">=",
    "≠": "!=",
    "²": "**2",
    "…": "...",
}


def why_not_python(error: SyntaxError, code: str, *, version: tuple[int, int] = sys.version_info[:2]) -> str:
    """
    What is wrong with code that cannot be parsed: Python's message with the line, and what helps.

    Args:
        version: The Python that the code is for.
    """
    message = f"{error.msg} (line {error.lineno})" if error.lineno else str(error.msg)
    lines = code.split("\n")
    place = min(error.lineno or 1, len(lines))
    help_ = _odd_character(error.msg, lines[place - 1]) or _newer(lines, place, version)
    return f"{message}. {help_}" if help_ else message


def _odd_character(message: str, line: str) -> str:
    named = _MARKS.search(message) if "character" in message else None
    if named is not None and int(named[1], 16) <= sys.maxunicode:
        character = chr(int(named[1], 16))
    else:
        before = line[: len(line) - len(line.lstrip("\ufeff\u200b\u200c\u200d\u2060\u00a0 \t"))]
        character = next((each for each in before if each not in " \t"), "")
    if not character:
        return ""
    name = unicodedata.name(character, "a control character").lower()
    name = {"\ufeff": "a byte-order mark", "\u00a0": "a no-break space"}.get(character, name)
    if not character.isprintable() or character.isspace():
        return (
            f"The line has a character that cannot be seen (U+{ord(character):04X}, {name}), as it comes with text "
            "that was copied from elsewhere. Delete the line and type it anew"
        )
    plain = _LOOKS_LIKE.get(character) or unicodedata.normalize("NFKC", character)
    instead = f": Python wants {plain}" if plain != character and plain.isascii() else ""
    return f"The line has {character} ({name}), which Python does not read{instead}"


def _newer(lines: list[str], place: int, version: tuple[int, int]) -> str:
    line = lines[place - 1][:_LINE]
    for since, pattern, what in _NEWER:
        if version < since and pattern.search(line):
            return _since(what, since, version)
    since, what = _NESTED
    if version < since and _has_newer_f_string("\n".join(lines[place - 1 :])[:_SCANNED], line):
        return _since(what, since, version)
    return ""


def _since(what: str, since: tuple[int, int], version: tuple[int, int]) -> str:
    return (
        f"This may be right in a newer Python: {what} came with Python {since[0]}.{since[1]}. This grader runs Python "
        f"{version[0]}.{version[1]}. Write it in another way"
    )


def _has_newer_f_string(text: str, line: str) -> bool:
    """Whether an f-string that begins in the line is one by the rules of Python 3.12, but by no older ones."""
    for start in itertools.islice(_STRING.finditer(line), _STRINGS):
        end, is_newer = _string(text, start, 0)
        if end is not None and is_newer:
            return True
    return False


def _string(text: str, start: re.Match[str], depth: int) -> tuple[int | None, bool]:
    """Where a string ends (None if it does not), and whether only Python 3.12 reads it."""
    quote, place, is_newer = start["quote"], start.end(), False
    while place < len(text):
        if text.startswith(quote, place):
            return place + len(quote), is_newer
        if text[place] == "\n" and len(quote) == 1:
            break
        if start["f"] and text[place] == "{" and text[place : place + 2] != "{{":
            end, is_field_newer = _field(text, place + 1, quote, depth + 1)
            if end is None:
                break
            place, is_newer = end, is_newer or is_field_newer
        else:
            place += 2 if text[place] == "\\" or text[place : place + 2] in ("{{", "}}") else 1
    return None, False


def _field(text: str, place: int, quote: str, depth: int) -> tuple[int | None, bool]:
    """The same for the part of an f-string within braces."""
    awaited, is_newer = ["}"], False
    while place < len(text) and depth < _DEPTH:
        character, string = text[place], _STRING.match(text, place)
        if string is not None:
            end, is_inner_newer = _string(text, string, depth)
            if end is None:
                break
            has_same = quote[0] in string["quote"] and len(quote) == 1
            is_newer = is_newer or is_inner_newer or has_same or "\\" in text[place:end]
            place = end
            continue
        if character in _PAIRS:
            awaited.append(_PAIRS[character])
        elif character in ")]}":
            if character != awaited.pop():
                break
            if not awaited:
                return place + 1, is_newer
        elif character == "#":
            is_newer, place = True, place + len(text[place:].partition("\n")[0])
        place += 1
    return None, False
