"""
Finds the exercises of a report in the student's file: the line of the notebook's JSON, or of its text form.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from grader.model import Submission
from grader.notebook.lines import json_lines
from grader.notebook.read import (
    TEXT_SUFFIXES,
    Notebook,
    Unreadable,
    notebook_suffix,
    read_notebook,
    read_submission,
    text_of,
)
from grader.reports.reading import Place, ReadReport

__all__ = ["with_places"]


def with_places(report: ReadReport, notebooks: Sequence[Path]) -> ReadReport:
    """
    Add to each exercise the line to look at: the one that raised, or else the start of the function.

    If there is an identical pair in text form beside the notebook, the line is in that file. An exercise that is not
    found has no place. No exercise has one unless one of the files is exactly the one that was graded.

    Args:
        notebooks: Files, one of which may be the one that was graded.

    Raises:
        SubmissionError: One of the files does not exist.
    """
    for path in notebooks:
        submission = read_submission(path)
        parsed = read_notebook(submission)
        if submission.sha256 == report.sha256 and not isinstance(parsed, Unreadable):
            file, lines = _lines(path, submission, parsed)
            findings = [
                dataclasses.replace(finding, place=_place(file, lines.get(finding.cell or 0, ()), finding.line))
                for finding in report.findings
            ]
            return dataclasses.replace(report, findings=tuple(findings))
    return report


def _place(file: Path, lines: Sequence[int], line: int | None) -> Place | None:
    """The place of a line of a cell. `lines` are the lines of the file where the lines of the cell are; maybe none."""
    if not lines or line is None:
        return None
    return Place(_from_here(file), lines[min(line, len(lines)) - 1])


def _from_here(path: Path) -> str:
    here = Path.cwd()
    whole = here / path
    return (whole.relative_to(here) if whole.is_relative_to(here) else path).as_posix()


def _lines(path: Path, submission: Submission, notebook: Notebook) -> tuple[Path, dict[int, list[int]]]:
    """The file to look at, and for each cell, `In [number]`, the lines of that file where its lines stand."""
    if notebook_suffix(path.name) in TEXT_SUFFIXES:
        return path, _text_lines(notebook)
    for suffix in TEXT_SUFFIXES:
        pair = path.with_suffix(suffix)
        if pair.is_file():
            parsed = read_notebook(read_submission(pair))
            if not isinstance(parsed, Unreadable) and _codes(parsed) == _codes(notebook):
                return pair, _text_lines(parsed)
    found = dict(enumerate(json_lines(_text(submission))))
    return path, {cell.number: found.get(cell.index, []) for cell in notebook.cells}


def _codes(notebook: Notebook) -> list[str]:
    return [cell.code.strip() for cell in notebook.cells]


def _text(submission: Submission) -> str:
    text = text_of(submission)
    return "" if isinstance(text, Unreadable) else text


def _text_lines(notebook: Notebook) -> dict[int, list[int]]:
    return {cell.number: list(range(cell.line, cell.line + cell.code.count("\n") + 1)) for cell in notebook.cells}
