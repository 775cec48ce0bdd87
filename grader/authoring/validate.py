"""
Is an assignment sound?

Three ways to a gradient agree, blanks earn nothing, the solution everything, and its cases tell every realistic mistake
from the right answer; and what it offers as another right way to write an exercise is one.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import nbformat
import torch
from torch.fx import GraphModule, Interpreter, Node
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._python_dispatch import TorchDispatchMode

from grader.assignment.load import Assignment, load_assignment
from grader.assignment.source import SourceNotebook, as_sentence, read_source
from grader.assignment.styles import Style, read_styles
from grader.authoring.misconceptions import problems_of_named
from grader.authoring.release import fill_blanks, release_notebook
from grader.authoring.survivors import Survivor, Why, find_survivors
from grader.diagnosis.mutants import make_mutants
from grader.errors import SourceError
from grader.model import Exercise, Outcome, Report, Submission
from grader.pipeline import grade
from grader.reference.cases import Case, build_cases
from grader.reference.networks import network_at

__all__ = ["ExerciseCheck", "Replay", "Validation", "central_difference", "problems_of_styles", "replays", "validate"]

_DIRECTIONS = 8
_STEP = 1e-6
_CLOSE = 1e-5


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ExerciseCheck:
    """
    One exercise of an assignment.

    Attributes:
        difference: The largest relative error of central differences along random directions, against autograd.
        mutants: How many there are that are not `equivalent` to the solution; `caught` of them are told from it.
        milliseconds: Of the solution, on the public batch, at its quickest.
        kib: What the solution allocates there.
    """

    name: str
    difference: float
    mutants: int
    survivors: tuple[Survivor, ...]
    milliseconds: float
    kib: float

    @property
    def holes(self) -> tuple[Survivor, ...]:
        """Survivors that are real mistakes."""
        return tuple(survivor for survivor in self.survivors if survivor.is_hole)

    @property
    def caught(self) -> int:
        """How many of the mutants are told from the solution."""
        return self.mutants - len(self.holes)

    @property
    def equivalent(self) -> int:
        """How many edits made no mistake."""
        return len(self.survivors) - len(self.holes)

    @property
    def problems(self) -> tuple[str, ...]:
        """What has to be mended, in sentences."""
        found = [f"{self.name}: {_hole(hole)}" for hole in self.holes]
        if self.difference > _CLOSE:
            found.append(
                f"{self.name}: central differences and autograd disagree by {self.difference:.1e} of the gradient. Is "
                "there a kink or a detached tensor in the forward pass?"
            )
        return tuple(found)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """What there is to say about an assignment; it is sound if there are no `problems`."""

    assignment_id: str
    exercises: tuple[ExerciseCheck, ...]
    styles: int
    problems: tuple[str, ...]

    @property
    def survivors(self) -> dict[Why, list[str]]:
        """What was changed in the mutants that no case catches, a line each, by the reason."""
        found: dict[Why, list[str]] = {}
        for exercise in self.exercises:
            for survivor in exercise.survivors:
                found.setdefault(survivor.why, []).append(f"{exercise.name}: {survivor.change}")
        return {why: found[why] for why in Why if why in found}


def validate(path: Path) -> Validation:
    """
    Check an assignment.

    Args:
        path: Its source notebook.

    Raises:
        SolutionError: A solution disagrees with autograd.
        SourceError: The network cannot be evaluated, or there are no solutions to measure with.
    """
    assignment = load_assignment(path)
    if not assignment.solutions:
        raise SourceError(f"{path} has no solutions.", "Validate the source notebook.")
    source = read_source(path)
    styles = read_styles(source)
    cases = build_cases(assignment)  # raises where autograd and a solution disagree
    traced = replays(assignment, cases)
    exercises = tuple(_check(assignment, exercise, cases[exercise.name], traced) for exercise in assignment.exercises)
    problems = [problem for exercise in exercises for problem in exercise.problems]
    problems += problems_of_named(assignment)
    problems += _grades(assignment, source)
    problems += problems_of_styles(assignment, source, styles)
    return Validation(assignment_id=assignment.id, exercises=exercises, styles=len(styles), problems=tuple(problems))


# ---------------------------------------------------------------------------------------------------------- mutants


def _check(
    assignment: Assignment, exercise: Exercise, cases: tuple[Case, ...], traced: Mapping[str, Replay]
) -> ExerciseCheck:
    mutants = make_mutants(assignment.solution_code[exercise.name], exercise.name, cases[0].upstream)
    survivors = find_survivors(assignment, exercise, mutants, cases)
    milliseconds, kib = _cost(assignment, exercise, cases[0])
    return ExerciseCheck(
        name=exercise.name,
        difference=central_difference(exercise, cases, traced),
        mutants=len(mutants) - sum(not survivor.is_hole for survivor in survivors),
        survivors=survivors,
        milliseconds=milliseconds,
        kib=kib,
    )


def _hole(survivor: Survivor) -> str:
    return {
        "drop_mask": f"no case tests the mask `{survivor.site}`: whoever forgets it gets full marks. In the batches "
        "that are drawn, everything passes: does init_parameters draw around zero (randn, not rand)?",
        "flip_sign": f"no case tests a sign (`{survivor.site}`).",
    }.get(survivor.edit, f"no case notices the mistake {survivor.edit.replace('_', ' ')!r} in `{survivor.site}`.")


# ----------------------------------------------------------------------------------------------- central differences


def replays(assignment: Assignment, cases: Mapping[str, tuple[Case, ...]]) -> dict[str, Replay]:
    """The network where each case looks at it, by the case's name."""
    return {name: Replay(assignment, name) for name in {case.name: None for of in cases.values() for case in of}}


