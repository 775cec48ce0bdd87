"""
Grades what students may hand in: the blanks must earn nothing, and the solution and each style all points.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import hashlib
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence

import nbformat

from grader.assignment.load import Assignment
from grader.assignment.source import SourceNotebook
from grader.assignment.styles import Style
from grader.authoring.release import fill_blanks, release_notebook
from grader.model import Outcome, Report, Submission
from grader.pipeline import grade

__all__ = ["problems_of_submissions"]

_AT_ONCE = 2
"""How many are graded at once. While one notebook runs, what another one has returned is judged."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Filled:
    """A students' notebook with answers, and what is wrong with its report, a sentence each."""

    notebook: nbformat.NotebookNode
    problems: Callable[[Report], Iterator[str]]


def problems_of_submissions(
    assignment: Assignment,
    source: SourceNotebook,
    styles: Sequence[Style],
    known: MutableMapping[str, tuple[str, ...]] | None = None,
) -> tuple[str, ...]:
    """
    Grade the blanks, the solutions and the styles as students hand them in.

    Args:
        known: What earlier calls have found out, by a hash of what it depends on. What is in it is not graded again,
            and what is not is put into it.

    Returns:
        What is wrong, a sentence each.
    """
    known = {} if known is None else known

    def problems_of(filled: _Filled) -> tuple[str, ...]:
        key = _key(assignment, source, filled.notebook)
        if key not in known:
            content = nbformat.writes(filled.notebook).encode()
            report = grade(Submission.of(content, name=f"{assignment.id}.ipynb", student=assignment.id), assignment)
            known[key] = tuple(filled.problems(report))
        return known[key]

    with concurrent.futures.ThreadPoolExecutor(_AT_ONCE) as grading:
        return tuple(itertools.chain.from_iterable(grading.map(problems_of, _filled(assignment, source, styles))))


def _filled(assignment: Assignment, source: SourceNotebook, styles: Sequence[Style]) -> Iterator[_Filled]:
    """One notebook holds one style of each exercise: first the first ones, then the second ones, and so on."""
    yield _Filled(release_notebook(source), _problems_of_blanks)
    yield _Filled(_answered(source, assignment.solution_code), _problems_of_solution)
    by_exercise = [[style for style in styles if style.exercise == exercise.name] for exercise in assignment.exercises]
    for round_of_styles in itertools.zip_longest(*by_exercise):
        chosen = {style.exercise: style for style in round_of_styles if style is not None}
        codes = {**assignment.solution_code, **{name: style.code for name, style in chosen.items()}}

        def problems(report: Report, chosen: Mapping[str, Style] = chosen) -> Iterator[str]:
            return _problems_of_styles(report, chosen)

        yield _Filled(_answered(source, codes), problems)


def _key(assignment: Assignment, source: SourceNotebook, notebook: nbformat.NotebookNode) -> str:
    """A hash of what the problems depend on: the code that runs, the data that it reads, and the settings."""
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    settings = {name: repr(value) for name, value in source.settings.items()}
    exercises = [repr(exercise) for exercise in assignment.exercises]
    files = {name: hashlib.sha256(content).hexdigest() for name, content in assignment.files.items()}
    parts = [assignment.network, code, files, settings, assignment.hidden_seed, exercises]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _answered(source: SourceNotebook, codes: Mapping[str, str]) -> nbformat.NotebookNode:
    """The students' notebook with answers in it; `codes` are their code by exercise."""
    return fill_blanks(
        release_notebook(source), "\n".join(f"# %% answers: {name}\n{code}" for name, code in codes.items())
    )


def _problems_of_blanks(report: Report) -> Iterator[str]:
    if report.score or any(exercise.outcome is not Outcome.BLANK for exercise in report.exercises):
        yield f"The released blanks earn {report.score:g} points: they should be recognised as blanks and earn none."


def _problems_of_solution(report: Report) -> Iterator[str]:
    if report.notebook.first_error is not None:
        yield (
            f"With the solution filled in, the students' notebook does not run: {report.notebook.first_error}. "
            "Run the source notebook from its first cell."
        )
    for exercise in report.exercises:
        if exercise.outcome is not Outcome.MATCH:
            yield f"The solution does not get full marks from the grader: {exercise.message}"


def _problems_of_styles(report: Report, chosen: Mapping[str, Style]) -> Iterator[str]:
    for exercise in report.exercises:
        if exercise.name in chosen and exercise.outcome is not Outcome.MATCH:
            yield (
                f"{exercise.name}: the style {chosen[exercise.name].name} does not get full marks from the grader: "
                f"{exercise.message}"
            )
