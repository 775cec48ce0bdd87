"""
Finds the file of the notebook that runs, and whether it was saved since the code in it ran.
"""

from __future__ import annotations

import ast
import importlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from grader.checking.cells import file_names, typed_codes
from grader.errors import UsageError
from grader.harness.origin import code_of
from grader.model import Submission
from grader.notebook.magics import as_python
from grader.notebook.parsing import defined_in, parse_code
from grader.notebook.read import NOTEBOOK_SUFFIXES, Notebook, notebook_suffix, read_submission

__all__ = ["this_notebook", "unsaved"]

VS_CODE = "__vsc_ipynb_file__"
JUPYTER = "JPY_SESSION_NAME"
COLAB_S = 20
NAME_IT = 'Name the file: check.submit("my.ipynb")'


def this_notebook(path: str | os.PathLike[str] | None, namespace: Mapping[str, Any]) -> Submission:
    """
    The file of the notebook that runs. Colab has none, but says what is on its page.

    Args:
        path: The file, if the user names it.

    Raises:
        UsageError: It is not known, or cannot be read.
    """
    if path is None and "google.colab" in sys.modules:
        return _on_colab()
    return read_submission(Path(path) if path is not None else _file(namespace))


def _file(namespace: Mapping[str, Any]) -> Path:
    named = namespace.get(VS_CODE) or os.environ.get(JUPYTER)
    if not isinstance(named, str) or notebook_suffix(named) not in NOTEBOOK_SUFFIXES:
        raise UsageError("check cannot tell in which file this notebook is.", NAME_IT)
    path = Path(named)
    for candidate in (path, Path.cwd() / path.name):
        if candidate.is_file():
            return candidate
    raise UsageError(f"This notebook began as {path.name}, and there is no such file any more.", NAME_IT)


def _on_colab() -> Submission:
    messages = importlib.import_module("google.colab._message")
    answer = messages.blocking_request("get_ipynb", request="", timeout_sec=COLAB_S)
    content = answer.get("ipynb") if isinstance(answer, dict) else None
    if not isinstance(content, dict):
        raise UsageError("Colab does not say what is in this notebook.", "Download it, and hand it in on the page.")
    try:
        name = str(content["metadata"]["colab"]["name"])
    except (KeyError, TypeError):
        name = ""
    stem = Path(name.replace("\\", "/")).name
    written = json.dumps(content, ensure_ascii=False, indent=1).encode("utf-8", "replace")
    is_notebook = notebook_suffix(stem) in NOTEBOOK_SUFFIXES
    return Submission.of(written, name=stem if is_notebook else f"{stem or 'notebook'}.ipynb", student="")


def unsaved(notebook: Notebook, names: Iterable[str], namespace: Mapping[str, Any], *, with_current: bool) -> str:
    """
    What of the code that ran is not in the notebook's file: words for a sentence; empty if all is.

    Args:
        names: The functions to look for, by name.
        with_current: Whether to look for the cell that is running, too.
    """
    typed, files = typed_codes(), file_names()
    saved = {_bare(cell.code) for cell in notebook.cells}
    if with_current and len(typed) > 1 and _bare(typed[-1]) not in saved:
        return "this cell"
    definitions: dict[str, set[str]] | None = None
    for name in names:
        for number in _cells_of(namespace.get(name), name, files):
            if number >= len(typed) or _bare(typed[number]) in saved:
                continue
            if definitions is None:
                definitions = _definitions(cell.code for cell in notebook.cells)
            ran = _definitions([typed[number]]).get(name, set())
            if not ran or not ran <= definitions.get(name, set()):
                return name
    return ""


def _cells_of(value: Any, name: str, files: Mapping[str, int]) -> Iterator[int]:
    """The numbers of the cells where a function or the methods of a class were defined."""
    parts = list(vars(value).values()) if isinstance(value, type) else [value]
    codes = [code_of(part, name) for part in parts]
    yield from sorted({files[code.co_filename] for code in codes if code is not None and code.co_filename in files})


def _definitions(codes: Iterable[str]) -> dict[str, set[str]]:
    """How each name is defined, without comments and the look of the code."""
    found: dict[str, set[str]] = {}
    for code in codes:
        try:
            tree = parse_code(as_python(code))
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            continue
        for name, node in defined_in(tree):
            found.setdefault(name, set()).add(ast.dump(node))
    return found


def _bare(code: str) -> str:
    """The code without what editors and formats of notebooks change at the ends of lines."""
    return "\n".join(line.rstrip() for line in code.strip().splitlines())
