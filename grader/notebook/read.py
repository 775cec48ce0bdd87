"""
Reads a submitted notebook: .ipynb from format version 3 on, or a text in one of a few formats of jupytext.

A file that cannot be read is a finding about the submission, so `read_notebook` returns a sentence about it.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from grader.errors import SubmissionError
from grader.files import check_is_file
from grader.model import Submission
from grader.notebook.foreign import what_it_is, why_no_json, why_no_notebook
from grader.notebook.lines import json_lines
from grader.notebook.text import HeaderError, UndecodableError, decoded, read_text
from grader.notebook.trim import without_outputs

__all__ = [
    "CELL_LIMIT",
    "DEPTH_LIMIT",
    "FILE_LIMIT_BYTES",
    "NOTEBOOK_SUFFIX",
    "NOTEBOOK_SUFFIXES",
    "TEXT_SUFFIXES",
    "USED_LIMIT_BYTES",
    "Cell",
    "Notebook",
    "Unreadable",
    "cell_lines",
    "notebook_stem",
    "notebook_suffix",
    "read_notebook",
    "read_submission",
    "text_of",
]

DEPTH_LIMIT = 100
"""How many folders a file of a student may be in. A walk recurses, and folders in each other may be 2,000."""
FILE_LIMIT_BYTES = 128 * 1024 * 1024
"""No more of a file is read."""
USED_LIMIT_BYTES = 32 * 1024 * 1024
"""What may remain of it without outputs, which nothing uses."""
TEXT_LIMIT_BYTES = 4 * 1024 * 1024
TEXT_LIMIT_LINES = 100_000
CELL_LIMIT = 2_000
_PARTS_LIMIT = 2_000_000
"""How many lists and objects the JSON may have."""
NOTEBOOK_SUFFIX = ".ipynb"
TEXT_SUFFIXES = (".md", ".py")
"""The suffixes of notebooks in text form."""
NOTEBOOK_SUFFIXES = (NOTEBOOK_SUFFIX, *TEXT_SUFFIXES)
"""What is read as a notebook. If an attempt has several such files, the first kind counts."""
_APPENDED = (".txt", ".json", ".download", ".ipynb")
_METADATA_CHARACTERS = 200
_TOO_MANY_CELLS = f"The notebook has more than {CELL_LIMIT:,} cells."


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """
    A code cell of a notebook.

    Attributes:
        number: The number that Jupyter shows beside it, `In [number]`, when the notebook runs from the top.
        index: Its position among all cells of the file, from 0. In text form, only the code cells count.
        code: Its text, which may contain magics.
        line: The line of the file where its code begins, from 1, in text form; otherwise 0.
    """

    number: int
    index: int
    code: str
    line: int = 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Notebook:
    """
    A notebook as the grader uses it: the code to run, and the assignment that the file names.

    Attributes:
        cells: The code cells that are not empty, in order, with the numbers 1, 2, 3 and so on.
        assignment_id, version, files: From the metadata, where `grader release` writes them. Anybody may change them.
    """

    cells: tuple[Cell, ...]
    assignment_id: str | None = None
    version: str | None = None
    files: str | None = None

    @staticmethod
    def of(codes: Iterable[str]) -> Notebook:
        """A notebook with these code cells."""
        return Notebook(
            cells=tuple(Cell(number=number, index=number - 1, code=code) for number, code in enumerate(codes, start=1))
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Unreadable:
    """Why a file is not a notebook: a sentence for the student."""

    problem: str


def notebook_suffix(name: str) -> str:
    """
    The suffix of a file's name, without what browsers and mail programs append to those of notebooks.

    >>> notebook_suffix("alice.ipynb.txt"), notebook_suffix("alice.json.ipynb"), notebook_suffix("notes.txt")
    ('.ipynb', '.ipynb', '.txt')
    """
    suffixes = [suffix.lower().rstrip() for suffix in PurePosixPath(name).suffixes]
    for suffix in reversed(suffixes):
        if suffix in NOTEBOOK_SUFFIXES:
            return suffix
        if suffix not in _APPENDED:
            break
    return suffixes[-1] if suffixes else ""


def notebook_stem(name: str) -> str:
    """
    A file's name without its suffix, whatever was appended to that.

    >>> notebook_stem("alice.b.ipynb.txt")
    'alice.b'
    """
    suffix = notebook_suffix(name)
    place = name.lower().rfind(suffix) if suffix else len(name)
    return name[:place]


def read_submission(path: Path, *, student: str | None = None) -> Submission:
    """
    A file that somebody handed in, with at most `FILE_LIMIT_BYTES` + 1 of its bytes.

    Raises:
        SubmissionError: There is no such file, or it cannot be opened.
        UsageError: The path is a folder.
    """
    check_is_file(path)
    try:
        with path.open("rb") as file:
            content = file.read(FILE_LIMIT_BYTES + 1)
    except OSError as error:
        raise SubmissionError(f"{path} cannot be read ({error.strerror}).", "Check its permissions.") from error
    return Submission.of(content, name=path.name, student=student or notebook_stem(path.name))


def read_notebook(submission: Submission) -> Notebook | Unreadable:
    """The notebook in a submission, or why it cannot be read."""
    text = text_of(submission)
    if isinstance(text, Unreadable):
        return text
    suffix = notebook_suffix(submission.name)
    if suffix in TEXT_SUFFIXES:
        return _read_text(text, suffix)
    parsed = _read_json(text)
    return parsed if isinstance(parsed, Unreadable) else _notebook_of(parsed)


def text_of(submission: Submission) -> str | Unreadable:
    """The text of a submission as `read_notebook` reads it, or why it is none. Its lines are those of the file."""
    content = submission.content
    suffix = notebook_suffix(submission.name)
    if len(content) > FILE_LIMIT_BYTES:
        return Unreadable(
            f"The file is larger than {FILE_LIMIT_BYTES // 2**20} MiB. Clear its outputs and save it again."
        )
    if not content.strip(b"\0 \t\r\n"):
        return Unreadable("The file is empty: nothing was saved or uploaded.")
    if foreign := what_it_is(content[:1_000], is_text=suffix in TEXT_SUFFIXES):
        return Unreadable(foreign)
    if len(content) > USED_LIMIT_BYTES and suffix not in TEXT_SUFFIXES:
        content = without_outputs(content) or content
    limit = TEXT_LIMIT_BYTES if suffix in TEXT_SUFFIXES else USED_LIMIT_BYTES
    if len(content) > limit:
        what = "The file" if suffix in TEXT_SUFFIXES else "Without its outputs, the notebook"
        return Unreadable(f"{what} is larger than {limit // 2**20} MiB. Is there data in its cells?")
    try:
        return decoded(content, suffix)
    except UndecodableError as error:
        return Unreadable(str(error))


def cell_lines(submission: Submission, notebook: Notebook) -> dict[int, tuple[int, ...]]:
    """For each cell of the submission's notebook, `In [number]`, the lines of the file where its lines stand."""
    if notebook_suffix(submission.name) in TEXT_SUFFIXES:
        return {c.number: tuple(range(c.line, c.line + c.code.count("\n") + 1)) for c in notebook.cells}
    text = text_of(submission)
    found = {} if isinstance(text, Unreadable) else dict(enumerate(json_lines(text)))
    return {cell.number: tuple(found.get(cell.index, ())) for cell in notebook.cells}


