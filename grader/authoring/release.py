"""
Makes the students' notebook from a source notebook, and fills answers into its blanks.
"""

from __future__ import annotations

import ast
import base64
import hashlib
import mimetypes
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode

from grader.assignment.cells import blanked
from grader.assignment.declared import declaration
from grader.assignment.files import write_files
from grader.assignment.settings import visibility_of
from grader.assignment.source import SourceNotebook
from grader.authoring.exposed import refuse_unfinished
from grader.authoring.opening import opening, place_of_opening
from grader.errors import SourceError
from grader.files import write_atomically
from grader.trees import tree_of

__all__ = ["fill_blanks", "release_notebook", "write_release"]

_IMAGE = re.compile(r"!\[([^\]]*)\]\((?!\w+:)([^)\s]+)\)")
_CELL = re.compile(r"^# %%.*\n?", re.MULTILINE)
_DEFINES = re.compile(r"^\s*(?:async\s+)?def\s+(\w+)|^(\w+)\s*=", re.MULTILINE)
_KEPT = (
    "arrays",
    "autograd",
    "counterexample",
    "hints",
    "learning_rate",
    "rows",
    "steps",
    "limits",
    "cases",
    "data",
    "release",
    "before",
    "files",
)
_ABOUT = re.compile(r"^# %% (delete|answers): (\w+)\s*$", re.MULTILINE)
_STILL_BLANK = re.compile(r"NotImplementedError\(\"(\w+) is still blank")


