"""
Measures what it costs to keep answers (bytes for each submission), and the time to judge them again.

    python benchmarks/rescoring.py [ASSIGNMENT...]
"""

from __future__ import annotations

import sys
import time
import zlib
from pathlib import Path

import nbformat

from grader import shipped
from grader.assignment.find import find_sources
from grader.assignment.load import load_assignment
from grader.assignment.source import read_source
from grader.authoring.release import fill_blanks, release_notebook
from grader.execution.kept import pack_attempt, unpack_attempt
from grader.execution.record import Attempt
from grader.model import Submission
from grader.pipeline import grade
from grader.reports.html import render_html
from grader.reports.json import render_json

WRONG = {
    "two_layer_mse": {
        "no mask": "def grad_z1(da1, z1):\n    return da1.clone()\n",
        "w1 / N": "def grad_w1(x, dz1):\n    return x.T @ dz1 / len(x)\n",
        "w1 transposed": "def grad_w1(x, dz1):\n    return dz1.T @ x\n",
    }
}


def measure(path: Path, label: str, answers: str) -> None:
    """Print a line of the table, for one submission."""
    assignment, source = load_assignment(path), read_source(path)
    notebook = release_notebook(source)
    for exercise in source.exercises:
        notebook = fill_blanks(notebook, exercise.code)
    content = nbformat.writes(fill_blanks(notebook, answers) if answers else notebook).encode()
    submission = Submission.of(content, name="submission.ipynb", student="submission")
    attempts: list[Attempt] = []
    grade(submission, assignment, keep=attempts.append)  # the first grading makes the cases and the mutants

    started = time.perf_counter()
    report = grade(submission, assignment, keep=attempts.append)
    graded = time.perf_counter() - started
    packed = pack_attempt(attempts[-1], assignment) or b""
    started = time.perf_counter()
    known = unpack_attempt(packed, assignment)
    again = grade(submission, assignment, known=known)
    judged = time.perf_counter() - started
    assert known == attempts[-1]
    assert again.score == report.score

    returned = sum(
        len(payload) for reply in attempts[-1].execution.replies.values() for _, payload in reply.records.values()
    )
    page = len(zlib.compress(render_html(report).encode())) + len(render_json(report))
    print(
        f"| {assignment.id} | {label} | {returned / 1e3:,.0f} | {len(packed) / 1e3:,.0f} | {page / 1e3:,.0f} "
        f"| {1e3 * graded:,.0f} | {1e3 * judged:,.0f} |",
        flush=True,
    )


def main() -> None:
    """Measure all assignments, or those that are named."""
    sources = find_sources(shipped.solutions())
    print("| assignment | answers | returned, kB | kept, kB | report and page, kB | graded, ms | judged again, ms |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    for name in sys.argv[1:] or sources:
        for label, answers in {"right": "", **WRONG.get(name, {})}.items():
            measure(sources[name], label, answers)


if __name__ == "__main__":
    main()
