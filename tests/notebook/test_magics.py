"""What only IPython reads becomes the Python that IPython makes of it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.inputtransformer2 import TRANSFORM_LOOP_LIMIT, TransformerManager

from grader.notebook.functions import find_functions
from grader.notebook.magics import as_python
from grader.notebook.read import Notebook, Unreadable, read_notebook
from tests.conftest import ROOT, raw_submission
from tests.sandbox import notebook_features


def of_ipython(cell: str) -> str | None:
    """The Python that IPython itself makes of a cell; None if it refuses."""
    try:
        return str(TransformerManager().transform_cell(cell))
    except (SyntaxError, RuntimeError):
        return None


def of_ours(cell: str) -> str | None:
    try:
        return as_python(cell)
    except (SyntaxError, ValueError):
        return None


def corpus() -> Iterator[str]:
    """Each code cell of the corpus, and of the assignments."""
    for path in sorted((ROOT / "tests" / "corpus").glob("*/*/answers.py")):
        yield from path.read_text(encoding="utf-8").split("# %%\n")
    for path in (*(ROOT / "tests" / "corpus").glob("*/*/submission.*"), *(ROOT / "assignments").glob("*/*.ipynb")):
        notebook = read_notebook(raw_submission(path.read_bytes(), name=path.name))
        if not isinstance(notebook, Unreadable):
            yield from (cell.code for cell in notebook.cells)


def features() -> Iterator[str]:
    """Each text of the table of what notebooks do."""
    waiting: list[object] = [value for name, value in vars(notebook_features).items() if not name.startswith("_")]
    for value in waiting:
        if isinstance(value, str) and "\n" in value + "\n":
            yield value
        elif isinstance(value, (list, tuple)):
            waiting += value
        elif hasattr(value, "__dataclass_fields__") and not isinstance(value, type):
            waiting += [getattr(value, name) for name in value.__dataclass_fields__]


def test_every_cell_of_the_corpus_becomes_the_same() -> None:
    cells = {*corpus(), *features()}
    assert len(cells) > 500
    assert sum(any(line.lstrip()[:1] in "%!" for line in cell.split("\n") if line.strip()) for cell in cells) > 20

    for cell in cells:
        assert of_ours(cell) == of_ipython(cell), cell


@pytest.mark.parametrize(
    "cell",
    [
        "!echo (\nx = 1\n%time y",
        "!echo it's\nx = '''\n%no\n'''\n%yes",
        "x = !ls \\\n   -l\ny = %time f()",
        "x[0] = !ls\na, b = %magic\nd['k'] = !pwd",
        "f(\n%a\n)\n%b",
        "f?\n%time?\nx.y??\n?f\n??f\n",
        "for i in a:\n    !ls {i}\n    %time i\nelse:\n    x = !pwd\n",
        ">>> x = 1\n>>> %time x\n... y",
        "In [1]: %time x\n   ...: y = !ls",
        "  %matplotlib inline\n  x = 1",
        "\n\n%%time\nx",
        "/f a b\n,f a b\n;f a b\n",
        "x = 5 % 3\ny = (a\n% b)\nif a != !b: pass",
        "a = b = !ls\na == !ls\nf(x=!ls)",
        "x = (\n'''\n%no\n''' % y)\n!yes",
        "# %no\n%yes # why?\nx = 1 # why?\n",
        "x = 1; y = 2; %time\n",
        "!a \\\n\\\n\n%b\\",
        "x = 'unclosed\n%time x\n",
        "def f(:\n  %time\n",
        "@\n%x\n$\n!y\n",
        "%x\r\n!y\r\n",
        "\\\n%time\n",
        "",
        "%",
        "!",
        "?",
    ],
)
def test_a_cell_becomes_what_ipython_makes_of_it(cell: str) -> None:
    assert of_ours(cell) == of_ipython(cell)


LINES = ["x = 1", "%time x", "!ls '", "x = !ls", "y = %time f()", "f(\n%no\n)", "'''\n%no\n'''", "f?"]
LINES += ["for i in a:", "    %time x", "    y", "# %no", "", "x = '", "@", "@a", "x = (\n1\n)"]


@given(st.lists(st.sampled_from(LINES), max_size=10))
def test_any_cell_becomes_what_ipython_makes_of_it(lines: list[str]) -> None:
    cell = "\n".join(lines)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert of_ours(cell) == of_ipython(cell)


def test_too_many_magics_cost_their_cell_only() -> None:
    """IPython does not run such a cell either."""
    cells = [
        "%time\n" * TRANSFORM_LOOP_LIMIT + "def f(): pass",
        "%time\n" * (TRANSFORM_LOOP_LIMIT - 1) + "def g(): pass",
    ]

    found = find_functions(Notebook.of(cells))

    assert list(found.definitions) == ["g"]
    assert list(found.broken_names) == ["f"]
    assert found.syntax_errors[1].message == "the cell cannot be parsed: it has more than 499 magics"