def central_difference(exercise: Exercise, cases: tuple[Case, ...], traced: Mapping[str, Replay]) -> float:
    """
    Directional derivatives by central differences in float64, without autograd: (f(t + hv) − f(t − hv)) / 2h.

    The forward pass is traced once, and run again from the target on, up to the tensors whose gradients are given.
    """
    worst = 0.0
    for case in cases:
        for target, expected in zip(exercise.targets, case.expected, strict=True):
            generator = torch.Generator().manual_seed(0)
            scale = float(expected.norm()) or 1.0
            for _ in range(_DIRECTIONS):
                v = torch.randn(expected.shape, generator=generator, dtype=torch.float64)
                right = float((expected * v).sum())
                error = abs(_slope(case, traced[case.name], target, v, _STEP) - right) / scale
                if error > _CLOSE:  # a step over a kink, perhaps: a shorter one says
                    error = min(error, abs(_slope(case, traced[case.name], target, v, _STEP / 100) - right) / scale)
                worst = max(worst, error)
    return worst


def _slope(case: Case, replay: Replay, target: str, v: torch.Tensor, step: float) -> float:
    outputs = [name[1:] for name in case.upstream] or ["loss"]
    cotangents = [case.arguments[name].double() for name in case.upstream] or [torch.ones(())]
    held = {name: replay.network.values[name].detach() for name in outputs}
    at = replay.network.values[target].detach().double()
    step *= max(1.0, float(at.abs().max()))
    above, below = (replay.run({**held, target: at + sign * step * v}, outputs) for sign in (1, -1))
    return sum(
        float((c.reshape(a.shape) * (a - b)).sum() / (2 * step))
        for c, a, b in zip(cotangents, above, below, strict=True)
    )


class Replay:
    """The network where a case looks at it, traced: any named tensor can be given another value."""

    def __init__(self, assignment: Assignment, case: str) -> None:
        self.network = network_at(assignment, case)
        self._given = {**self.network.inputs, **self.network.parameters}
        names = list(self._given)
        made = list(assignment.forward(**self._given))

        def forward(*tensors: torch.Tensor) -> list[torch.Tensor]:
            named = assignment.forward(**dict(zip(names, tensors, strict=True)))
            return [named[name] for name in made]

        try:
            self._graph: GraphModule = make_fx(forward)(*self._given.values())
        except Exception as error:
            raise SourceError(
                f"The forward pass of {assignment.id} cannot be traced: {as_sentence(error)}",
                "It must not depend on the values of tensors (`if tensor > 0`).",
            ) from error
        outputs = next(node for node in self._graph.graph.nodes if node.op == "output").args[0]
        placeholders = [node for node in self._graph.graph.nodes if node.op == "placeholder"]
        self._nodes: dict[str, Node] = dict(zip([*names, *made], [*placeholders, *outputs], strict=True))

    def run(self, replaced: dict[str, torch.Tensor], outputs: list[str]) -> list[torch.Tensor]:
        """What is computed for `outputs` when some tensors, for all that comes after them, are replaced."""
        run = _Run(self._graph, {self._nodes[name]: tensor for name, tensor in replaced.items()})
        with torch.no_grad():
            run.run(*self._given.values())
        return [run.values[self._nodes[name]] for name in outputs]


