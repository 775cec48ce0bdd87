"""Code that is too deep is refused before the parser sees it; everything that people write is parsed."""

from __future__ import annotations

import pytest

from grader.notebook.functions import find_functions
from grader.notebook.parsing import TooComplexError, parse_code
from grader.notebook.read import Notebook
from tests.conftest import ROOT

DEEP = {
    "signs": "x = " + "-" * 2_000 + "1",
    "not": "x = " + "not " * 2_000 + "1",
    "sums": "x = a" + "+a" * 2_000,
    "powers": "x = a" + "**a" * 2_000,
    "attributes": "x = a" + ".a" * 2_000,
    "calls": "a" + "()" * 2_000,
    "indexes": "a" + "[0]" * 2_000,
    "lambdas": "lambda a, b: " * 2_000 + "1",
    "conditions": "x = a" + " if a else a" * 2_000,
    "over lines": "x = (a\n" + "+a\n" * 2_000 + ")",
    "over lines with backslashes": "x = a \\\n" + "+a \\\n" * 2_000 + "+a",
    "behind a comma": "x = [1, 2, " + "-" * 2_000 + "1]",
    "in an f-string": "f'{" + "-" * 2_000 + "1}'",
    "elif": "if a: pass\n" + "elif a: pass\n" * 3_000,
    "a module": "import a" + ".a" * 60,
    "a module to import from": "from a" + ".a" * 60 + " import b",
    "the second module": "import b, a" + ".a" * 60,
}
WIDE = {
    "a list": "x = [" + "-0.5, " * 5_000 + "]",
    "lists in a list": "x = [" + "[1, 2], " * 5_000 + "]",
    "a dictionary": "x = {" + "'a': a.b + 1, " * 5_000 + "}",
    "statements": "x = a + b * c - d\n" * 5_000,
    "statements on a line": "x = -a; " * 5_000,
    "arguments": "f(" + "a.b(c=-1), " * 5_000 + ")",
    "words": "x = '''" + "a - b + c. \n" * 5_000 + "'''",
    "a line of signs": "# " + "-" * 5_000 + "\nx = '" + "-" * 5_000 + "'",
    "an f-string": "x = f'" + "{a:.3f} - " * 300 + "'",
    "elif": "if a: pass\n" + "elif a: pass\n" * 500,
    "imports": "import a.b.c\nfrom a.b import c\n" * 5_000,
    "attributes": "a.b.c.d(e.f)\n" * 5_000,
}


@pytest.mark.parametrize("name", DEEP)
def test_what_is_too_deep_costs_its_cell_only(name: str) -> None:
    with pytest.raises(TooComplexError):
        parse_code(DEEP[name])

    found = find_functions(Notebook.of([DEEP[name] + "\n\ndef f(): pass\n", "def g(): pass"]))

    assert list(found.definitions) == ["g"]
    assert list(found.broken_names)[-1] == "f"
    assert found.syntax_errors[1].message.startswith("the cell cannot be parsed: ")


@pytest.mark.parametrize("name", WIDE)
def test_what_is_only_wide_is_parsed(name: str) -> None:
    parse_code(WIDE[name])


def test_all_code_that_is_here_is_parsed() -> None:
    for path in (*(ROOT / "grader").rglob("*.py"), *(ROOT / "tests").glob("*.py")):
        parse_code(path.read_text(encoding="utf-8"))
