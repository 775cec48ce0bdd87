"""An instructor's decisions are checked and saved, appear everywhere, and are never lost."""

from __future__ import annotations

import contextlib
import csv
import json
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from grader.classroom.adjustments import adjust_report
from grader.classroom.decisions import adjustments_by_owner
from grader.classroom.gradebook import Gradebook
from grader.classroom.keys import Basis, Keys
from grader.classroom.records import Graded, Owner
from grader.cli import main
from grader.model import Adjustment, ExerciseResult, NotebookSummary, Outcome, Report
from grader.reports.html import render_html
from grader.reports.json import report_to_dict
from tests.conftest import ROOT, SOURCE, raw_submission

SCHEMA = json.loads((ROOT / "grader" / "schemas" / "report-1.json").read_text())
REASON = "The derivation on paper is right."


def report_of(*outcomes: Outcome) -> Report:
    return Report(
        assignment_id="two_layer_mse",
        assignment_title="",
        assignment_version="1",
        submission=raw_submission(b"", name="ada.ipynb"),
        exercises=tuple(
            ExerciseResult(
                name=f"grad_{number}", outcome=outcome, points=2.0 * (outcome is Outcome.MATCH), max_points=2.0
            )
            for number, outcome in enumerate(outcomes)
        ),
        notebook=NotebookSummary(cells=1, executed=1),
    )


def made(*adjustments: Adjustment) -> dict[str, Any]:
    report = adjust_report(report_of(Outcome.MATCH, Outcome.MISMATCH, Outcome.GRADER_ERROR), adjustments)
    content = report_to_dict(report)
    jsonschema.validate(content, SCHEMA)
    return content


def test_points_of_an_exercise() -> None:
    content = made(Adjustment(exercise="grad_1", points=1.5, reason=REASON))

    assert (content["score"], content["max_score"]) == (3.5, 4.0)
    assert content["exercises"][1]["adjustment"] == {"points": 1.5, "graded": 0.0, "comment": "", "reason": REASON}
    assert content["exercises"][1]["outcome"] == "mismatch"


def test_an_instructor_can_decide_where_the_grader_failed() -> None:
    content = made(Adjustment(exercise="grad_2", points=2, reason=REASON))

    assert (content["score"], content["max_score"]) == (4.0, 6.0)
    assert content["graded_score"] is None
    assert content["exercises"][2]["adjustment"]["graded"] is None


def test_the_total_overrides_the_exercises() -> None:
    content = made(Adjustment(points=5, reason=REASON), Adjustment(exercise="grad_1", points=1, reason=REASON))

    assert (content["score"], content["max_score"]) == (5, 6.0)
    assert [each["exercise"] for each in content["adjustments"]] == [None, "grad_1"]


def test_a_comment_changes_no_points_and_a_removed_exercise_changes_nothing() -> None:
    plain = made()
    content = made(Adjustment(exercise="grad_0", comment="Neat.", reason=REASON), Adjustment(exercise="gone", points=1))

    assert "adjustments" not in plain
    assert (content["score"], content["max_score"]) == (plain["score"], plain["max_score"])
    assert content["exercises"][0]["adjustment"]["comment"] == "Neat."


def test_the_page_shows_decisions_as_text() -> None:
    hostile = "<script>alert(1)</script>"
    report = adjust_report(
        report_of(Outcome.MATCH, Outcome.MISMATCH),
        [Adjustment(points=3, reason=hostile), Adjustment(exercise="grad_1", comment=hostile, reason=REASON)],
    )
    page = render_html(report)

    assert "<script" not in page
    assert "3 of 4 points instead of 2" in page
    assert REASON in page
    assert page.count("alert(1)") == 2


