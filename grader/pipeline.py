"""
Grades one submission: reads it, executes it, judges it and makes a report.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from grader.assignment.find import find_assignment, find_sources
from grader.assignment.load import Assignment
from grader.assignment.source import read_source
from grader.chain import judge_chain
from grader.diagnosis.composed import composed
from grader.errors import GraderError, UsageError, as_fault
from grader.execution.asking import CHAIN
from grader.execution.calls import place_in
from grader.execution.channel import Reply, Request
from grader.execution.conducting import read_alone, start_conductor
from grader.execution.questions import questions_of
from grader.execution.record import Attempt, Execution, Found
from grader.execution.requests import most_requests, requests_for
from grader.model import ExerciseResult, NotebookSummary, Outcome, Report, Submission
from grader.modes import ordinary
from grader.notebook.advice import advice_on
from grader.notebook.functions import Definition, FunctionIndex, Place
from grader.notebook.read import Notebook, Unreadable
from grader.reference.cases import build_cases
from grader.reference.chain import build_chain
from grader.reference.practice import build_practice
from grader.sandbox import Level
from grader.verdict import report_of, verdict_on

__all__ = ["choose_assignment", "fault_report", "grade", "grade_or_fault", "judge"]

_NOT_ASKED = Reply(status="done")


@ordinary()
def grade(
    submission: Submission,
    assignment: Assignment,
    *,
    require: Level = Level.NONE,
    secrets: Sequence[Path] = (),
    meanwhile: Callable[[], object] = lambda: None,
    known: Attempt | None = None,
    keep: Callable[[Attempt], None] | None = None,
    retries: bool = True,
) -> Report:
    """
    Grade one submission.

    Args:
        require: The sandbox that is required: nothing is executed without it.
        secrets: Files and folders that the notebook may not see: sources, other submissions, marks.
        meanwhile: Called in another thread while the notebook runs.
        known: What was read in this notebook before, and how it ran, with the same requests. It is judged by that, and
            neither read nor executed again.
        keep: Called with what was read in the notebook and how it ran, if it was executed.
        retries: Execute once more if the machine may have been too busy the first time.

    Raises:
        SolutionError: The assignment's own solution disagrees with autograd.
        SandboxError: A kernel could not be started, or not with the required sandbox.
    """
    if known is not None:
        return judge(submission, assignment, known)
    names = [exercise.name for exercise in assignment.exercises]
    # While another process reads the notebook and the kernel starts, a thread prepares the requests.
    with concurrent.futures.ThreadPoolExecutor(1) as aside:
        questions = aside.submit(questions_of, assignment)
        aside.submit(meanwhile)
        for doubts in (True, False) if retries else (False,):
            with start_conductor(limits=assignment.limits, require=require, secrets=secrets) as conductor:
                reading = conductor.read(submission, names)
                if isinstance(reading, Unreadable):
                    return _unread(submission, assignment, reading.problem)
                if reading.notebook.assignment_id not in (None, assignment.id):
                    named = str(reading.notebook.assignment_id)[:80]
                    problem = f"This is the notebook of the assignment {named!r}, not of {assignment.id!r}."
                    return _unread(submission, assignment, problem, cells=len(reading.notebook.cells), named=named)
                functions = reading.functions

                def requests(replies: Mapping[str, Reply], functions: FunctionIndex = functions) -> Iterator[Request]:
                    return requests_for(questions.result(), functions, replies)

                execution = conductor.execute(
                    requests, assignment.limits, most_requests=most_requests(assignment), files=assignment.files
                )
                if execution.is_doubtful and doubts:
                    continue
                found = Found(tuple(_ran(functions, names, execution.replies)))
                functions = dataclasses.replace(functions, finder=found)
                attempt = Attempt(notebook=reading.notebook, functions=functions, execution=execution)
                if keep is not None:
                    keep(attempt)
                # The kernel ends while its replies are judged.
                return judge(submission, assignment, attempt)
    raise AssertionError("the last attempt always has a report")


def _ran(
    functions: FunctionIndex, names: Iterable[str], replies: Mapping[str, Reply]
) -> Iterator[tuple[str, Place, Definition | None]]:
    """For each exercise that ran, its name, where its code begins, and its definition."""
    for name in names:
        place = place_in(replies[name])
        if place is not None and functions.finder is not None:
            yield name, place, functions.finder.at(name, place)


@ordinary()
def judge(submission: Submission, assignment: Assignment, attempt: Attempt) -> Report:
    """The report on a notebook that has run: it depends only on the code and the replies. Nothing is executed."""
    cases, practice, execution = build_cases(assignment), build_practice(assignment), attempt.execution
    verdicts = [
        verdict_on(exercise, assignment, cases[exercise.name], attempt, practice=practice[exercise.name])
        for exercise in assignment.exercises
    ]
    uses = {verdict.result.name: verdict.uses for verdict in verdicts}
    results = composed([verdict.result for verdict in verdicts], assignment.exercises, uses)
    outcomes = {result.name: result.outcome for result in results}
    return report_of(
        assignment,
        submission,
        results,
        _summary(attempt.notebook, execution),
        flags=tuple(flag for verdict in verdicts for flag in verdict.flags),
        chain=judge_chain(assignment, build_chain(assignment), execution.replies.get(CHAIN, _NOT_ASKED), outcomes),
        sandbox_layers=execution.layers,
        notes=(*_notes(attempt.notebook, assignment), *advice_on(attempt.notebook, execution.errors)),
        seconds=execution.seconds,
    )


def choose_assignment(submission: Submission, directory: Path, assignment_id: str | None) -> Path:
    """
    Find the source notebook to grade a submission by.

    The choice is `assignment_id`; or else the assignment that the submission names; or else the one assignment that
    shares most functions with it.

    Args:
        directory: The folder of the source notebooks.

    Raises:
        UsageError: There is no such assignment, or nothing says which one it is.
    """
    if assignment_id is not None:
        return find_assignment(assignment_id, directory)
    sources = find_sources(directory)
    reading = read_alone(submission)
    if isinstance(reading, Unreadable):
        if len(sources) == 1:
            return next(iter(sources.values()))
        raise UsageError(f"{submission.name}: {reading.problem}", "To get a report, name the assignment with -a.")
    if reading.notebook.assignment_id is not None:
        return find_assignment(reading.notebook.assignment_id, directory)
    defined = reading.functions.definitions.keys()
    shared = {path: len(defined & {e.name for e in read_source(path).exercises}) for path in sources.values()}
    best = [path for path in shared if shared[path] == max(shared.values())]
    if len(best) != 1:
        raise UsageError(f"Nothing in {submission.name} says which assignment it is.", "Name it with -a.")
    return best[0]


def grade_or_fault(submission: Submission, assignment: Assignment, **options: Any) -> tuple[Report, GraderError | None]:
    """Grade as `grade` does. If the grader fails, return a report that decides nothing, and the error."""
    try:
        return grade(submission, assignment, **options), None
    except Exception as error:
        fault = as_fault(error)
        return fault_report(submission, assignment, fault), fault


def fault_report(submission: Submission, assignment: Assignment, fault: GraderError) -> Report:
    """The report on a submission that the grader failed to grade: it decides nothing and costs no points."""
    return report_of(
        assignment,
        submission,
        [
            ExerciseResult.of(
                exercise,
                Outcome.GRADER_ERROR,
                f"{exercise.name} could not be graded. This is not your fault: tell your instructor.",
            )
            for exercise in assignment.exercises
        ],
        NotebookSummary(cells=0, executed=0),
        notes=(str(fault),),
    )


def _unread(
    submission: Submission, assignment: Assignment, problem: str, *, cells: int = 0, named: str | None = None
) -> Report:
    """The report on a file whose code is not read. Every function is missing, and the messages say why."""
    results = [ExerciseResult.of(exercise, Outcome.MISSING, problem) for exercise in assignment.exercises]
    summary = NotebookSummary(cells=cells, executed=0, problem=problem, of_assignment=named)
    return report_of(assignment, submission, results, summary)


def _summary(notebook: Notebook, execution: Execution) -> NotebookSummary:
    first_error = execution.stopped or None
    if execution.errors:
        number = min(execution.errors)
        error = execution.errors[number]
        first_error = f"In [{number}]: {error.type}: {error.message}".strip().removesuffix(":")
    return NotebookSummary(cells=len(notebook.cells), executed=execution.executed, first_error=first_error)


def _notes(notebook: Notebook, assignment: Assignment) -> tuple[str, ...]:
    notes = []
    if notebook.version not in (None, assignment.version):
        notes.append(
            f"The notebook was made for another version of the assignment ({str(notebook.version)[:20]}), "
            f"but it was graded by version {assignment.version}."
        )
    if not assignment.solutions:
        notes.append("Graded by autograd alone, without a solution.")
    return tuple(notes)
