"""
Changed notebooks, in JSON and in each text form, read by a real conductor for a real judge.

Reading ends with a notebook or a sentence, and costs time and memory that the length of the file bounds.
"""

from __future__ import annotations

import functools
import json
import random
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Sequence
from typing import Any

import jupytext
import nbformat

from grader.execution.conducting import UNREADABLE, Conductor
from grader.execution.conductor import conduct_here
from grader.execution.record import Reading
from grader.model import CallError, Submission
from grader.notebook.advice import advice_on
from grader.notebook.functions import Place
from grader.notebook.read import Unreadable
from grader.notebook.relevance import relevance
from tests.conftest import ROOT, handed_in, raw_submission
from tests.fuzz.running import Fuzzer, Step
from tests.fuzz.values import changed_bytes, changed_tree, hostile_text

__all__ = ["FILES", "changed_file", "prepare_seeds", "seeds"]

_LARGEST = 60_000
EXERCISES = ("grad_w1", "grad_z1", "grad_b1")
_SECONDS, _SECONDS_PER_BYTE = 1.0, 40e-6
_MEMORY, _MEMORY_PER_BYTE = 8_000_000, 400
_FORMS = {
    ".ipynb": ("ipynb",),
    ".py": ("py:light", "py:percent"),
    ".md": ("md", "md:myst"),
}
_CORPUS = ("two_layer_mse/*", "layernorm/*", "hostile/*")


@functools.cache
def _answers() -> tuple[str, ...]:
    found = [path for pattern in _CORPUS for path in sorted((ROOT / "tests/corpus").glob(f"{pattern}/answers.py"))]
    return tuple(path.read_text(encoding="utf-8") for path in found)


