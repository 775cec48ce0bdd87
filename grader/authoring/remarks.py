"""
What a draft tells its author about a notebook: its arrays, its data, variables of other cells, marks in its texts.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence

from nbformat import NotebookNode

from grader.authoring.marks import says_marks
from grader.authoring.reads import UNKNOWN, files_read
from grader.calling.equation import free_names
from grader.notebook.calls import Calls
from grader.trees import tree_of

__all__ = ["about_calls", "about_data", "about_marks", "about_variables", "arrays_of"]

_MAGIC = re.compile(r"^[ \t]*[%!?].*", re.MULTILINE)
_MOST_FILES = 8
_IN_WORDS = re.compile(r"^\W*YOUR ANSWER(?: HERE)?\W*$", re.MULTILINE)
"""What nbgrader writes into a cell of text that students answer in."""
_DEFINITIONS = (ast.FunctionDef, ast.ClassDef)
_KINDS = {"np": "numpy", "numpy": "numpy", "torch": "torch", "F": "torch", "nn": "torch"}


def arrays_of(cells: Sequence[NotebookNode]) -> tuple[str, list[str]]:
    """
    The setting `arrays` of a draft's cells, empty for torch, and what to do if they differ.

    The exercises' code says so, or else what the notebook imports.
    """
    exercises = [_arrays_in(cell.source) for cell in cells if _is_tagged(cell, "exercise")]
    used = set[str]().union(*exercises)
    if not used:
        code = "\n".join(cell.source for cell in cells if _is_tagged(cell, "network"))
        used = {kind for kind in ("numpy", "torch") if re.search(rf"^\s*(?:import|from) {kind}\b", code, re.MULTILINE)}
    if used == {"numpy", "torch"} and {"numpy"} in exercises:
        return "", ["Some functions are in numpy, others in torch: set `arrays: numpy` where it is numpy."]
    return "numpy" if used == {"numpy"} else "", []


def about_data(cells: Sequence[NotebookNode]) -> list[str]:
    """What to do about the data of a notebook's cells: files that it reads, and data that is not MNIST."""
    found = files_read([ast.Module([*_body(cell)], []) for cell in cells])
    named = [f"`{path}`" for path in found if path.strip(f"{UNKNOWN}/.") and path.isprintable() and "`" not in path]
    todos = []
    if found:
        more = [f"{len(named) - _MOST_FILES} more"] if len(named) > _MOST_FILES else []
        what = f" ({', '.join([*named[:_MOST_FILES], *more])})" if named else ""
        todos.append(f"It reads files{what}: put them into a folder beside this one, and name the folder in `files`.")
    if not any("mnist" in cell.source.lower() for cell in cells):
        todos.append(
            "It does not speak of MNIST: make its inputs in `make_inputs`, and say what is in their rows, such as "
            "`data: {name: names.txt, rows: words}`."
        )
    return todos


def about_variables(cells: Sequence[NotebookNode]) -> list[str]:
    """What to do about functions and classes of exercises that read variables of cells without a tag."""
    others = [node for cell in cells if not cell.metadata.get("tags") for node in _body(cell)]
    targets = [target for node in others if isinstance(node, ast.Assign) for target in node.targets]
    variables = {part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)}
    return [
        f"`{node.name}` reads {', '.join(f'`{name}`' for name in names)} of other cells: make parameters of weights, "
        "and put constants into a cell tagged `network`."
        for cell in cells
        for node in (_body(cell) if _is_tagged(cell, "exercise") else ())
        if isinstance(node, _DEFINITIONS) and (names := _read(node, variables))
    ]


def about_calls(cells: Sequence[NotebookNode]) -> list[str]:
    """What to know about exercises that call others, which students write, too."""
    asked = {
        node.name: node
        for cell in cells
        for node in (_body(cell) if _is_tagged(cell, "exercise") else ())
        if isinstance(node, _DEFINITIONS) and _holds_region(node, cell)
    }
    calls = Calls((ast.Module([*_body(cell)], []) for cell in cells), asked)
    return [
        f"`{name}` calls {', '.join(f'`{other}`' for other in others)}: the student's own, so that a mistake there "
        "costs points here, too. What others call may be given instead, in a cell tagged `network`."
        for name, node in asked.items()
        if (others := calls.of(name, node))
    ]


def about_marks(texts: Sequence[str]) -> list[str]:
    """What to do about texts that tell students of marks which are no longer there, or ask for an answer in words."""
    todos = [
        f"The text speaks of `{mark}`, which students no longer see: a blank raises NotImplementedError there."
        for mark in dict.fromkeys(says_marks(_IN_WORDS.sub("", text)) for text in texts)
        if mark
    ]
    if any(_IN_WORDS.search(text) for text in texts):
        todos.append(
            "The text asks for an answer in words (`YOUR ANSWER HERE`). Students still see it; it is not graded."
        )
    return todos


def _arrays_in(code: str) -> set[str]:
    """Which of `numpy` and `torch` some code computes with."""
    return {kind for word, kind in _KINDS.items() if re.search(rf"(?<![\w.]){word}\.\w", code)}


def _read(node: ast.FunctionDef | ast.ClassDef, variables: set[str]) -> list[str]:
    parts = node.body if isinstance(node, ast.ClassDef) else [node]  # a method sees no variables of another one
    try:
        names = dict.fromkeys(name for part in parts for name in free_names(ast.unparse(_as_given(part))))
        return [name for name in names if name in variables]
    except RecursionError:
        return []


def _as_given(part: ast.stmt) -> ast.stmt:
    """A function whose blank is empty, without its `return dx, dw`: the missing solution defines these names."""
    if not isinstance(part, ast.FunctionDef) or not any(_is_blank(inner) for inner in ast.walk(part)):
        return part
    body = [inner for inner in part.body if not _returns_names(inner)]
    given = ast.FunctionDef(**dict(ast.iter_fields(part)) | {"body": body})
    return ast.copy_location(given, part)


def _is_blank(inner: ast.AST) -> bool:
    return isinstance(inner, ast.Raise) and inner.exc is not None and "NotImplementedError" in ast.unparse(inner.exc)


def _returns_names(inner: ast.stmt) -> bool:
    if not isinstance(inner, ast.Return):
        return False
    parts = inner.value.elts if isinstance(inner.value, ast.Tuple) else [inner.value]
    return all(isinstance(part, ast.Name) for part in parts)


def _holds_region(node: ast.stmt, cell: NotebookNode) -> bool:
    """Whether students write a part of a definition."""
    lines = cell.source.split("\n")[node.lineno - 1 : node.end_lineno]
    return any("### BEGIN SOLUTION" in line for line in lines)


def _is_tagged(cell: NotebookNode, tag: str) -> bool:
    return list(cell.metadata.get("tags", ())) == [tag]


def _body(cell: NotebookNode) -> Iterator[ast.stmt]:
    try:
        yield from tree_of(_MAGIC.sub("", cell.source)).body if cell.cell_type == "code" else ()
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
