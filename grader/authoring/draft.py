"""
Makes a draft of a source notebook from a notebook that a course has, with a TODO wherever its author has to decide.

What can be seen in the notebook is filled in: the regions to write, the points, how a function is probably called, and
which cells are probably the network. Tests are left out, because an assignment needs none.
"""

from __future__ import annotations

import ast
import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbformat import NotebookNode

from grader.assignment.source import as_sentence
from grader.authoring.blanks import STUB, code_below_blanks, has_blank, with_regions
from grader.authoring.guesses import guess_call, left_side, section_of, title_in
from grader.authoring.remarks import about_calls, about_data, about_marks, about_variables, arrays_of
from grader.errors import UsageError
from grader.execution.border import whole_characters
from grader.trees import tree_of

__all__ = ["draft_from", "read_notebook_of_course"]

_NETWORK = ("forward", "init_parameters", "make_inputs")
_MAGIC = re.compile(r"^\s*[%!?]")
_POINTS = re.compile(r"^\s*points:\s*(\d+(?:\.\d+)?)", re.MULTILINE)
_OTTER = re.compile(r"^\s*#\s*(BEGIN|END) (TESTS|QUESTION|SOLUTION|PROMPT)\b|^\s*#\s*ASSIGNMENT CONFIG\b", re.MULTILINE)
_MISSING = {
    "init_parameters": '''def init_parameters(generator):
    """Random parameters, float32."""
    # TODO: every parameter by its name, such as {"w": torch.randn(784, 10, generator=generator)}
    raise NotImplementedError
''',
    "forward": '''def forward(x, y, w):
    """The forward pass: every intermediate by its name, and the loss."""
    # TODO: the arguments are the inputs and the parameters; return {"z": z, "loss": loss} with every intermediate
    raise NotImplementedError
''',
}
_FUNCTION = (ast.FunctionDef, ast.ClassDef)
_FENCE = re.compile(r"(?:`{3,}|~{3,})\s*\{(?=(?:code|raw)-cell)")
_BREAK = re.compile(r"^[\s>]*(?=\+\+\+)", re.MULTILINE)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")
_MOST_POINTS = 1e6


@dataclasses.dataclass(slots=True)
class _Draft:
    """The cells so far, and what is left to do."""

    cells: list[NotebookNode] = dataclasses.field(default_factory=list)
    todos: list[str] = dataclasses.field(default_factory=list)
    tests: int = 0


def read_notebook_of_course(path: Path) -> NotebookNode:
    """
    Read a notebook of any tool, `.ipynb` or a text that jupytext reads.

    Raises:
        UsageError: It cannot be read.
    """
    try:
        notebook: NotebookNode = jupytext.read(path, as_version=4)
        for cell in notebook.cells:
            text = whole_characters(cell.source).replace("\r\n", "\n").replace("\r", "\n")
            cell.source = _CONTROL.sub("", text)  # YAML has no such characters
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}).", "Check the path.") from error
    except Exception as error:
        raise UsageError(f"{path} cannot be read as a notebook. {as_sentence(error)}", "Is it the file?") from error
    return notebook


def draft_from(
    notebook: NotebookNode, assignment_id: str, *, hidden_seed: int, name: str = ""
) -> tuple[str, list[str]]:
    """
    The text of the source notebook, and the list of what its author has to do, which is in it, too.

    Args:
        name: The title of a notebook that has no heading.
    """
    draft = _Draft()
    for cell, points in _with_points(_wanted(notebook.cells, draft)):
        if cell.cell_type != "code":
            draft.cells.append(nbformat.v4.new_markdown_cell(_as_text(cell.source)))
            if cell.get("attachments"):
                draft.todos.append("A picture is attached to a cell: save it beside this file, and link to it.")
        elif _asks(cell):
            draft.cells.append(_exercise(cell, points, draft))
        else:
            draft.cells += _other(cell.source)
    arrays, about_arrays = arrays_of(draft.cells)
    settings = {"arrays": arrays} if arrays else {}
    _tag_network(draft)
    if not any(_tags(cell) == ["exercise"] for cell in draft.cells):
        draft.todos.append("Nothing was found that students have to write: tag the cells with `exercise`.")
    draft.todos += [*about_arrays, *about_variables(draft.cells), *about_calls(draft.cells)]
    if draft.tests:
        draft.todos.append(f"{draft.tests} cells with tests were left out: an assignment needs none.")
    texts = [cell.source for cell in draft.cells if cell.cell_type == "markdown"]
    title = next(filter(None, map(title_in, texts)), name or assignment_id)
    draft.todos += [*about_marks(texts), *about_data(notebook.cells)]
    todos = "".join(f"\n- {todo}" for todo in dict.fromkeys(draft.todos))
    head = f"**TODO.** Delete this cell when nothing is left. `grader validate {assignment_id}` says what is missing.\n"
    made: NotebookNode = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(head + todos), *draft.cells])
    made.metadata = nbformat.from_dict(
        {
            "grader": {"assignment": assignment_id, "title": title, **settings, "hidden_seed": hidden_seed},
            "jupytext": {
                "cell_metadata_filter": "grader,tags",
                "formats": "ipynb,md:myst",
                "notebook_metadata_filter": "grader",
            },
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        }
    )
    return jupytext.writes(made, fmt="md:myst"), list(dict.fromkeys(draft.todos))


