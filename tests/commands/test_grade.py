"""`grader grade`, called as its users call it: exit codes, files and messages."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jsonschema
import nbformat
import pytest

from grader.assignment.load import load_assignment
from grader.cli import main
from grader.execution import conducting
from grader.execution.warm import forkserver
from grader.reference.cases import build_cases
from grader.sandbox import Level, level_of
from tests.conftest import ROOT, SOURCE, handed_in

SCHEMA = json.loads((ROOT / "grader" / "schemas" / "report-1.json").read_text())
NAMES = ["grad_yhat", "grad_w2", "grad_b2", "grad_a1", "grad_z1", "grad_w1", "grad_b1"]


def solved(path: Path, answers: str = "") -> Path:
    """The released notebook with these answers, and with the solution elsewhere."""
    notebook = handed_in(answers)
    path.write_text(nbformat.writes(notebook))
    return path


def graded(path: Path, *options: str) -> tuple[int, dict[str, Any]]:
    """Grade a notebook, check that its reports are valid, and return the exit code and the JSON."""
    output = path.parent / "out"
    code = main(["grade", str(path), "-o", str(output), "--solutions", str(SOURCE.parent), *options])
    report = json.loads((output / f"{path.stem}.json").read_text())
    jsonschema.validate(report, SCHEMA)
    assert (output / f"{path.stem}.html").read_text().startswith("<!")
    return code, report


def test_the_solution_scores_full_marks(tmp_path: Path) -> None:
    """The exit code is 0, every case of every exercise matches, and the sums are right."""
    code, report = graded(solved(tmp_path / "solution.ipynb"))

    assert code == 0
    assert report["score"] == report["max_score"] == 10
    assert [exercise["name"] for exercise in report["exercises"]] == NAMES
    assert all(case["outcome"] == "match" for exercise in report["exercises"] for case in exercise["cases"])
    assert [case["name"] for case in report["exercises"][5]["cases"]] == ["mnist", "mnist_hidden", "vjp", "linear"]
    assert set(report["chain"]["links"].values()) == {"match"}
    losses = report["chain"]["training"]
    assert losses["student"] == pytest.approx(losses["reference"], rel=1e-3)
    assert losses["student"][-1] < losses["student"][0] / 2
    assert report["notebook"]["first_error"] is None


def test_the_released_notebook_scores_nothing(tmp_path: Path) -> None:
    """The exit code is 1, and all seven exercises are `blank`."""
    path = tmp_path / "untouched.ipynb"
    path.write_bytes((ROOT / "assignments" / "two_layer_mse" / "two_layer_mse.ipynb").read_bytes())

    code, report = graded(path)

    assert code == 1
    assert report["score"] == 0
    assert {exercise["outcome"] for exercise in report["exercises"]} == {"blank"}


def test_a_mistake_costs_only_its_own_points(tmp_path: Path) -> None:
    """The first gradient is wrong; the later ones are graded with right upstream gradients."""
    wrong = "# %%\ndef grad_yhat(yhat, y):\n    return 2 * (yhat - y)\n"

    code, report = graded(solved(tmp_path / "wrong.ipynb", wrong))

    assert code == 1
    assert report["score"] == 9
    assert [e["name"] for e in report["exercises"] if not e["passed"]] == ["grad_yhat"]
    assert set(report["chain"]["links"].values()) == {"mismatch"}, "shown: everything after it inherits the error"


@pytest.mark.parametrize("suffix", [".md", ".py"])
def test_text_forms_are_graded_too(tmp_path: Path, suffix: str) -> None:
    """The forms that jupytext writes."""
    import jupytext

    notebook = nbformat.read(solved(tmp_path / "a.ipynb"), as_version=4)
    path = tmp_path / f"text{suffix}"
    jupytext.write(notebook, path, fmt="md:myst" if suffix == ".md" else "py:percent")

    assert graded(path)[0] == 0


def test_an_unreadable_file_has_a_report_and_exit_code_2(tmp_path: Path) -> None:
    """There is a report, which says what is wrong with the file."""
    path = tmp_path / "cut.ipynb"
    path.write_bytes((ROOT / "assignments" / "two_layer_mse" / "two_layer_mse.ipynb").read_bytes()[:-200])

    code, report = graded(path, "-a", "two_layer_mse")

    assert code == 2
    assert "cut off" in report["notebook"]["problem"]
    assert {exercise["outcome"] for exercise in report["exercises"]} == {"missing"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["grade", "nowhere.ipynb"], "There is no file nowhere.ipynb"),
        (["grade", "."], "is a folder"),
        (["grade"], "Missing argument"),
        (["grade", "x.ipynb", "--format", "pdf"], "'pdf' is not one of"),
        (["grade", __file__, "-a", "nonsense"], "There is no assignment 'nonsense'"),
        (["grade", __file__, "--solutions", "nowhere"], "There is no folder nowhere"),
        (["frobnicate"], "No such command"),
        (["release", "nonsense"], "There is no assignment 'nonsense'"),
    ],
)
def test_wrong_usage_is_a_message_and_exit_code_2(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The message is on stderr, without a traceback."""
    code = main([*arguments, "-o", str(tmp_path)] if len(arguments) > 1 else arguments)

    captured = capsys.readouterr()
    assert code == 2
    assert says in " ".join(captured.err.split())
    assert "Traceback" not in captured.err
    assert captured.out == ""


