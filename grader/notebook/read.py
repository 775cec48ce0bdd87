"""
Reads what a student handed in: any .ipynb from version 3 on, or jupytext's .md and .py.

A file that cannot be read is a finding about the submission, so `read_notebook` returns it as a sentence.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode

from grader.errors import SubmissionError, UsageError
from grader.model import Submission

__all__ = ["CELL_LIMIT", "FILE_LIMIT_BYTES", "Unreadable", "code_cells", "read_notebook", "read_submission"]

FILE_LIMIT_BYTES = 32 * 1024 * 1024
CELL_LIMIT = 2_000


@dataclasses.dataclass(frozen=True, slots=True)
class Unreadable:
    """Why a file is no notebook, in a sentence for whoever handed it in."""

    problem: str


def read_submission(path: Path, *, student: str | None = None) -> Submission:
    """
    The bytes of a file that somebody handed in, at most one more than `FILE_LIMIT_BYTES` of them.

    Raises:
        SubmissionError: There is no such file, or it cannot be opened.
        UsageError: The path names a folder.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder.", "Name the notebook in it.")
    try:
        with path.open("rb") as file:
            content = file.read(FILE_LIMIT_BYTES + 1)
    except FileNotFoundError as error:
        raise SubmissionError(f"There is no file {path}.", "Check the path.") from error
    except OSError as error:
        raise SubmissionError(f"{path} cannot be read ({error.strerror}).", "Check its permissions.") from error
    return Submission.of(content, name=path.name, student=student or path.stem)


def read_notebook(submission: Submission) -> NotebookNode | Unreadable:
    """The notebook in format 4, without outputs and with cell ids of our own; or why there is none."""
    if len(submission.content) > FILE_LIMIT_BYTES:
        return Unreadable(f"The file is larger than {FILE_LIMIT_BYTES // 2**20} MiB: clear its outputs and save again.")
    if not submission.content.strip(b"\0 \t\r\n"):
        return Unreadable("The file is empty: nothing was saved or uploaded.")
    try:
        text = submission.content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return Unreadable("The file is not text in UTF-8, so it is not a notebook: was another file uploaded?")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    suffix = Path(submission.name).suffix.lower()
    parsed = _read_text(text, suffix) if suffix in (".md", ".py") else _read_json(text)
    return parsed if isinstance(parsed, Unreadable) else _normalised(parsed)


def code_cells(notebook: NotebookNode) -> Iterator[tuple[int, NotebookNode]]:
    """The cells that will run, with the number that Jupyter shows beside them, `In [number]`."""
    cells = (cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip())
    yield from enumerate(cells, start=1)


def _read_text(text: str, suffix: str) -> NotebookNode | Unreadable:
    try:
        notebook: NotebookNode = jupytext.reads(text, fmt=suffix.removeprefix("."))
        return notebook
    except Exception as error:  # whatever a text format's parser raises, the file is at fault
        return Unreadable(f"The file cannot be read as a notebook in text form ({_first_line(error)}).")


def _read_json(text: str) -> NotebookNode | Unreadable:
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        if error.pos >= len(text.rstrip()) or "Unterminated" in error.msg:
            return Unreadable("The file ends in the middle: it was cut off while saving or uploading. Upload it again.")
        return Unreadable(f"The file is not a notebook: its JSON is broken at line {error.lineno}.")
    except (ValueError, RecursionError):
        return Unreadable("The file is not a notebook: its JSON cannot be read.")
    if not isinstance(content, dict) or not ("cells" in content or "worksheets" in content):
        return Unreadable("The file is JSON, but not a notebook: it has no cells.")
    try:
        # `nbformat.reads` would print what it finds invalid; whatever matters to us is checked in `_normalised`.
        notebook = nbformat.from_dict(content)
        current: NotebookNode = notebook if content.get("nbformat") == 4 else nbformat.convert(notebook, 4)
        return current
    except Exception as error:  # nbformat lets KeyError and the like through for odd files
        return Unreadable(f"The file is JSON, but not a notebook that Jupyter can read ({_first_line(error)}).")


def _normalised(notebook: NotebookNode) -> NotebookNode | Unreadable:
    """Only what we use, each part of the type it should have, whatever the file said."""
    cells = notebook.get("cells")
    if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
        return Unreadable("The file is JSON, but not a notebook: its cells are not cells.")
    if len(cells) > CELL_LIMIT:
        return Unreadable(f"The notebook has more than {CELL_LIMIT:,} cells.")
    clean: NotebookNode = nbformat.from_dict({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []})
    metadata = notebook.get("metadata")
    mark = metadata.get("grader") if isinstance(metadata, dict) else None
    clean.metadata["grader"] = {
        key: str(mark[key])[:200] for key in ("assignment", "version") if isinstance(mark, dict) and key in mark
    }
    for number, cell in enumerate(cells):
        source = cell.get("source", "")
        source = "".join(map(str, source)) if isinstance(source, list) else str(source)
        kept = {"id": f"cell-{number}", "cell_type": "markdown", "metadata": {}, "source": source}
        if cell.get("cell_type") == "code":
            kept |= {"cell_type": "code", "outputs": [], "execution_count": None}  # type: ignore[dict-item]
        clean.cells.append(nbformat.from_dict(kept))
    return clean


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
