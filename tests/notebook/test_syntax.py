"""Code that is not Python: what to do about it, in words."""

from __future__ import annotations

import ast
import sys

import pytest

from grader.notebook.functions import find_functions
from grader.notebook.read import Notebook
from grader.notebook.syntax import why_not_python


def why(code: str, version: tuple[int, int] = (3, 10)) -> str:
    """What is said about code that neither this Python nor an older one can read."""
    try:
        ast.parse(code)
    except SyntaxError as error:
        return why_not_python(error, code, version=version)
    pytest.skip("this Python reads it")


NEWER = [
    ('x = f"{d["k"]}"', "3.12"),
    ("print(f'{x['a']}: {y}')", "3.12"),
    ("f'{'\\n'.join(x)}'", "3.12"),
    ('f"{f"{1}"}"', "3.12"),
    ('f"{a["b"]:{c["d"]}}"', "3.12"),
    ("type X = int", "3.12"),
    ("type X[T] = list[T]", "3.12"),
    ("def f[T](x): pass", "3.12"),
    ("class A[T]:\n    pass", "3.12"),
    ("try:\n    pass\nexcept A, B:\n    pass", "3.14"),
    ('t"a{x}"', "3.14"),
    ("lazy import json", "3.15"),
    ("[*x for x in y]", "3.15"),
]


@pytest.mark.parametrize(("code", "since"), NEWER)
def test_the_syntax_of_a_newer_python_is_named(code: str, since: str) -> None:
    """With the Python that grades, and not when that is as new."""
    said = why(code, (3, 11))

    assert f"came with Python {since}. This grader runs Python 3.11" in said
    assert "came with" not in why(code, (3, 15))


@pytest.mark.parametrize(
    "code",
    [
        'x = f"{d"',
        'x = f"{d["k"}"',
        'f"{x}',
        "x = (",
        "type = = 3",
        "def f(x[0]):\n    pass",
        "except A:",
        "x = 't' t",
        "import lazy import",
        "f = [1 2]",
        "print 'a'",
        'x = "f" {',
    ],
)
def test_nothing_is_said_about_what_no_python_reads(code: str) -> None:
    assert "came with" not in why(code)


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("\ufeffdef f(): pass", "U+FEFF, a byte-order mark"),
        ("\u200bdef f(): pass", "U+200B, zero width space"),
        (" \u200bdef f(): pass", "U+200B, zero width space"),
        ("def f(x):\n\u00a0\u00a0return x", "U+00A0, a no-break space"),
        ("x\u00a0= 1", "U+00A0, a no-break space"),
        ("x = 1\u2028", "U+2028"),
        ("x = \u201ca\u201d", 'Python wants "'),
        ("x = \u2018a\u2019", "Python wants '"),
        ("x = a \u00d7 b", "Python wants *"),
        ("x = a \u2212 b", "Python wants -"),
        ("x = f\uff081\uff09", "Python wants ("),
        ("x\uff0cy = 1", "Python wants ,"),
        ("x = \u2211", "(n-ary summation), which Python does not read"),
    ],
)
def test_characters_that_only_look_right_are_named(code: str, says: str) -> None:
    assert says in why(code)
    assert "(line " in why(code)


def test_the_sentence_stands_in_the_error_of_the_cell() -> None:
    error = find_functions(Notebook.of(["x = 1", "\u200bdef grad_w(x):\n    return x"])).syntax_errors[2]

    assert error.message.startswith("invalid non-printable character U+200B (line 1). The line has a character that")
    assert error.line == 1


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="this Python reads it")
def test_of_a_newer_f_string_in_a_cell() -> None:
    error = find_functions(Notebook.of(['def grad_w(x):\n    print(f"{x["a"]}")\n    return x'])).syntax_errors[1]

    assert "came with Python 3.12" in error.message
