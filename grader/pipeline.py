"""
One submission in, one report out: the only place where reading, executing, comparing and judging meet.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import dataclasses
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from nbformat import NotebookNode

from grader.assignment.load import Assignment, find_assignment
from grader.assignment.source import find_sources, read_source
from grader.diagnosis.diagnose import diagnose
from grader.diagnosis.fingerprint import fingerprint
from grader.errors import GraderError, GraderFault, UsageError
from grader.execution.calls import CHAIN, call_request, chain_request, read_call
from grader.execution.execute import Answer, Execution, Request, execute
from grader.execution.rebinding import confirm, rebind_key, rebind_request
from grader.judge import judge_chain, judge_exercise, unread_exercise
from grader.model import Exercise, ExerciseResult, Flag, NotebookSummary, Outcome, Report, Submission
from grader.notebook.functions import StaticLook, look
from grader.notebook.read import Unreadable, code_cells, read_notebook
from grader.notebook.scope import Scope
from grader.reference.cases import Case, ChainCase, build_cases, build_chain
from grader.reference.networks import one_thread
from grader.sandbox import Level

__all__ = ["REPORT_IT", "as_fault", "choose_assignment", "fault_report", "grade", "grade_or_fault"]

REPORT_IT = "Run it again with --debug and report that."

T = TypeVar("T")


def grade(
    submission: Submission,
    assignment: Assignment,
    *,
    require: Level = Level.NONE,
    meanwhile: Callable[[], object] = lambda: None,
    known: Execution | None = None,
    keep: Callable[[Execution], None] | None = None,
) -> Report:
    """
    Grade one submission.

    Args:
        require: The sandbox without which nothing is executed.
        meanwhile: Something else to do, in another thread, while the notebook runs.
        known: How this notebook ran before, when it was asked the same: then it is judged by that, and not executed.
        keep: Is given how it ran, if it was executed.

    Raises:
        SolutionError: The assignment's own solution disagrees with autograd.
        SandboxError: No kernel could be started, or none with the sandbox that is required.
    """
    notebook = read_notebook(submission)
    if isinstance(notebook, Unreadable):
        return _unread(submission, assignment, notebook.problem)
    marked = notebook.metadata["grader"].get("assignment")
    if marked is not None and marked != assignment.id:
        return _unread(
            submission,
            assignment,
            f"This notebook belongs to the assignment {marked[:80]!r}; here {assignment.id!r} is graded.",
            cells=sum(1 for _ in code_cells(notebook)),
        )
    names = [exercise.name for exercise in assignment.exercises]
    if known is not None:
        return _judge(submission, assignment, notebook, look(notebook, names), known)

    # The kernel takes a while to start, time enough to get ready for it; and a while to end, time enough to judge.
    with concurrent.futures.ThreadPoolExecutor(1) as aside:
        building = aside.submit(lambda: (build_cases(assignment), build_chain(assignment)))
        looking = aside.submit(look, notebook, names)
        aside.submit(meanwhile)

        def requests(answers: Mapping[str, Answer]) -> Iterator[Request]:
            yield from _requests(assignment, looking.result(), *building.result(), answers)

        async def execute_and_judge() -> Report:
            async with execute(notebook, requests, assignment.limits, require=require) as execution:
                if keep is not None:
                    keep(execution)
                return _judge(submission, assignment, notebook, looking.result(), execution)

        return _run(execute_and_judge())


def choose_assignment(submission: Submission, directory: Path, assignment_id: str | None) -> Path:
    """
    The source notebook to grade a submission by.

    It is the one that was named, else the one that the notebook names, else the one whose functions it defines most of,
    if there is just one.

    Raises:
        UsageError: There is no such assignment, or nothing says which one it is.
    """
    if assignment_id is not None:
        return find_assignment(assignment_id, directory)
    sources = find_sources(directory)
    notebook = read_notebook(submission)
    if isinstance(notebook, Unreadable):
        if len(sources) == 1:
            return next(iter(sources.values()))
        raise UsageError(f"{submission.name}: {notebook.problem}", "Name the assignment with -a to get a report.")
    marked = notebook.metadata["grader"].get("assignment")
    if marked is not None:
        return find_assignment(marked, directory)
    defined = look(notebook).definitions.keys()
    shared = {path: len(defined & {e.name for e in read_source(path).exercises}) for path in sources.values()}
    best = [path for path in shared if shared[path] == max(shared.values())]
    if len(best) != 1:
        raise UsageError(f"Nothing in {submission.name} says which assignment it is.", "Name it with -a.")
    return best[0]


def grade_or_fault(submission: Submission, assignment: Assignment, **options: Any) -> tuple[Report, GraderError | None]:
    """As `grade`. Where the grader fails there is a report too, which decides nothing, and what happened."""
    try:
        return grade(submission, assignment, **options), None
    except Exception as error:
        fault = as_fault(error)
        return fault_report(submission, assignment, fault), fault


def as_fault(error: Exception) -> GraderError:
    """What the grader itself failed at, in a sentence."""
    if isinstance(error, GraderError):
        return error
    fault = GraderFault(f"It failed itself ({error!r}).", REPORT_IT)
    fault.__cause__ = error
    return fault


def fault_report(submission: Submission, assignment: Assignment, fault: GraderError) -> Report:
    """The report where the grader itself failed: nothing was decided, and nothing costs a point."""
    return Report(
        assignment_id=assignment.id,
        assignment_title=assignment.title,
        assignment_version=assignment.version,
        submission=submission,
        exercises=tuple(
            ExerciseResult(
                name=exercise.name,
                outcome=Outcome.GRADER_ERROR,
                points=0.0,
                max_points=exercise.points,
                arguments=exercise.arguments,
                targets=exercise.targets,
                message=f"{exercise.name} could not be graded. This is not your fault: tell your instructor.",
                question=exercise.question,
            )
            for exercise in assignment.exercises
        ),
        notebook=NotebookSummary(cells=0, executed=0),
        notes=(str(fault),),
    )


def _unread(submission: Submission, assignment: Assignment, problem: str, *, cells: int = 0) -> Report:
    return Report(
        assignment_id=assignment.id,
        assignment_title=assignment.title,
        assignment_version=assignment.version,
        submission=submission,
        exercises=tuple(unread_exercise(exercise, problem) for exercise in assignment.exercises),
        notebook=NotebookSummary(cells=cells, executed=0, problem=problem),
    )


def _requests(
    assignment: Assignment,
    statically: StaticLook,
    cases: Mapping[str, tuple[Case, ...]],
    chain: ChainCase,
    answers: Mapping[str, Answer],
) -> Iterator[Request]:
    """
    All that a notebook is asked: functions on public cases, those that are safe in one backward pass, on hidden cases.

    In this order, a function that remembers what it was given has nothing to tell where students see every number.
    What is asked with variables changed comes last of all, when nothing that counts is left to be answered.
    """
    limits = assignment.limits
    for exercise in assignment.exercises:
        seen = [case for case in cases[exercise.name] if case.public]
        yield call_request(exercise, seen, limits, autograd=assignment.autograd)
    safe = [e for e in assignment.exercises if answers[e.name].status == "done"]
    yield chain_request(assignment, safe, chain, limits)
    for exercise in safe:
        hidden = [case for case in cases[exercise.name] if not case.public]
        yield call_request(exercise, hidden, limits, autograd=assignment.autograd)
    for exercise in safe:
        yield from rebind_request(assignment, exercise, cases[exercise.name], _scope(statically, exercise))


def _scope(statically: StaticLook, exercise: Exercise) -> Scope:
    last = statically.last(exercise.name)
    return last.scope if last is not None else Scope()


@one_thread()
def _judge(
    submission: Submission, assignment: Assignment, notebook: NotebookNode, statically: StaticLook, execution: Execution
) -> Report:
    """The report, from the source and from how it ran. Nothing else is looked at, and nothing is executed."""
    started = time.perf_counter()
    cases = build_cases(assignment)
    results, flags = [], list[Flag]()
    for exercise in assignment.exercises:
        answer = execution.answers[exercise.name]
        returned = read_call(cases[exercise.name], answer, notebook)
        result, found = judge_exercise(exercise, statically, execution, answer, returned, autograd=assignment.autograd)
        again = execution.answers.get(rebind_key(exercise))
        scope = confirm(assignment, _scope(statically, exercise), returned, again, notebook)
        results.append(
            dataclasses.replace(
                result,
                diagnoses=diagnose(assignment, exercise, result.outcome, returned, scope),
                fingerprint=fingerprint(exercise, result.outcome, returned),
            )
        )
        flags.extend(found)
    outcomes = {result.name: result.outcome for result in results}
    return Report(
        assignment_id=assignment.id,
        assignment_title=assignment.title,
        assignment_version=assignment.version,
        submission=submission,
        exercises=tuple(results),
        notebook=_summary(notebook, execution),
        flags=tuple(flags),
        chain=judge_chain(assignment, build_chain(assignment), execution.answers[CHAIN], outcomes),
        sandbox_layers=execution.layers,
        notes=_notes(notebook, assignment),
        seconds=execution.seconds + time.perf_counter() - started,
    )


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end, also for a caller that has an event loop already: a notebook, a server."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def _summary(notebook: NotebookNode, execution: Execution) -> NotebookSummary:
    first = None
    for number in sorted(execution.errors)[:1]:
        error = execution.errors[number]
        first = f"In [{number}]: {error.type}: {error.message}".strip().removesuffix(":")
    if execution.stopped and first is None:
        first = execution.stopped
    return NotebookSummary(cells=sum(1 for _ in code_cells(notebook)), executed=execution.executed, first_error=first)


def _notes(notebook: NotebookNode, assignment: Assignment) -> tuple[str, ...]:
    notes = []
    version = notebook.metadata["grader"].get("version")
    if version is not None and version != assignment.version:
        notes.append(
            f"The notebook was made for another version of the assignment ({version[:20]}); "
            f"it was graded by version {assignment.version}."
        )
    if not assignment.solutions:
        notes.append("Graded by autograd alone, without a solution.")
    return tuple(notes)