def test_a_wrong_solution_costs_no_points(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The exit code is 2, since it is the author's fault; the message names the exercise, and nothing is decided."""
    solutions = tmp_path / "solutions"
    solutions.mkdir()
    text = SOURCE.read_text()
    region = text[text.index("### BEGIN SOLUTION") : text.index("### END SOLUTION")]
    for picture in SOURCE.parent.glob("*.svg"):
        (solutions / picture.name).write_bytes(picture.read_bytes())
    (solutions / SOURCE.name).write_text(text.replace(region, "### BEGIN SOLUTION\n    return 3 * yhat\n    "))
    path = solved(tmp_path / "good.ipynb")

    code = main(["grade", str(path), "-o", str(tmp_path / "out"), "--solutions", str(solutions)])

    report = json.loads((tmp_path / "out" / "good.json").read_text())
    jsonschema.validate(report, SCHEMA)
    assert code == 2
    assert {exercise["passed"] for exercise in report["exercises"]} == {None}
    assert (report["score"], report["max_score"]) == (0, 0)
    assert "grad_yhat" in capsys.readouterr().err


def test_formats_can_be_chosen(tmp_path: Path) -> None:
    """Only the chosen format is written, and nothing is printed."""
    path = solved(tmp_path / "a.ipynb")

    done = subprocess.run(
        [sys.executable, "-m", "grader", "grade", str(path), "-o", str(tmp_path / "o"), "--format", "json", "-q"],
        capture_output=True,
        cwd=ROOT,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert [file.name for file in (tmp_path / "o").iterdir()] == ["a.json"]


def test_another_hidden_seed_draws_other_batches(tmp_path: Path) -> None:
    """A function that knows the hidden batch of one seed does not find it with another one."""
    cases = build_cases(load_assignment(SOURCE, hidden_seed=1))["grad_b1"]
    known = float(next(case for case in cases if case.name == "mnist_hidden").arguments["dz1"].sum())
    answer = f"def grad_b1(dz1):\n    return dz1.sum(0, keepdim=True) * (1 + (abs(dz1.sum() - {known!r}) < 1e-6))\n"
    knows = solved(tmp_path / "knows.ipynb", f"# %%\n{answer}")
    outcomes = []
    for seed in ("1", "2"):
        _, report = graded(knows, "--hidden-seed", seed)
        (result,) = (exercise for exercise in report["exercises"] if exercise["name"] == "grad_b1")
        outcomes.append({case["name"]: case["outcome"] for case in result["cases"]})

    assert outcomes[0] == {"mnist": "match", "mnist_hidden": "mismatch", "vjp": "match", "linear": "match"}
    assert set(outcomes[1].values()) == {"match"}


@pytest.mark.parametrize(
    ("functions", "code"),
    [("grad_yhat grad_w2 grad_b2 grad_a1 grad_z1 grad_w1 grad_b1", 1), ("grad_table grad_wh", 1), ("grad_w1", 2)],
)
def test_a_notebook_without_metadata_is_known_by_its_functions(tmp_path: Path, functions: str, code: int) -> None:
    """If exactly one assignment has most of them; otherwise the assignment has to be named."""
    path = tmp_path / "unmarked.py"
    path.write_text("\n".join(f"def {name}(): ..." for name in functions.split()))

    assert main(["grade", str(path), "-o", str(tmp_path), "--solutions", str(SOURCE.parent)]) == code


def test_what_no_notebook_may_see_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sources, the folder of the submission, and the output. If a kernel would see one, nothing is executed."""
    path = solved(tmp_path / "alice.ipynb")
    told: list[Path] = []
    fork_kernel = conducting.fork_kernel

    def fork(*rest: Any, secrets: Sequence[Path], **options: Any) -> Any:
        told.extend(secrets)
        return fork_kernel(*rest, secrets=[*secrets, ROOT / "grader" / "harness"], **options)

    monkeypatch.setattr(conducting, "fork_kernel", fork)
    if level_of(forkserver().layers) < Level.FILTERED:
        pytest.skip("files are not kept from students here")

    code, report = graded(path)

    assert told == [SOURCE.parent, tmp_path, tmp_path / "out"]
    assert (code, report["exercises"][0]["outcome"]) == (3, "grader_error")
    assert "would be able to read" in report["notes"][0]


@pytest.mark.parametrize(
    ("command", "is_quiet"),
    [
        (["grade", "class/ada.ipynb"], False),
        (["grade", "class/ada.ipynb", "-q"], True),
        (["batch", "class", "--jobs", "1"], False),
        (["batch", "class", "--jobs", "1", "-q"], True),
    ],
)
def test_an_edited_copy_of_a_shipped_assignment_is_named_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: list[str],
    is_quiet: bool,
) -> None:
    """It grades in place of the shipped one, which may be a mistake."""
    (tmp_path / "class").mkdir()
    (tmp_path / "class" / "ada.ipynb").write_bytes(b"no notebook")
    (tmp_path / "solutions").mkdir()
    copy = tmp_path / "solutions" / "two_layer_mse.md"
    copy.write_text(SOURCE.read_text(encoding="utf-8").replace("hidden_seed: ", "hidden_seed: 1"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    assert main([*command, "-a", "two_layer_mse", "-o", "out"]) == 2

    shown = capsys.readouterr()
    says = "solutions/two_layer_mse.md is used in place of the assignment 'two_layer_mse' that comes with the grader."
    assert shown.err.count(says) == (0 if is_quiet else 1)
    assert shown.out == ""