def _read_text(text: str, suffix: str) -> Notebook | Unreadable:
    if text.count("\n") >= TEXT_LIMIT_LINES:
        return Unreadable(f"The file has more than {TEXT_LIMIT_LINES:,} lines. Is there data in it?")
    try:
        read = read_text(text, suffix, most=CELL_LIMIT)
    except HeaderError as error:
        return Unreadable(str(error))
    except Exception as error:  # whichever exception the parser of Markdown raises, the file is at fault
        return Unreadable(f"The file cannot be read as a notebook in text form ({type(error).__name__}).")
    if len(read.cells) > CELL_LIMIT:
        return Unreadable(_TOO_MANY_CELLS)
    return Notebook(
        cells=tuple(
            Cell(number=number, index=number - 1, code=cell.code, line=cell.line)
            for number, cell in enumerate(read.cells, start=1)
        ),
        assignment_id=_shortened(read.assignment),
        version=_shortened(read.version),
        files=_shortened(read.files),
    )


def _read_json(text: str) -> dict[str, Any] | Unreadable:
    text = text.rstrip("\0 \t\n")  # what a synchronisation that broke off leaves at the end
    if text.count("{") + text.count("[") > _PARTS_LIMIT:
        return Unreadable("The notebook has too many parts. Clear its outputs and save it again.")
    try:
        content = json.loads(text, parse_int=_whole_number)
    except json.JSONDecodeError as error:
        return Unreadable(why_no_json(text, error))
    except (ValueError, RecursionError, MemoryError):
        return Unreadable("The file is not a notebook: its JSON cannot be read.")
    if isinstance(content, dict) and content.get("type") == "notebook" and isinstance(content.get("content"), dict):
        content = content["content"]  # as Jupyter's server wraps a notebook
    if not isinstance(content, dict) or not ("cells" in content or "worksheets" in content):
        return Unreadable(why_no_notebook(content))
    # `nbformat` would want more of a file than is used: `_notebook_of` checks all that matters here.
    if "cells" not in content:
        sheets = content["worksheets"] if isinstance(content["worksheets"], list) else []
        lists = [sheet.get("cells") for sheet in sheets if isinstance(sheet, dict)]
        content["cells"] = [cell for cells in lists if isinstance(cells, list) for cell in cells]
    return content


def _notebook_of(node: Mapping[str, Any]) -> Notebook | Unreadable:
    """The parts that the grader uses, each with the right type, whatever the file contains."""
    cells = node.get("cells")
    if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
        return Unreadable("The file is JSON, but not a notebook: its list of cells is malformed.")
    if len(cells) > CELL_LIMIT:
        return Unreadable(_TOO_MANY_CELLS)
    codes = [(index, _text_of(cell)) for index, cell in enumerate(cells) if cell.get("cell_type") == "code"]
    filled = [(index, code) for index, code in codes if code.strip()]
    metadata = node.get("metadata")
    grader_metadata = metadata.get("grader") if isinstance(metadata, dict) else None
    return Notebook(
        cells=tuple(
            Cell(number=number, index=index, code=code) for number, (index, code) in enumerate(filled, start=1)
        ),
        assignment_id=_metadata_text(grader_metadata, "assignment"),
        version=_metadata_text(grader_metadata, "version"),
        files=_metadata_text(grader_metadata, "files"),
    )


def _text_of(cell: dict[str, Any]) -> str:
    source = cell.get("source", cell.get("input", ""))
    pieces = source if isinstance(source, list) else [source]
    return "".join(piece for piece in pieces if isinstance(piece, str))


def _metadata_text(metadata: object, name: str) -> str | None:
    value = metadata.get(name) if isinstance(metadata, dict) else None
    return _shortened(str(value)) if isinstance(value, (str, int, float)) else None


def _shortened(text: str | None) -> str | None:
    return text if text is None else text[:_METADATA_CHARACTERS]


def _whole_number(digits: str) -> int | float:
    """A number in JSON, in linear time."""
    return int(digits) if len(digits) < 20 else float(digits)
