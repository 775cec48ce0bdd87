"""
The first code cell of a released notebook: it gets the grader, wherever the student runs the notebook.

If the grader is there, as in a grading, it imports two names and does nothing else. If not, it installs the grader from
where the author says. If that fails, too, it says what to do, and lets the rest of the notebook run without checks.
"""

from __future__ import annotations

import importlib.resources
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from nbformat import NotebookNode

__all__ = ["opening", "place_of_opening"]

_WORD = re.compile("NAMES|WHERE|FOLDER")
_MNIST = re.compile(r"\bload_mnist\b")


def opening(cells: Sequence[NotebookNode], settings: Mapping[str, Any]) -> str:
    """The code of the cell, for a notebook with these cells; `settings` are those of the source."""
    has_mnist = any(cell.cell_type == "code" and _MNIST.search(cell.source) for cell in cells)
    names = "check, load_mnist" if has_mnist else "check"
    text = _template("opening") + (_template("opening_mnist") if has_mnist else "")
    if "files" in settings:
        text += "\n\n" + _template("opening_files")
    where = json.dumps(settings.get("install", ""), ensure_ascii=False)
    words = {"NAMES": names, "WHERE": where, "FOLDER": settings.get("files", "")}
    return _WORD.sub(lambda found: words[found.group()], text).rstrip("\n")


def place_of_opening(cells: Sequence[NotebookNode]) -> int:
    """Before which of these cells it belongs: below the text that a notebook begins with, above all other cells."""
    return 1 if cells and cells[0].cell_type == "markdown" else 0


def _template(name: str) -> str:
    return importlib.resources.files("grader").joinpath(f"authoring/templates/{name}.txt").read_text(encoding="utf-8")