def _as_text(source: str) -> str:
    """Text that stays text in MyST: a fence or a break in it does not begin a cell, which the grader would run."""
    return _BREAK.sub(r"\g<0>\\", _FENCE.sub(r"\g<0> ", source))


# ----------------------------------------------------------------------------------------------- what is in which cell


def _nbgrader(cell: NotebookNode) -> Mapping[str, Any]:
    found = cell.metadata.get("nbgrader", {})
    return found if isinstance(found, dict) else {}


def _asks(cell: NotebookNode) -> bool:
    """Whether students have to write something in a cell."""
    return cell.cell_type == "code" and (has_blank(cell.source) or bool(_nbgrader(cell).get("solution")))


def _is_test(cell: NotebookNode) -> bool:
    settings = _nbgrader(cell)
    is_graded = bool(settings.get("grade")) and not settings.get("solution")
    return cell.cell_type == "code" and not _asks(cell) and (is_graded or "BEGIN HIDDEN TESTS" in cell.source)


def _wanted(cells: Sequence[NotebookNode], draft: _Draft) -> Iterator[NotebookNode]:
    """The cells without tests, of which the points stay, and without what only another tool reads."""
    is_inside_tests = False
    for cell in cells:
        mark = _OTTER.match(cell.source) if cell.cell_type != "code" else None
        if mark is not None:
            is_inside_tests = mark.group(2) == "TESTS" and mark.group(1) == "BEGIN"
            if _POINTS.search(cell.source):
                yield nbformat.v4.new_raw_cell(cell.source, metadata={"points": "next"})
        elif is_inside_tests or _is_test(cell) or cell.source.lstrip().startswith("grader.check("):
            draft.tests += 1
            yield nbformat.v4.new_raw_cell(f"points: {_own_points(cell)}", metadata={"points": "last"})
        elif cell.cell_type in ("code", "markdown"):
            yield cell


def _with_points(cells: Iterator[NotebookNode]) -> list[tuple[NotebookNode, float]]:
    """Each cell with its points: its own, those of the tests after it, or those of the question before it."""
    found: list[tuple[NotebookNode, float]] = []
    following = 0.0
    for cell in cells:
        if cell.cell_type != "raw":
            found.append((cell, following + _own_points(cell) if _asks(cell) else 0.0))
            following = 0.0 if _asks(cell) else following
            continue
        points = _POINTS.search(cell.source)
        if points is None:
            continue
        if cell.metadata["points"] == "next":
            following = _finite(points.group(1))
            continue
        for index in range(len(found) - 1, -1, -1):
            if _asks(found[index][0]):
                found[index] = found[index][0], found[index][1] + _finite(points.group(1))
                break
    return found


def _own_points(cell: NotebookNode) -> float:
    return _finite(_nbgrader(cell).get("points", 0))


def _finite(points: object) -> float:
    """Points as a number that an exercise may have; 0 for anything else."""
    try:
        number = float(points)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return number if 0 < number < _MOST_POINTS else 0.0


# ------------------------------------------------------------------------------------------------------------ exercises