class _Run(Interpreter):
    """Runs a graph with some of its values replaced for what comes after, and keeps what was computed."""

    def __init__(self, graph: GraphModule, replaced: Mapping[Node, torch.Tensor]) -> None:
        super().__init__(graph)
        self._replaced = replaced
        self.values: dict[Node, torch.Tensor] = {}

    def run_node(self, n: Node) -> torch.Tensor:
        self.values[n] = super().run_node(n)  # also where it is replaced: a placeholder takes its turn
        return self._replaced.get(n, self.values[n])


# ------------------------------------------------------------------------------------------------------ what it costs


class _Allocated(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of new tensors."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        given = {a.untyped_storage().data_ptr() for a in args if isinstance(a, torch.Tensor)}
        if isinstance(result, torch.Tensor) and result.untyped_storage().data_ptr() not in given:
            self.bytes += result.untyped_storage().nbytes()
        return result


def _cost(assignment: Assignment, exercise: Exercise, case: Case) -> tuple[float, float]:
    function = assignment.solutions[exercise.name]
    seconds = []
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in a grading
    for _ in range(5):
        copies = {name: a.clone() for name, a in case.arguments.items()}
        started = time.perf_counter()
        function(**copies)
        seconds.append(time.perf_counter() - started)
    torch.set_num_threads(threads)
    with _Allocated() as allocated:
        function(**{name: a.clone() for name, a in case.arguments.items()})
    return 1000 * min(seconds), allocated.bytes / 1024


# ------------------------------------------------------------------------------------------------------------ grading


def _grades(assignment: Assignment, source: SourceNotebook) -> Iterator[str]:
    """The released blanks and the solution, graded as submissions are."""
    released = release_notebook(source)
    blank = _graded(assignment, released)
    if blank.score or any(exercise.outcome is not Outcome.BLANK for exercise in blank.exercises):
        yield f"The released blanks score {blank.score:g} points, instead of being told from answers."
    answers = "\n".join(f"# %%\n{text}" for text in assignment.solution_code.values())
    solved = _graded(assignment, fill_blanks(released, answers))
    if solved.notebook.first_error is not None:
        yield (
            f"With the solution in it, the students' notebook does not run through: {solved.notebook.first_error}. "
            "Run the source notebook from its first cell on."
        )
    for exercise in solved.exercises:
        if exercise.outcome is not Outcome.MATCH:
            yield f"The solution does not get full marks from the grader: {exercise.message}"


def problems_of_styles(assignment: Assignment, source: SourceNotebook, styles: Sequence[Style]) -> Iterator[str]:
    """Each style in the solution's place, graded as a submission is; those of different exercises at once."""
    waiting = list(styles)
    while waiting:
        now = {style.exercise: style for style in reversed(waiting)}
        waiting = [style for style in waiting if style is not now[style.exercise]]
        code = {**assignment.solution_code, **{name: style.code for name, style in now.items()}}
        answers = "\n".join(f"# %%\n{text}" for text in code.values())
        for result in _graded(assignment, fill_blanks(release_notebook(source), answers)).exercises:
            if result.name in now and result.outcome is not Outcome.MATCH:
                yield (
                    f"{result.name}: the style {now[result.name].name} does not get full marks from the grader: "
                    f"{result.message}"
                )


def _graded(assignment: Assignment, notebook: nbformat.NotebookNode) -> Report:
    content = nbformat.writes(notebook).encode()
    return grade(Submission.of(content, name=f"{assignment.id}.ipynb", student=assignment.id), assignment)
