"""The wheel for students has all of the grader and no answers."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from grader import shipped
from grader.authoring.wheel import build_wheel
from grader.cli import main
from tests.test_shipped import solutions_in


def test_it_has_no_answers(tmp_path: Path) -> None:
    """It has every other file, and the same bytes each time."""
    content = build_wheel()

    assert build_wheel() == content
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path)
    assert {name for name in names if name.startswith("grader/")} == {
        f"grader/{path.relative_to(shipped.PACKAGE).as_posix()}" for path in shipped.own_files()
    }
    assert not any(name.startswith(tuple(f"grader/{folder}/" for folder in shipped.ANSWER_FOLDERS)) for name in names)
    assert list(solutions_in(tmp_path)) == []


@pytest.mark.slow
def test_pip_installs_it(tmp_path: Path) -> None:
    assert main(["release", "--wheel", "-o", str(tmp_path / "out"), "--quiet"]) == 0
    (wheel,) = (tmp_path / "out").iterdir()
    command = ["pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(tmp_path / "there"), str(wheel)]
    subprocess.run([sys.executable, "-m", *command], check=True, capture_output=True)

    code = "import grader; from grader import check, load_mnist; print(grader.__file__, len(load_mnist()[0]))"
    environment = {"PYTHONPATH": str(tmp_path / "there")}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment, cwd=tmp_path
    )

    assert done.stdout.split() == [str(tmp_path / "there" / "grader" / "__init__.py"), "10000"]