def _exercise(cell: NotebookNode, points: float, draft: _Draft) -> NotebookNode:
    """An exercise's cell: with regions, a docstring, and the settings that can be guessed."""
    code = with_regions(cell.source)
    number = 1 + sum(_tags(made) == ["exercise"] for made in draft.cells)
    name = re.sub(r"\W+", "_", str(_nbgrader(cell).get("grade_id", ""))).strip("_")
    settings: dict[str, Any] = {"points": int(points) if points == int(points) else points} if points else {"points": 1}
    todo: list[str] = [] if points else ["its points"]
    tree = _parsed(code)
    defined = [node for node in tree.body if isinstance(node, _FUNCTION)] if tree is not None else []
    blank = [node for node in defined if _holds_region(node, code)] or defined
    if tree is None:
        todo.append("its code, which is not Python")
        name = name if name.isidentifier() else f"exercise_{number}"
    elif blank:
        node = blank[0]
        name = node.name
        code = _whole_body_as_region(code, node) if "### BEGIN SOLUTION" not in code else code
        if not ast.get_docstring(node):
            code = _with_docstring(code, node)
            todo.append("its docstring: the question, and the shapes")
        todo += _set_call(node, settings, is_alone=len(defined) == 1)
    else:
        name = name if name.isidentifier() else f"exercise_{number}"
        settings["name"] = name
        todo.append("its `targets`, if its lines assign other names than the gradients `d…` of tensors of the network")
        if "### BEGIN SOLUTION" not in code:
            code = f"### BEGIN SOLUTION\n{code}\n### END SOLUTION"
    if STUB in code:
        todo.append("its solution")
    todo += [
        f"whether `{line}` and what follows is its solution: then move it into the region above, or students get it"
        for line in code_below_blanks(code)
    ]
    todo += [
        f"`{other.name}` in its cell, which has a blank, too, and is not graded: give it a cell of its own, or use it "
        "in `call`"
        for other in blank[1:]
    ]
    if todo:
        draft.todos.append(f"`{name}`: {'; '.join(todo)}.")
    made: NotebookNode = nbformat.v4.new_code_cell(code, metadata={"tags": ["exercise"], "grader": settings})
    return made


def _holds_region(node: ast.stmt, code: str) -> bool:
    lines = code.split("\n")[node.lineno - 1 : node.end_lineno]
    after = code.split("\n")[node.end_lineno or 0 :][:1]  # the delimiter below a function's last line is a comment
    return any("### BEGIN SOLUTION" in line for line in (*lines, *after))


def _whole_body_as_region(code: str, node: ast.FunctionDef | ast.ClassDef) -> str:
    """The code of a cell that is all to be written: all of a function below its docstring."""
    body = node.body[1:] if ast.get_docstring(node) and len(node.body) > 1 else node.body
    lines = code.split("\n")
    first, last = body[0].lineno - 1, node.end_lineno or len(lines)
    indent = " " * body[0].col_offset
    begin, end = f"{indent}### BEGIN SOLUTION", f"{indent}### END SOLUTION"
    return "\n".join([*lines[:first], begin, *lines[first:last], end, *lines[last:]])


def _with_docstring(code: str, node: ast.FunctionDef | ast.ClassDef) -> str:
    lines = code.split("\n")
    ends = (number for number in range(node.lineno - 1, len(lines)) if re.search(r":\s*(#.*)?$", lines[number]))
    header = next(ends, None)
    if header is None:  # all in one line
        return code
    indent = " " * (node.col_offset + 4)
    return "\n".join([*lines[: header + 1], f'{indent}"""TODO: the question, and the shapes."""', *lines[header + 1 :]])


def _set_call(node: ast.FunctionDef | ast.ClassDef, settings: dict[str, Any], *, is_alone: bool) -> list[str]:
    """Set `call` from a function's parameters and what it returns. Returns what is left to say."""
    if isinstance(node, ast.ClassDef):
        return ["`call`, which says how an object is made and called, and what it must return"]
    call, left = guess_call(node), left_side(node)
    is_collection = "== (" in call or "== [" in call or "== {" in call
    is_plain = node.name.startswith("grad_") and not is_collection and not _returns_many(node)
    if is_plain and not re.search(r"[({].*[({]", left):
        settings |= {} if is_alone else {"name": node.name}
        return []
    if not call:
        return [f"`call`, which says how it is called, probably `{left} == …`, and what it must return"]
    settings["call"] = call
    return ["whether `call` is right: its names are those of the forward pass, and `dNAME` is a gradient"]


