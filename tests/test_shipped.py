"""The folders with answers are found wherever the package is installed, and no other file of it holds an answer."""

from __future__ import annotations

import ast
import functools
import json
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from grader import shipped
from grader.assignment.source import read_source
from tests.conftest import ROOT, SOURCES

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FEWEST_CHARACTERS = 12
TEXT = (".py", ".md", ".ipynb", ".toml", ".json", ".html", ".txt", ".svg", ".css", ".js", ".sh", "")


def bare(text: str) -> str:
    """Code without spaces and line breaks; it may be part of a JSON file."""
    return re.sub(r'\s+|\\n"?,?\s*"?', "", text)


@functools.cache
def solved() -> dict[str, str]:
    """The bare code of each solution after its docstring, by assignment and function."""
    bodies = {}
    for path in sorted(SOURCES.glob("*.md")):
        for exercise in read_source(path).exercises:
            (function,) = (node for node in ast.parse(exercise.code).body if isinstance(node, ast.FunctionDef))
            lines = exercise.code.split("\n")[function.body[1].lineno - 1 : function.end_lineno]
            bodies[f"{path.stem}: {exercise.name}"] = bare("\n".join(lines))
    return bodies


def solutions_in(folder: Path) -> Iterator[tuple[Path, str]]:
    """Each file in a folder that contains a solution, and the solution's name."""
    for path in sorted(folder.rglob("*")):
        if path.suffix in TEXT and path.is_file() and "__pycache__" not in path.parts:
            text = bare(path.read_text(encoding="utf-8", errors="replace"))
            yield from ((path, name) for name, body in solved().items() if body in text)


def test_shipped_files_are_found() -> None:
    """These are source notebooks, samples, the corpus, and the pinned versions."""
    assert (shipped.solutions() / "two_layer_mse.md").is_file()
    assert (shipped.samples() / "two_layer_mse" / "perfect.py").is_file()
    assert shipped.constraints().is_file()
    assert {path.resolve() for path in shipped.answers()} == {
        ROOT / "solutions",
        ROOT / "tests" / "corpus",
        ROOT / "grader" / "samples",
    }


def test_every_file_with_a_solution_is_in_a_folder_of_answers() -> None:
    """Neither the package nor a released notebook has one elsewhere. The scan does find those in the folders."""
    assert min(map(len, solved().values())) >= FEWEST_CHARACTERS
    folders = shipped.answers()
    found = [hit for folder in (ROOT / "grader", ROOT / "assignments") for hit in solutions_in(folder)]

    assert [hit for hit in found if not any(hit[0].is_relative_to(folder) for folder in folders)] == []
    assert {path.parent.parent.name for path, _ in found} == {"samples"}
    assert {name for _, name in solutions_in(ROOT / "solutions")} == solved().keys()
    assert any(solutions_in(ROOT / "tests" / "corpus"))


def test_the_scan_finds_a_solution_in_any_form(tmp_path: Path) -> None:
    """It may be indented, or in JSON as one string or as a list of lines."""
    code = "def f(logp, y):\n    dlogp = torch.zeros_like(logp)\n    dlogp[torch.arange(len(y)), y] = -1 / len(y)\n"
    code += "    return dlogp\n"
    (tmp_path / "a.py").write_text("class A:\n" + textwrap.indent(code, "    "))
    (tmp_path / "b.ipynb").write_text(json.dumps({"source": code}))
    (tmp_path / "c.ipynb").write_text(json.dumps({"source": code.splitlines(keepends=True)}))
    (tmp_path / "d.json").write_text(json.dumps(code.splitlines(keepends=True), indent=2))
    (tmp_path / "e.py").write_text("return x @ dz1")

    assert {path.name for path, _ in solutions_in(tmp_path)} == {"a.py", "b.ipynb", "c.ipynb", "d.json"}


# ------------------------------------------------------------------------------------------- other places to stand


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The package as a wheel installs it."""
    package = tmp_path / "site-packages" / "grader"
    answers = ["bundled/solutions/a.md", "bundled/constraints.txt", "samples/a/b.py"]
    for name in (*answers, "judge.py", "reports/page.py", "reports/__pycache__/page.pyc"):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text("")
    monkeypatch.setattr(shipped, "PACKAGE", package)
    return package


def test_answers_in_a_wheel(installed: Path) -> None:
    """They are in the package. Folders beside it belong to somebody else, whatever they are called."""
    for name in ("solutions", "tests/corpus"):
        (installed.parent / name).mkdir(parents=True)
    (installed.parent / "constraints.txt").write_text("")

    assert set(shipped.answers()) == {installed / "bundled", installed / "samples"}
    assert shipped.solutions() == installed / "bundled" / "solutions"
    assert shipped.samples() == installed / "samples"
    assert shipped.constraints() == installed / "bundled" / "constraints.txt"


def test_answers_in_a_repository(installed: Path) -> None:
    """They are also beside the package. Only folders that exist are listed."""
    (installed.parent / "pyproject.toml").write_text("")
    (installed.parent / "solutions").mkdir()

    assert set(shipped.answers()) == {installed / "bundled", installed / "samples", installed.parent / "solutions"}


def test_an_installation_without_answers(installed: Path) -> None:
    """A container image is one."""
    for folder in ("bundled", "samples"):
        (installed / folder).rename(installed.parent / folder)

    assert shipped.answers() == ()
    assert shipped.solutions() == installed.parent / "solutions"


def test_own_files_do_not_include_answers(installed: Path) -> None:
    assert [str(path.relative_to(installed)) for path in shipped.own_files()] == ["judge.py", "reports/page.py"]


# ---------------------------------------------------------------------------------------------- what others say


def test_a_wheel_puts_answers_into_a_folder_of_answers() -> None:
    """Everything that it includes exists in the repository."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    included = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]

    assert included["solutions"] == "grader/bundled/solutions"
    assert all((ROOT / source).exists() for source in included)
    assert {tuple(target.split("/")[:2]) for target in included.values()} == {("grader", "bundled")}
    assert "bundled" in shipped.ANSWER_FOLDERS


def test_a_container_image_has_no_folder_of_answers() -> None:
    """The step that installs the package removes all of them, and later steps copy none."""
    lines = (ROOT / "Containerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    (removed,) = re.findall(r"^RUN rm -r (.*)$", lines, re.MULTILINE)

    paths = [path.partition("/site-packages/grader/")[2] for path in removed.split()]
    assert sorted(path.split("/")[0] for path in paths) == sorted(shipped.ANSWER_FOLDERS)
    assert "bundled/solutions" in paths
    copied = re.findall(r"^COPY (.*)$", lines.partition("\nFROM python:${PYTHON}-slim\n")[2], re.MULTILINE)
    assert not any(name in line for line in copied for name in ("solutions", "corpus", "samples"))
