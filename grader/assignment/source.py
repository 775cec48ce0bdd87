"""
Reads a source notebook, `solutions/<id>.md`: a file in, plain data out. It executes nothing.

A source is a jupytext MyST notebook. Code cells tagged `network` are run by the grader too: imports, `forward`,
`init_parameters`, and `make_inputs` if there is one. Code cells tagged `exercise` hold one function each, with a
docstring and one solution region between `### BEGIN SOLUTION` and `### END SOLUTION`. Code cells tagged `misconception`
are mistakes that the author knows (`grader.assignment.misconceptions`), those tagged `style` other right ways to write
an exercise (`grader.assignment.styles`): they never leave this file.

What `grader release` makes of it, `<id>/<id>.md`, can be read in its place: everything is there but the solutions.
"""

from __future__ import annotations

import ast
import dataclasses
import difflib
import hashlib
import re
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jupytext
from nbformat import NotebookNode

from grader.assignment.settings import EXERCISE, NOTEBOOK, check_settings
from grader.errors import SourceError
from grader.notebook.lines import first_lines

__all__ = [
    "KEPT_BACK",
    "REGION",
    "ExerciseCell",
    "SourceCell",
    "SourceNotebook",
    "as_sentence",
    "code_lines",
    "find_sources",
    "line_in",
    "place_of",
    "read_source",
    "source_version",
    "without_kept_back",
]

REGION = re.compile(r"^\s*#+\s*(BEGIN|END) SOLUTION\b")
"""A delimiter of a solution region, in the spelling of nbgrader or of otter."""

KEPT_BACK = ("misconception", "style")
"""The tags of cells that students never get."""

