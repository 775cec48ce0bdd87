"""Scripts and Markdown as people write them: every function stays whole, and keeps its line."""

from __future__ import annotations

import ast
import json
import random

import jupytext
import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.notebook.functions import find_functions
from grader.notebook.lines import first_lines
from grader.notebook.read import Notebook, Unreadable, read_notebook, text_of
from tests.conftest import raw_submission

HEADER = "# ---\n# jupyter:\n#   jupytext:\n#     text_representation:\n#       format_name: {}\n# ---\n\n"


def read(content: bytes | str, name: str = "a.py") -> Notebook:
    content = content.encode() if isinstance(content, str) else content
    notebook = read_notebook(raw_submission(content, name=name))
    assert not isinstance(notebook, Unreadable), notebook.problem
    return notebook


def codes(content: bytes | str, name: str = "a.py") -> list[str]:
    return [cell.code for cell in read(content, name).cells]


def problem(content: bytes, name: str = "a.py") -> str:
    notebook = read_notebook(raw_submission(content, name=name))
    assert isinstance(notebook, Unreadable)
    return notebook.problem


@pytest.mark.parametrize(
    "comment",
    [
        "# copy of the upstream gradient",
        "# cat them",
        "# echo the shape",
        "# ls is the list of losses",
        "# mkdir before that",
        "# right?",
        "# !important",
        "# + a and b",
        "# %d of them",
        "# ---",
        "#%%time",
    ],
)
@pytest.mark.parametrize("where", ["above", "at the margin", "inside", "below"])
def test_a_comment_in_a_script_stays_a_comment(comment: str, where: str) -> None:
    """Wherever it stands, and whatever it begins with."""
    places = {name: f"{comment}\n" if name == where else "" for name in ("above", "at the margin", "below")}
    inside = f"    {comment}\n" if where == "inside" else ""
    text = (
        f"import torch\n\n{places['above']}def grad_b(dz):\n    n = 1\n\n{places['at the margin']}\n{inside}"
        f"    return dz\n{places['below']}\ndef grad_w(x):\n    return x\n"
    )

    notebook = read(text)

    assert list(find_functions(notebook).definitions) == ["grad_b", "grad_w"]
    assert comment in "\n".join(cell.code for cell in notebook.cells)
    assert not find_functions(notebook).syntax_errors


@pytest.mark.parametrize("style", ["percent", "light"])
def test_a_comment_in_a_notebook_in_a_script_stays_a_comment(style: str) -> None:
    """`copy`, `cat` and `echo` are words; only `%` and `!` make a magic of a comment."""
    cells = ["# copy of x\nx = 1", "def f():\n    return 1", "%matplotlib inline\nfiles = !ls", "%%bash\nls"]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in cells])

    assert codes(jupytext.writes(book, f"py:{style}")) == cells


def test_a_notebook_whose_functions_would_be_torn_is_a_script() -> None:
    """A comment at the margin ends a cell of the light format, and a marker within a function one of the other."""
    light = HEADER.format("light") + "def f():\n    n = 1\n\n# at the margin\n\n    return n\n"
    percent = "# %%\ndef f():\n    n = 1\n    # %%\n    return n\n"

    for text in (light, percent):
        assert list(find_functions(read(text)).definitions) == ["f"]


def test_a_script_as_jupyter_exports_it_keeps_its_cells() -> None:
    assert codes("#!/usr/bin/env python\n# coding: utf-8\n\n# In[1]:\n\n\nx = 1\n\n\n# In[ ]:\n\n\ny = 2\n") == [
        "\n\nx = 1",
        "\n\ny = 2",
    ]


def test_a_function_that_is_not_python_costs_only_itself() -> None:
    """Nor do magics in a script, or text over several lines that looks like code."""
    text = (
        "%matplotlib inline\n!pip install torch\nimport torch\n\nTEXT = '''\ndef no(\nimport no\n'''\n\n"
        "def f(x):\n    return (x\n\n@torch.no_grad()\ndef g(x):\n    return x\n\nh = lambda x: x\n"
    )
    found = find_functions(read(text))

    assert set(found.definitions) == {"TEXT", "g", "h"}
    assert list(found.broken_names) == ["f"]


