"""
Grades the sample submissions that come with the package. Each is the released notebook with somebody's answers in it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat

from grader import shipped
from grader.assignment.find import find_assignment
from grader.assignment.load import Assignment, load_assignment
from grader.assignment.source import read_source
from grader.authoring.release import fill_blanks, release_notebook
from grader.errors import UsageError
from grader.files import write_atomically
from grader.model import Report
from grader.notebook.read import read_submission
from grader.pipeline import grade
from grader.reports.write import write_reports

__all__ = ["run_demo"]


def run_demo(output: Path, *, tell: Callable[[str], None]) -> list[tuple[Report, Path]]:
    """
    Write `output/submissions/*.ipynb`, grade each, and write `output/reports/*`.

    Returns:
        list: Each report, with the path of its page.

    Raises:
        UsageError: This installation has no samples: they were left out because they contain answers.
    """
    if not shipped.samples().is_dir():
        raise UsageError("There are no samples in this installation.", "Install the grader from its repository.")
    return list(_grade_samples(output, tell))


def _grade_samples(output: Path, tell: Callable[[str], None]) -> Iterator[tuple[Report, Path]]:
    submissions = output / "submissions"
    submissions.mkdir(parents=True, exist_ok=True)
    for folder in sorted(path for path in shipped.samples().iterdir() if path.is_dir()):
        path = find_assignment(folder.name, shipped.solutions())
        assignment = _with_short_limits(load_assignment(path))
        released = release_notebook(read_source(path))
        for answers in sorted(folder.glob("*.py")):
            tell(f"Grading {answers.stem} ...")
            notebook = fill_blanks(released, answers.read_text(encoding="utf-8"))
            submitted = submissions / f"{answers.stem}.ipynb"
            write_atomically(submitted, nbformat.writes(notebook))
            report = grade(read_submission(submitted), assignment)
            page, *_ = write_reports(report, output / "reports", ("html", "json"))
            yield report, page


def _with_short_limits(assignment: Assignment) -> Assignment:
    """An assignment with short time limits: one of the samples hangs, and nobody wants to wait for it."""
    return dataclasses.replace(assignment, limits=dataclasses.replace(assignment.limits, cell_s=2.0, call_s=2.0))
