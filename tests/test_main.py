"""The command line as a process: how it ends, what it leaves behind, and what it does not import."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import psutil
import pytest

from tests.conftest import SOURCES, handed_in
from tests.processes import variable


def grader(folder: Path, *arguments: str, code: str = "") -> subprocess.CompletedProcess[str]:
    """Run the grader, and check that it leaves no process and no temporary file behind."""
    mark = f"Test{os.getpid()}"  # the warm process has a clean environment, but for such things
    temporary = folder / "temporary"
    temporary.mkdir()
    done = subprocess.run(
        [sys.executable, *(["-c", code] if code else ["-m", "grader"]), *arguments],
        cwd=folder,
        env=os.environ | {"TMPDIR": str(temporary), "TZ": mark},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    _, alive = psutil.wait_procs([p for p in psutil.process_iter() if variable(p, "TZ") == mark], timeout=30)
    assert alive == []
    assert list(temporary.iterdir()) == []
    return done


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["grade", "nowhere.ipynb"], 2, "There is no file nowhere.ipynb"),
        (["grade", "--no-such-option"], 2, "No such option"),
        (["grade", "--help"], 0, ""),
        (["grade", "nowhere.ipynb", "--debug"], 2, "Traceback"),
    ],
)
def test_a_command_that_fails_leaves_nothing_behind(tmp_path: Path, arguments: list[str], code: int, says: str) -> None:
    """The warm process has started by then. Nobody waits for it, and it prints nothing."""
    done = grader(tmp_path, *arguments)

    assert (done.returncode, says in done.stderr) == (code, True), done.stderr
    assert "Broken pipe" not in done.stderr


@pytest.mark.slow
def test_a_grading_leaves_nothing_behind_and_imports_only_what_it_needs(tmp_path: Path) -> None:
    """It imports no database, no tables for a terminal, and not torch's module for symbolic shapes."""
    nbformat.write(handed_in(""), tmp_path / "alice.ipynb")
    code = (
        "import sys; from grader.cli import main; code = main(sys.argv[1:]);"
        "print(code, *{'sympy', 'sqlalchemy', 'rich', 'matplotlib', 'torch'} & set(sys.modules))"
    )

    done = grader(tmp_path, "grade", "alice.ipynb", "-q", "--solutions", str(SOURCES), code=code)

    assert done.stdout == "0 torch\n", done.stderr
