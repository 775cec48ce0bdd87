"""pre-commit runs the hooks in an instructor's repository."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml

from grader.cli import main
from tests.conftest import ROOT, SOURCES, handed_in

BIN = Path(sys.executable).parent


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """The repository of a course, with assignments that match their source notebooks."""
    folder = tmp_path / "course"
    (folder / "solutions").mkdir(parents=True)
    for suffix in (".md", ".svg"):
        shutil.copy(SOURCES / f"two_layer_mse{suffix}", folder / "solutions")
    shutil.copytree(ROOT / "assignments" / "two_layer_mse", folder / "assignments" / "two_layer_mse")
    return folder


def commit(folder: Path) -> dict[str, bool]:
    """Whether each hook passes, by its id, if everything is committed."""
    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    (folder / ".pre-commit-config.yaml").write_text(yaml.safe_dump({"repos": [{"repo": "local", "hooks": hooks}]}))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")} | {
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "PRE_COMMIT_HOME": str(folder.parent / "pre-commit"),
        "PRE_COMMIT_COLOR": "never",
    }
    for command in (["git", "init", "--quiet"], ["git", "add", "--all"]):
        subprocess.run(command, cwd=folder, env=environment, check=True)
    passes = {}
    for hook in hooks:
        done = subprocess.run(
            [BIN / "pre-commit", "run", hook["id"], "--all-files"],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Traceback" not in done.stdout, done.stdout
        assert "(no files to check)" not in done.stdout, done.stdout
        passes[hook["id"]] = done.returncode == 0
    return passes


def test_the_manifest_is_valid() -> None:
    manifest = str(ROOT / ".pre-commit-hooks.yaml")

    subprocess.run([BIN / "pre-commit", "validate-manifest", manifest], check=True, capture_output=True)


@pytest.mark.slow
def test_hooks_pass_or_fail(course: Path) -> None:
    """They fail for a source notebook that was changed, a solved notebook in assignments/, and one with outputs."""
    assert commit(course) == {"grader-in-step": True, "grader-no-leaks": True, "grader-no-outputs": True}

    source = course / "solutions" / "two_layer_mse.md"
    source.write_text(source.read_text(encoding="utf-8").replace("# Backpropagation by hand", "# Backpropagation"))
    solved = handed_in("")
    nbformat.write(solved, course / "assignments" / "solved.ipynb")
    shown = nbformat.v4.new_code_cell("1", outputs=[nbformat.v4.new_output("stream", text="1")], execution_count=1)
    nbformat.write(nbformat.v4.new_notebook(cells=[shown]), course / "shown.ipynb")
    assert commit(course) == {"grader-in-step": False, "grader-no-leaks": False, "grader-no-outputs": False}
    assert nbformat.read(course / "shown.ipynb", as_version=4).cells[0].outputs == []


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            "def grad_b2(g):\n    # other names and comments\n    return g.sum(dim=0, keepdim=True)\n",
            "solution of grad_b2",
        ),
        ("def grad_b2(g):\n    ### BEGIN SOLUTION\n    pass\n    ### END SOLUTION\n", "a solution region"),
        ("def grad_b2(dyhat):\n    raise NotImplementedError('grad_b2 is still blank')\n", ""),
        ("def grad_b2(dyhat):\n    return 2 * dyhat\n", ""),
        ("def total(g):\n    return g.sum(dim=0, keepdim=True)\n", ""),
        ("this is no Python", ""),
    ],
)
def test_leaks(course: Path, content: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = course / "a.py"
    path.write_text(content)

    code = main(["leaks", str(path), "--solutions", str(course / "solutions")])

    assert code == bool(says)
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["leaks", "a.py"], "1 file was searched: no solution, no solution region and no hidden seed was found."),
        (["leaks", "a.py", "b.py", "solutions/two_layer_mse.md"], "2 files were searched: no solution, "),
        (["leaks", "solutions/two_layer_mse.md"], "No file was searched: name those that you publish, other than "),
        (["release", "--check"], "Up to date in assignments: two_layer_mse."),
    ],
)
def test_a_line_says_that_all_is_well(
    course: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    """It is not there with `--quiet`, nor where something was found, nor on standard output."""
    monkeypatch.chdir(course)
    for name in ("a.py", "b.py"):
        Path(name).write_text("x = 1\n")

    assert main(arguments) == 0
    assert main([*arguments, "--quiet"]) == 0

    out, said = capsys.readouterr()
    assert out == ""
    assert said.startswith(says)
    assert said.count("\n") == 1


def test_leaks_are_found_beside_a_draft(course: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A draft that asks for nothing yet has no solution; a source notebook that cannot be read may have some."""
    draft, answer = course / "solutions" / "draft.md", course / "a.py"
    draft.write_text("---\njupytext: {}\n---\n\nTODO\n")
    answer.write_text("def grad_b2(g):\n    return g.sum(dim=0, keepdim=True)\n")
    leaks = ["leaks", str(answer), "--solutions", str(course / "solutions")]

    assert main(leaks) == 1
    assert "the solution of grad_b2" in capsys.readouterr().err

    draft.write_text("---\njupytext: {\n---\n\nTODO\n")
    assert main(leaks) == 2


def test_a_seed_is_a_leak(course: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A seed in metadata is a leak. Text about seeds is not, nor is the seed of a source notebook."""
    notebook = nbformat.v4.new_notebook(metadata={"grader": {"hidden_seed": 3}})
    nbformat.write(notebook, course / "a.ipynb")
    (course / "b.md").write_text("Set `hidden_seed: 3` in your source.")
    files = [str(course / name) for name in ("a.ipynb", "b.md", "solutions/two_layer_mse.md")]

    assert main(["leaks", *files, "--solutions", str(course / "solutions")]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_strip_reports_files_that_are_not_notebooks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.ipynb").write_text("{")

    assert main(["strip", str(tmp_path / "a.ipynb")]) == 2
    assert main(["strip", str(tmp_path / "b.ipynb")]) == 2
    assert main(["strip", str(ROOT / "assignments" / "two_layer_mse" / "two_layer_mse.ipynb")]) == 0
    assert "not a notebook" in capsys.readouterr().err
