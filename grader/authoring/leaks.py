"""
Finds what students must not get: solutions in any style, misconceptions, the hidden seed. Removes notebooks' outputs.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import nbformat

from grader.assignment.cells import REGION
from grader.assignment.find import find_sources
from grader.assignment.source import KEPT_BACK, read_source, without_kept_back
from grader.assignment.styles import read_styles
from grader.errors import DraftError, UsageError
from grader.model import Submission
from grader.notebook.functions import find_functions
from grader.notebook.read import NOTEBOOK_SUFFIX, Unreadable, read_notebook, read_submission
from grader.trees import tree_of

__all__ = ["find_leaks", "solution_bodies", "strip_outputs"]


def solution_bodies(directory: Path) -> dict[str, set[str]]:
    """
    The bodies of all solutions in a folder of source notebooks, by function name, in a form that ignores comments.

    A source notebook that asks for nothing yet has no solution.

    Raises:
        SourceError: A source notebook breaks the contract.
    """
    bodies: dict[str, set[str]] = {}
    for path in find_sources(directory).values():
        try:
            source = read_source(path)
        except DraftError:
            continue
        solved = () if source.is_released else source.exercises
        for exercise in solved:
            bodies.setdefault(exercise.name, set()).add(_body(exercise.code))
        for style in read_styles(source):
            bodies[style.exercise].add(_body(style.code))
    return bodies


def find_leaks(path: Path, bodies: Mapping[str, set[str]]) -> Iterator[str]:
    """
    Which secrets of an assignment appear in a file, a sentence for each; none if the file is not a notebook.

    Args:
        bodies: From `solution_bodies`.

    Raises:
        SubmissionError: There is no such file.
    """
    submission = read_submission(path)
    if b"hidden_seed" in submission.content and _has_seed(submission):
        yield f"{path}: the hidden seed is in its metadata."
    if any(tag.encode() in submission.content for tag in KEPT_BACK) and _has_kept_back(submission):
        yield f"{path}: a cell is tagged {' or '.join(KEPT_BACK)}, and is for instructors only."
    notebook = read_notebook(submission)
    if isinstance(notebook, Unreadable):
        return
    for cell in notebook.cells:
        for line, text in enumerate(cell.code.split("\n"), start=1):
            if REGION.match(text):
                yield f"{path}, In [{cell.number}], line {line}: a solution region."
    for name, definitions in find_functions(notebook).definitions.items():
        for definition in definitions:
            if name in bodies and _body(definition.code.text) in bodies[name]:
                yield f"{path}, In [{definition.code.cell}], line {definition.code.line}: the solution of {name}."


def strip_outputs(path: Path) -> str | None:
    """
    A notebook's text without outputs and execution counts, or None if it has none.

    Raises:
        UsageError: The file is not a notebook that Jupyter could read.
    """
    try:
        text = path.read_text(encoding="utf-8")
        notebook = nbformat.reads(text, as_version=nbformat.NO_CONVERT)
        cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}).", "Check the path.") from error
    except Exception as error:  # nbformat raises all kinds of exceptions
        raise UsageError(f"{path} is not a notebook of format 4.", "Open it in Jupyter and save it again.") from error
    if not any(cell.outputs or cell.execution_count is not None for cell in cells):
        return None
    for cell in cells:
        cell.outputs, cell.execution_count = [], None
    return str(nbformat.writes(notebook)) + "\n"


def _has_seed(submission: Submission) -> bool:
    text = submission.content.decode("utf-8", errors="replace")
    if submission.name.endswith(NOTEBOOK_SUFFIX):
        try:
            metadata = json.loads(text).get("metadata", {})
        except (ValueError, AttributeError):
            return False
        return "hidden_seed" in (metadata.get("grader") or {})
    head = text[: text.find("\n---", 3)] if text.startswith("---") else ""
    return "hidden_seed:" in head


def _has_kept_back(submission: Submission) -> bool:
    text = submission.content.decode("utf-8", errors="replace")
    if not submission.name.endswith(NOTEBOOK_SUFFIX):
        return without_kept_back(text) != text.replace("\r\n", "\n")
    try:
        return any(set(KEPT_BACK) & {*cell["metadata"].get("tags", [])} for cell in json.loads(text)["cells"])
    except (ValueError, AttributeError, KeyError, TypeError):
        return False


def _body(code: str) -> str:
    """The body of the last function as a syntax tree in text form, with arguments numbered instead of named."""
    try:
        node = [node for node in tree_of(code).body if isinstance(node, ast.FunctionDef)][-1]
    except (SyntaxError, ValueError, IndexError):
        return ""
    numbers = {argument.arg: f"argument {number}" for number, argument in enumerate(node.args.args)}
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    for inner in (inner for statement in body for inner in ast.walk(statement)):
        if isinstance(inner, ast.Name):
            inner.id = numbers.get(inner.id, inner.id)
    return "\n".join(ast.dump(statement) for statement in body)