@functools.cache
def seeds() -> tuple[tuple[str, Callable[[], str]], ...]:
    """Files of the corpus, some of them in each form: a suffix, and what gives the text. Writing one takes a while."""
    made: list[tuple[str, Callable[[], str]]] = []
    for number, answers in enumerate(_answers()):
        if number % 8:
            made.append((".py", functools.partial(str, answers)))
            continue
        for suffix, forms in _FORMS.items():
            made.append((suffix, functools.partial(_written, answers, forms[number // 8 % len(forms)])))
    return tuple(made)


@functools.cache
def _written(answers: str, form: str) -> str:
    notebook = handed_in(answers)
    return str(nbformat.writes(notebook) if form == "ipynb" else jupytext.writes(notebook, form))


_LINES = (
    "# %%",
    "# %% [markdown]",
    "# %% {",
    "# +",
    '# + active="md"',
    "# -",
    "# endregion",
    "```python",
    "```",
    "~~~~",
    "```{code-cell} ipython3",
    "```{code-cell} python\n---\ntags: [a]\n---",
    "````",
    "> ```python",
    "    ```",
    "---",
    "---\njupyter:\n  jupytext:\n    text_representation:\n      format_name: myst\n---",
    "---\na: &a [*a, *a]\n---",
    "# ---",
    "# jupyter:\n#   jupytext:\n#     text_representation:\n#       extension: .Rmd",
    "%%bash",
    "%%timeit",
    "%matplotlib inline",
    "!ls",
    "? x",
    "x??",
    "<!-- #region -->",
    "<!-- ",
    "+++",
    ":::{note}",
    "\\",
    "\\\\\\",
    "def grad_w1(x, dz1):",
    "    return x",
    "class A:",
    "if True:",
    "elif x:",
    "x = (",
    "x = [",
    '"""',
    "f'{",
    "f'{x!r:{y}}'",
    "lambda: 0",
    "a = b = c",
    "from torch import *",
    "x.grad_fn.next_functions",
    "del grad_w1",
    "\t",
    " ",
    "\f",
    "\r",
    "\u2028",
    "\ufeff",
    "\x00",
    "1" * 5_000,
    "-" * 200 + "1",
    "(" * 150,
    "x" + ".a" * 500,
    "not " * 300 + "x",
    "\u00a0def f(): pass",
)


def _of_lines(text: str, rng: random.Random) -> str:
    lines = text[:_LARGEST].split("\n")  # one of them may become 2,000
    place = rng.randrange(len(lines))
    until = min(len(lines), place + rng.choice((1, 2, 10)))
    how = rng.randrange(8)
    if how == 0:
        del lines[place:until]
    elif how == 1:
        lines[place:place] = lines[place:until] * rng.choice((2, 50, 2_000))
    elif how in (2, 3, 4):
        lines[place:place] = [rng.choice(_LINES)] * rng.choice((1, 1, 1, 3, 100, 3_000))
    elif how == 5:
        lines[place] = rng.choice((" ", "    ", "\t", "# ", "> ", "%", "!")) * rng.choice((1, 3, 90)) + lines[place]
    elif how == 6:
        lines[place] += rng.choice(("\\", "  # %%", "; x = 1" * 500, " + x" * 900, "\r", " if x else (", "?"))
    else:
        lines[place:until] = rng.sample(lines, min(len(lines), until - place))
    return "\n".join(lines)[:_LARGEST]


_BYTES: tuple[Callable[[str], bytes], ...] = (
    lambda text: text.encode("utf-8", "surrogatepass"),
    lambda text: text.encode("utf-16", "surrogatepass"),
    lambda text: text.encode("utf-32", "surrogatepass"),
    lambda text: b"\xef\xbb\xbf" + text.encode("utf-8", "replace"),
    lambda text: text.encode("latin-1", "replace"),
    lambda text: text.replace("\n", "\r\n").encode("utf-8", "replace"),
    lambda text: text.replace("\n", "\r").encode("utf-8", "replace"),
    lambda text: b"# -*- coding: " + text[:10].encode("utf-8", "replace") + b" -*-\n" + text.encode("utf-8", "replace"),
)


def changed_file(steps: Sequence[Step]) -> Submission:
    """The file that a script makes."""
    suffix, text = ".py", ""
    content: bytes | None = None
    tree: Any = None
    for kind, argument in steps:
        rng = random.Random(argument)
        if kind == "take":
            wanted = rng.choice(list(_FORMS))
            suffix, write = rng.choice([each for each in seeds() if each[0] == wanted])
            text = write()
            tree, content = (json.loads(text) if suffix == ".ipynb" else None), None
        elif kind == "name":
            suffix = rng.choice((".py", ".md", ".ipynb", ".ipynb.txt", ".PY"))
        elif content is not None or kind == "bytes":
            content = changed_bytes(_BYTES[0](text) if content is None else content, rng)
        elif kind == "encode":
            content = rng.choice(_BYTES)(text)
        elif kind == "code" and isinstance(tree, dict) and isinstance(tree.get("cells"), list) and tree["cells"]:
            cell = rng.choice(tree["cells"])
            if isinstance(cell, dict):
                source = cell.get("source", "")
                source = "".join(map(str, source)) if isinstance(source, list) else str(source)
                cell["source"] = _of_lines(source, rng)
            text = json.dumps(tree)
        elif kind == "tree" and tree is not None:
            tree = changed_tree(tree, rng, of_json=True)
            text = json.dumps(tree)
        elif kind == "text":
            place = rng.randint(0, len(text))
            text = text[:place] + hostile_text(rng, of_json=True)[:50_000] + text[place:]
        else:
            text = _of_lines(text, rng)
    content = _BYTES[0](text) if content is None else content
    return raw_submission(content[:100_000], name=f"a{suffix}")


def _script(rng: random.Random) -> list[Step]:
    steps: list[Step] = [("take", rng.randrange(10_000))]
    kinds = rng.choices(("lines", "code", "tree", "text", "encode", "bytes", "name"), (6, 6, 3, 2, 1, 1, 0.3), k=20)
    steps += [(kind, rng.getrandbits(32)) for kind in kinds[: rng.choice((1, 2, 5, 20))]]
    if rng.random() < 0.1:
        steps.append(("name", rng.getrandbits(32)))
    return steps


def _read(submission: Submission) -> Reading | Unreadable:
    """What a judge gets of a file, and all that is looked up in it."""
    ours, theirs = socket.socketpair()
    faults: list[BaseException] = []

    def conduct() -> None:
        try:
            conduct_here(theirs, lambda: None)  # type: ignore[arg-type,return-value]
        except BaseException as error:
            faults.append(error)

    thread = threading.Thread(target=conduct, daemon=True)
    thread.start()
    with ours:
        conductor = Conductor(ours, None)
        reading = conductor.read(submission, EXERCISES, with_lines=True)
        if isinstance(reading, Reading):
            relevance(reading.notebook, reading.functions, "two_layer_mse", EXERCISES)
            for exercise in EXERCISES:
                reading.functions.ran(exercise, Place(1, 1))
                reading.functions.scope(exercise, Place(2, 2))
            advice_on(reading.notebook, {1: CallError(type="FileNotFoundError", message="No such file: 'a'", cell=1)})
    thread.join(30)
    for fault in faults:
        raise fault
    return reading


def _run(script: Sequence[Step]) -> Sequence[str]:
    submission = changed_file(script)
    size = len(submission.content)
    is_memory_watched = len(script) % 4 == 0
    if is_memory_watched:
        tracemalloc.start()
    started = time.process_time()
    try:
        reading = _read(submission)
        used = time.process_time() - started
        memory = tracemalloc.get_traced_memory()[1] if is_memory_watched else 0
    finally:
        tracemalloc.stop()
    allowed = _SECONDS + _SECONDS_PER_BYTE * size
    assert used < allowed * (5 if is_memory_watched else 1), f"{size} bytes took {used:.2f} s of processor time"
    assert memory < _MEMORY + _MEMORY_PER_BYTE * size, f"{size} bytes took {memory:,} bytes of memory"
    if isinstance(reading, Unreadable):
        assert reading.problem.encode()
        assert not any(reading.problem == UNREADABLE.format(why=why) for why in ("fails", "takes too long"))
        return ["unreadable: " + reading.problem[:50]]
    for cell in reading.notebook.cells:
        assert cell.code.encode()
    return [f"read as {submission.name[1:]}"]


def prepare_seeds() -> None:
    """Make the files once."""
    seeds()


FILES = Fuzzer("files", _script, _run, prepare_seeds)
