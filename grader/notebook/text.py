"""
Reads notebooks in text form: what jupytext writes, and the scripts and Markdown files that people write.
"""

from __future__ import annotations

import codecs
import io
import re
import tokenize

import jupytext
import nbformat
from jupytext.magics import is_magic
from markdown_it import MarkdownIt
from nbformat import NotebookNode

from grader.notebook.scripts import cells_of, is_python

__all__ = ["UndecodableError", "decoded", "read_markdown", "read_script"]

_HEADER = re.compile(r"\A(?:#!.*\n)?(?:#.*coding.*\n)?# ---\n(?:#.*\n)*?# ---\n")
_FORMAT = re.compile(r"^#\s+format_name: (\w+)", re.MULTILINE)
_PERCENT = re.compile(r"^\s*#\s*(?:%%%*(?:\s.*)?|<codecell>|In\[[0-9 ]*\]:?)\s*$", re.MULTILINE)
_LIGHT = re.compile(r"^# \+(?:\s.*)?$[\s\S]*^# -\s*$", re.MULTILINE)
_MAGIC = re.compile(r"^(\s*)# ((?:%{1,3}[A-Za-z]|![A-Za-z.~$/]|[A-Za-z_]\w*\s*=\s*(?:%{1,2}[A-Za-z]|!)).*)$")
_PYTHON = frozenset({"python", "py", "python3", "py3", "ipython", "ipython3"})
_MYST = re.compile(r"^ *(?:`{3,}|~{3,})\{code-cell\}|^ +format_name: myst$", re.MULTILINE)
_MARKDOWN = MarkdownIt("commonmark")
_MARKDOWN.core.ruler.enableOnly(["normalize", "block"])
_NO_TEXT = frozenset({"punycode", "idna", "undefined"})


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


def read_script(text: str) -> NotebookNode:
    """
    The notebook in a `.py`.

    Only what is marked as a notebook is read as one: by jupytext's header, or by the markers of its cells. Everything
    else is a script. So is a notebook whose cells are not Python although the whole is.
    """
    header = _HEADER.match(text)
    form = _FORMAT.search(header[0]) if header else None
    if _PERCENT.search(text) and not (form and form[1] == "light"):
        name = "percent"
    elif header or _LIGHT.search(text):
        name = form[1] if form else "light"
    else:
        return _script(text)
    # jupytext would take comments that begin with `copy`, `cat` or `echo` for commands, and make them code.
    notebook: NotebookNode = jupytext.reads(
        text, fmt={"extension": ".py", "format_name": name, "comment_magics": False}
    )
    codes = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if is_python(text) and not all(is_python(cell.source) or cell.source.startswith("%%") for cell in codes):
        script = _script(text)
        script.metadata = notebook.metadata
        return script
    for cell in codes:
        cell.source = "\n".join(map(_as_in_jupyter, cell.source.split("\n")))
    return notebook


def _as_in_jupyter(line: str) -> str:
    """A line without the mark by which jupytext makes a comment of a magic, or keeps a comment from becoming one."""
    if line.startswith("# # ") and is_magic(line, "python"):
        return line[2:]
    return _MAGIC.sub(r"\1\2", line)


def _script(text: str) -> NotebookNode:
    cells = [nbformat.v4.new_code_cell(code) for code in cells_of(text)]
    notebook: NotebookNode = nbformat.v4.new_notebook(cells=cells)
    return notebook


def read_markdown(text: str) -> NotebookNode:
    """
    The notebook in a `.md`: MyST with `{code-cell}`, or Markdown, where Python may stand in fences of any kind.

    If no fence names a language, those that define a function are Python.
    """
    notebook: NotebookNode = jupytext.reads(text if _MYST.search(text) else _with_plain_fences(text), fmt="md")
    return notebook


def _with_plain_fences(text: str) -> str:
    """The same lines, but Python stands in the only kind of fence that jupytext reads."""
    fences = [token for token in _MARKDOWN.parse(text) if token.type == "fence" and token.map]
    python = [token for token in fences if _language(token.info) in _PYTHON]
    python = python or [token for token in fences if not token.info.strip() and "def " in token.content]
    lines = text.split("\n")
    for token in python:
        first, end = token.map or (0, 0)
        opening = lines[first]
        if opening.startswith("```") and token.info.split()[:1] == ["python"]:
            continue
        code = token.content.split("\n")[:-1]
        runs = (len(run) for run in re.findall(r"^`{3,}", token.content, re.MULTILINE))
        fence = "`" * max(3, 1 + max(runs, default=2))
        is_closed = end - first > len(code) + 1
        lines[first : first + 1 + len(code)] = [f"{fence}python", *code]
        if is_closed:
            lines[end - 1] = fence
        else:
            lines[len(lines) - (not lines[-1]) :] = [fence]
    return "\n".join(lines)


def _language(info: str) -> str:
    words = info.strip().strip("{}.").replace(",", " ").replace("}", " ").split()
    return words[0].lower() if words else ""