@pytest.fixture
def gradebook(tmp_path: Path) -> Path:
    """A gradebook with two graded students, one of them on two platforms."""
    path = tmp_path / "gradebook.db"
    basis = Basis(assignment_id="two_layer_mse", assignment_version="1", hidden_seed=0, execution="e", judgement="j")
    report = json.dumps(report_to_dict(report_of(Outcome.MATCH, Outcome.MISMATCH)))
    with contextlib.closing(Gradebook(str(path))) as kept:
        for number, (student, platform) in enumerate((("ada", "plain"), ("bob", "canvas"), ("bob", "moodle"))):
            graded = Graded(report=report, page=zlib.compress(b""))
            kept.keep(Keys(str(number), "e"), Owner(platform, student), "0" * 64, basis, graded)
    return path


def adjust(gradebook: Path, *arguments: object) -> int:
    return main(["adjust", "-g", str(gradebook), "--by", "emmy", *map(str, arguments)])


def what_counts(gradebook: Path) -> dict[Owner, tuple[Adjustment, ...]]:
    with contextlib.closing(Gradebook(str(gradebook))) as kept:
        return adjustments_by_owner(kept, "two_layer_mse")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["eve", "--points", 1, "--reason", "x"], "No student 'eve'"),
        (["adaa", "--points", 1, "--reason", "x"], "Do you mean 'ada'?"),
        (["bob", "--points", 1, "--reason", "x"], "in canvas and in moodle"),
        (["bob", "--platform", "nbgrader", "--points", 1, "--reason", "x"], "No student"),
        (["ada", "--exercise", "grad_7", "--points", 1, "--reason", "x"], "no exercise 'grad_7'"),
        (["ada", "--exercise", "grad_0", "--points", 2.5, "--reason", "x"], "give 0 to 2"),
        (["ada", "--exercise", "grad_0", "--points", -1, "--reason", "x"], "out of range"),
        (["ada", "--points", 4.5, "--reason", "x"], "give 0 to 4"),
        (["ada", "--points", "nan", "--reason", "x"], "out of range"),
        (["ada", "--points", 1], "no reason"),
        (["ada", "--reason", "x"], "This decides nothing"),
        (["ada", "--points", 1, "--reason", "x", "-a", "other"], "No student"),
        (["--withdraw", 3, "--reason", "x"], "no adjustment 3"),
        (["ada", "--list"], "Say exactly one thing"),
        ([], "Say exactly one thing"),
    ],
)
def test_wrong_decisions_are_refused(gradebook: Path, capsys: Any, arguments: list[object], message: str) -> None:
    assert adjust(gradebook, *arguments) == 2

    assert message in capsys.readouterr().err
    assert what_counts(gradebook) == {}


