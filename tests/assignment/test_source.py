"""A source notebook is read, or refused with the place and the reason."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from grader.assignment.find import find_sources, in_place_of_shipped
from grader.assignment.source import read_source, source_version
from grader.errors import SourceError
from tests.conftest import SOURCE

EXERCISE = '''```{code-cell} ipython3
:tags: [exercise]

def grad_w(x, dz):
    """What is asked."""
    ### BEGIN SOLUTION
    return x.T @ dz
    ### END SOLUTION
```
'''
HEAD = """---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

# Title

"""


def source(folder: Path, body: str) -> Path:
    path = folder / "small.md"
    path.write_text(HEAD + body, encoding="utf-8")
    return path


def test_the_shipped_source_is_read() -> None:
    """Exercises are in order, with arguments, targets, points, and their lines in the file."""
    read = read_source(SOURCE)

    assert [(e.name, e.arguments, e.targets, e.points) for e in read.exercises] == [
        ("grad_yhat", ("yhat", "y"), ("yhat",), 1.0),
        ("grad_w2", ("a1", "dyhat"), ("w2",), 2.0),
        ("grad_b2", ("dyhat",), ("b2",), 1.0),
        ("grad_a1", ("dyhat", "w2"), ("a1",), 1.0),
        ("grad_z1", ("da1", "z1"), ("z1",), 2.0),
        ("grad_w1", ("x", "dz1"), ("w1",), 2.0),
        ("grad_b1", ("dz1",), ("b1",), 1.0),
    ]
    lines = SOURCE.read_text(encoding="utf-8").split("\n")
    for exercise in read.exercises:
        assert exercise.line is not None
        assert lines[exercise.line - 1].startswith(f"def {exercise.name}(")


def test_a_version_is_a_hash_of_the_text() -> None:
    """Line ends do not matter; everything else does."""
    assert source_version("a\nb") == source_version("a\r\nb")
    assert source_version("a\nb") != source_version("a\nc")


def test_only_notebooks_are_sources(tmp_path: Path) -> None:
    """A README beside them is not a source notebook."""
    source(tmp_path, EXERCISE)
    (tmp_path / "README.md").write_text("# Read me\n")

    assert list(find_sources(tmp_path)) == ["small"]


def test_what_replaces_a_shipped_assignment_is_known(tmp_path: Path) -> None:
    """Only an edited copy does: not an unchanged one, a released one, another assignment, or the shipped one itself."""
    text, released = SOURCE.read_text(encoding="utf-8"), tmp_path / "two_layer_mse"
    released.mkdir()
    for folder, name, content in (
        (tmp_path, "two_layer_mse", f"{text}\nMore.\n"),
        (tmp_path, "batchnorm", (SOURCE.parent / "batchnorm.md").read_text(encoding="utf-8")),
        (tmp_path, "mine", text),
        (released, "two_layer_mse", f"{text}\nMore.\n"),
    ):
        (folder / f"{name}.md").write_text(content, encoding="utf-8")

    edited = tmp_path / "two_layer_mse.md"
    assert in_place_of_shipped(edited) == (
        f"{edited} is used in place of the assignment 'two_layer_mse' that comes with the grader."
    )
    others = (tmp_path / "batchnorm.md", tmp_path / "mine.md", released / "two_layer_mse.md", SOURCE)
    assert [in_place_of_shipped(path) for path in others] == [""] * 4


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("    ### END SOLUTION\n", "", r"small\.md, cell 2, line \d+: a solution region is not closed"),
        ("    ### BEGIN SOLUTION\n", "", "an END SOLUTION has no BEGIN SOLUTION"),
        ("    return x.T @ dz\n", "    ### BEGIN SOLUTION\n", "begins inside another one"),
        ('    """What is asked."""\n', "", "grad_w has no docstring"),
        ("def grad_w(x, dz):", "def grad_w(x, dz)", "not Python"),
        ("    ### END SOLUTION\n", "    ### END SOLUTION\ndef grad_b():\n    pass\n", "has 2 functions, not one"),
        ("def grad_w(", "def weight(", "nothing says what weight is the gradient of"),
        (":tags: [exercise]", ":tags: [other]", "has no exercise"),
        (
            ":tags: [exercise]",
            "---\ntags: [exercise]\ngrader: {points: -1}\n---",
            r"line \d+, grad_w: `points` is -1\. It must be a pos",
        ),
        (":tags: [exercise]", ":tags: [exercise, network]", "a network cell has a solution region"),
        (EXERCISE, EXERCISE + "\n" + EXERCISE, "two exercises are called grad_w"),
    ],
)
def test_a_notebook_that_breaks_the_contract_is_refused(tmp_path: Path, old: str, new: str, says: str) -> None:
    """The message names file, cell and line."""
    assert old in EXERCISE

    with pytest.raises(SourceError, match=says):
        read_source(source(tmp_path, EXERCISE.replace(old, new)))


@pytest.mark.parametrize(
    ("methods", "form"),
    [
        ("def __init__(self, w, reg=0.0): pass\n    def loss(self, X, y): pass", r"Net\(w\)\.loss\(X, y\) == \("),
        (
            "def forward(self, x): pass\n    def backward(self, dy): pass\n    def _a(self): pass",
            r"Net\(\)\.backward\(dy\)",
        ),
        ("w = 1", r"Net\(\) == "),
    ],
)
@pytest.mark.parametrize("settings", ["{points: 1}", "{name: Net}"])
@pytest.mark.parametrize("helper", ["", "class Layer:\n    pass\n\n\n"])
def test_a_class_needs_a_call(tmp_path: Path, methods: str, form: str, settings: str, helper: str) -> None:
    """The message shows how it may look, with the class's own names."""
    net = (
        f'{helper}class Net:\n    """What is asked."""\n\n    {methods}\n    ### BEGIN SOLUTION\n    ### END SOLUTION\n'
    )
    cell = f"```{{code-cell}} ipython3\n---\ntags: [exercise]\ngrader: {settings}\n---\n{net}```\n"

    with pytest.raises(
        SourceError, match="Net is a class, and `call`, which says how it is used, is missing"
    ) as caught:
        read_source(source(tmp_path, cell))
    assert re.search(rf"under `grader`, like `{form}", caught.value.hint)


def test_the_file_name_and_the_metadata_must_agree(tmp_path: Path) -> None:
    """The file's name is the id."""
    path = source(tmp_path, EXERCISE)
    path.write_text(path.read_text().replace("kernelspec:", "grader:\n  assignment: other\nkernelspec:", 1))

    with pytest.raises(SourceError, match="says that its id is 'other'"):
        read_source(path)
