"""The formats that are read, compared with what jupytext writes and reads; and those that are not."""

from __future__ import annotations

import random
from pathlib import Path

import jupytext
import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nbformat import NotebookNode

from grader.notebook.read import Notebook, Unreadable, read_notebook
from tests.conftest import ROOT, raw_submission

FORMS = ["py:percent", "py:light", "py:hydrogen", "md:markdown", "md:myst"]
RELEASED = sorted((ROOT / "assignments").glob("*/*.ipynb"))


def codes(text: str, name: str) -> list[str]:
    notebook = read_notebook(raw_submission(text.encode(), name=name))
    assert isinstance(notebook, Notebook), notebook.problem
    for cell in notebook.cells:
        lines = cell.code.split("\n")
        there = text.split("\n")[cell.line - 1 : cell.line - 1 + len(lines)]
        assert len(there) == len(lines)
        first = lines[0].startswith("%%")
        assert in_comments(lines)[first:] == in_comments(there)[first:]
    return [cell.code for cell in notebook.cells]


def problem(text: str, name: str) -> str:
    notebook = read_notebook(raw_submission(text.encode(), name=name))
    assert isinstance(notebook, Unreadable), notebook
    return notebook.problem


def as_jupytext_reads(text: str, form: str) -> list[str]:
    """The code cells that jupytext finds, without taking words for commands."""
    extension, _, name = form.partition(":")
    book = jupytext.reads(
        text, {"extension": f".{extension}", "format_name": name, "comment_magics": name == "hydrogen"}
    )
    return [cell.source for cell in book.cells if cell.cell_type == "code" and cell.source.strip()]


def in_comments(codes: list[str]) -> list[str]:
    """Code without the marks of comments, which jupytext takes from other lines than we do."""
    return ["\n".join(line.strip().lstrip("# ") for line in code.split("\n")).strip() for code in codes]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("path", RELEASED, ids=lambda path: path.stem)
def test_what_was_released_is_read_in_every_format(path: Path, form: str) -> None:
    """The same cells, and the mark of the assignment."""
    book = nbformat.read(path, as_version=4)
    book.metadata["jupytext"] = {"notebook_metadata_filter": "grader,jupytext"}
    text = jupytext.writes(book, form)

    notebook = read_notebook(raw_submission(text.encode(), name=f"a.{form[:2]}"))

    assert isinstance(notebook, Notebook)
    assert [cell.code for cell in notebook.cells] == [cell.source for cell in book.cells if cell.cell_type == "code"]
    assert notebook.assignment_id == path.stem
    assert notebook.version == str(book.metadata["grader"]["version"])


CODE = [
    "x = 1",
    "def f(a):\n    return a\n\n\n    # more\n",
    "def f(a):\n\n    return a",
    "# words only",
    "# copy of x\nx = 1",
    "# # twice",
    "%matplotlib inline",
    "%%time\nx = 1",
    "%%bash\nls\n# why",
    "%%bash -x\nls",
    "%%html\n<b>",
    "!ls\nfiles = !ls",
    "x = '''\n# %%\n\n# +\n\n# -\n'''",
    '"""\nwords\n"""',
    "for i in a:\n\n\n    pass\n\n\nx = 2",
    "# +\nx = 1",
    "# -",
    "@a\ndef f():\n    pass",
    ":x\ny",
    "---\nx",
    "```\nx\n```",
    "x = 1\n\n\n",
    "\n\nx = 1",
    "f(\n\n1)",
    "class A:\n    x = 1\n\n    def f(self):\n        pass",
    "#",
    "# %% not a marker",
    "a = '# ---'",
    "x  # region",
]
WORDS = [
    "# Title",
    "words",
    "words\n\nmore",
    "```python\nno = 1\n```",
    "~~~\n# %%\n~~~",
    "- one\n\n  ```python\n  no = 2\n  ```",
    "",
    "<!-- a comment -->",
    "$$x$$\n\n\n\ny",
    "# %%",
    "    no = 3",
    "---",
    "+++",
    "```{note}\nno\n```",
    "'''",
]
METADATA = [
    {},
    {},
    {},
    {"tags": ["a", "b"]},
    {"tags": ["active-py"]},
    {"tags": ["active-ipynb"]},
    {"active": "py"},
    {"active": "ipynb"},
    {"active": "ipynb,py"},
    {"run_control": {"frozen": True}},
    {"title": "a title"},
    {"name": "x=1", "slideshow": {"slide_type": "slide"}},
    {"deletable": False},
]


def some_notebook(seed: int, *, is_light: bool = False) -> NotebookNode:
    chance = random.Random(seed)
    cells = []
    for _ in range(chance.randrange(1, 7)):
        metadata = dict(chance.choice(METADATA))
        if chance.random() < 0.7:
            cells.append(nbformat.v4.new_code_cell(chance.choice(CODE), metadata=metadata))
        elif chance.random() < 0.8:
            cells.append(nbformat.v4.new_markdown_cell(chance.choice(WORDS), metadata=metadata))
        else:
            cells.append(nbformat.v4.new_raw_cell(chance.choice(WORDS), metadata=metadata))
    options = {
        "cell_markers": chance.choice(["region,endregion", "{{{,}}}", '"""', "+,-"]),
        "cell_metadata_json": True,
        "split_at_heading": True,
        "comment_magics": True,
        "notebook_metadata_filter": "all",
        "hide_notebook_metadata": True,
    }
    chosen = {name: value for name, value in options.items() if chance.random() < 0.2}
    if is_light and chosen.get("cell_markers") == '"""':
        del chosen["cell_markers"]  # jupytext writes it, but cannot read it
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return nbformat.v4.new_notebook(cells=cells, metadata=({"jupytext": chosen} if chosen else {}) | kernel)


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=150)
@given(seed=st.integers(0, 10_000))
def test_any_notebook_that_jupytext_writes_is_read_as_it_reads_it(form: str, seed: int) -> None:
    text = jupytext.writes(some_notebook(seed, is_light=form == "py:light"), form)

    assert in_comments(codes(text, f"a.{form[:2]}")) == in_comments(as_jupytext_reads(text, form)), text
