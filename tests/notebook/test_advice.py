"""What a notebook misses where it is graded."""

from __future__ import annotations

import pytest

from grader.model import CallError
from grader.notebook.advice import advice_on
from grader.notebook.read import Notebook


@pytest.mark.parametrize(
    ("kind", "message", "says"),
    [
        ("ModuleNotFoundError", "No module named 'helpers'", "imports helpers, which is not installed"),
        ("ModuleNotFoundError", "No module named 'google.colab'", "only in Google Colab"),
        ("FileNotFoundError", "[Errno 2] No such file or directory: 'data/x.csv'", "looks for data/x.csv"),
        ("UsageError", "Line magic function `%nosuch` not found.", "uses the magic %nosuch, which is not available"),
        (
            "UsageError",
            "Cell magic `%%sql` not found.",
            "%%sql, which is not available where notebooks are graded, so ",
        ),
        ("UsageError", "Line magic function `%%time` not found.", "%%time below its first line"),
        ("URLError", "<urlopen error [Errno -3] Temporary failure in name resolution>", "needs a network"),
        ("AssertionError", "Torch not compiled with CUDA enabled", "needs a GPU"),
        ("StdinNotImplementedError", "raw_input was called, but …", "asks for input"),
    ],
)
def test_an_error_with_its_cause_outside(kind: str, message: str, says: str) -> None:
    notes = advice_on(Notebook.of(["x", "y"]), {2: CallError(type=kind, message=message, cell=2)})

    assert len(notes) == 1
    assert notes[0].startswith("In [2] ")
    assert says in notes[0]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("NameError", "name 'x' is not defined"),
        ("ImportError", "cannot import name 'x' from 'torch'"),
        ("FileNotFoundError", "not found"),
        ("ValueError", "No module named 'x'"),
        ("UsageError", "Invalid mode"),
    ],
)
def test_errors_of_the_notebook_itself_are_left_alone(kind: str, message: str) -> None:
    assert not advice_on(Notebook.of(["x"]), {1: CallError(type=kind, message=message, cell=1)})


MISSING = CallError(type="ModuleNotFoundError", message="No module named 'helpers'", cell=3)


@pytest.mark.parametrize(
    ("code", "folder"),
    [
        ("%cd /content/drive/MyDrive", "/content/drive/MyDrive"),
        ("%cd ~/course", "~/course"),
        ("cd 'my work'", "my work"),
        ("import os\nos.chdir('lab1')", "lab1"),
        ("%pushd lab1", "lab1"),
        ("%cd ..", ""),
        ("%cd", ""),
        ("%cd -", ""),
        ("!mkdir lab1\n%cd lab1", ""),
        ("import os\nos.makedirs('lab1')\nos.chdir('lab1')", ""),
        ("abcd = 1", ""),
    ],
)
def test_the_folder_that_a_notebook_expects(code: str, folder: str) -> None:
    """IPython only prints that there is none. It matters if something is missing afterwards."""
    notebook = Notebook.of(["x", code, "import helpers"])

    notes = [note for note in advice_on(notebook, {3: MISSING}) if note.startswith("In [2]")]

    assert notes == (
        [f"In [2] goes to the folder {folder}: where notebooks are graded, there is only the notebook itself."]
        if folder
        else []
    )
    assert not advice_on(notebook, {})


def test_a_folder_that_raises_is_told_once() -> None:
    error = CallError(type="FileNotFoundError", message="[Errno 2] No such file or directory: 'lab1'", cell=1)

    notes = advice_on(Notebook.of(["import os\nos.chdir('lab1')"]), {1: error})

    assert [note.partition(":")[0] for note in notes] == ["In [1] goes to the folder lab1"]


def test_there_is_an_end_to_advice() -> None:
    errors = {
        number: CallError(type="ModuleNotFoundError", message=f"No module named 'm{number}'") for number in range(1, 50)
    }

    notes = advice_on(Notebook.of(["x"] * 50), errors)

    assert len(notes) == 5
    assert all(len(note) < 300 for note in notes)
