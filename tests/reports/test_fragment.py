"""A report as lines of text."""

from __future__ import annotations

import numpy as np

from grader.calling.exercise import Exercise
from grader.model import BatchView, ExerciseResult, NotebookSummary, Outcome, PartResult, Report, Submission
from grader.reports.fragment import render_text

LAYER = Exercise(name="grad_layer", targets=("w", "b", "x"), arguments=("x", "w", "dz"), shares=(1.0, 1.0, 1.0))
RIGHT = np.random.RandomState(0).standard_normal((12, 8))


def test_each_sentence_about_entries_names_its_part() -> None:
    """There are none about parts that are right, and none about pictures."""
    result = ExerciseResult.of(
        LAYER,
        Outcome.MISMATCH,
        "2 of 3 parts are wrong.",
        parts=(
            PartResult(name="dw", outcome=Outcome.MISMATCH, points=0.0, max_points=1.0),
            PartResult(name="db", outcome=Outcome.MATCH, points=1.0, max_points=1.0),
            PartResult(name="dx", outcome=Outcome.MISMATCH, points=0.0, max_points=1.0),
        ),
        views=(
            BatchView(part="dw", got=3 * RIGHT, expected=RIGHT),
            BatchView(part="db", got=RIGHT, expected=RIGHT),
            BatchView(part="dx", got=90 * RIGHT[:, ::-1], expected=RIGHT),
        ),
    )
    report = Report(
        assignment_id="by_hand",
        assignment_title="By hand",
        assignment_version="1",
        submission=Submission.of(b"", name="this notebook", student=""),
        exercises=(result,),
        notebook=NotebookSummary(cells=1, executed=1),
        gives_marks=False,
    )

    lines = [line.strip() for line in render_text(report).split("\n")]

    assert "dw: All of your entries are 3 times those of the reference." in lines
    assert "dx: All 96 of your entries are different from the reference." in lines
    assert not [line for line in lines if line.startswith("db:") or "colour" in line or "picture" in line]
