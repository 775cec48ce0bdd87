"""
Reads notebooks in text form: what jupytext writes, and the scripts and Markdown files that people write.

Which format a file is in is decided here, from a closed set, by the header and by the markers of cells.
"""

from __future__ import annotations

import codecs
import dataclasses
import io
import itertools
import re
import tokenize
from collections.abc import Iterable

from jupytext.magics import is_magic

from grader.notebook.forms import TextCell, is_percent_marker, light_cells, percent_cells
from grader.notebook.header import Header, HeaderError, read_header
from grader.notebook.markdown import markdown_cells
from grader.notebook.scripts import cells_of, is_python

__all__ = ["HeaderError", "TextNotebook", "UndecodableError", "decoded", "read_text"]

_MAGIC = re.compile(r"^(\s*)# ((?:%{1,3}[A-Za-z]|![A-Za-z.~$/]|[A-Za-z_]\w*\s*=\s*(?:%{1,2}[A-Za-z]|!)).*)$")
_LIGHT_BEGIN, _LIGHT_END = re.compile(r"# \+(?:\s|$)"), re.compile(r"# -\s*$")
_MARIMO = re.compile(r"app = marimo\.App\(")
_NO_TEXT = frozenset({"punycode", "idna", "undefined"})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TextNotebook:
    """The code cells of a notebook in text form, and the assignment that its header names."""

    cells: tuple[TextCell, ...]
    assignment: str | None = None
    version: str | None = None
    files: str | None = None


class UndecodableError(ValueError):
    """The bytes are not text; the message is a sentence about it."""


def decoded(content: bytes, suffix: str) -> str:
    r"""
    The text of a file, with `\n` at the ends of lines.

    It is UTF-8, or UTF-16 if it begins with the mark of that. A script may name its encoding, as Python allows.
    """
    encoding = "utf-8-sig"
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif suffix == ".py":
        encoding = _named_encoding(content)
    try:
        text = content.decode(encoding)
    except (UnicodeError, LookupError, ValueError) as error:
        if encoding == "utf-8-sig" and suffix != ".py":
            message = "The file is not UTF-8 text, so it is not a notebook. Did you upload the wrong file?"
        elif encoding.startswith("utf-8"):
            message = (
                "The file is not UTF-8 text, and its first two lines do not name another encoding, so Python cannot "
                "read it. Save it as UTF-8."
            )
        else:
            message = f"The file says that it is in {encoding}, but it is not. Save it as UTF-8."
        raise UndecodableError(message) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _named_encoding(content: bytes) -> str:
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content[:10_000]).readline)
    except SyntaxError as error:
        named = re.search(rb"coding[:=][ \t]*([-\w.]{1,40})", content[:1_000])
        if named is None or named[1].lower() in (b"utf-8", b"utf8"):
            return "utf-8-sig"  # decoding fails, and the sentence about it is given there
        name = named[1].decode("ascii", "replace")
        raise UndecodableError(
            f"The file says that it is in the encoding {name!r}, which does not fit it. Save it as UTF-8."
        ) from error
    info = codecs.lookup(encoding)
    if info.name in _NO_TEXT or not getattr(info, "_is_text_encoding", True):
        raise UndecodableError(f"The file says that it is in {encoding!r}, which is not an encoding of text.")
    return encoding


def read_text(text: str, suffix: str, *, most: int) -> TextNotebook:
    """
    The notebook in a text.

    Args:
        suffix: `.py` or `.md`.
        most: How many code cells are looked for. One more is returned if there are more.

    Raises:
        HeaderError: The file says that it is in another format.
    """
    lines = text.removesuffix("\n").split("\n")
    header = read_header(lines, suffix)
    if suffix == ".py":
        cells = _script_cells(text, lines, header, most)
    else:
        cells = _first(markdown_cells(lines, header.end, header.form), most)
    return TextNotebook(cells=cells, assignment=header.assignment, version=header.version, files=header.files)


def _first(cells: Iterable[TextCell], most: int) -> tuple[TextCell, ...]:
    filled = (cell for cell in cells if cell.code.strip())
    return tuple(itertools.islice(filled, most + 1))


def _script_cells(text: str, lines: list[str], header: Header, most: int) -> tuple[TextCell, ...]:
    """
    The cells of a `.py`.

    Only what is marked as a notebook is read as one: by jupytext's header, or by the markers of its cells. Everything
    else is a script. So is a notebook whose cells are not Python although the whole is.
    """
    if header.form in ("percent", "hydrogen") or (header.form is None and any(map(is_percent_marker, lines))):
        found = percent_cells(lines, header.end)
    elif header.form == "light" or _is_light(lines):
        found = light_cells(lines, header.end, header.markers)
    elif any(map(_MARIMO.match, lines)):
        raise HeaderError("This is a notebook of marimo, which is not read. Hand in what `marimo export ipynb` writes.")
    else:
        return _first(itertools.starmap(TextCell, cells_of(text)), most)
    cells = _first(found, most)
    if len(cells) <= most and is_python(text) and not all(is_python(cell.code) for cell in cells if cell.is_python):
        return _first(itertools.starmap(TextCell, cells_of(text)), most)
    return cells if header.form == "hydrogen" else tuple(map(_as_in_jupyter, cells))


def _is_light(lines: list[str]) -> bool:
    """Whether there is a marker where a cell of the light format begins, and one below it where it ends."""
    below = itertools.dropwhile(lambda line: not _LIGHT_BEGIN.match(line), lines)
    return any(map(_LIGHT_END.match, below))


def _as_in_jupyter(cell: TextCell) -> TextCell:
    """
    A cell with its magics, which stand in comments.

    Jupytext would also take comments that begin with `copy`, `cat` or `echo` for commands, and make them code.
    """
    if not cell.is_python:
        return cell
    return dataclasses.replace(cell, code="\n".join(map(_with_magic, cell.code.split("\n"))))


def _with_magic(line: str) -> str:
    """A line without the mark by which jupytext makes a comment of a magic, or keeps a comment from becoming one."""
    if line.startswith("# # ") and is_magic(line, "python"):
        return line[2:]
    return _MAGIC.sub(r"\1\2", line)