@given(st.integers(0, 10_000))
def test_scripts_are_divided_without_a_loss(seed: int) -> None:
    """All cells together are the script but for blank lines; each is Python, and stands where it is said to stand."""
    chance = random.Random(seed)
    pieces = [
        "import torch",
        "x = 1; y = 2",
        '"""text\n\ndef no(): pass\n"""',
        "def f{0}(a):\n\n# copy that\n\n    return a",
        "@staticmethod\n# why\ndef f{0}(a): return a",
        "class C{0}:\n    def f(self):\n        return 1\n\n    x = 3",
        "if x:\n    def f{0}(a):\n        return a\nelse:\n    f{0} = None",
        "for i in range(3):\n    x = i",
        "# a comment",
        "z{0} = (\n1,\n\n2)",
        "async def f{0}(a):\n\treturn a",
    ]
    chosen = [chance.choice(pieces).format(number) for number in range(chance.randrange(1, 9))]
    text = "".join(piece + "\n" * chance.randrange(1, 4) for piece in chosen)

    submission = raw_submission(text.encode(), name="a.py")
    notebook = read_notebook(submission)
    assert isinstance(notebook, Notebook)
    parts = [cell.code for cell in notebook.cells]

    assert [line for part in parts for line in part.split("\n") if line.strip()] == [
        line for line in text.split("\n") if line.strip()
    ]
    assert ast.dump(ast.parse("\n".join(parts))) == ast.dump(ast.parse(text))
    assert all(ast.parse(part) for part in parts)
    whole = text_of(submission)
    assert isinstance(whole, str)
    lines = first_lines(whole, [(cell.index, cell.code) for cell in notebook.cells])
    assert [whole.split("\n")[lines[cell.index] - 1] for cell in notebook.cells] == [
        part.split("\n")[0] for part in parts
    ]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("# -*- coding: latin-1 -*-\nx = 'grüße'\n".encode("latin-1"), "x = 'grüße'"),
        ("#!/usr/bin/python\n# vim: set fileencoding=cp1252 :\nx = '„a“'\n".encode("cp1252"), "x = '„a“'"),
        ("# coding: gb18030\nx = '作业'\n".encode("gb18030"), "x = '作业'"),
        ("x = 'ü'\n".encode("utf-16"), "x = 'ü'"),
        ("x = 'ü'\n".encode("utf-8-sig"), "x = 'ü'"),
    ],
)
def test_the_encoding_that_a_script_names_is_honoured(content: bytes, says: str) -> None:
    assert says in "\n".join(codes(content))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"# coding: klingon\nx = 1\n", "'klingon'"),
        (b"# coding: rot13\nx = 1\n", "not an encoding of text"),
        (b"# coding: punycode\nx = 1\n", "not an encoding of text"),
        (b"# coding: ascii\nx = '\xfc'\n", "it is in ascii, but it is not"),
        (b"x = '\xfc'\n", "do not name another encoding"),
        (b"# coding: utf-8\nx = '\xfc'\n", "Save it as UTF-8"),
    ],
)
def test_an_encoding_that_does_not_fit_is_named(content: bytes, says: str) -> None:
    assert says in problem(content)


@pytest.mark.parametrize(
    "fence",
    [
        "```py",
        "``` py",
        "```python3",
        "```Python",
        "```ipython3",
        "```{python}",
        "```{python, echo=FALSE}",
        "```{.python}",
        "~~~python",
        "~~~~ py",
        "````py",
        "```{code-cell}",
        "~~~{code-cell} ipython3",
        "```",
    ],
)
@pytest.mark.parametrize("indent", ["", "  "])
def test_every_fence_of_python_is_read(fence: str, indent: str) -> None:
    """Also inside a list."""
    close = fence.rstrip("abcdefghijklmnopqrstuvwxyz3P .,{}-=FALSE")
    code = "def f(x):\n    return x\n\n\nf(1)"
    block = "\n".join(indent + line if line else "" for line in [fence, *code.split("\n"), close])
    text = f"# Words\n\n{'- one' if indent else 'one'}\n\n{block}\n\nmore words, `def g(x):`\n"
    if indent and "code-cell" in fence:
        pytest.skip("jupytext reads MyST, and wants its cells at the margin")

    submission = raw_submission(text.encode(), name="a.md")
    notebook = read_notebook(submission)

    assert isinstance(notebook, Notebook)
    assert [cell.code for cell in notebook.cells] == [code]
    assert first_lines(text, [(cell.index, cell.code) for cell in notebook.cells]) == {notebook.cells[0].index: 6}


