"""
Reading and looking at a file takes time and memory that grow with its length only, whatever is in it.

Each shape is made in sizes n, 2n and 4n. Nothing is compared with a clock's limit, only sizes with each other: the
lines of Python that run, the memory at its peak, and the processor's time, which also shows what happens within regular
expressions and the parsers in C. A cost that is too high has to be seen three times, since anything else that this
process does, such as a first import, is measured as well.
"""

from __future__ import annotations

import gc
import json
import math
import sys
import time
import tracemalloc
from collections.abc import Callable
from types import FrameType

import pytest

from grader.model import CallError
from grader.notebook.advice import advice_on
from grader.notebook.functions import Place, find_functions
from grader.notebook.lines import json_lines
from grader.notebook.read import Unreadable, read_notebook, text_of
from grader.notebook.relevance import relevance
from tests.conftest import raw_submission

EXERCISES = ("f", "g", "a")
SMALLEST = 500
MOST = 3.2
"""What twice the size may cost, for each doubling: with the square of the size it would be four times as much."""


def look(content: bytes, name: str) -> None:
    """All that is done with a file before anything of it runs, and what is looked up afterwards."""
    submission = raw_submission(content, name=name)
    notebook = read_notebook(submission)
    if isinstance(notebook, Unreadable):
        return
    functions = find_functions(notebook, EXERCISES)
    relevance(notebook, functions, "two", EXERCISES)
    for exercise in EXERCISES:
        functions.last(exercise)
        functions.ran(exercise, Place(1, 1))
        functions.scope(exercise, None)
    missing = CallError(type="FileNotFoundError", message="No such file or directory: 'a'", cell=1, line=1)
    advice_on(notebook, {1: missing})
    text = text_of(submission)
    if name.endswith(".ipynb") and isinstance(text, str):
        json_lines(text)


