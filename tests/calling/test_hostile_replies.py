"""Whatever a student's process says about exercises of other forms, the judge gives an outcome and writes a report."""

from __future__ import annotations

import dataclasses
import functools
import linecache
import random
from typing import Any

import nbformat
import pytest
import torch

from grader.assignment.load import Assignment, load_assignment
from grader.assignment.source import read_source
from grader.authoring.release import fill_blanks, release_notebook
from grader.calling.exercise import Exercise
from grader.execution.asking import hidden_keys, practice_key
from grader.execution.channel import Reply, combine, reply_from
from grader.execution.questions import questions_of
from grader.execution.record import Attempt, Execution
from grader.execution.requests import requests_for
from grader.harness.call import NotebookState
from grader.harness.serve import perform
from grader.harness.wire import pack
from grader.model import Outcome
from grader.notebook.functions import find_functions
from grader.notebook.read import Notebook, Unreadable, read_notebook
from grader.pipeline import judge
from grader.reference.cases import Case, build_cases
from grader.reference.practice import build_practice
from grader.reports.html import render_html
from grader.reports.json import render_json
from tests.case_samples import payload_of
from tests.conftest import ROOT, raw_submission

FORMS = (ROOT / "docs" / "examples" / "forms.md").read_text(encoding="utf-8")
TIES = FORMS.replace(
    "  points: {da1: 1, dw2: 2, db2: 1}\n", "  points: {da1: 1, dw2: 2, db2: 1}\n  ignore: {da1: a1 > 0.5}\n"
)
DTYPES = (
    torch.float8_e5m2,
    torch.float16,
    torch.bfloat16,
    torch.complex64,
    torch.bool,
    torch.int64,
    torch.float32,
    torch.float64,
)
STATUSES = ("done", "done", "done", "crashed", "timed_out", "too_large", "out_of_memory")
TEXTS = ("<img src=x>", "\x1b[2J", "NoneType", "é" * 500, "")


@functools.cache
def assignment() -> Assignment:
    return load_assignment(ROOT / "docs" / "examples" / "forms.md", TIES.encode())


@functools.cache
def right() -> tuple[Notebook, Execution]:
    """A right notebook, and what its functions returned."""
    source = read_source(ROOT / "docs" / "examples" / "forms.md", TIES.encode())
    codes = assignment().solution_code
    written = "\n".join(f"# %% answers: {name}\n{code}" for name, code in codes.items())
    content = nbformat.writes(fill_blanks(release_notebook(source), written)).encode()
    notebook = read_notebook(raw_submission(content))
    assert not isinstance(notebook, Unreadable)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    files = {f"<forms {cell.number}>": cell.number for cell in notebook.cells}
    for file, cell in zip(files, notebook.cells, strict=True):
        linecache.cache[file] = len(cell.code), None, cell.code.splitlines(keepends=True), file
        exec(compile(cell.code, file, "exec"), namespace)
    replies: dict[str, Reply] = {}
    functions = find_functions(notebook, list(codes))
    for request in requests_for(questions_of(assignment()), functions, replies):
        sent: list[bytes] = []
        perform((request.header, request.payload), sent.append, state=NotebookState(namespace, files))
        replies[request.key] = combine(None, reply_from(({"status": "done"}, b"".join(sent))), request)
    return notebook, Execution.in_this_process(replies)


def strange_tensor(draw: random.Random, tensor: torch.Tensor) -> torch.Tensor:
    made = [
        tensor,
        tensor * 2,
        tensor.flatten(),
        tensor[None],
        torch.full_like(tensor.double(), float("nan")),
        torch.zeros([draw.choice([0, 1, 7]) for _ in range(draw.randint(0, 6))]),
    ]
    return draw.choice(made).to(draw.choice(DTYPES)).contiguous()


def strange_record(draw: random.Random, case: Case) -> bytes:
    count = len(case.expected)
    header = {
        "case": case.name,
        "status": draw.choice(["returned", "returned", "returned", "raised", "out_of_memory", "missing", "?"]),
        "type": draw.choice(TEXTS),
        "collection": draw.choice(["dict", "list", "named tuple", 3, None]),
        "parts": draw.choice([0, count, 100, -1, 2**62, None]),
        "absent": draw.choice([[], [[0, "<b>"]], [[-1, "a"], [2**62, "b"], [0.5, "c"]], "x", [[0]]]),
        "shapes": draw.choice([[], [[2**62]] * count, [list(part.shape) for part in case.expected]]),
        "dtypes": draw.choice([[], ["qint8"] * count, ["float8_e5m2"] * count]),
        "autograd": draw.choice([[], [], [], [draw.choice(TEXTS)]]),
        "narrowed": draw.random() < 0.3,
        "blank": draw.random() < 0.3,
        "error": draw.choice([None, {"type": draw.choice(TEXTS), "message": draw.choice(TEXTS)}]),
    }
    chosen = {str(number): part for number, part in enumerate(case.expected) if draw.random() < 0.8}
    tensors = {name: strange_tensor(draw, part) for name, part in chosen.items()}
    if draw.random() < 0.2:
        tensors[str(draw.randint(0, 99))] = torch.zeros(2)
    return pack(header, payload_of(tensors) if tensors else b"")


def strange_replies(draw: random.Random, exercise: Exercise) -> dict[str, Reply]:
    cases = (*build_cases(assignment())[exercise.name], *build_practice(assignment())[exercise.name])
    keys = (exercise.name, practice_key(exercise), *hidden_keys(exercise))
    return {
        key: dataclasses.replace(
            reply_from(({"status": "done"}, b"".join(strange_record(draw, c) for c in cases if draw.random() < 0.9))),
            status=draw.choice(STATUSES),
        )
        for key in keys
    }


@pytest.mark.parametrize("seed", range(12))
def test_every_reply_has_an_outcome(seed: int) -> None:
    draw = random.Random(seed)
    notebook, execution = right()
    chosen = draw.sample(assignment().exercises, 2)
    replies = {key: reply for exercise in chosen for key, reply in strange_replies(draw, exercise).items()}
    functions = find_functions(notebook, [exercise.name for exercise in assignment().exercises])
    attempt = Attempt(
        notebook=notebook,
        functions=functions,
        execution=dataclasses.replace(execution, replies={**execution.replies, **replies}),
    )

    report = judge(raw_submission(b""), assignment(), attempt)

    for result in report.exercises:
        assert result.outcome is not Outcome.GRADER_ERROR
        assert 0 <= result.points <= result.max_points
        if result.name not in {exercise.name for exercise in chosen}:
            assert result.points == result.max_points
    assert not any(flag.id == "unexplained" for flag in report.flags)
    assert "<img src=x>" not in render_html(report)
    assert "\x1b" not in render_json(report)