def test_what_is_not_python_in_markdown_is_not_read() -> None:
    text = (
        "```python\nx = 1\n```\n\n```text\nrm x\n```\n\n```\ndef f():\n```\n\n```pycon\n>>> 1\n```\n\n    def g(): 1\n"
    )

    assert codes(text, "a.md") == ["x = 1"]


def test_fences_of_several_kinds_in_one_file() -> None:
    """Jupytext would take the rarer name for another language."""
    text = "```python\nx = 1\n```\n\n```python3\ny = 2\n```\n\n```py\nz = 3\n```\n"

    assert codes(text, "a.md") == ["x = 1", "y = 2", "z = 3"]


def test_a_fence_that_never_ends_is_read() -> None:
    assert codes("# W\n\n~~~py\nx = 1\n", "a.md") == ["x = 1"]


def test_a_fence_within_a_fence_is_code() -> None:
    assert codes("~~~py\nx = '''\n```\ny\n```\n'''\n~~~\n", "a.md") == ["x = '''\n```\ny\n```\n'''"]


@pytest.mark.parametrize("form", ["md", "md:myst", "md:markdown", "py:percent", "py:light", "py:hydrogen"])
def test_what_jupytext_writes_is_read_as_it_was(form: str) -> None:
    """With its marks: the assignment's too."""
    book = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_markdown_cell("# Words\n\n```py\nno = 1\n```\n" if form == "md:myst" else "# Words"),
            nbformat.v4.new_code_cell("x = 1\n\n\ndef f():\n    return x"),
            nbformat.v4.new_code_cell("f()"),
        ],
        metadata={"grader": {"assignment": "two"}, "jupytext": {"notebook_metadata_filter": "grader"}},
    )

    notebook = read(jupytext.writes(book, form), f"a.{form[:2]}")

    assert [cell.code for cell in notebook.cells] == ["x = 1\n\n\ndef f():\n    return x", "f()"]
    assert notebook.assignment_id == "two"


@given(st.text(alphabet="`~#%+-[]{} \npy:>x'\"@=(!$", max_size=80), st.sampled_from(["a.py", "a.md"]))
def test_any_text_is_read_or_described(text: str, name: str) -> None:
    notebook = read_notebook(raw_submission(text.encode(), name=name))

    assert isinstance(notebook, Unreadable) or all(isinstance(cell.code, str) for cell in notebook.cells)


def test_utf_16_is_read_in_a_notebook() -> None:
    """As PowerShell writes what it redirects."""
    book = {"cells": [{"cell_type": "code", "source": "x = 'ü'"}]}

    assert codes(json.dumps(book, ensure_ascii=False).encode("utf-16"), "a.ipynb") == ["x = 'ü'"]


@pytest.mark.parametrize(
    ("text", "name", "says"),
    [
        ("#" * (4 * 2**20 + 1), "a.py", "larger than 4 MiB"),
        ("a" * (4 * 2**20 + 1), "a.md", "larger than 4 MiB"),
        ("\n" * 99_999 + "a\n", "a.py", "more than 100,000 lines"),
        ("a\n" * 100_000, "a.md", "more than 100,000 lines"),
        ("# %%\na\n" * 2_001, "a.py", "more than 2,000 cells"),
        ("```python\na\n```\n" * 2_001, "a.md", "more than 2,000 cells"),
        ("# +\n# -\n" + "a\n\n" * 2_001, "a.py", "more than 2,000 cells"),
    ],
)
def test_a_text_beyond_a_limit_gets_a_sentence(text: str, name: str, says: str) -> None:
    assert says in problem(text.encode(), name)


def test_a_text_at_the_limits_is_read() -> None:
    assert len(codes("# %%\na\n" * 2_000)) == 2_000
    assert codes("#\n" * 99_998 + "a = 1\n") == ["#\n" * 99_998 + "a = 1"]
