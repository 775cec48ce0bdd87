"""The pytest plugin, in separate runs: its results for a notebook, and that it does not affect other runs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import junitparser
import pytest

from tests.conftest import SOURCES
from tests.warm import WarmGrader

COUNTS = """
from grader import pipeline

def grade(*arguments, original=pipeline.grade, **options):
    with open("graded", "a") as file:
        file.write("once")
    return original(*arguments, **options)

pipeline.grade = grade
"""


def run_pytest(
    folder: Path, *arguments: str, command: Sequence[str] = (sys.executable, "-m", "pytest")
) -> subprocess.CompletedProcess[str]:
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV"))}
    return subprocess.run(
        [*command, "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture
def warm_pytest(warm_grader: WarmGrader) -> tuple[str]:
    """A command, pytest in a process that has imported everything."""
    return (str(warm_grader.folder / "pytest"),)


@pytest.mark.slow
def test_each_exercise_is_a_test(repository: Path, warm_pytest: tuple[str]) -> None:
    """A failure shows the diagnosis and the line, JUnit agrees, and other tests in the folder do not run."""
    (repository / "test_other.py").write_text("def test_other(): assert False, 'not asked for'")

    options = ["--grader-notebook", "wrong.ipynb", f"--grader-solutions={SOURCES}", "--junitxml=j.xml", "-v"]
    done = run_pytest(repository, *options, command=warm_pytest)

    lines = (repository / "wrong.ipynb").read_text(encoding="utf-8").split("\n")
    number = next(n for n, line in enumerate(lines, start=1) if "def grad_z1(" in line)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "wrong.ipynb::grad_w1 PASSED" in done.stdout
    assert "wrong.ipynb::grad_z1 FAILED" in done.stdout
    assert f"wrong.ipynb:{number}: grad_z1: Wrong values" in done.stdout
    assert "What did the forward pass do with some of the entries here" in done.stdout
    assert "not asked for" not in done.stdout
    assert "Traceback" not in done.stdout
    suite = next(iter(junitparser.JUnitXml.fromfile(str(repository / "j.xml"))))
    assert (suite.tests, suite.failures, suite.errors) == (7, 1, 0)


@pytest.mark.slow
def test_beside_other_tests_and_without_a_solution(repository: Path) -> None:
    """Several notebooks and a test file with xdist: each test runs once."""
    (repository / "test_other.py").write_text("def test_other(): pass")
    notebooks = ["--grader-notebook", "perfect.ipynb", "--grader-notebook", "blank.ipynb"]

    done = run_pytest(repository, "test_other.py", *notebooks, "--grader-public", "-n1", "-q")

    assert done.returncode == 1, done.stdout + done.stderr
    assert "7 failed, 8 passed" in done.stdout
    assert "grad_w1 is still blank" in done.stdout


@pytest.mark.slow
def test_a_failure_of_the_grader_is_an_error(repository: Path, tmp_path: Path, warm_pytest: tuple[str]) -> None:
    """The solution contradicts autograd. The notebook is graded once, and not again for each exercise."""
    (repository / "conftest.py").write_text(COUNTS)
    text = (SOURCES / "two_layer_mse.md").read_text(encoding="utf-8")
    (tmp_path / "two_layer_mse.md").write_text(text.replace("return 2 * (yhat - y)", "return 3 * (yhat - y)"))

    options = ["--grader-notebook", "perfect.ipynb", f"--grader-solutions={tmp_path}", "-q"]
    done = run_pytest(repository, *options, command=warm_pytest)

    assert "7 errors" in done.stdout
    assert (repository / "graded").read_text() == "once"
    assert "failed" not in done.stdout.splitlines()[-1]
    assert "disagrees with autograd" in done.stdout
    assert "Traceback" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--grader-notebook", "nowhere.ipynb"], "there is no file nowhere.ipynb"),
        (["--grader-notebook", "cut.ipynb"], "name the assignment with -a"),
        (["--grader-notebook", "perfect.ipynb", "--grader-solutions=nowhere"], "There is no folder nowhere"),
    ],
)
def test_wrong_usage_is_reported(repository: Path, arguments: list[str], says: str, warm_pytest: tuple[str]) -> None:
    done = run_pytest(repository, *arguments, command=warm_pytest)

    assert done.returncode in (2, 4)
    assert says in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_other_runs_import_nothing_heavy(tmp_path: Path) -> None:
    """There is also no warning, even if warnings are errors."""
    (tmp_path / "test_it.py").write_text(
        "import sys\n"
        "def test_it():\n"
        "    assert 'grader.pytest_plugin' in sys.modules\n"
        "    ours = {name for name in sys.modules if name.startswith('grader.')} - {'grader.pytest_plugin'}\n"
        "    assert ours == {'grader.sandbox', 'grader.sandbox.errors', 'grader.sandbox.levels'}\n"
        "    assert not {'torch', 'numpy', 'nbformat', 'click'} & set(sys.modules)\n"
    )

    done = run_pytest(tmp_path, "-W", "error", "-p", "no:hypothesispytest", "-p", "no:asyncio")

    assert done.returncode == 0, done.stdout + done.stderr
