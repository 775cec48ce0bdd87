"""
Divides a script that is a notebook into cells, as jupytext does: the formats light and percent.

jupytext's own readers copy the rest of the file for each cell, and evaluate what a marker says about its cell. These
here go over the lines once, and read the few words that decide whether a cell is code.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator, Sequence

from jupytext.magics import is_magic, unescape_code_start
from jupytext.stringparser import StringParser

from grader.notebook.header import uncommented

__all__ = ["LANGUAGES", "Options", "TextCell", "is_percent_marker", "light_cells", "options_of", "percent_cells"]

LANGUAGES = frozenset({"bash", "html", "javascript", "js", "latex", "markdown", "perl", "pypy", "python2", "python3"})
LANGUAGES |= {"R", "cython", "matlab", "octave", "ruby", "script", "sh", "sql", "svg"}
"""Languages that IPython has, or may have, a cell magic for."""
_KEY = re.compile(r"\s*(?P<key>[A-Za-z_.][\w.\-:]*)(?P<equals>\s*=\s*)?")
_OPTIONS = 2_000
"""How much of a marker is read."""
_PERCENT = re.compile(r"[^\S\n]*#[^\S\n]*(?:%%(?P<options>%*\s.*)|(?:%%|<codecell>|In\[[0-9 ]*\]:?)[^\S\n]*)$")
_QUOTED = re.compile(r"[rR]?(?P<quotes>\"{3}|'{3})(?P<first>\n?)(?P<code>.*?)\n?(?P=quotes)\Z", re.DOTALL)
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)$")
_DECODER = json.JSONDecoder()


@dataclasses.dataclass(frozen=True, slots=True)
class TextCell:
    """
    A code cell of a notebook in text form.

    Attributes:
        line: The line of the file where its code begins, from 1.
        is_python: It is in Python, so that a magic in it may stand in a comment.
    """

    line: int
    code: str
    is_python: bool = True


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """
    What a marker says about its cell.

    Attributes:
        kind: `code`, `markdown` or `raw`.
        language: The language, if that is said and is not Python.
        arguments: What follows the name of the language in the first line of the cell.
        ends: What stands after `#` at the end of the cell, in the light format.
        active: The kinds of files (`ipynb`, `py`) where the cell is code; None if that is not said.
    """

    kind: str = "code"
    language: str = ""
    arguments: str = ""
    ends: str = "-"
    active: frozenset[str] | None = None

    @property
    def is_code(self) -> bool:
        """Whether the cell is code in a notebook."""
        return self.kind == "code" and (self.active is None or "ipynb" in self.active)

    @property
    def is_commented(self) -> bool:
        """Whether the code of the cell stands in comments."""
        return bool(self.language) if self.active is None else "py" not in self.active


def options_of(text: str) -> Options:
    """The options in the rest of a line that is a marker, as jupytext writes them: JSON, or words and `key=value`."""
    text = text[:_OPTIONS].strip()
    brace, equals = text.find("{"), text.find("=")
    if brace >= 0 and not 0 <= equals < brace:
        title, values = text[:brace], _json(text, brace)[0]
    else:
        begin = len(text[:equals].rstrip().rpartition(" ")[0]) if equals >= 0 else len(text)
        title, values = text[:begin], _pairs(text[begin:])
    values = values if isinstance(values, dict) else {}
    kind = next((kind for kind in ("markdown", "raw", "md") if f"[{kind}]" in title), values.get("cell_type", "code"))
    language, arguments, ends = (_word(values, name) for name in ("language", "magic_args", "endofcell"))
    return Options(
        kind=str(kind),
        language="" if language == "python" else language[:40],
        arguments=arguments,
        ends=ends or "-",
        active=_active(values),
    )


def _word(values: dict[str, object], name: str) -> str:
    value = values.get(name)
    return value if isinstance(value, str) and "\n" not in value else ""


def _json(text: str, place: int) -> tuple[object, int]:
    """The JSON that begins there, and where it ends; None if it is not JSON."""
    try:
        return _DECODER.raw_decode(text, place)
    except (ValueError, RecursionError):
        return None, len(text)


def _pairs(text: str) -> dict[str, object]:
    values: dict[str, object] = {}
    place = 0
    while (match := _KEY.match(text, place)) and match.end() > place:
        values[match["key"]], place = _json(text, match.end()) if match["equals"] else (None, match.end())
    return values


def _active(values: dict[str, object]) -> frozenset[str] | None:
    control, tags, active = values.get("run_control"), values.get("tags"), values.get("active")
    if isinstance(control, dict) and control.get("frozen") is True:
        return frozenset({"ipynb"})
    for tag in tags if isinstance(tags, list) else ():
        if isinstance(tag, str) and tag.startswith("active-"):
            return frozenset(tag.split("-"))
    return frozenset(re.split(r"[.,]", active)) if isinstance(active, str) else None


def is_percent_marker(line: str) -> bool:
    """Whether a line of a script begins a cell of the percent format, or of a script that Jupyter exported."""
    return bool(_PERCENT.match(line))


def percent_cells(lines: Sequence[str], start: int) -> Iterator[TextCell]:
    """The code cells of a script in the percent format, from a line on (which is counted from 0)."""
    closing: _Closings | None = None
    while start < len(lines):
        marker = _PERCENT.match(lines[start])
        options = options_of((marker["options"] or "").lstrip("%")) if marker else Options()
        if not options.is_code and closing is None:
            closing = _Closings(lines)
        end = _percent_end(lines, start, options, closing)
        last = end - 2 if _two_blank(lines, start, end) else end - (not lines[end - 1])
        if options.is_code:
            begin = start + bool(marker)
            yield _code_cell(list(lines[begin : max(begin, last)]), begin, options)
        start = end


def _two_blank(lines: Sequence[str], start: int, end: int) -> bool:
    """Whether exactly two blank lines are before a line, which are not all that there is."""
    return end - start >= 3 and bool(lines[end - 3].strip()) and not (lines[end - 2].strip() or lines[end - 1].strip())


def _percent_end(lines: Sequence[str], start: int, options: Options, closing: _Closings | None) -> int:
    """The line where the next cell begins. A marker in a text, or in a fence of a cell of words, begins none."""
    parser = StringParser(options.language or "python")
    fence = ""
    for number in range(start, len(lines)):
        is_quoted = parser.is_quoted()
        parser.read_line(lines[number])
        if is_quoted:
            continue
        if not options.is_code and closing is not None:
            text = uncommented(lines[number])
            if fence:
                fence = "" if _closes(text, fence) else fence
                continue
            opening = _FENCE.match(text)
            if opening and not (opening[1][0] == "`" and "`" in opening[2]) and closing.exist(number, opening[1]):
                fence = opening[1]
                continue
        if number > start and _PERCENT.match(lines[number]):
            return number
    return len(lines)


class _Closings:
    """Which fences are closed below a line."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._longest: list[dict[str, int]] = [{}]
        for line in reversed(lines):
            below = self._longest[-1]
            match = _FENCE.match(uncommented(line))
            if match and not match[2].strip() and len(match[1]) > below.get(match[1][0], 0):
                below = below | {match[1][0]: len(match[1])}
            self._longest.append(below)
        self._longest.reverse()

    def exist(self, number: int, fence: str) -> bool:
        return self._longest[number + 1].get(fence[0], 0) >= len(fence)


