"""If only the judgement changes, the replies of a class are judged again, and nothing is executed."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from grader import pipeline, shipped
from grader.assignment.load import load_assignment
from grader.assignment.misconceptions import cell_to_name
from grader.classroom import keys
from grader.classroom.gradebook import FORM, Gradebook
from grader.classroom.keys import Basis
from grader.cli import main
from grader.version import code_hash, modules_behind
from tests.classroom.conftest import ANSWERS, one_thread_here
from tests.conftest import ROOT, SOURCE

SCHEMA = json.loads((ROOT / "grader" / "schemas" / "report-1.json").read_text())


def started(*_: object, **__: object) -> None:
    raise RuntimeError("a kernel was started")


def batch(source: Path, folder: Path, output: Path, *arguments: object) -> int:
    return main(["batch", str(folder), "--solutions", str(source), "-o", str(output), "-q", *map(str, arguments)])


def reports(output: Path) -> dict[str, Any]:
    """The report on each student, without the time that it took."""
    found = {path.stem: json.loads(path.read_text()) for path in sorted(output.glob("s*.json"))}
    for report in found.values():
        del report["timing_s"]
    return found


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory, notebook_of: Callable[[str], bytes]) -> Path:
    """A graded class: notebooks in `class/`, the source notebook in `source/`, results in `out/`."""
    place = tmp_path_factory.mktemp("graded")
    for name in ("class", "source"):
        (place / name).mkdir()
    shutil.copy(SOURCE, place / "source")
    for number, kind in enumerate(ANSWERS, start=1001):
        (place / "class" / f"s{number}.ipynb").write_bytes(notebook_of(kind))
    (place / "class" / "s1005.ipynb").write_bytes(notebook_of("mask"))  # the same bytes, another student
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("grader.classroom.workers.local_workers", one_thread_here)
        assert batch(place / "source", place / "class", place / "out") == 1
    return place


@pytest.fixture
def place(graded: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(graded, tmp_path / "copy"))


@pytest.fixture
def without_kernels(monkeypatch: pytest.MonkeyPatch, in_this_process: None) -> None:
    """Executing a notebook fails."""
    monkeypatch.setattr(pipeline, "start_conductor", started)


def change(place: Path, old: str, new: str) -> None:
    path = place / "source" / SOURCE.name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_points_and_hints_can_change(place: Path, in_this_process: None, request: pytest.FixtureRequest) -> None:
    """The reports equal those of a grading from scratch, to the last digit."""
    before = reports(place / "out")
    change(place, "grader: {points: 2}", "grader: {points: 5}")
    change(place, "  learning_rate: 0.01\n", "  learning_rate: 0.01\n  hints: 1\n")
    assert batch(place / "source", place / "class", place / "fresh") == 1

    request.getfixturevalue("without_kernels")
    assert batch(place / "source", place / "class", place / "out") == 1

    after = reports(place / "out")
    assert after == reports(place / "fresh")
    assert {student for student in after if after[student] != before[student]} == set(before)
    assert after["s1001"]["score"] != before["s1001"]["score"]
    wrong = {exercise["name"]: exercise for exercise in after["s1002"]["exercises"]}["grad_z1"]
    assert wrong["diagnoses"][0]["id"] == "missing_mask"
    assert wrong["diagnoses"][0]["hint"]
    assert not wrong["diagnoses"][0]["more"]


def test_a_mistake_can_get_a_name(place: Path, without_kernels: None) -> None:
    """By its fingerprint, as the class's page suggests. Every student with this wrong answer gets the explanation."""
    before = reports(place / "out")
    (wrong,) = (each for each in before["s1002"]["exercises"] if each["name"] == "grad_z1")
    cell = cell_to_name("grad_z1", wrong["fingerprint"])
    with (place / "source" / SOURCE.name).open("a", encoding="utf-8") as file:
        file.write(f"\n{cell}")

    assert batch(place / "source", place / "class", place / "out") == 1

    after = reports(place / "out")
    named = {
        student: each["diagnoses"][0]["id"]
        for student, report in after.items()
        for each in report["exercises"]
        if each["name"] == "grad_z1" and each["diagnoses"]
    }
    assert named == dict.fromkeys(("s1002", "s1005"), "grad_z1_mistake")
    assert {student: after[student]["score"] for student in after} == {s: before[s]["score"] for s in before}
    assert "grad z1 mistake" in (place / "out" / "index.html").read_text()


