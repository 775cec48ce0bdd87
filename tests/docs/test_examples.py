"""The commands and the code on the pages run, and the pages describe all settings, limits and verdicts."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import nbformat
import pytest

from grader.assignment import settings
from grader.authoring.validate import validate
from grader.model import Limits, Outcome
from grader.reports.words import VERDICTS
from tests.checking.test_check import notebook_of
from tests.conftest import ROOT, SOURCES, handed_in
from tests.warm import WarmGrader

DOCS = ROOT / "docs"
PAGES = [*sorted(DOCS.glob("*.md")), ROOT / "README.md"]
COMMANDS = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A folder with the files that the pages use: solutions, a released notebook, and submissions."""
    shutil.copytree(SOURCES, tmp_path / "solutions")
    shutil.copy(ROOT / "assignments" / "two_layer_mse" / "two_layer_mse.ipynb", tmp_path)
    nbformat.write(handed_in(""), tmp_path / "alice.ipynb")
    with zipfile.ZipFile(tmp_path / "submissions.zip", "w") as archive:
        archive.write(tmp_path / "alice.ipynb", "alice.ipynb")
        archive.write(tmp_path / "two_layer_mse.ipynb", "bob.ipynb")
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_run(page: Path, desk: Path, warm_grader: WarmGrader) -> None:
    """Exit codes 0 and 1 are verdicts; 2 would mean that the command is wrong."""
    environment = os.environ | {"PATH": warm_grader.path}
    lines = [line for block in COMMANDS.findall(page.read_text(encoding="utf-8")) for line in block.splitlines()]

    for line in (line for line in lines if line.startswith("grader ")):
        done = subprocess.run(line, shell=True, cwd=desk, env=environment, capture_output=True, text=True, check=False)

        assert done.returncode in (0, 1), f"{line}\n{done.stderr}"
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_python_runs(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blocks = PYTHON.findall(page.read_text(encoding="utf-8"))
    namespace = notebook_of() if blocks else {}

    for block in blocks:
        exec(block, namespace)

    assert bool(capsys.readouterr().out) is bool(blocks)


def test_the_example_for_authors_is_sound() -> None:
    """`grader validate` finds no problem in it."""
    validation = validate(DOCS / "examples" / "halves.md")

    assert validation.problems == ()
    assert [exercise.name for exercise in validation.exercises] == ["grad_p", "grad_z", "grad_layer"]


def test_the_examples_of_other_forms_are_sound() -> None:
    """They are what the page *Moving a course over* shows."""
    validation = validate(DOCS / "examples" / "forms.md")

    assert validation.problems == ()
    assert [exercise.name for exercise in validation.exercises][-2:] == ["Linear", "by_hand"]


def test_the_example_with_data_of_its_own_is_sound() -> None:
    validation = validate(DOCS / "examples" / "bigram.md")

    assert validation.problems == ()
    assert [exercise.name for exercise in validation.exercises] == ["grad_logits"]


def test_all_settings_are_described() -> None:
    text = (DOCS / "authors.md").read_text(encoding="utf-8")
    notebook, exercise = text.split("Under `grader` in an exercise's cell:")
    misconceptions = text.partition("## Misconceptions")[2].partition("\n## ")[0]

    for name in settings.NOTEBOOK:
        assert f"`{name}`" in notebook.partition("## Settings")[2], name
    for name in settings.EXERCISE:
        assert f"| `{name}` |" in exercise, name
    for name in settings.MISCONCEPTION:
        assert f"| `{name}` |" in misconceptions, name


def test_all_limits_and_verdicts_are_described() -> None:
    limits = (DOCS / "instructors.md").read_text(encoding="utf-8")
    students = (DOCS / "students.md").read_text(encoding="utf-8").lower()

    assert [f.name for f in dataclasses.fields(Limits) if f"`{f.name}`" not in limits] == []
    words = {VERDICTS[outcome].word.lower() for outcome in Outcome if outcome.passed is not None}
    assert sorted(word for word in words if word not in students) == []
