"""Each format is read by the program that it is for, or by a reader written from its documentation."""

from __future__ import annotations

import csv
import dataclasses
import datetime as dt
import io
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import junitparser
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from grader.calling.exercise import Exercise
from grader.cli import main
from grader.errors import UsageError
from grader.exports.formats import Format
from grader.exports.github import LIMIT
from grader.exports.gradescope import render_failure
from grader.exports.markdown import MAX_BYTES
from grader.exports.render import RENDERERS, render
from grader.model import Diagnosis, ExerciseResult, Outcome, Report
from grader.reports.json import render_json, report_to_dict
from grader.reports.reading import ReadReport, read_report
from grader.visibility import Visibility, views_of
from tests import report_samples as samples
from tests.exports.readers import (
    CODE_QUALITY,
    classroom50,
    classroom50_result,
    gitlab_junit,
    read_commands,
    validate_gradescope,
)
from tests.exports.rendering import CLASSROOM50_VARIABLES, rendered

EVERY = pytest.mark.parametrize("sample", samples.SAMPLES)


def read_back(report: Report) -> ReadReport:
    """The report as it is read back from JSON."""
    return read_report(json.loads(json.dumps(report_to_dict(report))))


def classroom50_of(report: ReadReport) -> dict[str, Any]:
    """What Classroom 50 reads."""
    return classroom50_result(rendered(report, Format.CLASSROOM50).encode(), CLASSROOM50_VARIABLES)


def test_each_format_can_be_rendered() -> None:
    assert set(Format) == RENDERERS.keys()


@EVERY
def test_a_junit_reader_and_gitlab_read_junit(sample: str) -> None:
    report = samples.SAMPLES[sample]()

    text = render([read_back(report)], Format.JUNIT)

    suites = junitparser.JUnitXml.fromstring(text.encode())
    outcomes = [exercise.outcome for exercise in report.exercises]
    assert [(s.tests, s.failures, s.errors, s.skipped) for s in suites] == [
        (
            len(outcomes),
            [outcome.passed for outcome in outcomes].count(False),
            outcomes.count(Outcome.GRADER_ERROR),
            outcomes.count(Outcome.SKIPPED),
        )
    ]
    shown = {case["name"]: case for case in gitlab_junit(text)}
    assert list(shown) == [exercise.name for exercise in report.exercises], "none is dropped as a duplicate"
    for exercise in report.exercises:
        expected = {True: "success", False: "failure", None: "error"}[exercise.passed]
        assert shown[exercise.name]["status"] == expected
        assert all(diagnosis.hint in shown[exercise.name]["output"] for diagnosis in exercise.diagnoses)


def test_two_students_are_two_suites_for_gitlab() -> None:
    one = read_back(samples.mixed())

    shown = gitlab_junit(render([one, dataclasses.replace(one, student="bob")], Format.JUNIT))

    assert len(shown) == 2 * len(one.findings)


@EVERY
def test_gradescope_accepts_every_field(sample: str) -> None:
    report = samples.SAMPLES[sample]()

    content = json.loads(render([read_back(report)], Format.GRADESCOPE))

    validate_gradescope(content)
    assert content["score"] == report.score
    undecided = [exercise.name for exercise in report.exercises if exercise.passed is None]
    assert any(test["visibility"] == "hidden" for test in content["tests"]) is bool(undecided)
    visible = json.dumps([test for test in content["tests"] if test["visibility"] != "hidden"])
    assert all(flag.evidence not in json.dumps(content["tests"][-1]) for flag in report.flags)
    assert all(f"{name}: Not graded" in visible for name in undecided)


def test_gradescope_gets_a_file_even_without_a_report() -> None:
    content = json.loads(render_failure("There is no disk."))

    validate_gradescope(content)
    assert [test["visibility"] for test in content["tests"]] == ["visible", "hidden"]
    assert "There is no disk." not in json.dumps(content["tests"][0])


@EVERY
def test_github_s_runner_reads_the_annotations(sample: str) -> None:
    report = samples.SAMPLES[sample]()

    commands = read_commands(render([read_back(report)], Format.GITHUB))

    assert {name for name, _, _ in commands} <= {"error", "warning", "notice"}
    wrong = [exercise for exercise in report.exercises if exercise.passed is not True]
    assert len(commands) == len(wrong) + 1
    for exercise in wrong:
        assert any(exercise.name in properties["title"] for _, properties, _ in commands)


def test_no_more_annotations_than_github_shows() -> None:
    many = dataclasses.replace(
        samples.report(*(samples.without_views("grad_w1", Outcome.RAISED, "It raised.") for _ in range(25)))
    )

    commands = read_commands(render([read_back(many)], Format.GITHUB))

    errors = [message for name, _, message in commands if name == "error"]
    assert len(errors) == LIMIT
    assert errors[-1].startswith("16 more")


