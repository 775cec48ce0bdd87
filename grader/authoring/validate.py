"""
Checks whether an assignment is sound.

It is sound if autograd, the solution and central differences agree; if blanks earn nothing, and the solution and every
style earn all points; and if the cases catch every realistic mistake and every misconception can be recognised.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from grader.assignment.cells import ExerciseCell, regions_in
from grader.assignment.load import Assignment, load_assignment
from grader.assignment.source import SourceNotebook, read_source
from grader.assignment.styles import read_styles
from grader.authoring.differences import CLOSE, Traced, central_difference
from grader.authoring.exposed import exposed, refuse_stubs, unfinished
from grader.authoring.holes import describe_hole, line_of
from grader.authoring.misconceptions import problems_of_misconceptions
from grader.authoring.regions import describe_ungraded, ungraded_regions
from grader.authoring.submissions import problems_of_submissions
from grader.authoring.survivors import Survivor, Why, find_survivors
from grader.calling.exercise import Exercise
from grader.calling.nested import with_tensors
from grader.diagnosis.bank import mutants_of
from grader.errors import SourceError
from grader.modes import ordinary
from grader.reference.answers import answer_of
from grader.reference.cases import Case, build_cases
from grader.reference.chain import build_chain

__all__ = ["ExerciseCheck", "Known", "Validation", "validate"]

_TIMED_CALLS = 5

Tell = Callable[[str, int, int], None]
"""Is told what is checked next, how many steps are done, and how many there are."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ExerciseCheck:
    """
    The result of checking one exercise.

    Attributes:
        difference: The largest error of autograd's gradients against central differences, relative to the gradient.
        mutants: The number of mutants that are not equivalent to the solution.
        survivors: The mutants that no case catches: those that are equivalent, and holes.
        milliseconds: The shortest time of the solution on the public batch.
        kib: The memory that the solution allocates there.
        described: What no case tests, and what to change, a sentence or two for each hole.
        given: How many mutants of code that students are given, or that is not graded, were left out.
    """

    name: str
    difference: float
    mutants: int
    survivors: tuple[Survivor, ...]
    milliseconds: float
    kib: float
    described: tuple[str, ...] = ()
    given: int = 0

    @property
    def holes(self) -> tuple[Survivor, ...]:
        """Survivors that are real mistakes."""
        return tuple(survivor for survivor in self.survivors if survivor.is_hole)

    @property
    def problems(self) -> tuple[str, ...]:
        """What the author has to fix, a sentence or two each."""
        problems = [f"{self.name}: {sentence}" for sentence in self.described]
        if not self.difference <= CLOSE:
            problems.append(
                f"{self.name}: central differences and autograd disagree by {self.difference:.1e} of the gradient. Is "
                "there a kink or a detached tensor in the forward pass?"
            )
        return tuple(problems)

    @property
    def caught(self) -> int:
        """The number of mutants that the cases catch."""
        return self.mutants - len(self.holes)

    @property
    def equivalent(self) -> int:
        """The number of survivors that are equivalent to the solution."""
        return len(self.survivors) - len(self.holes)


@dataclasses.dataclass(frozen=True, slots=True)
class Known:
    """The results of checks, by a hash of all that they depend on: of exercises, and of notebooks that were graded."""

    exercises: dict[str, ExerciseCheck] = dataclasses.field(default_factory=dict)
    submissions: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """
    The result of checking an assignment: it is sound if there are no `problems`. `styles` counts its styles.

    `given` are the gradients in the whole backward pass that come from autograd, because no exercise asks for them.
    """

    assignment_id: str
    exercises: tuple[ExerciseCheck, ...]
    styles: int
    problems: tuple[str, ...]
    given: tuple[str, ...] = ()

    @property
    def survivors(self) -> dict[Why, list[str]]:
        """The mutants that no case catches, by the reason: a line each that shows what was changed."""
        changes: dict[Why, list[str]] = {why: [] for why in Why}
        for exercise in self.exercises:
            for survivor in exercise.survivors:
                changes[survivor.why].append(f"{exercise.name}: {survivor.change}")
        return {why: lines for why, lines in changes.items() if lines}


