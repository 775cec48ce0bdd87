"""
Reads a source notebook, `solutions/<id>.md`, into plain data. Nothing is executed here.

A source notebook is a jupytext MyST notebook. The grader runs its code cells tagged `network`: imports, `forward`,
`init_parameters`, and `make_inputs` if there is one. A code cell tagged `exercise` holds one function, with a docstring
and one solution region between `### BEGIN SOLUTION` and `### END SOLUTION`. Code cells tagged `misconception` are
mistakes that the author knows (`grader.assignment.misconceptions`). Code cells tagged `style` are other right ways to
write an exercise (`grader.assignment.styles`). Students never get either of these.

A released notebook, `<id>/<id>.md`, can be read too: `grader release` leaves out nothing but the solutions.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import re
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jupytext
from nbformat import NotebookNode

from grader.assignment.cells import REGION, ExerciseCell, SourceCell, place_of, problem_in
from grader.assignment.exercises import exercise_in
from grader.assignment.files import Files, digest_of, read_files
from grader.assignment.settings import EXERCISE, NOTEBOOK, check_settings
from grader.assignment.written import HEADER, lines_of_settings, written_twice
from grader.errors import DraftError, SourceError
from grader.notebook.lines import first_lines

__all__ = [
    "KEPT_BACK",
    "SourceNotebook",
    "as_sentence",
    "code_lines",
    "line_in",
    "read_source",
    "source_version",
    "without_kept_back",
]

KEPT_BACK = ("misconception", "style")
"""The tags of cells that students never get."""

TAGS = ("network", "exercise", *KEPT_BACK)
_SENTENCE_CHARACTERS = 300
_WORD = re.compile(r"\w+")
_PAIRS = "Each BEGIN SOLUTION needs its own END SOLUTION."
_CELL = re.compile(r"^```\{code-cell\}.*?^```\n\n?", re.MULTILINE | re.DOTALL)
_TAGGED = re.compile(r"^:?tags:(?: *\[[^\]]*|(?:\n *- .*)*\n *- )\b(?:misconception|style)\b", re.MULTILINE)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SourceNotebook:
    """
    An assignment as its author wrote it.

    Attributes:
        version: A hash of the text without the cells that students never get. It is in students' notebooks too, and
            stays the same when a mistake is named after they were handed out.
        revision: A hash of the whole text; of a released notebook, its version.
        settings: The notebook's `grader` metadata, without id and title.
        is_released: Whether it is a released notebook: made for students, without solutions.
        files: The data that travels with it. `version` and `revision` depend on it, too.
    """

    id: str
    title: str
    path: Path
    version: str
    notebook: NotebookNode
    settings: Mapping[str, Any]
    network: tuple[SourceCell, ...]
    exercises: tuple[ExerciseCell, ...]
    misconceptions: tuple[SourceCell, ...]
    styles: tuple[SourceCell, ...]
    revision: str
    is_released: bool = False
    files: Files = dataclasses.field(default_factory=dict, repr=False)


def source_version(text: str) -> str:
    """The version of a source: the first 12 hexadecimal digits of its SHA-256, after making its line ends uniform."""
    return hashlib.sha256(text.replace("\r\n", "\n").encode()).hexdigest()[:12]


def read_source(path: Path, content: bytes | None = None, files: Files | None = None) -> SourceNotebook:
    """
    Read and check a source notebook.

    Args:
        content: The file's bytes, if they are known; the file is not read then.
        files: The data that travels with it, likewise.

    Raises:
        SourceError: The notebook breaks the contract; the message names file, cell and line.
    """
    try:
        text = (path.read_bytes() if content is None else content).decode("utf-8").replace("\r\n", "\n")
        notebook = jupytext.reads(text, fmt="md:myst")
    except OSError as error:
        raise SourceError(f"{path} cannot be read ({error.strerror}).", "Check the path.") from error
    except Exception as error:
        mark = getattr(error, "problem_mark", None)  # YAML does not count the header's first line
        line = f", line {mark.line + 2}" if mark is not None else ""
        raise SourceError(
            f"{path.name}{line}: this is not a MyST notebook. {as_sentence(error)}",
            "In YAML, close brackets and quotes, and put text that contains a colon in quotes.",
        ) from error

    written = lines_of_settings(text, notebook)

    def where(name: str) -> str:
        lines = written[HEADER]
        return f"{path.name}, line {lines[name]}" if name in lines else path.name

    twice = written_twice(text)
    if twice is not None:
        name, first, second = twice
        raise SourceError(
            f"{path.name}, line {second}: `{name}` is there already, in line {first}.", "Keep one of them."
        )
    metadata = notebook.metadata.get("grader", {})
    version = metadata.get("version") if isinstance(metadata, dict) else None
    if version is not None:
        metadata = {name: value for name, value in metadata.items() if name != "version"}
    settings = dict(check_settings(metadata, NOTEBOOK, where))
    assignment_id = settings.pop("assignment", path.stem)
    if assignment_id != path.stem:
        raise SourceError(
            f"{path.name} says that its id is {assignment_id!r}.",
            f"Rename the file, or set `assignment` to {path.stem}.",
        )
    misconceptions, styles = (_kept_back(path, text, notebook, tag) for tag in KEPT_BACK)
    network, exercises = _cells(path, text, notebook, written, has_regions=not version)
    if version and (misconceptions or styles):
        place = place_of(path, (*misconceptions, *styles)[0])
        raise SourceError(f"{place}: students must not get this cell.", "Release the source notebook again.")
    if files is None:
        files = _files_of(path, settings, where("files"))
    data = digest_of(files)
    return SourceNotebook(
        id=path.stem,
        title=str(settings.pop("title", path.stem)),
        path=path,
        version=str(version) if version else source_version(without_kept_back(text) + data),
        notebook=notebook,
        settings=settings,
        network=tuple(network),
        exercises=tuple(exercises),
        misconceptions=misconceptions,
        styles=styles,
        revision=str(version) if version else source_version(text + data),
        is_released=bool(version),
        files=files,
    )


def without_kept_back(text: str) -> str:
    r"""
    The text of a source notebook without the cells that students never get.

    >>> cell = "```{code-cell}\n:tags: [%s]\n\n1\n```\n"
    >>> without_kept_back(cell % "exercise" + "\n" + cell % "misconception") == cell % "exercise"
    True
    """
    text = text.replace("\r\n", "\n")
    kept = _CELL.sub(lambda cell: "" if _TAGGED.search(cell.group()) else cell.group(), text)
    return kept if kept == text else kept.rstrip("\n") + "\n"


def _files_of(path: Path, settings: Mapping[str, Any], where: str) -> Files:
    if "files" not in settings:
        return {}
    try:
        return read_files(path.parent / settings["files"])
    except SourceError as error:
        raise SourceError(f"{where}: {error.message[0].lower()}{error.message[1:]}", error.hint) from error


def _cells(
    path: Path,
    text: str,
    notebook: NotebookNode,
    written: Mapping[int, Mapping[str, int]],
    *,
    has_regions: bool,
) -> tuple[list[SourceCell], list[ExerciseCell]]:
    """The cells of the network, and those of the exercises, each of which must have solution regions, or none."""
    network: list[SourceCell] = []
    exercises: list[ExerciseCell] = []
    lines = code_lines(text, notebook)
    codes = [cell.source for cell in notebook.cells if "network" in cell.metadata.get("tags", ())]
    known = frozenset(_WORD.findall("\n".join(codes)))
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type != "code":
            continue
        source_cell = SourceCell(index=index, code=cell.source, line=lines.get(index))
        tags = _tags(path, source_cell, cell)
        count = _count_regions(path, source_cell)
        if "network" in tags:
            if count:
                problem, hint = "a network cell has a solution region", "Remove it: students need the whole network."
                raise problem_in(path, source_cell, problem, hint)
            network.append(source_cell)
        if "exercise" in tags:
            settings = cell.metadata.get("grader", {})
            exercise = exercise_in(path, source_cell, settings, known=known, written=written.get(index, {}))
            if bool(count) != has_regions:
                problem = f"{exercise.name} has {count or 'no'} solution region{'' if count == 1 else 's'}"
                hint = (
                    "A notebook for students must have none: release it again." if count else "Mark what is to write."
                )
                raise problem_in(path, source_cell, problem, hint)
            if any(earlier.name == exercise.name for earlier in exercises):
                raise problem_in(path, source_cell, f"two exercises are called {exercise.name}", "Rename one of them.")
            exercises.append(exercise)
    if not exercises:
        raise DraftError(f"{path.name} has no exercise.", "Tag a code cell with `exercise`.")
    return network, exercises


def _kept_back(path: Path, text: str, notebook: NotebookNode, tag: str) -> tuple[SourceCell, ...]:
    """The cells that one of the tags `KEPT_BACK` keeps from students; they must have no other tag of the grader's."""
    lines = code_lines(text, notebook)
    cells = []
    for index, cell in enumerate(notebook.cells):
        tags = cell.metadata.get("tags", [])
        if cell.cell_type == "code" and tag in tags:
            cells.append(SourceCell(index=index, code=cell.source, line=lines.get(index)))
            for other_tag in TAGS:
                if other_tag != tag and other_tag in tags:
                    problem = f"this cell is tagged both `{tag}` and `{other_tag}`"
                    raise problem_in(path, cells[-1], problem, f"Give the {tag} a cell of its own.")
    return tuple(cells)