@EVERY
def test_classroom50_accepts_the_points(sample: str) -> None:
    """They are those of the report. What could not be graded is worth its points, has none, and is marked."""
    report = samples.SAMPLES[sample]()

    result = classroom50_of(read_back(report))

    assert result["score"] == report.score == sum(test["score"] for test in result["tests"])
    assert result["max-score"] == sum(exercise.max_points for exercise in report.exercises)
    for exercise, test in zip(report.exercises, result["tests"], strict=True):
        assert (test["test-name"], test["passed"]) == (exercise.name, exercise.passed is True)
        assert test["status"] == {True: "pass", False: "fail", None: "error"}[exercise.passed]
        assert all(diagnosis.hint in test["message"] for diagnosis in exercise.diagnoses)


@pytest.mark.parametrize(
    ("shares", "worth", "earned", "score", "most"),
    [
        ((), 1.0, 1.0, 1, 1),
        ((), 0.25, 0.0, 0, 25),
        ((2.0, 1.0), 3.0, 2.0, 2, 3),
        ((0.5, 0.5), 1.0, 0.0, 0, 100),
        ((0.5, 0.5), 1.0, 0.5, 50, 100),
        ((0.5, 0.5), 1.0, 1.0, 100, 100),
    ],
)
def test_fractions_of_points_are_hundredths_for_the_whole_class(
    shares: tuple[float, ...], worth: float, earned: float, score: int, most: int
) -> None:
    """That depends on what the parts of a result are worth, not on what somebody earned."""
    outcome = Outcome.MATCH if earned == worth else Outcome.MISMATCH
    exercise = samples.graded("grad_b1", outcome=outcome, points=earned, max_points=worth, shares=shares)

    result = classroom50_of(read_back(samples.report(exercise)))

    assert (result["score"], result["max-score"]) == (score, most)


def test_a_blank_exercise_tells_the_points_of_its_parts() -> None:
    """It was not called, so its report has no results of parts."""
    exercise = Exercise(name="layer", targets=("w", "b"), arguments=("dz",), shares=(0.5, 0.5))

    report = samples.report(ExerciseResult.of(exercise, Outcome.BLANK, "layer is still blank."))

    assert read_back(report).findings[0].shares == (0.5, 0.5)


def test_classroom50_gets_no_points_before_the_release() -> None:
    """Neither what somebody earned nor what could be earned; the complete report is refused."""
    moment = dt.datetime(2026, 12, 1, tzinfo=dt.timezone.utc)
    whole, shown = views_of(samples.mixed(), Visibility(release="2026-12-04T18:00+01:00"), moment)

    result = classroom50_of(read_back(shown))

    assert {(part["score"], part["max-score"]) for part in (result, *result["tests"])} == {(0, 0)}
    with pytest.raises(UsageError, match="Students see less"):
        classroom50_of(read_back(whole))


@pytest.mark.parametrize("wrong", [{"COMMIT_URL": ""}, {"SUBMISSION_TAG": "v1"}])
def test_a_result_of_nobody_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        rendered(read_back(samples.mixed()), Format.CLASSROOM50, **wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"score": 2.5},
        {"score": 3.0},
        {"score": True},
        {"score": 11},
        {"score": -1},
        {"score": float("nan")},
        {"owner": "ada"},
        {"commit": ""},
        {"assignment": "another"},
        {"tests": [{"test-name": "grad_w1", "passed": 1, "score": 0, "max-score": 1}]},
        {"tests": [{"test-name": "grad_w1", "passed": True, "score": 2, "max-score": 1}]},
    ],
)
def test_classroom50_s_reader_refuses_errors(wrong: dict[str, Any], tmp_path: Path) -> None:
    """Then it is an error, and there is no release."""
    result = classroom50_of(read_back(samples.perfect()))
    (tmp_path / "result.json").write_text(json.dumps(result | wrong))

    assert classroom50(0, tmp_path, "", CLASSROOM50_VARIABLES).status == "error"
    (tmp_path / "result.json").write_text(json.dumps(result))
    assert classroom50(0, tmp_path, "", CLASSROOM50_VARIABLES).status == "success"
    assert classroom50(1, tmp_path, "", CLASSROOM50_VARIABLES).status == "error"


@EVERY
def test_code_quality_follows_gitlab_s_schema(sample: str) -> None:
    report = samples.SAMPLES[sample]()

    issues = json.loads(render([read_back(report)], Format.GITLAB))

    jsonschema.validate(issues, CODE_QUALITY)
    assert len({issue["fingerprint"] for issue in issues}) == len(issues)
    assert len(issues) == len([exercise for exercise in report.exercises if exercise.passed is not True])


@EVERY
def test_csv_has_a_row_for_each_exercise(sample: str) -> None:
    report = samples.SAMPLES[sample]()

    rows = list(csv.DictReader(io.StringIO(render([read_back(report)], Format.CSV))))

    assert [row["exercise"] for row in rows] == [exercise.name for exercise in report.exercises]
    assert sum(float(row["points"] or 0) for row in rows) == report.score


