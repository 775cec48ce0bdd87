"""Reading a file that somebody handed in, and the sentence about one that cannot be read."""

from __future__ import annotations

import json
import time
from pathlib import Path

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.errors import SubmissionError, UsageError
from grader.notebook.lines import json_lines
from grader.notebook.read import (
    FILE_LIMIT_BYTES,
    USED_LIMIT_BYTES,
    Cell,
    Notebook,
    Unreadable,
    notebook_stem,
    read_notebook,
    read_submission,
    text_of,
)
from grader.notebook.trim import without_outputs
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


def test_bytes_that_a_synchronisation_leaves_at_the_end_are_ignored() -> None:
    content = nbformat.writes(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x = 1")])).encode()
    assert codes(content + b"\n\0\0\0\n\0") == ["x = 1"]


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
        (b"\xff\x00\x81", "not UTF-8 text"),
        (b"\x89PNG\r\n\x1a\n", "a picture"),
        (b"\n<!DOCTYPE html><html>", "a web page"),
        (b"%PDF-1.7", "a PDF"),
        (b"PK\x03\x04...", "a zip archive"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1", "Git LFS"),
        (b'{"cells": [\n<<<<<<< HEAD\n1\n=======\n2\n>>>>>>> theirs\n]}', "merge conflict"),
        (b'{"cells": []}\n{"cells": []}', "after its end, at line 2, as if two files had been joined"),
        (b'[{"cells": []}, {"cells": []}]', "a list of notebooks"),
        (b'{"url": "https://drive.example", "doc_id": "1"}', "in a cloud"),
        (b"import torch\n", "text of another kind"),
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


CELL = {"cell_type": "code", "source": "x = 1"}


@pytest.mark.parametrize(
    "content",
    [
        {"cells": [CELL]},
        {"cells": [CELL], "metadata": {}},
        {"cells": [CELL], "nbformat": "4"},
        {"cells": [CELL], "nbformat": 4.0},
        {"cells": [CELL], "nbformat": 5, "nbformat_minor": 0},
        {"cells": [CELL], "nbformat": None},
        {"cells": [{"cell_type": "code", "input": "x = 1"}], "nbformat": 4},
        {"worksheets": [{"cells": [{"cell_type": "code", "input": "x = 1", "language": "python", "outputs": []}]}]},
        {"type": "notebook", "format": "json", "content": {"cells": [CELL]}},
    ],
)
def test_what_the_grader_does_not_need_may_be_missing(content: object) -> None:
    """The number of the format, above all, and metadata."""
    assert codes(json.dumps(content).encode()) == ["x = 1"]


@pytest.mark.parametrize("suffix", [".ipynb.txt", ".ipynb.json", ".IPYNB", ".ipynb.download", ".ipynb.json.txt"])
def test_what_browsers_and_mail_programs_append_to_a_name(suffix: str) -> None:
    assert codes(json.dumps({"cells": [CELL]}).encode(), f"a{suffix}") == ["x = 1"]
    assert notebook_stem(f"b.a{suffix}") == "b.a"


@pytest.mark.parametrize("name", ["a.py.txt", "a.md.txt", "a.MD"])
def test_the_same_with_text(name: str) -> None:
    code = "```py\nx = 1\n```" if "md" in name.lower() else "x = 1"

    assert codes(code.encode(), name) == ["x = 1"]


class TestLargeOutputs:
    """Nothing of them is used, so they count for nothing; what is made up to cost time or memory is refused."""

    def test_a_notebook_with_40_mb_of_outputs(self, tmp_path: Path) -> None:
        picture = {
            "output_type": "display_data",
            "data": {"image/png": "iVBOR" * 4_000_000, "text/plain": ['"]}', "{"]},
        }
        numbers = {
            "output_type": "execute_result",
            "data": {"x": [[0.5, "]"]] * 10, "application/json": {"outputs": []}},
        }
        text = json.dumps(
            {
                "cells": [
                    CELL | {"outputs": [picture], "metadata": {"outputs": 3}},
                    {"cell_type": "markdown", "source": '"outputs": [', "attachments": {"a": {"image/png": "x"}}},
                    CELL | {"source": ['y = {"outputs": [1]}\n', "z = 3"], "outputs": [numbers, picture]},
                ],
                "metadata": {"grader": {"assignment": "two"}, "widgets": {"state": {"a": "b"}}},
            },
            indent=1,
        )
        assert len(text) > USED_LIMIT_BYTES
        submission = raw_submission(text.encode())

        notebook = read_notebook(submission)

        assert isinstance(notebook, Notebook)
        assert [cell.code for cell in notebook.cells] == ["x = 1", 'y = {"outputs": [1]}\nz = 3']
        assert notebook.assignment_id == "two"
        read = text_of(submission)
        assert isinstance(read, str)
        assert len(read) < 10_000
        lines = text.split("\n")
        assert [lines[line - 1].strip() for line in json_lines(read)[2]] == [r'"y = {\"outputs\": [1]}\n",', '"z = 3"']

    def test_code_of_40_mb_is_refused(self) -> None:
        cell = CELL | {"source": "#" * (USED_LIMIT_BYTES + 1)}

        assert "Without its outputs, the notebook is larger than 32 MiB" in problem(
            json.dumps({"cells": [cell]}).encode()
        )

    @pytest.mark.parametrize("part", [b"[],", b"{},", b'"",', b"[", b'"\\"', b"\\"])
    def test_very_many_parts_are_not_all_read(self, part: bytes) -> None:
        content = b'{"cells": [{"outputs": [' + part * ((USED_LIMIT_BYTES + 10) // len(part))
        started = time.process_time()

        assert problem(content)
        assert time.process_time() - started < 30

    @given(
        st.recursive(
            st.none() | st.floats(allow_nan=False) | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(['a"', "outputs", "x"]), inner),
            max_leaves=20,
        ),
        st.sampled_from([None, 1]),
    )
    def test_only_lists_and_objects_of_outputs_are_cut(self, content: object, indent: int | None) -> None:
        """As a parser would cut them; every line stays where it is."""
        text = json.dumps(content, indent=indent)

        cut = without_outputs(text.encode())

        assert cut is not None
        assert json.loads(cut) == _emptied(content)
        assert cut.count(b"\n") == text.count("\n")


def _emptied(content: object) -> object:
    if isinstance(content, list):
        return [_emptied(each) for each in content]
    if not isinstance(content, dict):
        return content
    return {
        name: type(value)() if name == "outputs" and isinstance(value, (list, dict)) else _emptied(value)
        for name, value in content.items()
    }


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
