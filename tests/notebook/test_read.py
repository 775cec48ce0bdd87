"""Reading a file that somebody handed in, and the sentence about one that cannot be read."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.errors import SubmissionError, UsageError
from grader.notebook.read import FILE_LIMIT_BYTES, Cell, Notebook, Unreadable, read_notebook, read_submission
from tests.conftest import raw_submission

MINIMAL = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def codes(content: bytes, name: str = "a.ipynb") -> list[str]:
    notebook = read_notebook(raw_submission(content, name=name))
    assert not isinstance(notebook, Unreadable), notebook.problem
    return [cell.code for cell in notebook.cells]


def problem(content: bytes, name: str = "a.ipynb") -> str:
    notebook = read_notebook(raw_submission(content, name=name))
    assert isinstance(notebook, Unreadable)
    return notebook.problem


def test_format_version_3_is_read() -> None:
    """Worksheets and `input` become cells and code."""
    old = nbformat.v3.new_notebook(
        worksheets=[nbformat.v3.new_worksheet(cells=[nbformat.v3.new_code_cell(input="x = 1")])]
    )

    assert codes(nbformat.v3.writes_json(old).encode()) == ["x = 1"]


def test_format_version_4_is_read_without_cell_ids_and_with_duplicate_ones() -> None:
    """Copied cells share an id, and old files have no ids."""
    cell = {"cell_type": "code", "source": ["x = 1\n", "y = 2"], "metadata": {}, "outputs": [], "execution_count": 1}

    assert (
        codes(json.dumps(MINIMAL | {"cells": [cell, cell | {"id": "a"}, cell | {"id": "a"}]}).encode())
        == ["x = 1\ny = 2"] * 3
    )


def test_byte_order_mark_and_windows_line_ends_are_read() -> None:
    """As some editors write them."""
    cell = nbformat.v4.new_code_cell("a = 1\nb = 2")
    text = nbformat.writes(nbformat.v4.new_notebook(cells=[cell]))

    assert codes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()) == ["a = 1\nb = 2"]


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.py", "# %%\nx = 1\n\n# %%\ny = 2\n"), ("a.md", "```python\nx = 1\n```\n\ntext\n\n```python\ny = 2\n```\n")],
)
def test_text_forms_are_read(name: str, text: str) -> None:
    """Percent scripts and Markdown, as jupytext writes them."""
    assert codes(text.encode(), name) == ["x = 1", "y = 2"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"  \n", "empty"),
        (b"\0" * 100, "empty"),
        (json.dumps(MINIMAL).encode()[:-3], "cut off"),
        (b'{"cells": [{"source": "x', "cut off"),
        (b"\x89PNG\r\n\x1a\n", "not UTF-8 text"),
        (b"[1, 2]", "no cells"),
        (b'{"a": 1}', "no cells"),
        (b'{"cells": 3, "nbformat": 4}', "malformed"),
        (b'{"cells": [3], "nbformat": 4}', "malformed"),
        (b'{"cells": [}', "broken at line 1"),
        (b'{"cells": ' + b"[" * 100_000, "cannot be read"),
        (b"x" * (FILE_LIMIT_BYTES + 1), "larger than"),
    ],
)
def test_a_file_that_is_not_a_notebook_is_described_in_a_sentence(content: bytes, says: str) -> None:
    """The sentence says what is wrong with the file."""
    assert says in problem(content)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["cells", "metadata", "grader", "cell_type", "source", "nbformat", "worksheets", "x"]),
                inner,
                max_size=5,
            )
        ),
        max_leaves=20,
    )
)
def test_odd_json_never_raises(content: object) -> None:
    """Any JSON is read as a notebook or described in a sentence."""
    notebook = read_notebook(raw_submission(json.dumps(content).encode()))

    assert isinstance(notebook, Unreadable) or all(isinstance(cell.code, str) for cell in notebook.cells)


def test_outputs_and_foreign_metadata_are_dropped() -> None:
    """Only the assignment's id and version are kept."""
    cell = nbformat.v4.new_code_cell("x", outputs=[nbformat.v4.new_output("stream", text="secret")])
    book = nbformat.v4.new_notebook(cells=[cell], metadata={"grader": {"assignment": "a", "x": 1}, "widgets": {}})
    notebook = read_notebook(raw_submission(nbformat.writes(book).encode()))

    assert not isinstance(notebook, Unreadable)
    assert notebook == Notebook(cells=(Cell(number=1, index=0, code="x"),), assignment_id="a")


def test_a_missing_file_or_a_folder_is_a_usage_error(tmp_path: Path) -> None:
    """Neither is a submission."""
    with pytest.raises(SubmissionError, match="no file"):
        read_submission(tmp_path / "missing.ipynb")
    with pytest.raises(UsageError, match="folder"):
        read_submission(tmp_path)