def test_another_version_of_the_grader(place: Path, monkeypatch: pytest.MonkeyPatch, without_kernels: None) -> None:
    """New recognisers and new texts execute nothing, like all code that has no part in executing."""
    before = reports(place / "out")
    monkeypatch.setattr(keys, "code_hash", lambda roots=(): code_hash(roots) if roots else "another")
    (place / "out" / "s1001.html").unlink()

    assert batch(place / "source", place / "class", place / "out") == 1

    assert reports(place / "out") == before
    assert (place / "out" / "s1001.html").is_file()


@pytest.mark.parametrize(
    ("old", "new", "executes"),
    [
        ("return da1 * (z1 > 0)", "return da1 * (z1 > 0.0)", False),
        ("  learning_rate: 0.01", "  learning_rate: 0.02", True),
        ("def forward(", "# of two layers\ndef forward(", True),
    ],
)
def test_which_changes_of_the_source_notebook_execute(place: Path, old: str, new: str, executes: bool) -> None:
    """A change of the solution does not; a change of what the student's process is asked does."""
    path = place / "source" / SOURCE.name
    before = Basis.of(load_assignment(path))
    change(place, old, new)
    after = Basis.of(load_assignment(path))

    assert after.judgement != before.judgement
    assert (after.execution != before.execution) is executes


@pytest.mark.parametrize(
    ("name", "executes"),
    [
        ("harness/serve.py", True),
        ("sandbox/seccomp.py", True),
        ("reference/cases.py", True),
        ("notebook/scope.py", True),  # which variables are changed depends on it
        ("judge.py", False),
        ("diagnosis/texts/hints.toml", False),
        ("diagnosis/recognise.py", False),
        ("reports/templates/report.css", False),
    ],
)
def test_which_changes_of_the_grader_execute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, executes: bool
) -> None:
    package = tmp_path / "grader"
    shutil.copytree(ROOT / "grader", package, ignore=shutil.ignore_patterns("*.gz", "__pycache__"))
    monkeypatch.setattr(shipped, "PACKAGE", package)
    hash_now = code_hash.__wrapped__
    executing, everything = hash_now(keys.EXECUTING), hash_now()

    with (package / name).open("a") as file:
        file.write("\n")

    assert hash_now() != everything
    assert (hash_now(keys.EXECUTING) != executing) is executes


def test_the_code_that_executing_depends_on_is_found_by_imports() -> None:
    """Everything that the roots import is found, even inside functions; nothing that judges, explains or shows is."""
    behind = modules_behind(keys.EXECUTING)

    assert behind >= {*keys.EXECUTING, "grader.harness.rebind", "grader.sandbox.seccomp", "grader.sandbox.provisioner"}
    rooms = {name.removeprefix("grader.").partition(".")[0] for name in behind}
    assert not rooms & {"checking", "classroom", "diagnosis", "exports", "judge", "pipeline", "reports", "verdict"}
    with pytest.raises(ModuleNotFoundError, match=r"grader\.execution\.nothing"):
        modules_behind(["grader.execution.nothing"])


