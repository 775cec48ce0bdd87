"""
Finds the exercises of a report in the student's file: the line of the notebook's JSON, or of its text form.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from grader.execution.conducting import read_alone
from grader.execution.record import Lines, Reading
from grader.notebook.read import TEXT_SUFFIXES, Unreadable, notebook_suffix, read_submission
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
        if submission.sha256 != report.sha256:
            continue
        reading = read_alone(submission, with_lines=True)
        if not isinstance(reading, Unreadable):
            file, lines = _lines(path, reading)
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


def _lines(path: Path, reading: Reading) -> tuple[Path, Lines]:
    """The file to look at, and for each cell, `In [number]`, the lines of that file where its lines stand."""
    if notebook_suffix(path.name) not in TEXT_SUFFIXES:
        for pair in filter(Path.is_file, map(path.with_suffix, TEXT_SUFFIXES)):
            paired = read_alone(read_submission(pair), with_lines=True)
            if not isinstance(paired, Unreadable) and _codes(paired) == _codes(reading):
                return pair, paired.lines
    return path, reading.lines


def _codes(reading: Reading) -> list[str]:
    return [cell.code.strip() for cell in reading.notebook.cells]