def _tags(path: Path, source_cell: SourceCell, cell: NotebookNode) -> list[str]:
    """A cell's tags; an error if one is misspelt, or if a setting is not under `grader`."""
    tags = list(map(str, cell.metadata.get("tags", [])))
    for tag in tags:
        near = difflib.get_close_matches(tag, TAGS, n=1, cutoff=0.75)
        if near and tag not in TAGS:
            raise problem_in(path, source_cell, f"there is no tag `{tag}`", f"Did you mean {near[0]}?")
    for name in cell.metadata if "exercise" in tags else ():
        if name in EXERCISE:
            raise problem_in(path, source_cell, f"`{name}` is not under `grader`", f"Write `grader: {{{name}: …}}`.")
    return tags


def code_lines(text: str, notebook: NotebookNode) -> dict[int, int]:
    """The line of the file where each code cell of a source notebook begins, by the cell's index."""
    cells = ((index, cell.source) for index, cell in enumerate(notebook.cells) if cell.cell_type == "code")
    return first_lines(text, cells)


def _count_regions(path: Path, cell: SourceCell) -> int:
    """The number of a cell's solution regions; an error if a delimiter is without its other half."""
    count, is_open = 0, False
    for match in filter(None, map(REGION.match, cell.code.split("\n"))):
        begins = match.group(1) == "BEGIN"
        if begins and is_open:
            raise problem_in(path, cell, "a solution region begins inside another one", _PAIRS)
        if not begins and not is_open:
            raise problem_in(path, cell, "an END SOLUTION has no BEGIN SOLUTION", _PAIRS)
        if begins:
            count += 1
        is_open = begins
    if is_open:
        raise problem_in(path, cell, "a solution region is not closed", "Add ### END SOLUTION.")
    return count


def as_sentence(error: BaseException) -> str:
    """
    An exception on one line, of bounded length, with a full stop at the end.

    >>> as_sentence(ValueError("not this"))
    'ValueError: not this.'
    """
    text = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".:")
    return text[:_SENTENCE_CHARACTERS] + ("." if len(text) <= _SENTENCE_CHARACTERS else " …")


def line_in(error: BaseException, name: str) -> int | None:
    """The line of a source notebook where an exception was raised; `name` is the file's name."""
    frames = traceback.extract_tb(error.__traceback__)
    return next((frame.lineno for frame in reversed(frames) if Path(frame.filename).name == name), None)
