"""Every folder of the corpus gets the outcome that its `expect.toml` states, exercise by exercise."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

from grader.assignment import Assignment
from grader.model import Report, Submission
from grader.pipeline import grade
from grader.reports.html import render_html
from grader.reports.json import report_to_dict
from tests.conftest import ROOT, handed_in, raw_submission

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CORPUS = ROOT / "tests" / "corpus" / "two_layer_mse"
EXPRESSIONS = (
    "2 * (yhat - y)",
    "a1.T @ dyhat",
    "dyhat.sum(",
    "dyhat @ w2.T",
    "(z1 > 0)",
    "x.T @ dz1",
    "dz1.sum(",
)
CASES = sorted(path.parent for path in CORPUS.glob("*/expect.toml"))


def submission_in(folder: Path, *, base: str) -> Submission:
    """The file in a case's folder, or the released notebook with the case's answers in it."""
    raw = [path for path in folder.iterdir() if path.stem == "submission"]
    if raw:
        return raw_submission(raw[0].read_bytes(), name=raw[0].name)
    notebook = handed_in((folder / "answers.py").read_text(encoding="utf-8"), base=base)
    return raw_submission(nbformat.writes(notebook).encode(), name=f"{folder.name}.ipynb")


def check(report: Report, expect: dict[str, Any]) -> None:
    outcomes = {exercise.name: exercise.outcome.value for exercise in report.exercises}
    default = "missing" if expect.get("report", {}).get("unreadable") else "match"
    assert outcomes == {name: expect.get("outcomes", {}).get(name, default) for name in outcomes}

    right = sum(e.max_points for e in report.exercises if outcomes[e.name] == "match")
    assert report.score == right, "a mistake costs its own points, and no others"

    notices = expect.get("notices", {})
    for exercise in report.exercises:
        ids = {notice.id for notice in exercise.notices}
        assert set(notices.get(exercise.name, ())) <= ids, (exercise.name, ids)

    first = {e.name: e.diagnoses[0].id if e.diagnoses else None for e in report.exercises}
    assert {name: first[name] for name in expect.get("diagnoses", {})} == expect.get("diagnoses", {})
    assert all(first[name] is None for name, outcome in outcomes.items() if outcome == "match")

    texts = [" ".join((d.message, d.hint, *d.more, d.analogy)) for e in report.exercises for d in e.diagnoses]
    assert not any(expression in text for text in texts for expression in EXPRESSIONS), (
        "a diagnosis gives the answer away"
    )

    told = expect.get("report", {})
    assert bool(report.notebook.problem) is bool(told.get("unreadable"))
    assert told.get("first_error_contains", "") in (report.notebook.first_error or "")
    for name, words in told.get("message_contains", {}).items():
        assert words in next(exercise.message for exercise in report.exercises if exercise.name == name)


@pytest.mark.parametrize("folder", CASES, ids=lambda folder: folder.name)
def test_corpus(folder: Path, assignment: Assignment) -> None:
    """The outcome of each exercise, the points, the notices; and both reports can be made."""
    expect = tomllib.loads((folder / "expect.toml").read_text(encoding="utf-8"))

    report = grade(submission_in(folder, base=expect.get("base", "solution")), assignment)

    check(report, expect)
    assert "<!doctype html>" in render_html(report).lower()
    assert report_to_dict(report)["schema"] == "grader.report/1"


def test_the_corpus_is_as_rich_as_it_should_be() -> None:
    """Correct styles, single mistakes and everyday failures."""
    names = [folder.name for folder in CASES]

    assert sum(name.startswith("ok_") for name in names) >= 12
    assert sum(name.startswith("wrong_") for name in names) >= 20
    assert sum(name.startswith("fail_") for name in names) >= 22
