"""Before the release date, nothing that is withheld can be read from anything that a student may see."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from typing import Any

import jsonschema
import pytest

from grader.classroom.adjustments import adjust_report
from grader.errors import UsageError
from grader.exports.formats import OF_MARKS, Format
from grader.exports.gradescope import render_gradescope
from grader.exports.words import harmless
from grader.model import (
    Adjustment,
    CallError,
    CaseResult,
    Chain,
    Diagnosis,
    ExerciseResult,
    NotebookSummary,
    Notice,
    Outcome,
    Report,
)
from grader.reports.html import render_html
from grader.reports.json import render_json, report_to_dict
from grader.reports.reading import read_report
from grader.visibility import Visibility, is_released, read_moment, released_at, views_of
from tests.conftest import ROOT, raw_submission
from tests.exports.readers import validate_gradescope
from tests.exports.rendering import rendered

SCHEMA = json.loads((ROOT / "grader" / "schemas" / "report-1.json").read_text())
LATER = Visibility(release="2030-01-01T12:00:00+01:00", hints=1)
BEFORE, AFTER = (dt.datetime(2030, 1, 1, hour, tzinfo=dt.timezone.utc) for hour in (10, 11))
RIGHT = ("match", "match")
HIDDEN = [
    ("match", "mismatch"),
    ("match", "wrong_shape"),
    ("match", "raised"),
    ("match", "not_finite"),
    ("match", "timed_out"),
    ("match", "crashed"),
]
"""Outcomes of the public case and the hidden case. Students must not see any difference between them."""


def exercise_of(public: str, hidden: str) -> ExerciseResult:
    """A result that reveals the outcome of its hidden case wherever it can."""
    outcome = min((Outcome(public), Outcome(hidden)), key=list(Outcome).index)
    secret = f"secret {hidden}"
    is_wrong = outcome is not Outcome.MATCH
    shown = CaseResult(name="mnist", outcome=Outcome(public), public=True, max_abs_error=0.125)
    seen = ExerciseResult(
        name="grad_w1",
        outcome=shown.outcome,
        points=3.0 if shown.outcome is Outcome.MATCH else 0.0,
        max_points=3.0,
        message="What the public batch shows.",
        cases=(shown,),
        diagnoses=() if shown.outcome is Outcome.MATCH else (Diagnosis(id="seen", message="seen", hint="seen"),),
    )
    return ExerciseResult(
        name="grad_w1",
        before_hidden=seen,
        outcome=outcome,
        points=0.0 if is_wrong else 3.0,
        max_points=3.0,
        fingerprint=f"{list(Outcome).index(outcome):016x}" if is_wrong else None,
        message=f"The gradient on the hidden batch: {secret}.",
        cases=(
            shown,
            CaseResult(
                name="mnist_hidden",
                outcome=Outcome(hidden),
                public=False,
                max_abs_error=0.77,
                error=CallError(type="ValueError", message=secret),
            ),
        ),
        diagnoses=(Diagnosis(id=f"secret_{hidden}", message=secret, hint=secret),) if is_wrong else (),
        notices=(Notice(id="narrow", message=secret),) if is_wrong else (),
        error=CallError(type="ValueError", message=secret) if is_wrong else None,
    )


def report_of(public: str, hidden: str) -> Report:
    result = exercise_of(public, hidden)
    link = Outcome.MATCH if hidden not in ("timed_out", "crashed") else result.outcome
    report = Report(
        assignment_id="two_layer_mse",
        assignment_title="Two layers",
        assignment_version="1",
        submission=raw_submission(b"", name="ada.ipynb"),
        exercises=(result,),
        notebook=NotebookSummary(cells=3, executed=3),
        chain=Chain(links={"grad_w1": link}),
        seconds=10.0 if hidden == "timed_out" else 0.2,
    )
    points = 1.5 if result.outcome is Outcome.MATCH else 0.25
    return adjust_report(report, [Adjustment(points=points, comment=f"secret {points}", reason=f"secret {hidden}")])


def gradescope_results(whole: dict[str, Any], shown: dict[str, Any]) -> str:
    return render_gradescope(harmless(read_report(whole)), shown=harmless(read_report(shown)))


def documents_for_students(report: Report) -> dict[str, str]:
    """Everything that is made for students from a report before the release date."""
    whole, shown = views_of(report, LATER, BEFORE)
    content = report_to_dict(shown)
    jsonschema.validate(content, SCHEMA)
    documents = {"html": render_html(shown), "json": render_json(shown)}
    documents |= {form.value: rendered(read_report(content), form) for form in Format if form not in OF_MARKS}
    results = json.loads(gradescope_results(report_to_dict(whole), content))
    validate_gradescope(results)
    visible = {name: results[name] for name in results if name not in ("score", "extra_data")}
    visible["tests"] = [test for test in results["tests"] if test["visibility"] == "visible"]
    return documents | {"gradescope": json.dumps(visible)}


@pytest.mark.parametrize("cases", HIDDEN)
def test_hidden_cases_change_no_byte_of_what_students_see(cases: tuple[str, str]) -> None:
    right, wrong = documents_for_students(report_of(*RIGHT)), documents_for_students(report_of(*cases))
    is_same = {name: right[name] == wrong[name] for name in right}

    assert not [name for name, text in wrong.items() if "secret" in text or "0.77" in text or "mnist_hidden" in text]
    assert all(is_same.values()), is_same
    assert render_html(report_of(*RIGHT)) != render_html(report_of(*cases)), "whole reports do differ"


def test_a_mistake_on_the_public_batch_is_shown() -> None:
    for public, hidden in (("mismatch", "mismatch"), ("mismatch", "raised"), ("mismatch", "match")):
        _, shown = views_of(report_of(public, hidden), LATER, BEFORE)
        (result,) = shown.exercises

        assert result.outcome is Outcome.MISMATCH
        assert [case.name for case in result.cases] == ["mnist"]
        assert (result.points, result.max_points, shown.score, shown.max_score) == (0, 0, 0, 0)
    assert result.diagnoses


@pytest.mark.parametrize("outcome", ["blank", "missing", "syntax_error", "forbidden", "grader_error"])
def test_an_outcome_without_cases_is_shown(outcome: str) -> None:
    result = dataclasses.replace(
        exercise_of(*RIGHT), outcome=Outcome(outcome), message="What was seen.", cases=(), before_hidden=None
    )
    report = dataclasses.replace(report_of(*RIGHT), exercises=(result,))

    (shown,) = views_of(report, LATER, BEFORE)[1].exercises

    assert (shown.outcome, shown.message) == (Outcome(outcome), "What was seen.")


def test_the_assignment_decides_how_many_hints_are_shown() -> None:
    diagnosis = Diagnosis(id="sign", message="m", hint="first", more=("second", "third"), analogy="like this")
    result = dataclasses.replace(exercise_of("mismatch", "mismatch"), diagnoses=(diagnosis,), before_hidden=None)
    report = dataclasses.replace(report_of(*RIGHT), exercises=(result,))

    shown_hints = []
    for hints in range(4):
        _, shown = views_of(report, dataclasses.replace(LATER, hints=hints), BEFORE)
        (shown_diagnosis,) = shown.exercises[0].diagnoses
        shown_hints.append((shown_diagnosis.hint, shown_diagnosis.more, shown_diagnosis.analogy))

    assert shown_hints == [
        ("", (), ""),
        ("first", (), ""),
        ("first", ("second",), "like this"),
        ("first", ("second", "third"), "like this"),
    ]


def test_the_assignment_may_show_all_outcomes_without_marks() -> None:
    whole = report_of("match", "mismatch")
    _, shown = views_of(whole, dataclasses.replace(LATER, verdicts=True), BEFORE)

    assert shown.exercises[0].outcome is Outcome.MISMATCH
    assert shown.exercises[0].cases == whole.exercises[0].cases
    assert (shown.score, shown.max_score, shown.adjustment) == (0, 0, None)
    assert "0.25" not in render_html(shown)


def test_from_the_release_date_on_students_see_the_report_itself() -> None:
    report = report_of("match", "mismatch")

    assert views_of(report, LATER, AFTER) == (report, report)
    assert views_of(report, Visibility(), BEFORE) == (report, report)
    assert not is_released(LATER, BEFORE)
    assert is_released(released_at(LATER, "now"), BEFORE)
    assert is_released(released_at(LATER, "2029-12-31T00:00Z"), BEFORE)
    assert released_at(LATER, None) is LATER


@pytest.mark.parametrize("text", ["tomorrow", "2030-01-01T12:00", "2030-01-01", "", "2030-13-01T12:00+01:00"])
def test_a_moment_needs_a_date_a_time_and_an_offset(text: str) -> None:
    with pytest.raises(UsageError):
        read_moment(text)


@pytest.mark.parametrize("form", Format)
def test_each_format_refuses_the_wrong_copy(form: Format) -> None:
    """Formats for students refuse the instructor's copy; formats with marks refuse the student's copy."""
    report = dataclasses.replace(report_of(*RIGHT), submission=raw_submission(b"", name="4021.ipynb"))
    whole, shown = (read_report(report_to_dict(view)) for view in views_of(report, LATER, BEFORE))
    refused, taken = (shown, whole) if form in OF_MARKS else (whole, shown)

    with pytest.raises(UsageError, match="2030-01-01T12:00:00"):
        rendered(refused, form)
    assert rendered(taken, form)


def test_gradescope_shows_the_rest_after_publication() -> None:
    whole, shown = views_of(report_of("match", "mismatch"), LATER, BEFORE)

    results = json.loads(gradescope_results(report_to_dict(whole), report_to_dict(shown)))

    assert results["score"] == 0.25
    visible, later = results["tests"]
    assert (visible["visibility"], visible["status"], "score" in visible) == ("visible", "passed", False)
    assert (later["visibility"], later["status"], later["max_score"]) == ("after_published", "failed", 3)
