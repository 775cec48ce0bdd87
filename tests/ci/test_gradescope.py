"""The zip, unpacked as Gradescope does it, grades every kind of upload, and always writes a valid result."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import nbformat
import pytest

from grader.assignment.find import find_assignment
from grader.cli import main
from grader.gradescope.run import choose_file
from grader.gradescope.run import run as run_in_process
from grader.notebook.read import FILE_LIMIT_BYTES
from grader.sandbox import Level
from tests.conftest import ROOT, SOURCES, handed_in
from tests.exports.readers import validate_gradescope

STEAL = (ROOT / "tests" / "corpus" / "hostile" / "read_solution" / "answers.py").read_text()


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("zip") / "autograder.zip"
    assert main(["gradescope-zip", "two_layer_mse", "--solutions", str(SOURCES), "-o", str(path)]) == 0
    return path


@pytest.fixture
def autograder(archive: Path, tmp_path: Path) -> Path:
    """The folder `/autograder`: the zip is unpacked into `source`, and `run_autograder` is copied beside it."""
    root = tmp_path / "autograder"
    (root / "submission").mkdir(parents=True)
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(root / "source")
        for member in packed.infolist():
            (root / "source" / member.filename).chmod(member.external_attr >> 16)
    shutil.copy(root / "source" / "run_autograder", root)
    (root / "submission_metadata.json").write_text(json.dumps({"id": 1, "users": [{"email": "a@example.edu"}]}))
    return root


def run(root: Path, **environment: str) -> dict[str, Any]:
    """Run `run_autograder` as Gradescope does, and return its `results.json`, which must be valid."""
    variables = {"HOME": str(root), "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run([str(root / "run_autograder")], cwd=root, env=variables | environment, check=False, timeout=120)
    return results_in(root)


def run_here(root: Path) -> dict[str, Any]:
    """The same as `run` in this process, where everything is imported and warm already."""
    run_in_process(root)
    return results_in(root)


def results_in(root: Path) -> dict[str, Any]:
    content = json.loads((root / "results" / "results.json").read_text(encoding="utf-8"))
    validate_gradescope(content)
    return content


def outcomes(content: dict[str, Any]) -> list[str]:
    return list(content["extra_data"]["outcomes"].values())


def test_the_zip_has_its_scripts_at_its_root(archive: Path) -> None:
    """They are executable. The zip has only the solution of its assignment, and no samples."""
    with zipfile.ZipFile(archive) as packed:
        members = {member.filename: member for member in packed.infolist()}
    for name in ("setup.sh", "run_autograder"):
        assert members[name].external_attr >> 16 & stat.S_IXUSR
    assert [name for name in members if name.startswith("solutions/")] == ["solutions/two_layer_mse.md"]
    assert not any("samples" in name or "bundled" in name or "__pycache__" in name for name in members)
    assert "lib/grader/reference/data/t10k-images-idx3-ubyte.gz" in members


@pytest.mark.parametrize("script", ["setup.sh", "run_autograder"])
def test_scripts_are_bash(archive: Path, script: str) -> None:
    with zipfile.ZipFile(archive) as packed:
        subprocess.run(["bash", "-n"], input=packed.read(script), check=True)


def test_requirements_are_those_of_the_grader(archive: Path) -> None:
    """It lists what the grader needs to run, and nothing for developers."""
    with zipfile.ZipFile(archive) as packed:
        lines = packed.read("requirements.txt").decode().splitlines()

    assert any(line.startswith("torch") for line in lines)
    assert any(line.startswith("sqlalchemy") for line in lines)
    assert not any("extra" in line for line in lines)
    assert not any("pytest" in line or "sphinx" in line for line in lines)


@pytest.mark.slow
def test_submissions_of_all_kinds(autograder: Path, repository: Path) -> None:
    """Right, not a notebook, truncated, hostile, enormous, a link, nothing at all."""
    submission = autograder / "submission"
    shutil.copy(repository / "perfect.ipynb", submission)

    perfect = run(autograder)

    assert (perfect["score"], set(outcomes(perfect))) == (10, {"match"})

    (submission / "perfect.ipynb").unlink()
    (submission / "essay.pdf").write_bytes(b"%PDF-1.7\n\xff\xfe")
    other = run_here(autograder)
    assert other["score"] == 0
    assert "Did you upload the wrong file?" in other["output"]

    shutil.copy(repository / "cut.ipynb", submission)
    cut = run_here(autograder)
    assert cut["score"] == 0
    assert "The file" in cut["output"]

    shutil.copy(repository / "hostile.ipynb", submission / "a.ipynb")
    hostile = run(autograder, SECRET="in the environment of Gradescope")
    assert hostile["score"] == 7
    assert "in the environment" not in json.dumps(hostile)

    shutil.rmtree(submission)
    submission.mkdir()
    (submission / "a.ipynb").symlink_to(repository / "perfect.ipynb")
    with (submission / "b.ipynb").open("wb") as file:
        file.truncate(10 * FILE_LIMIT_BYTES)
    enormous = run_here(autograder)
    assert enormous["score"] == 0
    assert "larger than" in enormous["output"]

    shutil.rmtree(submission)
    submission.mkdir()
    assert "nothing was saved or uploaded" in run_here(autograder)["output"]


@pytest.mark.slow
def test_the_solution_beside_it_cannot_be_read(autograder: Path) -> None:
    """Code that knows where Gradescope puts it does not find it."""
    steal = STEAL.replace("@SOLUTIONS@", str(autograder / "source"))
    assert str(autograder) in steal
    nbformat.write(handed_in(steal), autograder / "submission" / "thief.ipynb")

    content = run(autograder)

    assert "LEAK" not in json.dumps(content)
    assert content["score"] == 10, "the code found nothing, and the answers are right"


@pytest.mark.slow
def test_a_failure_of_the_grader_has_a_result(autograder: Path, repository: Path) -> None:
    """A wrong solution, an unreadable one, a grader that does not finish, and one that does not start."""
    shutil.copy(repository / "perfect.ipynb", autograder / "submission")
    source = find_assignment("two_layer_mse", autograder / "source" / "solutions")
    good = source.read_text(encoding="utf-8")

    source.write_text(good.replace("return 2 * (yhat - y)", "return 3 * (yhat - y)"))
    contradicted = run_here(autograder)
    source.write_text("no notebook")
    unreadable = run_here(autograder)
    source.write_text(good)
    endless = run(autograder, GRADER_TIMEOUT_S="0.5")
    shutil.rmtree(autograder / "source" / "lib" / "grader" / "reports")
    broken = run(autograder)

    for content in (contradicted, unreadable, endless, broken):
        visible = [test for test in content["tests"] if test["visibility"] == "visible"]
        assert content["score"] == 0
        assert all("not your fault" in test["output"] for test in visible)
        assert [test["visibility"] for test in content["tests"]].count("hidden") == 1
    assert "disagrees with autograd" in contradicted["tests"][-1]["output"]
    assert "disagrees" not in json.dumps(contradicted["tests"][:-1])
    assert "is not a source notebook" in unreadable["tests"][-1]["output"]
    assert "did not finish" in endless["tests"][-1]["output"]
    assert "did not finish" in broken["tests"][-1]["output"]


def test_the_file_to_grade(tmp_path: Path, repository: Path) -> None:
    """A notebook of this assignment comes before others, a notebook before text, and the top folder before others."""
    folder = tmp_path / "submission"
    (folder / "__MACOSX").mkdir(parents=True)
    (folder / "deep").mkdir()
    shutil.copy(repository / "perfect.ipynb", folder / "__MACOSX" / "._perfect.ipynb")
    assert choose_file(folder, "two_layer_mse").content == b""

    (folder / "a.txt").write_text("hello")
    assert choose_file(folder, "two_layer_mse").name == "a.txt"
    (folder / "b.py").write_text("def grad_w1(): ...")
    assert choose_file(folder, "two_layer_mse").name == "b.py"
    shutil.copy(repository / "wrong.ipynb", folder / "deep" / "z.ipynb")
    assert choose_file(folder, "two_layer_mse").name == "z.ipynb"
    (folder / "a.ipynb").write_text("{}")
    assert choose_file(folder, "two_layer_mse").name == "z.ipynb"
    (folder / "b.ipynb").symlink_to("/etc/passwd")
    assert choose_file(folder, "attention").name == "a.ipynb"


def test_the_required_level_is_in_the_settings(archive: Path) -> None:
    with zipfile.ZipFile(archive) as packed:
        options = json.loads(packed.read("options.json"))

    assert Level[options["level"].upper()] is Level.FILTERED
