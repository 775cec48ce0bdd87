"""A student's process remembers what it is given on hidden cases: no answer is among it before it was asked for."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import nbformat
import pytest
import torch
from safetensors.torch import load

from grader.assignment.exercises import lines_for
from grader.assignment.load import Assignment, load_assignment
from grader.assignment.source import read_source
from grader.authoring.release import fill_blanks, release_notebook
from grader.calling.exercise import Exercise
from grader.execution.channel import Request
from grader.execution.hidden import hidden_requests
from grader.pipeline import grade
from grader.reference.cases import Case, build_cases, exercise_cases
from grader.reference.networks import networks_of
from tests.conftest import ROOT, raw_submission

FORMS = ROOT / "docs" / "examples" / "forms.md"
SOURCES = [FORMS, *sorted((ROOT / "tests" / "courses").glob("*.md"))]


@functools.cache
def assignment_at(path: Path) -> Assignment:
    return load_assignment(path)


def hidden_cases(assignment: Assignment) -> dict[str, list[Case]]:
    return {name: [case for case in cases if not case.public] for name, cases in build_cases(assignment).items()}


def ordered(assignment: Assignment, exercises: Sequence[Exercise]) -> list[tuple[Exercise, Request]]:
    return list(hidden_requests(exercises, hidden_cases(assignment), assignment.limits))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
@pytest.mark.parametrize("is_reversed", [False, True])
def test_no_answer_is_sent_before_it_is_asked_for(path: Path, is_reversed: bool) -> None:
    """Whatever the order of the exercises."""
    assignment = assignment_at(path)
    cases = hidden_cases(assignment)
    sent: dict[str, list[tuple[Exercise, torch.Tensor]]] = {}
    for exercise, request in ordered(assignment, assignment.exercises[:: -1 if is_reversed else 1]):
        right = exercise.parts if exercise.is_lines else ()
        for number, part in enumerate(exercise.parts):
            if request.header.get("wanted", part) != part:
                continue
            is_known = [
                any(is_same(t, case.expected[number]) for name, t in case.tensors.items() if name not in right)
                or any(is_same(t, case.expected[number]) for by, t in sent.get(case.name, []) if by is not exercise)
                for case in cases[exercise.name]
            ]
            given = cases[exercise.name][0].tensors.items()
            is_argument = any(is_same(t, cases[exercise.name][0].expected[number]) for n, t in given if n not in right)
            assert is_argument or not all(is_known), (exercise.name, part)
        for name, tensor in load(request.payload).items():
            sent.setdefault(name.partition("/")[0], []).append((exercise, tensor))


def is_same(sent: torch.Tensor, right: torch.Tensor) -> bool:
    return sent.shape == right.shape and torch.allclose(sent.double(), right.double(), rtol=1e-5, atol=1e-9)


def test_exercises_keep_their_order_where_nothing_is_told() -> None:
    assignment = assignment_at(ROOT / "solutions" / "two_layer_mse.md")

    keys = [request.key for _, request in ordered(assignment, assignment.exercises)]

    assert keys == [f"{exercise.name} hidden" for exercise in assignment.exercises]


def test_straight_lines_are_given_all_that_was_asked_for() -> None:
    """Nothing is kept back from the lines after a wrong one that need not be."""
    assignment = assignment_at(ROOT / "tests" / "courses" / "makemore.md")
    (lines,) = [exercise for exercise in assignment.exercises if exercise.is_lines]

    requests = [request for exercise, request in ordered(assignment, assignment.exercises) if exercise is lines]

    for number, request in enumerate(requests):
        given = set(request.header["given"]["vjp"])
        assert given & set(lines.parts) == set(lines.parts[:number])


def test_lines_that_answer_each_other_are_not_given_these_answers() -> None:
    """Two cells compute the same gradients, in two orders: nobody is told what another one is still asked for."""
    assignment = assignment_at(FORMS)
    (lines,) = [exercise for exercise in assignment.exercises if exercise.is_lines]
    back = Exercise(name="back", **lines_for("back", lines.targets[::-1], {}))
    networks = networks_of(assignment)
    cases = {e.name: [c for c in exercise_cases(assignment, e, networks) if not c.public] for e in (lines, back)}

    asked: set[tuple[str, str]] = set()
    for exercise, request in hidden_requests((lines, back), cases, assignment.limits):
        asked.add((exercise.name, request.header["wanted"]))
        for part in set(lines.parts) & set(request.header["given"]["vjp"]):
            assert {(lines.name, part), (back.name, part)} <= asked
    assert len(asked) == 2 * len(lines.parts)


KEEPING = """
# %% answers: by_hand
KEPT = globals().get("KEPT", {})
def keep():
    of_batch = KEPT.setdefault((len(z1), round(float(z1.double().sum()), 3)), {})
    of_batch.update({name: value.clone() for name, value in globals().items() if name in ("dw2", "db2", "z1")})
dscores = 0 * scores
keep()
dw2 = 0 * w2
keep()
db2 = 0 * b2
keep()
da1 = 0 * a1
keep()
dz1 = 0 * z1
keep()
# %%
def affine_forward(x, w, b):
    found = [kept["z1"].to(x.dtype) for (rows, _), kept in KEPT.items() if rows == len(x)]
    z1 = min(found, key=lambda z: float((z - x @ w - b).abs().sum())) if found else x @ w
    return z1, (x, w, b)
"""


def test_what_straight_lines_were_given_answers_no_other_exercise() -> None:
    """The lines come first in this notebook, and keep what they see."""
    text = FORMS.read_text(encoding="utf-8")
    head, rest = text.split("## A cache, and points for each part")
    middle, lines = rest.split("## Straight lines")
    moved = f"{head}\n## Straight lines{lines}\n\n## A cache, and points for each part{middle}"
    path = Path("forms.md")
    assignment = load_assignment(path, moved.encode())
    notebook = fill_blanks(release_notebook(read_source(path, moved.encode())), KEEPING)

    report = grade(raw_submission(nbformat.writes(notebook).encode()), assignment)

    forward = next(result for result in report.exercises if result.name == "affine_forward")
    assert report.exercises[0].name == "by_hand"
    assert {case.name: case.outcome.value for case in forward.cases if not case.public} == {
        "mnist_hidden": "mismatch",
        "vjp": "mismatch",
    }
    assert forward.cases[0].outcome.passed, "on the public batch, it knows the answer"
