"""
Cuts outputs out of the bytes of a very large notebook before it is parsed, in bounded time and memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["without_outputs"]

_TOKEN = re.compile(rb'"[^"\\]*(?:\\(?:.|\Z)[^"\\]*)*(?:"|\Z)|[\[\]{}]', re.DOTALL)
_UNUSED = re.compile(rb'"(?:outputs|attachments|widgets)"\Z')
_VALUE = re.compile(rb"[ \t\r\n]*:[ \t\r\n]*(?=[\[{])")
_TOKENS = 6_000_000
"""How many strings and brackets are read. Large outputs are long strings; only made-up files have more."""


def without_outputs(content: bytes) -> bytes | None:
    r"""
    The same JSON with empty outputs, attachments and states of widgets; None if it has too many parts.

    Every line stays where it is.

    >>> without_outputs(b'{"cells": [{"source": "x", "outputs": [{"text":\n"y"}]}]}')
    b'{"cells": [{"source": "x", "outputs": [\n]}]}'
    """
    pieces, end = list[bytes](), 0
    for start, stop in _unused(content):
        if start < 0:
            return None
        pieces += (content[end : start + 1], b"\n" * content.count(b"\n", start, stop))
        end = stop - 1
    return b"".join((*pieces, content[end:]))


def _unused(content: bytes) -> Iterator[tuple[int, int]]:
    """Where each list or object begins and ends that no code is in; (-1, -1) if there are too many parts."""
    begin, depth = -1, 0
    starts_at = -1
    for count, token in enumerate(_TOKEN.finditer(content)):
        if count >= _TOKENS:
            yield -1, -1
            return
        first = content[token.start()]
        if begin < 0:
            if first == 0x22 and token.end() - token.start() <= 13 and _UNUSED.match(token[0]):
                value = _VALUE.match(content, token.end())
                starts_at = value.end() if value else -1
            elif token.start() == starts_at:
                begin, depth = starts_at, 1
        elif first in b"[{":
            depth += 1
        elif first in b"]}":
            depth -= 1
            if depth == 0:
                yield begin, token.end()
                begin = -1
