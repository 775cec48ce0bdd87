"""The lines of a file where the cells of a notebook stand."""

from __future__ import annotations

import jupytext
import pytest

from grader.notebook.lines import first_lines

MARKDOWN = """\
---
title: Words
---

# A notebook

```python
x = 1
```

x = 1

```python tags=["solution"]
def f(x):
    return x

f(x)
```

```python
x = 1
```
"""


def test_each_cell_has_the_line_where_its_code_begins() -> None:
    """Lines are counted from 1, and found by the cell's index."""
    cells = [(1, "x = 1"), (3, "def f(x):\n    return x\n\nf(x)"), (4, "x = 1")]

    assert first_lines(MARKDOWN, cells) == {1: 8, 3: 14, 4: 21}


def test_the_cells_that_jupytext_reads_are_found() -> None:
    notebook = jupytext.reads(MARKDOWN, fmt="md")
    cells = [(index, cell.source) for index, cell in enumerate(notebook.cells) if cell.cell_type == "code"]

    lines = MARKDOWN.split("\n")
    found = first_lines(MARKDOWN, cells)

    assert [lines[line - 1] for line in found.values()] == ["x = 1", "def f(x):", "x = 1"]
    assert list(found) == [index for index, _ in cells]


@pytest.mark.parametrize(
    ("text", "cells", "found"),
    [
        ("a\nb\na\nb", [(0, "a\nb"), (1, "a\nb")], {0: 1, 1: 3}),  # the same twice
        ("a\nb\na", [(0, "b"), (1, "a")], {0: 2, 1: 3}),  # never one before the last
        ("a\na", [(0, "a"), (1, "a"), (2, "a")], {0: 1, 1: 2}),
        ("a\nb", [(0, "a\nc"), (1, "b")], {1: 2}),  # a cell that is not there is skipped
        ("\na\n\nb\n \n \n", [(0, ""), (1, " \n "), (2, "b")], {2: 4}),  # empty cells have no line
        ("ab\na", [(0, "a")], {0: 2}),  # whole lines only
        ("a", [(0, "a\nb")], {}),
        ("a", [(0, "a")], {0: 1}),
        ("", [(0, "a")], {}),
        ("a\n", [], {}),
    ],
)
def test_cells_are_found_in_their_order(text: str, cells: list[tuple[int, str]], found: dict[int, int]) -> None:
    assert first_lines(text, cells) == found