def test_a_typo_creates_no_gradebook(tmp_path: Path, capsys: Any) -> None:
    assert adjust(tmp_path / "gradebok.db", "ada", "--points", 1, "--reason", "x") == 2

    assert "There is no gradebook" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_later_decisions_and_withdrawn_ones(gradebook: Path, capsys: Any) -> None:
    """New points replace old ones, a comment does not; withdrawn decisions can still be read."""
    assert adjust(gradebook, "ada", "--exercise", "grad_1", "--points", 1, "--reason", "First.") == 0
    assert adjust(gradebook.parent, "ada", "--exercise", "grad_1", "--comment", "Neat.", "--reason", "Said.") == 0

    (adjustment,) = what_counts(gradebook)[Owner("plain", "ada")]
    assert (adjustment.points, adjustment.comment, adjustment.reason) == (1.0, "Neat.", "First. Said.")

    assert adjust(gradebook, "ada", "--exercise", "grad_1", "--points", 2, "--reason", "Second.") == 0
    (adjustment,) = what_counts(gradebook)[Owner("plain", "ada")]
    assert (adjustment.points, adjustment.comment, adjustment.reason) == (2.0, "Neat.", "Second.")

    assert adjust(gradebook, "--withdraw", 3, "--reason", "A mistake.") == 0
    assert adjust(gradebook, "--withdraw", 3, "--reason", "Again.") == 2
    assert what_counts(gradebook)[Owner("plain", "ada")][0].points == 1.0

    capsys.readouterr()
    assert adjust(gradebook, "--list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert "emmy" in lines[2]
    assert "withdrawn by emmy" in lines[2]
    assert "A mistake." in lines[2]


def test_decisions_can_be_imported(gradebook: Path, tmp_path: Path, capsys: Any) -> None:
    """All of them or none. Semicolons, decimal commas and byte order marks of spreadsheets are understood."""
    table = tmp_path / "by-hand.csv"
    table.write_text("student,exercise,points,reason\nada,grad_1,1,x\nada,grad_1,9,x\n")
    assert adjust(gradebook, "--import", table) == 2
    assert "by-hand.csv, line 3: 9 points" in capsys.readouterr().err
    assert what_counts(gradebook) == {}

    for content in ("name,points\nada,1\n", "student,points,reason,when\nada,1,x,now\n", "student,reason\nada,x,y\n"):
        table.write_text(content)
        assert adjust(gradebook, "--import", table) == 2

    table.write_bytes(
        "\ufeffstudent;exercise;points;comment;reason;by;platform\r\n"
        "ada;grad_1;1,5;;Right on paper.;;\r\n"
        ";;;;;;\r\n"
        'bob;;3;"Well; done";Oral exam.;grace;moodle\r\n'.encode()
    )
    assert adjust(gradebook, "--import", table) == 0

    counts = what_counts(gradebook)
    assert counts[Owner("plain", "ada")] == (Adjustment(exercise="grad_1", points=1.5, reason="Right on paper."),)
    assert counts[Owner("moodle", "bob")] == (Adjustment(points=3.0, comment="Well; done", reason="Oral exam."),)


def test_decisions_appear_everywhere_and_survive_regrading(
    tmp_path: Path, notebook_of: Callable[[str], bytes], in_this_process: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the report, the tables, the platform's feedback and its gradebook, and no kernel is started for it."""
    canvas, theirs, output = tmp_path / "submissions.zip", tmp_path / "grades.csv", tmp_path / "out"
    with zipfile.ZipFile(canvas, "w") as archive:
        archive.writestr("lovelaceada_4021_998877_two_layer_mse.ipynb", notebook_of("mask"))
    theirs.write_text("Student,ID,SIS Login ID,two_layer_mse (87)\nAda,4021,ada,\n")
    command = ["batch", str(canvas), "-q", "--solutions", str(SOURCE.parent), "-o", str(output), "--fill", str(theirs)]
    assert main(command) == 1
    monkeypatch.setattr("grader.pipeline.start_conductor", None)
    words = ["--comment", "Well argued.", "--reason", REASON]
    assert adjust(output, "4021", "--exercise", "grad_z1", "--points", 1.125, *words) == 0

    for _ in range(2):
        assert main(command) == 1
        with (output / "gradebook.csv").open() as file:
            (row,) = csv.DictReader(file)
        assert (row["score"], row["graded_score"], row["grad_z1"]) == ("9.13", "8.00", "1.13")
        assert row["comment"] == "Well argued."
        (result,) = json.loads((output / "gradebook.json").read_text())["results"]
        assert (result["score"], result["adjusted"], result["graded_score"]) == (9.125, True, 8.0)
        assert json.loads((output / "4021.json").read_text())["score"] == 9.125
        assert (output / "grades-filled.csv").read_text().endswith("Ada,4021,ada,9.13\n")
        with zipfile.ZipFile(output / "feedback-canvas.zip") as archive:
            page = archive.read(archive.namelist()[0]).decode()
        assert "1.125 of 2 points instead of 0" in page
        assert REASON in page
        assert "emmy" not in page

    assert adjust(output, "--withdraw", 1, "--reason", "No.") == 0
    assert main(command) == 1
    assert json.loads((output / "4021.json").read_text())["score"] == 8.0