def filled(unit: str, size: int, before: str = "", after: str = "") -> str:
    return before + unit * (size // len(unit)) + after


def nested(line: str, size: int, last: str) -> str:
    depth = min(90, int(size**0.5))
    block = "".join(" " * level + line + "\n" for level in range(depth)) + " " * depth + last + "\n"
    return block * (size // len(block) + 1)


CODE: dict[str, Callable[[int], str]] = {
    "assignments on lines": lambda n: filled("a=1\n", n),
    "assignments on one line": lambda n: filled("a=1;", n),
    "other names on one line": lambda n: "".join(f"a{i}=1;" for i in range(n // 8)),
    "one value for many names": lambda n: filled("a=", n, after="1"),
    "one value for many other names": lambda n: "".join(f"a{i}=" for i in range(n // 7)) + "1",
    "annotated": lambda n: filled("a:int=1\n", n),
    "functions": lambda n: filled("def f(): return a\n", n),
    "functions that call each other": lambda n: "".join(
        f"def f{i}(): return f{i + 1}() + f{i // 2}()\n" for i in range(n // 35)
    ),
    "one function that calls all others": lambda n: (
        "".join(f"def f{i}(): return a.grad_fn\n" for i in range(n // 35))
        + "def f(): return "
        + ", ".join(f"f{i}()" for i in range(n // 35))
    ),
    "a function defined often that calls a long one": lambda n: (
        filled("def f(): g()\n", n // 2) + "def g():\n" + filled("  x.backward()\n", n // 2)
    ),
    "decorators": lambda n: filled("@a\n", n, after="def f(): pass"),
    "imports": lambda n: filled("import a as b, c as d\n", n),
    "a module with many dots": lambda n: filled(".a", n, "import a"),
    "modules with many dots": lambda n: filled("import a" + ".a" * 50 + "\n", n),
    "attributes": lambda n: filled(".a", n, "x = a"),
    "attributes on many lines": lambda n: filled("a" + ".a" * 90 + "\n", n),
    "calls of calls": lambda n: filled("()", n, "a"),
    "sums": lambda n: filled("+a", n, "x = a"),
    "signs": lambda n: filled("-", n, after="1"),
    "not": lambda n: filled("not ", n, after="1"),
    "lambdas": lambda n: filled("lambda a,b:", n, after="1"),
    "conditions": lambda n: filled(" if a else a", n, "x = a"),
    "elif": lambda n: filled("elif a: f = 1\n", n, "if a: pass\n"),
    "open brackets": lambda n: filled("(", n),
    "brackets": lambda n: "(" * (n // 2) + ")" * (n // 2),
    "dictionaries": lambda n: filled("{a:", n),
    "a call in a call": lambda n: filled("f(", n, after="a b"),
    "f-strings in f-strings": lambda n: filled("f'{", n),
    "fields": lambda n: filled("{a+a}", n, "f'", "'"),
    "fields in fields": lambda n: filled("{a:", n, "f'"),
    "quotes": lambda n: filled("'", n),
    "three quotes": lambda n: filled('"""', n),
    "three quotes that are escaped": lambda n: filled('\\"""', n, '"""'),
    "three quotes and one": lambda n: filled("\"'''\n", n),
    "strings beside strings": lambda n: filled("'a'", n),
    "backslashes": lambda n: filled("\\\n", n, after="a"),
    "blocks": lambda n: nested("if a:", n, "f = 1"),
    "blocks that end badly": lambda n: nested("try:", n, "a b"),
    "blank lines": lambda n: filled("\n", n, "a\n", "(a)"),
    "blank lines before a bracket": lambda n: filled("\n", n, "f = [", "*a]"),
    "blank lines with spaces": lambda n: filled(" \n", n, after="("),
    "blank lines that are broken": lambda n: filled("\n", n, "(", "\n)a b"),
    "spaces": lambda n: filled(" ", n, after="a b"),
    "spaces before an equals sign": lambda n: filled(" ", n, "a", "b"),
    "words that could end with a question": lambda n: filled("a", n, after=" b?"),
    "questions": lambda n: filled("a?\n", n),
    "magics": lambda n: filled("%a\n", n),
    "magics far apart": lambda n: filled("%a\n" + "x = 1\n" * 20, n),
    "commands": lambda n: filled("!a\n", n),
    "assigned magics": lambda n: filled("a = %a\n", n),
    "assigned commands in a bracket": lambda n: filled("a = !a (\n", n),
    "a magic over many lines": lambda n: filled("a \\\n", n, "%a \\\n"),
    "magics in a bracket": lambda n: filled("%a\n", n, "(\n"),
    "prompts": lambda n: filled(">>> a\n", n),
    "prompts in three quotes": lambda n: filled(">>> '''\n", n),
    "broken functions": lambda n: filled("def f(:\n", n),
    "broken functions that look for an end": lambda n: filled("f = (\n", n),
    "a broken index": lambda n: filled("a[", n),
    "a broken index with commas": lambda n: filled("a[,", n, after="*"),
    "two words": lambda n: filled("a b\n", n),
    "folders": lambda n: filled("cd a\n", n),
    "folders that were made": lambda n: filled("mkdir a; cd a\nchdir('a')\n", n),
    "spaces before a folder": lambda n: filled("\n", n, "", "cd"),
    "comments": lambda n: filled("# a\n", n),
    "a long name": lambda n: filled("a", n, "def "),
    "a long number": lambda n: filled("9", n, "a = "),
    "names": lambda n: filled("a ,", n, "x = "),
    "globals": lambda n: filled("globals()['a'],", n, "def f(): return "),
    "defaults": lambda n: "def f(" + ", ".join(f"a{i}=a" for i in range(n // 8)) + "): pass",
    "loops": lambda n: filled("for a in b:\n f = 1\nelse:\n f = 2\n", n),
    "a list": lambda n: filled("0.5, ", n, "x = [", "]"),
    "decorated by nothing": lambda n: filled("@\n", n),
}
SCRIPTS: dict[str, Callable[[int], str]] = {
    "cells": lambda n: filled("# %%\na = 1\n", n),
    "cells of words with fences": lambda n: filled("# %% [markdown]\n# ````\n", n),
    "fences in a cell of words": lambda n: filled("# ```` a\n", n, "# %% [markdown]\n"),
    "cells with options": lambda n: filled('# %% a="b" c="d"\nx\n', n),
    "one cell with many options": lambda n: filled(' a="b"', n, "# %%"),
    "one cell with many equals signs": lambda n: filled("=", n, "# %% a"),
    "one cell with deep options": lambda n: filled('{"a":', n, "# %% "),
    "markers that do not end": lambda n: filled("# +\na = 1\n\n", n),
    "light cells": lambda n: filled("a = 1\n\n", n, "# +\n# -\n"),
    "light blank lines": lambda n: filled("\n", n, "# +\n# -\ndef f():\n", "    return 1"),
    "light comments": lambda n: filled("# a\n", n, "# +\n# -\n", "a = 1"),
    "light begins without an end": lambda n: filled("# + a\n", n),
    "light ends before it begins": lambda n: filled("# -\n", n, "", "# +\n"),
    "pieces that are broken": lambda n: filled("import a\nx = (\n", n),
    "pieces that look like texts": lambda n: filled("a = '''\nimport a\n", n, "print a\n"),
    "long pieces that are broken": lambda n: filled("import a\n" + "x + 1\n" * 8 + "a b\n", 4 * n),
    "a header that never ends": lambda n: filled("#\n", n, "# ---\n# jupyter:\n"),
    "a header that is long": lambda n: filled("#   a: b\n", n, "# ---\n# jupyter:\n", "# ---\n"),
    "a deep header": lambda n: filled("[", n, "# ---\n# jupyter: ", "\n# ---\n"),
    "header after header": lambda n: filled("# ---\n# jupyter:\n# ---\n", n),
    "carriage returns": lambda n: filled("a = 1\r", n),
    "spaces before a marker": lambda n: filled("\n", n, "", "#"),
}
ALSO_SCRIPTS = {
    name: CODE[name]
    for name in (
        "assignments on lines",
        "a module with many dots",
        "three quotes that are escaped",
        "blank lines before a bracket",
        "magics",
        "broken functions",
        "broken functions that look for an end",
    )
}
MARKDOWN: dict[str, Callable[[int], str]] = {
    "fences": lambda n: filled("```python\na = 1\n```\n", n),
    "fences without a language": lambda n: filled("```\ndef f():\n```\n", n),
    "an open fence": lambda n: filled("a = 1\n", n, "```python\n"),
    "open fences": lambda n: "".join("`" * i + "\n" for i in range(3, int(n**0.5) + 3)),
    "fences in lists": lambda n: filled("- ```py\n  x\n  ```\n", n),
    "lists": lambda n: filled("- a\n", n),
    "deep lists": lambda n: "".join(" " * 2 * i + "- a\n" for i in range(int(n**0.5))),
    "quotations": lambda n: filled("> ", n),
    "definitions": lambda n: filled("[a]: b\n", n),
    "open links": lambda n: filled("[", n),
    "comments": lambda n: filled("<!--\n", n),
    "regions": lambda n: filled("<!-- #region -->\n```py\nx\n```\n", n),
    "regions that end": lambda n: filled("<!-- #region -->\n<!-- #endregion -->\n```py\nx\n```\n", n),
    "words": lambda n: filled("a\n", n),
    "headings": lambda n: filled("a\n===\n", n),
    "cells of MyST": lambda n: filled("```{code-cell}\n:tags: [a]\n\nx = 1\n```\n", n),
    "options of MyST": lambda n: filled(":a: b\n", n, "```{code-cell}\n", "```\n"),
    "options of MyST that do not end": lambda n: filled("a: b\n", n, "```{code-cell}\n---\n", "```\n"),
    "a header with aliases": lambda n: filled("  a: &a [*a]\n", n, "---\njupyter:\n", "---\n"),
    "a header with flows": lambda n: filled("{a: ", n, "---\njupyter: ", "\n---\n"),
    "tabs": lambda n: filled("\t", n),
    "rules": lambda n: filled("---\n", n),
}


def cells(*sources: object) -> str:
    return json.dumps({"cells": [{"cell_type": "code", "source": source} for source in sources]}, indent=1)


JSON: dict[str, Callable[[int], str]] = {
    "cells": lambda n: cells(*["a = 1"] * (n // 50)),
    "lines": lambda n: cells(["a = 1\n"] * (n // 20)),
    "deep lists": lambda n: '{"cells": ' + "[" * n,
    "deep objects": lambda n: filled('{"a":', n, '{"cells": [], "b":'),
    "deep source": lambda n: (
        '{"cells": [{"cell_type": "code", "source": ' + "[" * 900 + "]" * 900 + "}" + " " * n + "]}"
    ),
    "empty lists": lambda n: filled("[],", n, '{"cells": [], "a": [', "1]}"),
    "a long number": lambda n: filled("9", n, '{"cells": [], "a":', "}"),
    "marks of a conflict": lambda n: filled("<<<<<<< a\n", n),
    "escaped quotes": lambda n: filled('\\"', n, '{"cells": "'),
    "blank lines": lambda n: filled("\n", n, '{"cells": [', "]}"),
    "nothing at the end": lambda n: filled("\0 ", n, "{}"),
    "keys": lambda n: '{"cells": [], ' + ", ".join(f'"{i}": 1' for i in range(n // 12)) + "}",
    "commas": lambda n: filled(",", n, '{"cells": ['),
    "bad escapes": lambda n: filled("\\", n, '{"cells": ["'),
    "half characters": lambda n: cells(filled("\ud800", n // 6)),
}
SHAPES = {
    **{f"code: {name}": (lambda n, shape=shape: cells(shape(n)), ".ipynb") for name, shape in CODE.items()},
    **{f"script: {name}": (shape, ".py") for name, shape in (SCRIPTS | ALSO_SCRIPTS).items()},
    **{f"markdown: {name}": (shape, ".md") for name, shape in MARKDOWN.items()},
    **{f"json: {name}": (shape, ".ipynb") for name, shape in JSON.items()},
}


def lines_of_python(content: bytes, name: str) -> int:
    count = 0

    def trace(frame: FrameType, event: str, arg: object) -> Callable[..., object]:
        nonlocal count
        count += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        look(content, name)
    finally:
        sys.settrace(before)
    return count


def memory(content: bytes, name: str) -> int:
    tracemalloc.start()
    try:
        look(content, name)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def processor_time(content: bytes, name: str) -> float:
    times = []
    for _ in range(2):
        gc.disable()
        started = time.process_time()
        look(content, name)
        times.append(time.process_time() - started)
        gc.enable()
        if times[0] > 0.15:
            break
    return min(times)


def least(cost: Callable[[bytes, str], float], content: bytes, name: str, allowed: float) -> float:
    """What it costs at the least, measured again while it is more than allowed: three times in all."""
    costs = [cost(content, name)]
    while costs[-1] > allowed and len(costs) < 3:
        costs.append(cost(content, name))
    return min(costs)


MEASURES: dict[str, tuple[Callable[[bytes, str], float], float, int]] = {
    "lines of Python": (lines_of_python, 2_000, 1),
    "memory": (memory, 300_000, 2),
    "processor time": (processor_time, 0.03, 8),
}
"""How each is measured, what is too little to matter, and how many times as large the sizes are."""


@pytest.mark.slow
@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("shape", SHAPES)
def test_what_a_file_costs_grows_with_its_length_only(shape: str, measure: str) -> None:
    make, suffix = SHAPES[shape]
    cost, little, larger = MEASURES[measure]
    sizes = [SMALLEST * larger * 2**doubled for doubled in range(3)]
    costs: list[float] = []
    for size in sizes:
        content = make(size).encode("utf-8", "replace")
        allowed = (costs[0] + little) * MOST ** len(costs) if costs else math.inf
        costs.append(least(cost, content, f"a{suffix}", allowed))
        assert costs[-1] <= allowed, (sizes, costs)


def test_a_cost_counts_only_if_it_is_seen_each_time() -> None:
    """What else happens in this process, such as a first import or another thread, happens once."""
    once = iter([9.0, 9.0, 1.0])
    assert least(lambda content, name: next(once), b"", "a.py", 2.0) == 1.0

    each_time = iter([9.0, 8.0, 7.0])
    assert least(lambda content, name: next(each_time), b"", "a.py", 2.0) == 7.0
