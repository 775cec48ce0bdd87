"""
Loads an assignment as the grader uses it: the network, the exercises, the instructor's gradients.

Loading runs the instructor's cells in this process: a source notebook is trusted as much as the grader itself.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from grader.assignment.cells import SourceCell, place_of
from grader.assignment.files import Files, in_folder_of
from grader.assignment.misconceptions import Misconception, read_misconceptions
from grader.assignment.settings import ExtraCase, extra_cases, visibility_of
from grader.assignment.source import SourceNotebook, code_lines, line_in, read_source
from grader.calling.exercise import Exercise
from grader.calling.lines import Lines
from grader.errors import SourceError
from grader.model import Limits
from grader.trees import tree_of
from grader.visibility import EVERYTHING, Visibility

__all__ = ["Assignment", "default_inputs", "load_assignment"]


def default_inputs(images: Any, labels: Any, generator: Any) -> dict[str, Any]:  # noqa: ARG001 - nothing here is random
    """`x`: pixels between 0 and 1, one image per row, float32 (N, 784); `y`: labels as numbers, float32 (N, 1)."""
    return {"x": images.reshape(len(images), -1).double().div(255).float(), "y": labels.float()[:, None]}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Assignment:
    """
    One assignment, loaded.

    Attributes:
        forward: `forward(**inputs, **parameters)`; returns every named intermediate and `loss`.
        init_parameters: `init_parameters(generator)`; returns the parameters by name, float32.
        make_inputs: `make_inputs(images, labels, generator)`; returns the inputs by name, of any dtype and shape, from
            images, uint8 (N, 28, 28), labels, int64 (N,), and a torch Generator.
        data: What reports call the data (`name`), and what is in its `rows`; empty for MNIST.
        files: The data that travels with the notebook, which its code reads in the folder where it runs.
        extra_cases: The author's own cases, in addition to those that every assignment has.
        case_inputs: Functions that replace `make_inputs` in an extra case, by the case's name.
        namespace: All that the cells of the network and of the solutions have defined, by name.
        solutions: The instructor's functions, by exercise; empty if autograd is the only reference.
        solution_code: The code of the cells that define the solutions, by exercise.
        misconceptions: Mistakes that the author has named, by exercise.
        revision: Changes with everything that the author changes; `version` changes only with what students get.
        places: Where each exercise is in the source notebook: file, cell and line; and where its settings are, by
            `NAME.SETTING`.
        network: The code of the cells that define the network; students have it, too.
        hidden_seed: The seed of the batches that students do not see.
        learning_rate: Of the training curve.
        hints: How far reports go, from 0 (what was observed) to 3 (every hint).
        counterexample: Whether reports give the smallest numbers on which a function is wrong.
        rows: How many images are in the public batch; the other cases have fewer.
        steps: The number of steps of gradient descent in the training curve.
        visibility: What students see, and when.
    """

    id: str
    title: str
    version: str
    exercises: tuple[Exercise, ...]
    forward: Callable[..., dict[str, Any]]
    init_parameters: Callable[..., dict[str, Any]]
    solutions: Mapping[str, Callable[..., Any]]
    solution_code: Mapping[str, str]
    network: str
    hidden_seed: int
    limits: Limits
    namespace: dict[str, Any] = dataclasses.field(default_factory=dict)
    make_inputs: Callable[..., dict[str, Any]] = default_inputs
    data: Mapping[str, str] = dataclasses.field(default_factory=dict)
    files: Files = dataclasses.field(default_factory=dict, repr=False)
    extra_cases: tuple[ExtraCase, ...] = ()
    case_inputs: Mapping[str, Callable[..., dict[str, Any]]] = dataclasses.field(default_factory=dict)
    misconceptions: Mapping[str, tuple[Misconception, ...]] = dataclasses.field(default_factory=dict)
    revision: str = ""
    places: Mapping[str, str] = dataclasses.field(default_factory=dict)
    autograd: str = "forbid"
    hints: int = 3
    counterexample: bool = True
    learning_rate: float = 0.01
    rows: int = 64
    steps: int = 30
    visibility: Visibility = EVERYTHING

    @property
    def gives_numbers(self) -> bool:
        """Whether a wrong gradient gets a counterexample: it closes the ladder of hints."""
        return self.counterexample and self.hints > 0

    def called(self, exercise: str, setting: str = "") -> str:
        """What messages call an exercise: its name, its assignment, and its place, or that of one of its settings."""
        place = self.places.get(f"{exercise}.{setting}") or self.places.get(exercise)
        return f"{exercise} of {self.id}" + (f" ({place})" if place else "")


def load_assignment(
    path: Path,
    content: bytes | None = None,
    *,
    files: Files | None = None,
    hidden_seed: int | None = None,
    public: bool = False,
) -> Assignment:
    """
    Read a source notebook and run its network and solution cells; or a released notebook, which has no solutions.

    Args:
        path: `solutions/<id>.md`, or `assignments/<id>/<id>.md`.
        content: The file's bytes, if they are known: the file itself may be on another machine.
        files: The data that travels with it, if it is known, likewise.
        hidden_seed: Replaces the seed in the notebook.
        public: Leave out solutions and seed, even if the notebook has them, so that nothing secret is loaded.

    Raises:
        SourceError: The notebook breaks the contract; the message names cell and line.
    """
    path = path.resolve()
    content = path.read_bytes() if content is None else content
    if files is None:
        files = read_source(path, content).files if b"files:" in content else {}
    return _load(path, content, tuple(files.items()), hidden_seed, public)


@functools.lru_cache(maxsize=32)
def _load(
    path: Path, content: bytes, files: tuple[tuple[str, bytes], ...], hidden_seed: int | None, public: bool
) -> Assignment:
    source = read_source(path, content, dict(files))
    solved = () if public or source.is_released else source.exercises
    namespace: dict[str, Any] = {"__name__": f"solutions.{source.id}"}
    with in_folder_of(source.files):
        for cell in (*source.network, *(cell for cell in solved if not cell.is_lines)):
            _run(cell, namespace, source)
    for cell in solved:
        if cell.is_lines:
            lines = [(str(source.path), _moved(tree_of(cell.code), cell))]
            namespace[cell.name] = Lines(lines, tuple(f"d{target}" for target in cell.targets))
    for name in ("forward", "init_parameters"):
        if not callable(namespace.get(name)):
            place = _place_of_untagged(source, name)
            raise SourceError(
                f"{place}: the cell that defines `{name}` is not tagged `network`."
                if place
                else f"{path.name} does not define a function `{name}`.",
                "Define it in a code cell tagged `network`.",
            )
    settings = source.settings
    cases = extra_cases(settings)
    seed = hidden_seed
    if seed is None:
        seed = 0 if public else settings.get("hidden_seed", 0)
    return Assignment(
        id=source.id,
        title=source.title,
        version=source.version,
        exercises=tuple(
            Exercise(
                name=cell.name,
                targets=cell.targets,
                arguments=cell.arguments,
                points=cell.points,
                tolerance=cell.tolerance,
                question=cell.docstring,
                equation=cell.equation,
                shares=cell.shares,
                arrays=cell.arrays or settings.get("arrays", "torch"),
                partial=cell.partial,
                is_squeezable=cell.is_squeezable,
                ignored=cell.ignored,
                is_lines=cell.is_lines,
                is_composed=cell.is_composed,
                is_class=cell.is_class,
            )
            for cell in source.exercises
        ),
        forward=namespace["forward"],
        init_parameters=namespace["init_parameters"],
        data=settings.get("data", {}),
        files=source.files,
        make_inputs=_function(namespace, "make_inputs", source) or default_inputs,
        extra_cases=cases,
        case_inputs={
            case.name: make for case in cases if (make := _function(namespace, f"inputs_{case.name}", source))
        },
        namespace=namespace,
        solutions={cell.name: namespace[cell.name] for cell in solved},
        solution_code={cell.name: cell.code for cell in solved},
        misconceptions=read_misconceptions(source) if solved else {},
        revision=source.revision,
        places=_places(source),
        network="\n\n".join(cell.code for cell in source.network),
        hidden_seed=seed,
        limits=Limits(**settings.get("limits", {})),
        autograd=settings.get("autograd", "forbid"),
        hints=settings.get("hints", 3),
        counterexample=settings.get("counterexample", True),
        learning_rate=float(settings.get("learning_rate", 0.01)),
        rows=settings.get("rows", 64),
        steps=settings.get("steps", 30),
        visibility=visibility_of(settings),
    )


def _places(source: SourceNotebook) -> dict[str, str]:
    places = {cell.name: place_of(source.path, cell) for cell in source.exercises}
    return places | {
        f"{cell.name}.{setting}": place_of(source.path, cell, line)
        for cell in source.exercises
        for setting, line in cell.written.items()
    }


def _moved(tree: ast.Module, cell: SourceCell) -> ast.Module:
    """The tree of a cell, with the lines that it has in the file."""
    return ast.increment_lineno(tree, cell.line - 1) if cell.line else tree


def _place_of_untagged(source: SourceNotebook, name: str) -> str:
    """The place of a cell that defines a function and is not tagged `network`; empty if there is none."""
    definition = re.compile(rf"^def {name}\(", re.MULTILINE)
    lines = code_lines(source.path.read_text(encoding="utf-8"), source.notebook)
    for index, cell in enumerate(source.notebook.cells):
        if cell.cell_type == "code" and definition.search(cell.source):
            return place_of(source.path, SourceCell(index=index, code=cell.source, line=lines.get(index)))
    return ""


def _run(cell: SourceCell, namespace: dict[str, Any], source: SourceNotebook) -> None:
    try:
        tree = _moved(tree_of(cell.code), cell)
        exec(compile(tree, str(source.path), "exec"), namespace)  # noqa: S102 - the instructor's own code
    except Exception as error:
        line = line_in(error, source.path.name)
        if isinstance(error, SyntaxError) and cell.line and error.lineno:
            line = cell.line + error.lineno - 1
        raise SourceError(
            f"{place_of(source.path, cell, line)}: {type(error).__name__}: {getattr(error, 'msg', error)}.",
            "Run the source notebook and fix this cell.",
        ) from error


def _function(namespace: Mapping[str, Any], name: str, source: SourceNotebook) -> Callable[..., dict[str, Any]] | None:
    function: Callable[..., dict[str, Any]] | None = namespace.get(name)
    if function is not None and not callable(function):
        raise SourceError(
            f"In {source.path.name}, `{name}` is not a function.",
            f"Define `{name}(images, labels, generator)` in a cell tagged `network`, or leave it out.",
        )
    return function