def _returns_many(node: ast.FunctionDef) -> bool:
    kinds = (ast.Tuple, ast.List, ast.Dict)
    return any(isinstance(part, ast.Return) and isinstance(part.value, kinds) for part in ast.walk(node))


# -------------------------------------------------------------------------------------------------------------- network


def _other(code: str) -> Iterator[NotebookNode]:
    """A cell without an exercise. Its imports get a cell of their own: the grader runs no magics and seeds."""
    lines = code.split("\n")
    plain = ["" if _MAGIC.match(line) else line for line in lines]
    tree = _parsed("\n".join(plain))
    body = tree.body if tree is not None else []
    imports = [node for node in body if isinstance(node, (ast.Import, ast.ImportFrom))]
    taken = {number for node in imports for number in range(node.lineno, (node.end_lineno or node.lineno) + 1)}
    if taken and len(imports) == len(body):
        taken |= {number for number, line in enumerate(plain, start=1) if line or not lines[number - 1]}
    for is_import in (True, False):
        kept = [line for number, line in enumerate(lines, start=1) if (number in taken) == is_import]
        text = "\n".join(kept).strip("\n")
        if text:
            yield nbformat.v4.new_code_cell(text, metadata={"tags": ["network"]} if is_import else {})


def _tag_network(draft: _Draft) -> None:
    """Tag the cells that define the network, and what those use; add what is missing above the first exercise."""
    others = {id(cell): tree for cell in draft.cells if not _tags(cell) and (tree := _definitions(cell)) is not None}
    definers: dict[str, list[NotebookNode]] = {}
    for cell in draft.cells:
        for node in others[id(cell)].body if id(cell) in others else ():
            if isinstance(node, _FUNCTION):
                definers.setdefault(node.name, []).append(cell)
    waiting = list(_NETWORK)
    while waiting:
        for cell in definers.pop(waiting.pop(), ()):
            if not _tags(cell):
                cell.metadata["tags"] = ["network"]
                waiting += [node.id for node in ast.walk(others[id(cell)]) if isinstance(node, ast.Name)]
    network = [node for cell in draft.cells if _tags(cell) == ["network"] for node in _body(cell)]
    forward = next((node for node in network if isinstance(node, ast.FunctionDef) and node.name == "forward"), None)
    if forward is not None and not _returns_loss(forward):
        draft.todos.append("`forward`: return a dict with every intermediate by its name, and `loss`.")
    names = {node.name for node in network if isinstance(node, _FUNCTION)}
    missing = [name for name in _MISSING if name not in names]
    if missing:
        draft.todos.append(f"The network: write {' and '.join(f'`{name}`' for name in missing)}.")
        exercises = (number for number, cell in enumerate(draft.cells) if _tags(cell) == ["exercise"])
        place = section_of(draft.cells, next(exercises, len(draft.cells)))
        above = [node for cell in draft.cells[:place] if _tags(cell) == ["network"] for node in _body(cell)]
        has_torch = any(isinstance(node, ast.Import) and "torch" in ast.unparse(node) for node in above)
        parts = [*(["import torch\n"] * (not has_torch)), *(_MISSING[name] for name in missing)]
        made = nbformat.v4.new_code_cell("\n\n".join(parts).rstrip("\n"), metadata={"tags": ["network"]})
        draft.cells.insert(place, made)


def _returns_loss(forward: ast.FunctionDef) -> bool:
    returned = [node.value for node in ast.walk(forward) if isinstance(node, ast.Return) and node.value is not None]
    return bool(returned) and "loss" in ast.unparse(returned[-1]) and isinstance(returned[-1], (ast.Dict, ast.Call))


def _definitions(cell: NotebookNode) -> ast.Module | None:
    """The tree of a code cell that only defines and imports things, or sets constants."""
    tree = _parsed(cell.source) if cell.cell_type == "code" else None
    kinds = (*_FUNCTION, ast.Import, ast.ImportFrom, ast.Assign, ast.Expr)
    return tree if tree is not None and all(isinstance(node, kinds) for node in tree.body) else None


def _body(cell: NotebookNode) -> list[ast.stmt]:
    tree = _parsed(cell.source)
    return tree.body if tree is not None else []


def _tags(cell: NotebookNode) -> list[str]:
    return list(cell.metadata.get("tags", []))


def _parsed(code: str) -> ast.Module | None:
    try:
        return tree_of(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
