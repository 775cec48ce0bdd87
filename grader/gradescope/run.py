"""
Runs on Gradescope: grades what is in the submission's folder, and always writes a valid `results.json`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator
from datetime import datetime, timezone
from pathlib import Path

from grader.assignment.find import find_assignment
from grader.assignment.load import load_assignment
from grader.errors import GraderError, as_fault
from grader.execution.conducting import read_alone
from grader.exports.gradescope import render_failure, render_gradescope
from grader.exports.words import harmless
from grader.files import write_atomically
from grader.model import Submission
from grader.notebook.read import DEPTH_LIMIT, NOTEBOOK_SUFFIXES, Unreadable, notebook_suffix, read_submission
from grader.notebook.relevance import Relevance, relevance
from grader.pipeline import grade_or_fault
from grader.reports.json import report_to_dict
from grader.reports.reading import read_report
from grader.sandbox import Level
from grader.visibility import views_of

__all__ = ["choose_file", "run"]

IGNORED = ("__MACOSX", ".ipynb_checkpoints", ".git")
MAX_READ = 20


def run(root: Path) -> GraderError | None:
    """
    Grade what is in `root/submission` by what is in `root/source`, and write `root/results/results.json`.

    Returns:
        GraderError | None: How the grader failed, if it did; the file says so to instructors.

    Raises:
        OSError: The file cannot be written.
    """
    try:
        text, fault = _graded(root)
    except Exception as error:
        fault = as_fault(error)
        text = render_failure(str(fault))
    (root / "results").mkdir(exist_ok=True)
    write_atomically(root / "results" / "results.json", text)
    return fault


def _graded(root: Path) -> tuple[str, GraderError | None]:
    source = root / "source"
    options = json.loads((source / "options.json").read_text(encoding="utf-8"))
    path = find_assignment(options["assignment"], source / "solutions")
    assignment = load_assignment(path, hidden_seed=options["hidden_seed"])
    submission = choose_file(root / "submission", assignment.id, [exercise.name for exercise in assignment.exercises])
    secrets = [source / "options.json", *(root / name for name in ("source/solutions", "submission", "results"))]
    level = Level[options["level"].upper()]
    report, fault = grade_or_fault(submission, assignment, require=level, secrets=secrets)
    whole, shown = views_of(report, assignment.visibility, datetime.now(timezone.utc))
    copy = None if shown is whole else harmless(read_report(report_to_dict(shown)))
    return render_gradescope(harmless(read_report(report_to_dict(whole))), shown=copy), fault


def choose_file(folder: Path, assignment_id: str, exercises: Collection[str] = ()) -> Submission:
    """
    Choose the file to grade: the notebook of this assignment, by its mark and by the functions that it answers.

    Where that does not decide, notebooks come first, then what is not in a subfolder.

    If no file is a notebook, the report on the first one says what is wrong with it. Links are not followed. If there
    are very many notebooks, only the first ones are read.
    """
    files = sorted((path for path in _paths_in(folder) if path.is_file() and not path.is_symlink()), key=_rank)
    if not files:
        return Submission.of(b"", name="nothing", student="")
    best = Relevance(), read_submission(files[0])
    for path in files[:MAX_READ]:
        submission = read_submission(path)
        if notebook_suffix(path.name) not in NOTEBOOK_SUFFIXES:
            continue
        reading = read_alone(submission, exercises)
        if isinstance(reading, Unreadable):
            continue
        found = relevance(reading.notebook, reading.functions, assignment_id, exercises)
        if found > best[0]:
            best = found, submission
    return best[1]


def _paths_in(folder: Path) -> Iterator[Path]:
    """What is in a folder and in those in it, but for some: a walk recurses, so it must not go as deep as it likes."""
    for place, folders, names in os.walk(folder):
        is_deep = len(Path(place).relative_to(folder).parts) >= DEPTH_LIMIT
        folders[:] = [] if is_deep else [name for name in folders if name not in IGNORED]
        yield from (Path(place, name) for name in names if name not in IGNORED)


def _rank(path: Path) -> tuple[int, int, str]:
    suffix = notebook_suffix(path.name)
    return (
        NOTEBOOK_SUFFIXES.index(suffix) if suffix in NOTEBOOK_SUFFIXES else len(NOTEBOOK_SUFFIXES),
        len(path.parts),
        path.as_posix(),
    )
