"""What an honest kernel and an honest conductor say about some notebooks, and what has to hold of every report."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema
import nbformat

from grader import pipeline
from grader.assignment.load import Assignment
from grader.execution.asking import CHAIN, hidden_keys, practice_key
from grader.execution.conducting import Conductor
from grader.execution.kept import pack_attempt, unpack_attempt
from grader.execution.rebinding import rebind_key
from grader.execution.record import Attempt
from grader.exports.formats import Format
from grader.model import Limits, Outcome, Report, Submission
from grader.reports.html import render_html
from grader.reports.json import render_json, report_to_dict
from grader.reports.reading import parse_report
from tests.conftest import ROOT, assignment_called, raw_submission, source_called
from tests.exports.rendering import rendered
from tests.fuzz.values import Record
from tests.inprocess import InProcessRun

__all__ = ["CHARACTERS", "Answers", "assignment", "base_of", "check_report", "chosen", "graded", "submission_of_base"]

WRONG = """
def grad_b1(dz1):
    return dz1.sum(0, keepdim=True) / len(images)

def grad_b2(dyhat):
    raise ValueError(dyhat.shape)

def grad_z1(da1, z1):
    return da1
"""
EXERCISES = ("grad_yhat", "grad_b2", "grad_z1", "grad_b1")
CHARACTERS = ("right", "wrong")
_SCHEMA = jsonschema.Draft202012Validator(json.loads((ROOT / "grader/schemas/report-1.json").read_text()))
_MOST_CHARACTERS = 8_000_000


@functools.cache
def assignment(seconds: float) -> Assignment:
    """An assignment with few exercises, of which one gives small tensors, and whose limits on time are this short."""
    limits = Limits(cell_s=seconds, notebook_s=2 * seconds, call_s=seconds / 5, result_bytes=4 << 20)
    whole = assignment_called("two_layer_mse")
    some = tuple(exercise for exercise in whole.exercises if exercise.name in EXERCISES)
    return dataclasses.replace(whole, limits=limits, exercises=some)


@functools.cache
def base_of(character: str) -> InProcessRun:
    """A submission whose functions have been called."""
    return InProcessRun(assignment(1.0), WRONG if character == "wrong" else "", base="solution", name="1001.ipynb")


@functools.cache
def submission_of_base(character: str) -> Submission:
    """The functions of that submission in a notebook with few cells."""
    code = "\n\n".join(e.code for e in source_called("two_layer_mse").exercises)
    cells = ["import torch\nimages = torch.zeros(8)", code, *([WRONG] if character == "wrong" else [])]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    return raw_submission(nbformat.writes(notebook).encode(), name="1001.ipynb")


class Answers:
    """The records with which an honest harness answers requests that come in the usual order."""

    def __init__(self, character: str) -> None:
        self._replies = base_of(character).execution.replies
        self._asked: Counter[str] = Counter()

    def to(self, header: dict[str, Any]) -> list[Record]:
        """The answer to a request: of the three to one function, the second and the third have the same words."""
        if header.get("operation") == "chain":
            return list(self._replies[CHAIN].records.values())
        exercise = next(e for e in assignment(1.0).exercises if e.name == header["function"])
        if "rebind" in header:
            keys = [rebind_key(exercise)]
        else:
            keys = [exercise.name, practice_key(exercise), hidden_keys(exercise)[0]][self._asked[exercise.name] :]
            self._asked[exercise.name] += 1
        reply = self._replies.get(keys[0]) if keys else None
        return list(reply.records.values()) if reply is not None else []


def graded(
    start: Callable[[], contextlib.AbstractContextManager[Conductor]],
    submission: Submission,
    seconds: float,
    *,
    thoroughly: bool = True,
) -> Report:
    """
    The report on a submission, graded with this conductor. It was earned, and can be written.

    Args:
        thoroughly: Check it by its schema, export it to every format, and judge again what is kept of it.
    """
    kept: list[Attempt] = []
    graded_by = assignment(seconds)

    @contextlib.contextmanager
    def started(**_: object) -> Iterator[Conductor]:
        with start() as conductor:
            yield conductor

    before = pipeline.start_conductor
    pipeline.start_conductor = started
    try:
        report = pipeline.grade(submission, graded_by, retries=False, keep=kept.append)
    finally:
        pipeline.start_conductor = before
    check_report(report, graded_by, thoroughly=thoroughly)
    names = {e.name for e in graded_by.exercises}
    for attempt in kept:
        for key in names & attempt.execution.replies.keys():
            assert attempt.execution.replies[key].records.keys() <= {"mnist"}, "a record that nobody has asked for"
    for attempt in kept if thoroughly else ():
        packed = pack_attempt(attempt, graded_by)
        again = unpack_attempt(packed, graded_by) if packed is not None else attempt
        assert again is not None, "what was kept cannot be read"
        assert set(attempt.execution.replies) >= {CHAIN, *(e.name for e in graded_by.exercises)}
        for result, kept_result in zip(
            report.exercises, pipeline.judge(submission, graded_by, again).exercises, strict=True
        ):
            assert result.outcome is kept_result.outcome, "judged again, it is something else"
    return report


def check_report(report: Report, graded_by: Assignment, *, thoroughly: bool) -> None:
    """Raise unless a report was earned, and can be written, thoroughly or not, as in `graded`."""
    assert [result.name for result in report.exercises] == [e.name for e in graded_by.exercises]
    assert report.max_score == sum(e.points for e in graded_by.exercises)
    assert not any(flag.id == "unexplained" for flag in report.flags), report.flags
    for result in report.exercises:
        assert result.outcome is not Outcome.GRADER_ERROR
        assert result.passed is not None
        assert result.message
        for case in result.cases:
            assert case.outcome is not Outcome.GRADER_ERROR
    text = render_json(report)
    written = {"json": text, "html": render_html(report)}
    read = parse_report(text)
    if thoroughly:
        _SCHEMA.validate(report_to_dict(report))
        written |= {form.value: rendered(read, form) for form in Format}
    for name, content in written.items():
        assert content.encode("utf-8"), name
        assert "\x1b" not in content, name
        assert "\u202e" not in content, name
        assert len(content) < _MOST_CHARACTERS, (name, len(content))
        assert name == "html" or not any(line.lstrip().startswith("::error::b") for line in content.splitlines())
    assert "<script>alert(1)" not in written["html"]


def chosen(rng: random.Random, weights: dict[str, float]) -> str:
    """One of these words, as often as they weigh."""
    return rng.choices(list(weights), list(weights.values()))[0]