TAGS = ("network", "exercise", *KEPT_BACK)
_SENTENCE_CHARACTERS = 300
_CELL = re.compile(r"^```\{code-cell\}.*?^```\n\n?", re.MULTILINE | re.DOTALL)
_TAGGED = re.compile(r"^:?tags:(?: *\[[^\]]*|(?:\n *- .*)*\n *- )\b(?:misconception|style)\b", re.MULTILINE)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SourceCell:
    """A code cell: its `index` in the notebook, and the `line` of the file where its code begins."""

    index: int
    code: str
    line: int | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ExerciseCell(SourceCell):
    """A cell with one exercise in it; the fields are those of `grader.model.Exercise`."""

    name: str
    targets: tuple[str, ...]
    arguments: tuple[str, ...]
    points: float
    tolerance: float
    docstring: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SourceNotebook:
    """
    An assignment as its author wrote it.

    Attributes:
        version: A hash of the text without what is kept back. Students' notebooks bear it too, and a mistake can be
            named after they have been handed out.
        revision: A hash of the whole text; of a released one, its version.
        settings: The notebook's `grader` metadata, but for id and title.
        is_released: It was made from the source for students, and has no solutions.
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


def find_sources(directory: Path) -> dict[str, Path]:
    """The source notebooks of a folder by id, sorted; of released ones, each is in a folder of its own."""
    released = (path for path in directory.glob("*/*.md") if path.stem == path.parent.name)
    return {path.stem: path for path in sorted([*released, *directory.glob("*.md")]) if _is_source(path)}


def source_version(text: str) -> str:
    """The version of a source: the first 12 hexadecimal digits of its SHA-256, with line ends of one kind."""
    return hashlib.sha256(text.replace("\r\n", "\n").encode()).hexdigest()[:12]


def read_source(path: Path, content: bytes | None = None) -> SourceNotebook:
    """
    Read and check a source notebook.

    Args:
        content: The file's bytes, where they are at hand; nothing is read then.

    Raises:
        SourceError: It breaks the contract; the message names file, cell and line.
    """
    try:
        text = (path.read_bytes() if content is None else content).decode("utf-8").replace("\r\n", "\n")
        notebook = jupytext.reads(text, fmt="md:myst")
    except OSError as error:
        raise SourceError(f"{path} cannot be read ({error.strerror}).", "Check the path.") from error
    except Exception as error:
        mark = getattr(error, "problem_mark", None)  # of YAML's; the header's first line is not among those it counts
        line = f", line {mark.line + 2}" if mark is not None else ""
        raise SourceError(
            f"{path.name}{line}: it is no MyST notebook. {as_sentence(error)}",
            "In YAML, brackets and quotes are closed, and a text with a colon in it is quoted.",
        ) from error

    def where(name: str) -> str:
        lines = text[: text.find("\n---", 3)].split("\n")
        found = [number for number, line in enumerate(lines, start=1) if line.strip().startswith(f"{name}:")]
        return f"{path.name}, line {found[-1]}" if found else path.name

    given = notebook.metadata.get("grader", {})
    version = given.get("version") if isinstance(given, dict) else None
    if version is not None:
        given = {name: value for name, value in given.items() if name != "version"}
    settings = dict(check_settings(given, NOTEBOOK, where))
    assignment_id = settings.pop("assignment", path.stem)
    if assignment_id != path.stem:
        raise SourceError(f"{path.name} says that it is {assignment_id!r}.", "File name and metadata must agree.")
    misconceptions, styles = (_kept_back(path, text, notebook, tag) for tag in KEPT_BACK)
    network, exercises = _cells(path, text, notebook, regions=0 if version else 1)
    if version and (misconceptions or styles):
        place = place_of(path, (*misconceptions, *styles)[0])
        raise SourceError(f"{place}: students are not to read this cell.", "Release the source notebook again.")
    return SourceNotebook(
        id=path.stem,
        title=str(settings.pop("title", path.stem)),
        path=path,
        version=str(version) if version else source_version(without_kept_back(text)),
        notebook=notebook,
        settings=settings,
        network=tuple(network),
        exercises=tuple(exercises),
        misconceptions=misconceptions,
        styles=styles,
        revision=str(version) if version else source_version(text),
        is_released=bool(version),
    )


def without_kept_back(text: str) -> str:
    r"""
    The text of a source without the cells that students never get.

    >>> cell = "```{code-cell}\n:tags: [%s]\n\n1\n```\n"
    >>> without_kept_back(cell % "exercise" + "\n" + cell % "misconception") == cell % "exercise"
    True
    """
    text = text.replace("\r\n", "\n")
    kept = _CELL.sub(lambda cell: "" if _TAGGED.search(cell.group()) else cell.group(), text)
    return kept if kept == text else kept.rstrip("\n") + "\n"


def _is_source(path: Path) -> bool:
    with path.open(encoding="utf-8", errors="replace") as file:
        head = file.read(4096)
    return head.startswith("---") and "jupytext" in head


def _cells(
    path: Path, text: str, notebook: NotebookNode, *, regions: int
) -> tuple[list[SourceCell], list[ExerciseCell]]:
    """The cells of the network, and the exercises, each of which has so many solution regions."""
    network: list[SourceCell] = []
    exercises: list[ExerciseCell] = []
    lines = code_lines(text, notebook)
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type != "code":
            continue
        here = SourceCell(index=index, code=cell.source, line=lines.get(index))
        tags = _tags(path, here, cell)
        found = _check_regions(path, here)
        if "network" in tags:
            if found:
                raise _error(path, here, "a network cell has a solution region", "Students need the network whole.")
            network.append(here)
        if "exercise" in tags:
            exercise = _exercise(path, here, cell.metadata.get("grader", {}))
            if found != regions:
                hint = "Mark exactly one." if regions else "A notebook for students has none: release it again."
                raise _error(path, here, f"{exercise.name} has {found} solution regions", hint)
            if any(other.name == exercise.name for other in exercises):
                raise _error(path, here, f"a second exercise is called {exercise.name}", "Rename one of them.")
            exercises.append(exercise)
    if not exercises:
        raise SourceError(f"{path.name} has no exercise.", "Tag a code cell with `exercise`.")
    return network, exercises


def _kept_back(path: Path, text: str, notebook: NotebookNode, tag: str) -> tuple[SourceCell, ...]:
    """The cells with a tag that keeps them back; none of them has another tag of ours."""
    lines = code_lines(text, notebook)
    found = []
    for index, cell in enumerate(notebook.cells):
        tags = cell.metadata.get("tags", [])
        if cell.cell_type == "code" and tag in tags:
            found.append(SourceCell(index=index, code=cell.source, line=lines.get(index)))
            if any(other in tags for other in TAGS if other != tag):
                raise _error(path, found[-1], f"a {tag} is tagged as more than that", "Give it a cell of its own.")
    return tuple(found)


def _tags(path: Path, here: SourceCell, cell: NotebookNode) -> list[str]:
    """A cell's tags, none of them misspelt; and its settings are where they belong."""
    tags = list(map(str, cell.metadata.get("tags", [])))
    for tag in tags:
        near = difflib.get_close_matches(tag, TAGS, n=1, cutoff=0.75)
        if near and tag not in TAGS:
            raise _error(path, here, f"there is no tag `{tag}`", f"Is it {near[0]}?")
    for name in cell.metadata if "exercise" in tags else ():
        if name in EXERCISE:
            raise _error(path, here, f"`{name}` stands beside `grader`", f"Write `grader: {{{name}: …}}`.")
    return tags