@EVERY
def test_platforms_get_only_decided_marks(sample: str) -> None:
    """A row without a mark would change the student's mark, so there is none if the grader failed."""
    report = samples.SAMPLES[sample]()
    is_decided = all(exercise.passed is not None for exercise in report.exercises)
    one = dataclasses.replace(read_back(report), student="4021")

    canvas = list(csv.reader(io.StringIO(render([one], Format.CANVAS))))
    moodle = list(csv.DictReader(io.StringIO(render([one], Format.MOODLE))))

    assert canvas[0][:2] == ["Student", "ID"]
    assert canvas[0][-2:] == ["Section", one.title]
    assert [(row[1], float(row[-1])) for row in canvas[2:]] == ([("4021", report.score)] if is_decided else [])
    assert [(row["Identifier"], float(row["Grade"])) for row in moodle] == (
        [("Participant 4021", report.score)] if is_decided else []
    )


def test_harmful_exports_to_platforms_are_refused() -> None:
    one = dataclasses.replace(read_back(samples.mixed()), student="=cmd|x")

    assert "\n'=cmd|x,,,'=cmd|x,," in render([one], Format.CANVAS)
    with pytest.raises(UsageError, match="one assignment, not 2"):
        render([one, dataclasses.replace(one, title="Another")], Format.CANVAS)
    with pytest.raises(UsageError, match=r"'=cmd\|x' is not a number"):
        render([one], Format.MOODLE)


@EVERY
def test_the_summary_is_a_table_without_markup(sample: str) -> None:
    report = samples.SAMPLES[sample]()

    page = MarkdownIt("gfm-like", {"linkify": False}).render(render([read_back(report)], Format.MARKDOWN))

    assert page.count("<tr>") == (len(report.exercises) + 1 if report.notebook.problem is None else 0)
    assert "<script" not in page
    assert "<a " not in page


HOSTILE = st.text(max_size=80) | st.sampled_from(
    [
        "\n::error::forged",
        "\r::set-output name=a::b",
        "##[error]forged",
        "\u2028::add-mask::a",
        "%0A::error::x",
        "]]></failure><failure>",
        "<script>alert(1)</script>|",
        "[a](javascript:x)",
        "```\n# heading\n",
        "@everyone https://example.org",
        "=HYPERLINK(1)",
        "\ud800\x00\x1b[31m",
        "\n::stop-commands::x",
    ]
)


@given(HOSTILE, HOSTILE)
def test_text_of_students_is_only_text(text: str, hint: str) -> None:
    """In every format: counts, kinds and structure are the same as with harmless text."""
    wrong = samples.without_views(
        "grad_w1", Outcome.RAISED, text, diagnoses=(Diagnosis(id="sign", message=text, hint=hint),)
    )
    hostile = read_back(samples.report(wrong))

    commands = read_commands(render([hostile], Format.GITHUB))
    assert [name for name, _, _ in commands] == ["error", "notice"]
    assert set(commands[0][1]) == {"title"}
    assert [case["status"] for case in gitlab_junit(render([hostile], Format.JUNIT))] == ["failure"]
    page = MarkdownIt("gfm-like", {"linkify": False}).render(render([hostile], Format.MARKDOWN))
    assert (page.count("<tr>"), page.count("<h2>"), page.count("<details>")) == (2, 1, 1 if text or hint else 0)
    assert not any(tag in page for tag in ("<a ", "<script", "<code", "<img", "<h1"))
    rows = list(csv.reader(io.StringIO(render([hostile], Format.CSV))))
    assert [len(row) for row in rows] == [9, 9]
    assert not rows[1][-1].startswith(("=", "+", "-", "@"))
    validate_gradescope(json.loads(render([hostile], Format.GRADESCOPE)))
    jsonschema.validate(json.loads(render([hostile], Format.GITLAB)), CODE_QUALITY)
    (test,) = classroom50_of(hostile)["tests"]
    assert not read_commands(test["message"])
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u2028\ud800]", test["message"])


def test_a_summary_has_a_size_limit() -> None:
    one = read_back(samples.mixed())

    text = render([one] * 2000, Format.MARKDOWN)

    assert len(text.encode()) < MAX_BYTES + 1000
    assert "There is no room for" in text


@pytest.mark.parametrize("content", ["", "[]", "{}", "null", '{"schema": "grader.report/2"}', '{"schema": 1}', "\0"])
def test_a_file_that_is_not_a_report_is_refused(
    tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.json"
    path.write_text(content)

    assert main(["export", str(path), "--format", "junit"]) == 2
    assert "Name" in capsys.readouterr().err


def test_exports_are_files_or_an_error_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.json"
    path.write_text(render_json(samples.mixed()))

    assert main(["export", str(path), "--format", "junit", "-o", str(tmp_path / "deep" / "junit.xml")]) == 0
    assert junitparser.JUnitXml.fromfile(str(tmp_path / "deep" / "junit.xml"))
    assert main(["export", str(path), "--format", "junit", "-o", str(path / "x")]) == 2
    assert main(["export", str(path), str(path), "--format", "gradescope"]) == 2
    assert main(["export", str(path), "--format", "csv"]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("student,")
    assert "Traceback" not in captured.err
