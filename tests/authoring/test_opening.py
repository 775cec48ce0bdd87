"""A released notebook runs where its students are: with the grader, without it, and where it can be installed."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from grader.assignment.source import read_source
from grader.authoring.opening import opening
from grader.authoring.release import fill_blanks, release_notebook
from tests.conftest import ROOT, SOURCE, SOURCES
from tests.sandbox.installs import VERSION, build_wheel, site_packages_of

PERFECT = (ROOT / "grader" / "samples" / "two_layer_mse" / "perfect.py").read_text(encoding="utf-8")
ABSENT = ("msgspec", "nbclient", "psycopg", "rich", "sqlalchemy")
OURS = ("backprop_grader", "grader", "_editable", "__editable__")
RUN = """
import json, sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
for number, code in enumerate(json.load(open(sys.argv[1]))):
    error = shell.run_cell(code).error_in_exec
    if error is not None:
        print("RAISED", number, type(error).__name__, error)
"""


def released(install: str = "", *, filled: bool) -> nbformat.NotebookNode:
    """The students' notebook, with `install` in its source; or with right answers and a check at the end."""
    source = read_source(SOURCE)
    source = dataclasses.replace(source, settings={**source.settings, **({"install": install} if install else {})})
    notebook = release_notebook(source)
    return fill_blanks(notebook, f"{PERFECT}\n# %%\ncheck(grad_w1)\n# %%\ncheck.all()\n") if filled else notebook


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """A student's environment, such as Jupyter has it: without the grader, and without what only grading needs."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "env")], check=True)
    packages = tmp_path / "env" / "lib" / VERSION / "site-packages"
    for folder in site_packages_of("torch", "IPython", "pip"):
        for path in Path(folder).iterdir():
            is_left_out = path.name.lower().startswith((*OURS, *ABSENT)) or path.suffix == ".pth"
            if not is_left_out and not (packages / path.name).exists():
                (packages / path.name).symlink_to(path)
    return tmp_path / "env" / "bin" / "python"


def run(python: Path, notebook: nbformat.NotebookNode, folder: Path) -> str:
    """What the cells print if they run one after the other."""
    (folder / "cells.json").write_text(json.dumps([cell.source for cell in notebook.cells if cell.cell_type == "code"]))
    (folder / "run.py").write_text(RUN)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "GRADER"))}
    done = subprocess.run(
        [python, "run.py", "cells.json"],
        cwd=folder,
        env={
            **environment,
            "MPLBACKEND": "agg",
            "HOME": str(folder),
            "PIP_NO_INDEX": "1",
            "https_proxy": "http://localhost:9",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_without_the_grader_the_exercises_can_be_done(python: Path, tmp_path: Path) -> None:
    """Nothing raises, and each sentence says what is missing. The cell tries again if it runs again."""
    notebook = released(filled=True)
    notebook.cells.append(next(cell for cell in notebook.cells if cell.cell_type == "code"))
    handing_in = 'check.portal("https://grader.school.example")\ncheck.submit()\ncheck.submit_button()'
    notebook.cells.append(nbformat.v4.new_code_cell(handing_in))

    shown = run(python, notebook, tmp_path)

    assert "RAISED" not in shown
    assert shown.count("this notebook does not say where to get it. Ask your instructor.") == 2
    assert shown.count("Nothing was checked: the grader is not installed here.") == 2
    assert shown.count("Nothing was handed in: the grader is not installed here.") == 3
    assert "MNIST could not be downloaded: instead of digits, you get noise in the same shapes." in shown


@pytest.mark.slow
def test_it_is_installed_from_where_the_author_says(python: Path, tmp_path: Path) -> None:
    """A check works then, without anything that only grading needs, even if another `grader` was there before."""
    build_wheel(tmp_path / "wheels")
    (wheel,) = (tmp_path / "wheels").glob("*.whl")
    (python.parents[1] / "lib" / VERSION / "site-packages" / "grader.py").write_text("other = True\n")

    shown = run(python, released(os.path.relpath(wheel, tmp_path), filled=True), tmp_path)

    assert "RAISED" not in shown
    assert "grad_w1 is right." in shown
    assert "All 7 gradients are right." in shown
    assert "IMPORTED []" in shown or not {"msgspec", "rich", "sqlalchemy"} & set(
        shown.partition("IMPORTED ")[2].split("'")
    )


def test_it_says_why_it_could_not_be_installed(python: Path, tmp_path: Path) -> None:
    """There is no traceback, and the blanks are all that raises."""
    shown = run(python, released("./nowhere-1-py3-none-any.whl", filled=False), tmp_path)

    assert "could not be installed from ./nowhere-1-py3-none-any.whl. Is the internet switched on" in shown
    assert "\nERROR: " in shown
    raised = [line.split(" ", 2)[2] for line in shown.splitlines() if line.startswith("RAISED")]
    assert raised
    assert all(
        line.startswith(("NotImplementedError grad_yhat is still blank", "NameError name 'd")) for line in raised
    )


@pytest.mark.parametrize("source", sorted(SOURCES.glob("*.md")), ids=lambda source: source.stem)
def test_it_is_the_first_code_cell(source: Path) -> None:
    """It stands below the text that the notebook begins with, and no other cell installs anything."""
    read = read_source(source)
    cells = release_notebook(read).cells
    codes = [cell.source for cell in cells if cell.cell_type == "code"]

    assert codes[0] == opening(cells, read.settings)
    assert cells[0].cell_type == "markdown"
    assert cells[1].source == codes[0]
    assert not any("pip" in code for code in codes[1:])


def test_it_does_nothing_if_the_grader_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """As while a notebook is being graded."""
    monkeypatch.setattr(subprocess, "run", None)
    code = opening(read_source(SOURCE).notebook.cells, {"install": "nothing"})
    before = set(sys.modules)
    namespace: dict[str, object] = {}

    exec(compile(code, "cell", "exec"), namespace)

    assert namespace.keys() - {"__builtins__"} == {"__version__", "check", "load_mnist"}
    assert {name for name in set(sys.modules) - before if not name.startswith("grader")} == set()


def test_a_notebook_without_mnist_loads_none() -> None:
    code = opening([nbformat.v4.new_code_cell("import torch")], {"install": 'a"b'})

    assert "mnist" not in code
    assert 'INSTALL = "a\\"b"' in code
    compile(code, "cell", "exec")


def test_a_word_of_the_author_stays_as_it_is() -> None:
    """Also one that the template has for what is put in."""
    text = opening([], {"files": "WHERE", "install": 'https://example.edu/FOLDER-"NAMES".whl'})

    compile(text, "<opening>", "exec")
    assert 'isdir("WHERE")' in text
    assert json.dumps('https://example.edu/FOLDER-"NAMES".whl') in text