def _closes(text: str, fence: str) -> bool:
    match = _FENCE.match(text)
    return bool(match and match[1].startswith(fence) and not match[2].strip())


def light_cells(lines: Sequence[str], start: int, markers: tuple[str, str] | None = None) -> Iterator[TextCell]:
    """The code cells of a script in the light format, from a line on (which is counted from 0)."""
    light = _Light(lines, markers)
    while start < len(lines):
        start, cell = light.cell(start)
        if cell is not None:
            yield cell


class _Light:
    """A script in the light format: a cell ends at a blank line, or it has markers at its begin and its end."""

    def __init__(self, lines: Sequence[str], markers: tuple[str, str] | None) -> None:
        self._lines = lines
        self._markers = markers
        self._filled: list[int] = [len(lines)] * (len(lines) + 1)
        """For each line, the next one that is not blank."""
        for number in range(len(lines) - 1, -1, -1):
            self._filled[number] = number if lines[number].strip() else self._filled[number + 1]

    def cell(self, start: int) -> tuple[int, TextCell | None]:
        """Where the next cell begins, and the cell that begins at a line, if it is code."""
        begins = self._begins(self._lines[start])
        is_end = self._markers is not None and self._ends(self._lines[start], self._markers[1])
        if begins is None and not is_end and self._is_comment(start):
            end = start
            while end < len(self._lines) and self._lines[end].strip():
                end += 1
            return self._next(min(end + 1, len(self._lines)), is_marked=False), None
        options = options_of(begins) if begins is not None else Options()
        end, after, is_marked, is_dropped = self._end(start, None if begins is None else options)
        begin = start if begins is None or is_dropped else start + 1
        last = end - 2 if is_marked and _two_blank(self._lines, begin, end) else end
        cell = _code_cell(list(self._lines[begin : max(begin, last)]), begin, Options() if is_dropped else options)
        return self._next(after, is_marked=is_marked), cell if options.is_code else None

    def _begins(self, line: str) -> str | None:
        """What follows the marker by which a cell begins in a line; None if none does."""
        rest = line[1:].lstrip() if line.startswith("#") else ""
        marker = self._markers[0] if self._markers else "+"
        return rest[len(marker) :] if rest.startswith(marker) else None

    def _ends(self, line: str, marker: str) -> bool:
        return line.startswith("#") and line[1:].strip() == marker

    def _is_comment(self, start: int) -> bool:
        """Whether the lines up to the next blank one are words."""
        for number in range(start, len(self._lines)):
            line = self._lines[number]
            if not line.startswith("#"):
                return number > start and not line.strip()
            if not line[1:].lstrip().startswith("#") and is_magic(line, "python"):
                return False
        return True

    def _end(self, start: int, options: Options | None) -> tuple[int, int, bool, bool]:
        """
        Where a cell ends, where the next begins, whether there is a marker at its end, and whether its own counts not.

        Args:
            options: None if the cell has no marker.
        """
        lines = self._lines
        parser = StringParser((options.language if options else "") or "python")
        for number in range(start if options is None else start + 1, len(lines)):
            line = lines[number]
            is_quoted = parser.is_quoted()
            parser.read_line(line)
            if is_quoted:
                continue
            if self._begins(line) is not None:
                blank = 0
                while blank < 2 and number - blank > start and not lines[number - blank - 1].strip():
                    blank += 1
                return number - blank, number, False, self._markers is not None
            if options is not None:
                if self._ends(line, self._markers[1] if self._markers else options.ends):
                    return number, number + 1, True, False
            elif not line.strip() and not self._is_indented(number):
                if number > start:
                    return number, number + 1, False, False
                is_filled = self._filled[number] == number + 1
                return number + 1, number + 1 if is_filled else min(number + 2, len(lines)), False, False
        return len(lines), len(lines), False, False

    def _is_indented(self, number: int) -> bool:
        filled = self._filled[number]
        return filled < len(self._lines) and self._lines[filled][0].isspace()

    def _next(self, after: int, *, is_marked: bool) -> int:
        """Where the next cell begins, after the blank lines between the two."""
        filled = self._filled[after]
        blank = filled - after if filled < len(self._lines) else 0
        return after + (1 if blank == 1 else 2 if blank == 2 and is_marked else 0)


def _code_cell(lines: list[str], begin: int, options: Options) -> TextCell:
    quoted = _QUOTED.match("\n".join(lines).strip()) if options.is_commented and options.active is not None else None
    if quoted:
        begin += next(number for number, line in enumerate(lines) if line.strip()) + bool(quoted["first"])
        lines = quoted["code"].split("\n")
    elif options.is_commented:
        lines = [uncommented(line) for line in lines]
    else:
        lines = unescape_code_start(lines, ".py", "python")
    if options.language:
        first = f"%%{options.language} {options.arguments}".rstrip()
        return TextCell(begin, "\n".join([first, *lines]), is_python=False)
    return TextCell(begin + 1, "\n".join(lines), is_python=not options.is_commented)
