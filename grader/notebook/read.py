"""
Reads a submitted notebook: .ipynb from format version 3 on, or jupytext's .md and .py.

A file that cannot be read is a finding about the submission, so `read_notebook` returns a sentence about it.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbformat import NotebookNode

from grader.errors import SubmissionError, UsageError
from grader.model import Submission

__all__ = [
    "CELL_LIMIT",
    "FILE_LIMIT_BYTES",
    "NOTEBOOK_SUFFIX",
    "NOTEBOOK_SUFFIXES",
    "TEXT_SUFFIXES",
    "Cell",
    "Notebook",
    "Unreadable",
    "read_notebook",
    "read_submission",
]

FILE_LIMIT_BYTES = 32 * 1024 * 1024
CELL_LIMIT = 2_000
NOTEBOOK_SUFFIX = ".ipynb"
TEXT_SUFFIXES = (".md", ".py")
"""The suffixes of notebooks in text form, which jupytext reads."""
NOTEBOOK_SUFFIXES = (NOTEBOOK_SUFFIX, *TEXT_SUFFIXES)
"""What is read as a notebook. If an attempt has several such files, the first kind counts."""
_METADATA_CHARACTERS = 200


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """
    A code cell of a notebook.

    Attributes:
        number: The number that Jupyter shows beside it, `In [number]`, when the notebook runs from the top.
        index: Its position among all cells of the file, from 0.
        code: Its text, which may contain magics.
    """

    number: int
    index: int
    code: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Notebook:
    """
    A notebook as the grader uses it: the code to run, and the assignment that the file names.

    Attributes:
        cells: The code cells that are not empty, in order, with the numbers 1, 2, 3 and so on.
        assignment_id, version: From the metadata, where `grader release` writes them and anybody may change them.
    """

    cells: tuple[Cell, ...]
    assignment_id: str | None = None
    version: str | None = None

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


def read_submission(path: Path, *, student: str | None = None) -> Submission:
    """
    A file that somebody handed in, with at most `FILE_LIMIT_BYTES` + 1 of its bytes.

    Raises:
        SubmissionError: There is no such file, or it cannot be opened.
        UsageError: The path is a folder.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder.", "Name a notebook in it.")
    try:
        with path.open("rb") as file:
            content = file.read(FILE_LIMIT_BYTES + 1)
    except FileNotFoundError as error:
        raise SubmissionError(f"There is no file {path}.", "Check the path.") from error
    except OSError as error:
        raise SubmissionError(f"{path} cannot be read ({error.strerror}).", "Check its permissions.") from error
    return Submission.of(content, name=path.name, student=student or path.stem)


def read_notebook(submission: Submission) -> Notebook | Unreadable:
    """The notebook in a submission, or why it cannot be read."""
    if len(submission.content) > FILE_LIMIT_BYTES:
        return Unreadable(
            f"The file is larger than {FILE_LIMIT_BYTES // 2**20} MiB. Clear its outputs and save it again."
        )
    if not submission.content.strip(b"\0 \t\r\n"):
        return Unreadable("The file is empty: nothing was saved or uploaded.")
    try:
        text = submission.content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return Unreadable("The file is not UTF-8 text, so it is not a notebook. Did you upload the wrong file?")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    suffix = Path(submission.name).suffix.lower()
    parsed = _read_text(text, suffix) if suffix in TEXT_SUFFIXES else _read_json(text)
    return parsed if isinstance(parsed, Unreadable) else _notebook_of(parsed)


def _read_text(text: str, suffix: str) -> NotebookNode | Unreadable:
    try:
        notebook: NotebookNode = jupytext.reads(text, fmt=suffix.removeprefix("."))
        return notebook
    except Exception as error:  # whichever exception the parser raises, the file is at fault
        return Unreadable(f"The file cannot be read as a notebook in text form ({_first_line(error)}).")


def _read_json(text: str) -> NotebookNode | Unreadable:
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        if error.pos >= len(text.rstrip()) or "Unterminated" in error.msg:
            return Unreadable("The file is incomplete: it was cut off when it was saved or uploaded. Upload it again.")
        return Unreadable(f"The file is not a notebook: its JSON is broken at line {error.lineno}.")
    except (ValueError, RecursionError):
        return Unreadable("The file is not a notebook: its JSON cannot be read.")
    if not isinstance(content, dict) or not ("cells" in content or "worksheets" in content):
        return Unreadable("The file is JSON, but not a notebook: it has no cells.")
    try:
        # `nbformat.reads` would print warnings. `_notebook_of` checks all that matters here.
        notebook = nbformat.from_dict(content)
        current: NotebookNode = notebook if content.get("nbformat") == 4 else nbformat.convert(notebook, 4)
        return current
    except Exception as error:  # nbformat raises KeyError and the like for malformed files
        return Unreadable(f"The file is JSON, but not a notebook that Jupyter can read ({_first_line(error)}).")


def _notebook_of(node: NotebookNode) -> Notebook | Unreadable:
    """The parts that the grader uses, each with the right type, whatever the file contains."""
    cells = node.get("cells")
    if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
        return Unreadable("The file is JSON, but not a notebook: its list of cells is malformed.")
    if len(cells) > CELL_LIMIT:
        return Unreadable(f"The notebook has more than {CELL_LIMIT:,} cells.")
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
    )


def _text_of(cell: dict[str, Any]) -> str:
    source = cell.get("source", "")
    return "".join(map(str, source)) if isinstance(source, list) else str(source)


def _metadata_text(metadata: object, name: str) -> str | None:
    if not isinstance(metadata, dict) or name not in metadata:
        return None
    return str(metadata[name])[:_METADATA_CHARACTERS]


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
