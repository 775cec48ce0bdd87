"""The students' notebook is generated from the source notebook, and has no trace of the solution."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import jupytext
import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from grader.assignment.source import REGION, read_source
from grader.authoring.release import fill_blanks, release_notebook, write_release
from grader.errors import SourceError
from tests.conftest import ROOT, SOURCE, SOURCES

RELEASED = ROOT / "assignments" / "two_layer_mse"
NAMES = ["grad_yhat", "grad_w2", "grad_b2", "grad_a1", "grad_z1", "grad_w1", "grad_b1"]


@pytest.mark.parametrize("source", sorted(SOURCES.glob("*.md")), ids=lambda source: source.stem)
def test_the_committed_notebooks_are_what_the_source_generates(source: Path, tmp_path: Path) -> None:
    """Byte for byte."""
    for path in write_release(read_source(source), tmp_path):
        committed = ROOT / "assignments" / source.stem / path.name
        assert path.read_bytes() == committed.read_bytes(), f"run `grader release`: {path.name} differs"


def test_notebook_and_text_are_a_pair() -> None:
    """They have the same cells, as jupytext reads them."""
    notebook = nbformat.read(RELEASED / "two_layer_mse.ipynb", as_version=4)
    text = jupytext.read(RELEASED / "two_layer_mse.md")

    assert [(cell.cell_type, cell.source) for cell in notebook.cells] == [
        (cell.cell_type, cell.source) for cell in text.cells
    ]
    assert notebook.metadata["grader"] == text.metadata["grader"]


def test_blanks_keep_signature_and_docstring() -> None:
    """They raise NotImplementedError, which names the exercise."""
    source = read_source(SOURCE)
    released = release_notebook(source)

    blanks = [cell for cell in released.cells if "is still blank" in cell.source]
    for exercise, cell in zip(source.exercises, blanks, strict=True):
        function = ast.parse(cell.source).body[0]
        assert isinstance(function, ast.FunctionDef)
        assert [argument.arg for argument in function.args.args] == list(exercise.arguments)
        assert ast.get_docstring(function) == exercise.docstring
        assert ast.unparse(function.body[-1]) == f"raise NotImplementedError('{exercise.name} is still blank')"
        assert len(function.body) == 2
        assert cell.metadata["tags"] == ["exercise"]


@pytest.mark.parametrize("suffix", [".ipynb", ".md"])
@pytest.mark.parametrize("source", sorted(SOURCES.glob("*.md")), ids=lambda source: source.stem)
def test_the_released_notebook_has_no_trace_of_the_solution(source: Path, suffix: str) -> None:
    """It has no line of a solution, no delimiters and no seed."""
    text = (ROOT / "assignments" / source.stem / (source.stem + suffix)).read_text(encoding="utf-8")
    for exercise in read_source(source).exercises:
        inside = False
        for line in exercise.code.split("\n"):
            if match := REGION.match(line):
                inside = match.group(1) == "BEGIN"
            elif inside:
                assert line.strip() not in text
    assert "SOLUTION" not in text
    assert "hidden_seed" not in text
    assert str(read_source(source).settings["hidden_seed"]) not in text


def test_the_released_notebook_is_clean() -> None:
    """It is valid, needs no other file, has no outputs, and names its assignment and version."""
    notebook = nbformat.read(RELEASED / "two_layer_mse.ipynb", as_version=4)
    nbformat.validate(notebook)

    assert notebook.metadata["grader"] == {
        "assignment": "two_layer_mse",
        "version": read_source(SOURCE).version,
        "title": "Backpropagation by hand",
        "learning_rate": 0.01,
        "steps": 20,
    }
    assert all(cell.outputs == [] and cell.execution_count is None for cell in notebook.cells if "outputs" in cell)
    assert any("](data:image/svg+xml;base64," in cell.source for cell in notebook.cells)
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)


def run(notebook: nbformat.NotebookNode, folder: Path) -> None:
    NotebookClient(notebook, timeout=60, resources={"metadata": {"path": str(folder)}}).execute()


@pytest.mark.filterwarnings("ignore")  # of the kernel that nbclient starts, about its transport
def test_the_released_notebook_runs_up_to_its_first_blank(tmp_path: Path) -> None:
    """All cells before the first exercise run without changes."""
    notebook = nbformat.read(RELEASED / "two_layer_mse.ipynb", as_version=4)

    with pytest.raises(CellExecutionError, match="grad_yhat is still blank"):
        run(notebook, tmp_path)


@pytest.mark.filterwarnings("ignore")
def test_the_solution_runs_and_the_loss_goes_down(tmp_path: Path) -> None:
    """The numbers are those that the text promises."""
    notebook = read_source(SOURCE).notebook

    run(notebook, tmp_path)

    outputs = json.dumps([cell.get("outputs", []) for cell in notebook.cells])
    first, last = (float(number) for number in outputs.split("The loss goes from ")[1].split("'")[0].split(" to "))
    assert 24 < first < 29
    assert last < 4
    assert "52% of z1 is negative" in outputs


def test_answers_take_the_place_of_blanks() -> None:
    """Functions replace blanks by name, helpers come before them, deletions work, and the rest goes to the end."""
    notebook = release_notebook(read_source(SOURCE))

    filled = fill_blanks(
        notebook,
        "# %%\nhelper = 1\n# %%\ndef grad_w2(a1, dyhat):\n    return helper\n# %% delete: grad_b1\n# %%\nlast = 2\n",
    )

    codes = [cell.source for cell in filled.cells]
    place = codes.index("def grad_w2(a1, dyhat):\n    return helper")
    assert codes[place - 1] == "helper = 1"
    assert codes[-1] == "last = 2"
    assert not any("grad_b1 is still blank" in code for code in codes)
    assert sum("is still blank" in code for code in codes) == 5
    assert len(codes) == len(notebook.cells) + 1


@pytest.mark.parametrize("name", ["../secret.txt", "/etc/hostname", "two_layer_mse.md", "secret", "a.pem"])
def test_only_pictures_are_put_into_a_notebook(name: str, tmp_path: Path) -> None:
    """A text may come from a notebook of somebody else's, and name any file that its author can read."""
    (tmp_path / "course").mkdir()
    for path in (tmp_path / "secret.txt", tmp_path / "course" / "secret", tmp_path / "course" / "a.pem"):
        path.write_text("secret")
    source = tmp_path / "course" / SOURCE.name
    source.write_text(SOURCE.read_text(encoding="utf-8").replace("(two_layer_mse.svg)", f"({name})"))

    with pytest.raises(SourceError, match="is not a picture"):
        release_notebook(read_source(source))