def release_notebook(source: SourceNotebook) -> NotebookNode:
    """
    The notebook for students; the same source gives the same bytes.

    Signatures and docstrings stay, a statement that raises replaces each solution, misconceptions and styles are left
    out, and local images are embedded. The first code cell gets the grader, wherever the notebook runs. After the
    network, a cell tells `check` which gradients the notebook asks for.
    Cells keep their tags. Settings that reveal nothing stay too, so that submissions can be graded by this notebook.

    Raises:
        SourceError: The notebook is a released one already, or an image cannot be read.
    """
    if source.is_released:
        raise SourceError(f"{source.path} is already a notebook for students.", "Release the source notebook.")
    blanks = {exercise.index: exercise.name for exercise in source.exercises}
    lines = {exercise.index: exercise.targets for exercise in source.exercises if exercise.is_lines}
    kept = {name: source.settings[name] for name in _KEPT if name in source.settings}
    if "release" in kept:
        kept["release"] = visibility_of(kept).release  # as text, since JSON has no dates
    declared_after = max((cell.index for cell in source.network), default=-1)
    kept_back = {cell.index for cell in (*source.misconceptions, *source.styles)}
    cells = [(index, cell) for index, cell in enumerate(source.notebook.cells) if index not in kept_back]
    released: NotebookNode = nbformat.v4.new_notebook()
    released.metadata = nbformat.from_dict(
        {
            "grader": {"assignment": source.id, "version": source.version, "title": source.title, **kept},
            "jupytext": {
                "cell_metadata_filter": "grader,tags",
                "formats": "ipynb,md:myst",
                "notebook_metadata_filter": "grader",
            },
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    for number, (index, cell) in enumerate(cells):
        if cell.cell_type == "code":
            text = blanked(cell.source, blanks.get(index))
            copy = nbformat.v4.new_code_cell(text, metadata=_released_metadata(cell, lines.get(index)))
        else:
            text = _IMAGE.sub(lambda match: _inlined(match, source.path.parent), cell.source)
            copy = nbformat.v4.new_markdown_cell(text)
        copy["id"] = _cell_id(source, number, text)
        released.cells.append(copy)
        if index == declared_after:
            settings_of = {
                exercise.name: source.notebook.cells[exercise.index].metadata.get("grader", {})
                for exercise in source.exercises
            }
            text = declaration(source.id, source.exercises, source.settings, settings_of)
            released.cells.append(nbformat.v4.new_code_cell(text, id=_cell_id(source, "declaration", text)))
    text = opening(released.cells, source.settings)
    first = nbformat.v4.new_code_cell(text, id=_cell_id(source, "opening", text))
    released.cells.insert(place_of_opening(released.cells), first)
    return released


def write_release(source: SourceNotebook, directory: Path) -> tuple[Path, ...]:
    """
    Write `directory/<id>/<id>.ipynb`, its pair `<id>.md`, and the data that travels with it. Returns all paths.

    Raises:
        SourceError: As for `release_notebook`; or a text of a draft is still there, which students would get.
    """
    refuse_unfinished(source)
    folder = directory / source.id
    folder.mkdir(parents=True, exist_ok=True)
    notebook = release_notebook(source)
    paths = folder / f"{source.id}.ipynb", folder / f"{source.id}.md"
    write_atomically(paths[0], nbformat.writes(notebook) + "\n")
    write_atomically(paths[1], jupytext.writes(notebook, fmt="md:myst"))
    return (*paths, *write_files(source.files, folder))


def fill_blanks(notebook: NotebookNode, answers: str) -> NotebookNode:
    """
    A notebook with answers in it, as somebody might hand it in.

    Args:
        notebook: A released notebook.
        answers: Python, divided into cells by lines that begin with `# %%`. A cell that defines blank functions takes
            the place of the first one's blank, and the others' blanks are removed. `# %% delete: NAME` removes a blank,
            and `# %% answers: NAME` says that straight lines answer it.
            Any other cell is inserted before the next cell that takes a place, or at the end.
    """
    filled: NotebookNode = nbformat.from_dict(notebook)
    waiting: list[NotebookNode] = []
    for about, text in _answer_cells(answers):
        blanks = _blank_cells(filled)
        names = [name for name in ([about] if about else _functions(text)) if name in blanks]
        if not names:
            waiting += [nbformat.v4.new_code_cell(text)] if text else []
            continue
        place = filled.cells.index(blanks[names[0]])
        dropped = {id(blanks[name]) for name in names}
        head = [cell for cell in filled.cells[:place] if id(cell) not in dropped]
        tail = [cell for cell in filled.cells[place:] if id(cell) not in dropped]
        filled.cells = [*head, *waiting, *([nbformat.v4.new_code_cell(text)] if text else []), *tail]
        waiting = []
    filled.cells += waiting
    for number, cell in enumerate(filled.cells):
        cell["id"] = f"cell-{number}"
    return filled


def _cell_id(source: SourceNotebook, place: object, text: str) -> str:
    return hashlib.sha256(f"{source.id}/{place}/{text}".encode()).hexdigest()[:8]


def _released_metadata(cell: NotebookNode, targets: Sequence[str] | None) -> dict[str, object]:
    """The metadata of a released cell. `targets` are those of straight lines, which a blank does not show."""
    metadata: dict[str, object] = {"tags": list(cell.metadata["tags"])} if cell.metadata.get("tags") else {}
    settings = dict(cell.metadata.get("grader", {})) | ({"targets": list(targets)} if targets else {})
    return metadata | ({"grader": settings} if settings else {})


def _inlined(match: re.Match[str], folder: Path) -> str:
    alternative, name = match.groups()
    path = folder / name
    kind = mimetypes.guess_type(name)[0] or ""
    if not kind.startswith("image/"):  # a text of somebody else's may name any file of the author's
        raise SourceError(
            f"{path} is not a picture.", "Link to it as `[text](address)`; only pictures travel like this."
        )
    try:
        content = base64.b64encode(path.read_bytes()).decode()
    except OSError as error:
        raise SourceError(
            f"The picture {path} cannot be read ({error.strerror}).", "Put it beside the source notebook."
        ) from error
    return f"![{alternative}](data:{kind};base64,{content})"


def _answer_cells(answers: str) -> Iterator[tuple[str | None, str]]:
    """For each cell of some answers: the name of the blank to delete or to answer, or None, and the cell's code."""
    starts = [*_CELL.finditer(answers)]
    if answers.strip() and (not starts or answers[: starts[0].start()].strip()):
        yield None, (answers[: starts[0].start()] if starts else answers).strip("\n")
    for number, start in enumerate(starts):
        end = starts[number + 1].start() if number + 1 < len(starts) else len(answers)
        about = _ABOUT.match(start.group().strip())
        text = answers[start.end() : end].strip("\n")
        if text or about:
            yield (about.group(2) if about else None), text


def _blank_cells(notebook: NotebookNode) -> dict[str, NotebookNode]:
    """The cells of the exercises that are still blank, by name."""
    return {
        name: cell
        for cell in notebook.cells
        if cell.cell_type == "code" and "is still blank" in cell.source
        for name in (*_functions(cell.source), *_STILL_BLANK.findall(cell.source))
    }


def _functions(text: str) -> list[str]:
    """Names that a cell defines, from its syntax tree or, if it is not Python, from the beginnings of its lines."""
    try:
        body = tree_of(text).body
    except SyntaxError:
        return [function or variable for function, variable in _DEFINES.findall(text)]
    names: list[str] = []
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.append(node.name)
        elif isinstance(node, ast.Assign):
            names += [target.id for target in node.targets if isinstance(target, ast.Name)]
    return names