def test_modules_that_are_named_in_strings_are_found_too() -> None:
    """A string says what another process runs, so no import statement names that module."""
    behind = modules_behind(keys.EXECUTING)
    named = set[str]()
    for path in shipped.own_files():
        module = ".".join(("grader", *path.relative_to(shipped.PACKAGE).with_suffix("").parts))
        if module in behind:
            literals = re.findall(r"\"[^\"\n]*\"", path.read_text(encoding="utf-8"))
            named |= {name for literal in literals for name in re.findall(r"\bgrader(?:\.\w+)+", literal)}

    modules = {name for name in named if Path(ROOT, *name.split(".")).with_suffix(".py").is_file()}
    assert "grader.execution.preload" in modules
    assert modules <= behind


def test_regrade_executes(place: Path, without_kernels: None, capsys: Any) -> None:
    """It fails without kernels, which also proves that the tests above do without them."""
    assert batch(place / "source", place / "class", place / "out", "--regrade") == 3


def test_an_execution_that_cannot_be_read_is_executed_again(place: Path, in_this_process: None) -> None:
    before = reports(place / "out")
    with sqlite3.connect(place / "out" / "gradebook.db") as connection:
        assert connection.execute("SELECT count(*) FROM grader_executions").fetchone() == (4,)  # one for the same bytes
        connection.execute("UPDATE grader_executions SET answers = substr(answers, 1, 2000)")
    connection.close()
    change(place, "  learning_rate: 0.01\n", "  learning_rate: 0.01\n  hints: 3\n")

    assert batch(place / "source", place / "class", place / "out") == 1

    for student, report in reports(place / "out").items():
        assert report["exercises"] == before[student]["exercises"]
    with sqlite3.connect(place / "out" / "gradebook.db") as connection:
        sizes = connection.execute("SELECT length(answers) FROM grader_executions").fetchall()
    connection.close()
    assert all(size > 2000 for (size,) in sizes)


def test_a_release_date_withholds_marks(place: Path, without_kernels: None) -> None:
    """Before it, students' copies have no marks and nothing about hidden cases; after it, they have everything."""
    whole = reports(place / "out")
    out, withheld = place / "out", place / "out" / "withheld"

    assert batch(place / "source", place / "class", out, "--release-at", "2999-01-01T00:00Z") == 1

    shown = reports(out)
    for student, report in shown.items():
        jsonschema.validate({**report, "timing_s": {"total": 0}}, SCHEMA)
        assert (report["score"], report["max_score"]) == (0, 0)
        assert {case["name"] for exercise in report["exercises"] for case in exercise["cases"]} == {"mnist"}
        page = (out / f"{student}.html").read_text()
        assert "2999-01-01" in page
        assert 'class="score"' not in page
        assert "mnist_hidden" not in page
        complete = json.loads((withheld / f"{student}.json").read_text())
        assert complete["exercises"] == whole[student]["exercises"]
        assert 'class="score"' in (withheld / f"{student}.html").read_text()
    assert "s1002,,plain,s1002.ipynb,,graded,8.00,10.00" in (out / "gradebook.csv").read_text()
    assert 'href="withheld/s1002.html"' in (out / "index.html").read_text()

    assert batch(place / "source", place / "class", out, "--release-at", "now") == 1

    assert reports(out) == whole
    assert not list(withheld.glob("*"))
    assert batch(place / "source", place / "class", out, "--release-at", "tomorrow") == 2


def test_a_gradebook_of_the_first_version(place: Path, without_kernels: None) -> None:
    """It had only results, which are kept. A gradebook of a newer grader is refused."""
    database = place / "out" / "gradebook.db"
    with sqlite3.connect(database) as connection:
        for table in ("grader_executions", "grader_shown", "grader_adjustments", "grader_form"):
            connection.execute(f"DROP TABLE {table}")
    connection.close()

    assert batch(place / "source", place / "class", place / "out") == 1

    with sqlite3.connect(database) as connection:
        assert connection.execute("SELECT number FROM grader_form").fetchall() == [(FORM,)]
        assert connection.execute("SELECT count(*) FROM grader_results").fetchone() == (5,)
        connection.execute("UPDATE grader_form SET number = 9")
    connection.close()
    with pytest.raises(Exception, match="newer grader"):
        Gradebook(str(database))