@ordinary()
def validate(path: Path, *, tell: Tell = lambda *_: None, known: Known | None = None) -> Validation:
    """
    Check an assignment. Like a grading, it computes with one thread, which is several times faster here.

    Submissions are graded in other threads, since that waits for other processes most of the time.

    Args:
        path: Its source notebook.
        tell: Called with what is checked next, how much is done, and how much there is to do.
        known: What earlier calls have found out; results that cannot have changed are taken from it, and new ones are
            put into it.

    Raises:
        SolutionError: A solution disagrees with autograd.
        SourceError: The network cannot be evaluated, or the notebook has no solutions.
    """
    assignment = load_assignment(path)
    if not assignment.solutions:
        raise SourceError(f"{path} has no solutions.", "Validate the source notebook.")
    source = read_source(path)
    refuse_stubs(source)
    styles = read_styles(source)
    known = Known() if known is None else known
    total = len(assignment.exercises) + 1
    tell("autograd and the solutions", 0, total)
    cases = build_cases(assignment)  # raises if autograd and a solution disagree
    traced = Traced(assignment)
    exercises = []
    with concurrent.futures.ThreadPoolExecutor(1) as aside:
        grading = aside.submit(problems_of_submissions, assignment, source, styles, known.submissions)
        for number, exercise in enumerate(assignment.exercises):
            tell(exercise.name, number, total)
            key = _key(assignment, exercise, source)
            if key not in known.exercises:
                known.exercises[key] = _check(assignment, exercise, cases[exercise.name], traced, source)
            exercises.append(known.exercises[key])
        tell("misconceptions", total - 1, total)
        misconceptions = tuple(problems_of_misconceptions(assignment))
        tell("the blanks, the solutions and the styles, as students hand them in", total - 1, total)
        of_submissions = grading.result()
    tell("", total, total)
    problems = [
        *unfinished(source),
        *exposed(source),
        *(problem for exercise in exercises for problem in exercise.problems),
        *misconceptions,
        *of_submissions,
    ]
    chain = build_chain(assignment)
    return Validation(
        assignment_id=assignment.id,
        exercises=tuple(exercises),
        styles=len(styles),
        problems=tuple(problems),
        given=chain.given if chain.returned else (),
    )


def _key(assignment: Assignment, exercise: Exercise, source: SourceNotebook) -> str:
    """A hash of what the check of one exercise depends on: the code that it may run, and the settings."""
    settings = {name: repr(value) for name, value in source.settings.items()}
    needed, waiting = dict[str, str](), [exercise.name]
    while waiting:
        name = waiting.pop()
        needed[name] = assignment.solution_code[name]
        waiting += [other for other in assignment.solution_code.keys() - needed if other in needed[name]]
    parts = [assignment.network, needed, settings, assignment.hidden_seed, repr(exercise)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


# ------------------------------------------------------------------------------------------------------ one exercise


def _check(
    assignment: Assignment, exercise: Exercise, cases: tuple[Case, ...], traced: Traced, source: SourceNotebook
) -> ExerciseCheck:
    cell = _cell(exercise, source)
    ungraded = ungraded_regions(assignment, exercise, cases[-1], cell)
    written = frozenset[int]().union(*regions_in(cell.code)).difference(*ungraded)
    every = mutants_of(assignment, exercise, cases[0])
    mutants = [mutant for mutant in every if not mutant.line or mutant.line in written]
    survivors = find_survivors(assignment, exercise, mutants, cases)
    equivalent = [survivor for survivor in survivors if not survivor.is_hole]
    milliseconds, kib = _cost(assignment, exercise, cases[0])
    difference = central_difference(exercise, cases, traced)
    described = [describe_hole(hole, cases, line=_line(hole, exercise, source)) for hole in survivors if hole.is_hole]
    described += [describe_ungraded(lines, cell) for lines in ungraded]
    return ExerciseCheck(
        name=exercise.name,
        difference=difference,
        mutants=len(mutants) - len(equivalent),
        given=len(every) - len(mutants),
        survivors=survivors,
        milliseconds=milliseconds,
        kib=kib,
        described=tuple(described),
    )


def _line(hole: Survivor, exercise: Exercise, source: SourceNotebook) -> int | None:
    """The line of the source notebook where a mistake was made that no case catches."""
    cell = _cell(exercise, source)
    line = line_of(hole, cell.code, exercise.name)
    return cell.line + line - 1 if line and cell.line else None


def _cell(exercise: Exercise, source: SourceNotebook) -> ExerciseCell:
    return next(cell for cell in source.exercises if cell.name == exercise.name)


def _cost(assignment: Assignment, exercise: Exercise, case: Case) -> tuple[float, float]:
    """The shortest time of a solution on a case, in milliseconds, and the memory that it allocates, in KiB."""
    seconds = []
    for _ in range(_TIMED_CALLS):
        copies = with_tensors(case.arguments, torch.Tensor.clone)
        started = time.perf_counter()
        answer_of(exercise, assignment.namespace, copies)
        seconds.append(time.perf_counter() - started)
    with _Allocated() as allocated:
        answer_of(exercise, assignment.namespace, with_tensors(case.arguments, torch.Tensor.clone))
    return 1000 * min(seconds), allocated.bytes / 1024


class _Allocated(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of new tensors."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bytes = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # to skip dynamo, torch would import it first, which takes a second

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        existing = {argument.untyped_storage().data_ptr() for argument in args if isinstance(argument, torch.Tensor)}
        if isinstance(result, torch.Tensor) and result.untyped_storage().data_ptr() not in existing:
            self.bytes += result.untyped_storage().nbytes()
        return result