def code_lines(text: str, notebook: NotebookNode) -> dict[int, int]:
    """For each code cell of a source notebook, by its index, the line of the file where its code begins."""
    cells = ((index, cell.source) for index, cell in enumerate(notebook.cells) if cell.cell_type == "code")
    return first_lines(text, cells)


def _check_regions(path: Path, cell: SourceCell) -> int:
    """How many solution regions a cell has."""
    count, is_open = 0, False
    for _, kind in _delimiters(cell.code):
        if (kind == "BEGIN") is is_open:
            problem = "begins within another one" if is_open else "ends that did not begin"
            raise _error(path, cell, f"a solution region {problem}", "Each BEGIN SOLUTION needs its own END SOLUTION.")
        is_open = not is_open
        count += kind == "BEGIN"
    if is_open:
        raise _error(path, cell, "a solution region is not closed", "Add ### END SOLUTION.")
    return count


def _delimiters(code: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(code.split("\n")):
        if match := REGION.match(line):
            yield number, match.group(1)


def _exercise(path: Path, cell: SourceCell, settings: Mapping[str, Any]) -> ExerciseCell:
    try:
        tree = ast.parse(cell.code)
    except SyntaxError as error:
        line = cell.line + error.lineno - 1 if cell.line and error.lineno else None
        raise _error(path, cell, f"it is not Python ({error.msg})", "Mend that line.", line=line) from error
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    if len(functions) != 1:
        raise _error(path, cell, f"an exercise cell holds {len(functions)} functions", "Give each a cell of its own.")
    function = functions[0]
    docstring = ast.get_docstring(function)
    if not docstring:
        raise _error(path, cell, f"{function.name} has no docstring", "Say what is asked, and the shapes.")
    settings = check_settings(settings, EXERCISE, lambda _: f"{place_of(path, cell)}, {function.name}")
    targets = settings.get("targets") or [function.name.removeprefix("grad_")]
    if "targets" not in settings and not function.name.startswith("grad_"):
        raise _error(path, cell, f"{function.name} names no target", "Call it grad_<target>, or give `targets`.")
    return ExerciseCell(
        index=cell.index,
        code=cell.code,
        line=cell.line,
        name=function.name,
        targets=tuple(map(str, targets)),
        arguments=tuple(argument.arg for argument in function.args.args),
        points=float(settings.get("points", 1)),
        tolerance=float(settings.get("tolerance", 1)),
        docstring=docstring,
    )


def place_of(path: Path, cell: SourceCell, line: int | None = None) -> str:
    """Where a cell stands, `file.md, cell 3, line 40`: its first line, unless another one is named."""
    line = line or cell.line
    return f"{path.name}, cell {cell.index + 1}" + (f", line {line}" if line else "")


def as_sentence(error: BaseException) -> str:
    """
    An exception on one line, of bounded length, with a full stop at the end.

    >>> as_sentence(ValueError("not this"))
    'ValueError: not this.'
    """
    text = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".:")
    return text[:_SENTENCE_CHARACTERS] + ("." if len(text) <= _SENTENCE_CHARACTERS else " …")


def line_in(error: BaseException, name: str) -> int | None:
    """The line of a source notebook at which an exception came out of its cells; `name` is the file's."""
    frames = traceback.extract_tb(error.__traceback__)
    return next((frame.lineno for frame in reversed(frames) if Path(frame.filename).name == name), None)


def _error(path: Path, cell: SourceCell, problem: str, hint: str, *, line: int | None = None) -> SourceError:
    return SourceError(f"{place_of(path, cell, line)}: {problem}.", hint)
