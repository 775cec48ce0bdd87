"""
Of a hidden case nothing but one word reaches a report, an export or the terminal, whatever a student's function does.

The tests compare: the same notebook is graded with two hidden seeds, and its functions put a number of each hidden case
into everything that they can change. As long as the words are the same, every byte of everything that is written has
to be the same.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import itertools
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from grader.assignment.load import Assignment, load_assignment
from grader.calling.exercise import Exercise
from grader.cli import main
from grader.execution.asking import hidden_keys
from grader.execution.channel import Reply
from grader.execution.warm import forkserver
from grader.exports.formats import OF_MARKS, Format
from grader.model import Outcome, Report
from grader.pipeline import grade
from grader.reference.cases import Case, build_cases
from grader.reference.practice import practising
from grader.reports.html import render_html
from grader.reports.json import render_json, report_to_dict
from grader.reports.reading import read_report
from grader.visibility import Visibility, views_of
from tests.case_samples import payload_of
from tests.conftest import SOURCE, handed_in, raw_submission
from tests.exports.rendering import rendered
from tests.inprocess import InProcessRun

LATER = Visibility(release="2030-01-01T12:00:00+01:00")
BEFORE = dt.datetime(2029, 1, 1, tzinfo=dt.timezone.utc)


@functools.cache
def with_seed(seed: int) -> Assignment:
    loaded = load_assignment(SOURCE, hidden_seed=seed)
    return dataclasses.replace(loaded, limits=dataclasses.replace(loaded.limits, call_s=4.0))


def documents(report: Report) -> Iterator[tuple[str, str]]:
    """All that is written about a report, before and after the release date, without the time that it took."""
    report = dataclasses.replace(report, seconds=0.0)
    for view in (report, *views_of(report, LATER, BEFORE)):
        yield "html", render_html(view)
        yield "json", render_json(view)
        read = read_report(report_to_dict(view))
        for form in Format:
            if (form not in OF_MARKS) if view.is_shown else (form in OF_MARKS):
                yield form.value, rendered(read, form)


# -------------------------------------------------------------------------------------------------- real gradings

TELLS_APART = """
# %%
import os, signal, sys, time, types, warnings
import torch

KNOWN = {known!r}

def secret(*arguments):
    '''A number of a hidden case, from 0 to 9; None for other cases, which everybody can compute.'''
    total = [f"{{float(a.double().sum()):.4e}}" for a in arguments]
    return None if any(t in KNOWN for t in total) else int(float(arguments[0].double().abs().sum()) * 1e6) % 10
"""
"""Students may compute the public and the practice batches, and so recognise that a batch is neither."""

KINDS = {
    # What a function does in a hidden case with its number `n`, and what it returns if that is right.
    "raises_names": "raise type(f'Secret{n}', (Exception,), {})('x' * n, n)",
    "raises_places": "if n < 5:\n            raise ValueError\n        raise ValueError",
    "exits": "os._exit(n + 1)",
    "is_killed": "os.kill(os.getpid(), (signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM)[n % 3])",
    "shapes": "return torch.zeros(n + 1, 3)",
    "dtypes": "return right.to((torch.float16, torch.int64, torch.bool, torch.complex64, torch.bfloat16)[n % 5])",
    "types": "return type(f'Secret{n}', (), {})()",
    "counts": "return {f'key{i}{n}': right for i in range(n + 2)}",
    "factors": "return right * (n + 2)",
    "mutants": "return (right.T.reshape(right.shape), right * 2, right + 1, -right, right / len(arguments[0]))[n % 5]",
    "not_finite": "right.flatten()[n] = (float('nan'), float('inf'), -float('inf'))[n % 3]; return right",
    "notices": "arguments[n % 2].add_(1); return (right.double(), [right], (right,))[n % 3]",
    "says": "print('secret', n); warnings.warn(f'secret {n}'); sys.stderr.write(str(n)); globals()[f's{n}'] = n; "
    "os.environ['N'] = str(n); open(f'secret{n}', 'w').write(str(n)); return right",
    "sleeps": "time.sleep(0.1 * n); return right",
    "differentiates": "torch.ops.aten.threshold_backward(right, right, 0) if n % 2 else "
    "torch.ops.aten.sigmoid_backward(right, right); return right",
    "speaks_for_the_harness": "from grader.harness import call, wire; "
    "call.pack = lambda h, p=b'': wire.pack(dict(h, secret=n, type='s' * n, place=[n, n]), p); return right",
}


@functools.cache
def known_sums() -> frozenset[str]:
    """What `secret` knows: the sum of each argument of each public and practice case."""
    cases = build_cases(practising(with_seed(1)))
    return frozenset(
        f"{float(argument.double().sum()):.4e}"
        for of_exercise in cases.values()
        for case in of_exercise
        for argument in case.arguments.values()
        if argument.is_floating_point()
    )


def notebooks() -> list[str]:
    """Answers to the seven exercises: in each hidden case, every function does what its kind says."""
    assignment = with_seed(1)
    texts = []
    kinds = iter(KINDS.items())
    while chunk := list(itertools.islice(kinds, len(assignment.exercises))):
        text = TELLS_APART.format(known=set(known_sums()))
        for exercise, (_, does) in zip(assignment.exercises, chunk, strict=False):
            solution = assignment.solution_code[exercise.name].replace(f"def {exercise.name}(", "def right_answer(")
            text += f"""
# %%
{solution}

right_{exercise.name} = right_answer

# %%
def {exercise.name}({", ".join(exercise.arguments)}):
    arguments = [{", ".join(exercise.arguments)}]
    n = secret(*arguments)
    right = right_{exercise.name}(*arguments).clone()
    if n is not None:
        {does}
    return right
"""
        texts.append(text)
    return texts


def words(report: Report) -> list[tuple[str, list[str]]]:
    return [(result.name, [case.outcome.value for case in result.cases]) for result in report.exercises]


@pytest.mark.skipif(not forkserver().is_available(), reason="the sandbox needs Linux")
@pytest.mark.parametrize("number", range(len(notebooks())))
def test_what_a_function_does_in_a_hidden_case_is_told_in_one_word(number: int) -> None:
    submission = raw_submission(nbformat.writes(handed_in(notebooks()[number])).encode(), name="1001.ipynb")
    reports = []
    for seed in (1, 2):
        started = time.monotonic()
        reports.append(grade(submission, with_seed(seed), retries=False))
        assert "sleeps" not in notebooks()[number] or reports[-1].seconds < time.monotonic() - started

    assert words(reports[0]) == words(reports[1])
    assert any(case.outcome is not Outcome.MATCH for result in reports[0].exercises for case in result.cases)
    assert all(case.outcome is Outcome.MATCH for r in reports[0].exercises for case in r.cases if case.public)
    for one, two in zip(*map(documents, reports), strict=True):
        assert one == two


@pytest.mark.skipif(not forkserver().is_available(), reason="the sandbox needs Linux")
def test_the_terminal_and_the_files_of_a_grading_say_no_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notebook = tmp_path / "ada.ipynb"
    notebook.write_text(nbformat.writes(handed_in(notebooks()[0])))
    said = []
    for seed in ("1", "2"):
        main(["grade", str(notebook), "-o", str(tmp_path / "out"), "--hidden-seed", seed])
        files = [re.sub(r'"total": [\d.]+', "", path.read_text()) for path in sorted((tmp_path / "out").iterdir())]
        said.append((capsys.readouterr(), files))

    assert said[0] == said[1]


def test_the_numbers_do_differ_between_seeds() -> None:
    """Otherwise these tests would compare nothing."""
    notebook: dict[str, Any] = {}
    exec(TELLS_APART.replace("# %%", "").format(known=set(known_sums())), notebook)

    for exercise in with_seed(1).exercises:
        told = {
            seed: [
                notebook["secret"](*case.arguments.values())
                for case in build_cases(with_seed(seed))[exercise.name]
                if not case.public
            ]
            for seed in (1, 2)
        }
        assert None not in [number for numbers in told.values() for number in numbers]
        assert len({tuple(numbers) for numbers in told.values()}) == 2
        for case in build_cases(practising(with_seed(1)))[exercise.name]:
            assert notebook["secret"](*case.arguments.values()) is None


# ------------------------------------------------------------------------------------------------- the judge alone

texts = st.text(max_size=20)
metadata = st.fixed_dictionaries(
    {},
    optional={
        "type": texts,
        "collection": st.sampled_from(["tuple", "list", "dict"]),
        "parts": st.integers(0, 9),
        "place": st.lists(st.integers(0, 40), min_size=2, max_size=2),
        "mutated": st.lists(st.sampled_from(["x", "dz1", "y", "z1"]), max_size=2),
        "requires_grad": st.booleans(),
    },
)
errors = st.fixed_dictionaries(
    {"type": texts, "message": texts},
    optional={
        "frames": st.lists(
            st.fixed_dictionaries({"cell": st.integers(1, 30), "line": st.integers(1, 9), "function": texts}),
            max_size=3,
        )
    },
)


@st.composite
def said_by(draw: st.DrawFn, word: str, case: Case) -> tuple[dict[str, Any], bytes] | None:
    """Any reply about a case that makes this outcome; None for no reply."""
    header = draw(metadata)
    if word == "crashed":
        return draw(st.none() | st.just((header | {"status": draw(st.just("?") | texts.map("?".__add__))}, b"")))
    if word == "raised":
        return header | {"status": "raised", "error": draw(errors), "blank": draw(st.booleans())}, b""
    expected = [tensor.clone() for tensor in case.expected]
    if word == "forbidden":
        header["autograd"] = draw(st.lists(texts, min_size=1, max_size=3))
    elif word == "mismatch":
        expected[0] = expected[0] * draw(st.floats(2, 9)) + draw(st.floats(1, 9))
    elif word == "not_finite":
        expected[0].view(-1)[draw(st.integers(0, expected[0].numel() - 1))] = draw(
            st.sampled_from([float("nan"), float("inf")])
        )
    elif word == "wrong_shape":
        expected[0] = torch.zeros(draw(st.lists(st.integers(0, 3), min_size=3, max_size=5)))
    elif word == "wrong_dtype":
        expected[0] = expected[0].to(draw(st.sampled_from([torch.int64, torch.bool, torch.float16, torch.complex64])))
    elif word == "wrong_type":
        expected = []
        header |= {"dtypes": ["float32"], "parts": draw(st.integers(0, 9))}
    payload = payload_of({str(number): tensor for number, tensor in enumerate(expected)}) if expected else b""
    return header | {"status": "returned"}, payload


WORDS = (
    "match",
    "mismatch",
    "raised",
    "crashed",
    "not_finite",
    "wrong_shape",
    "wrong_dtype",
    "wrong_type",
    "forbidden",
)


@functools.cache
def run_of(answers: str) -> InProcessRun:
    return InProcessRun(with_seed(1), answers, base="solution")


ANSWERS = (
    "",
    "# %%\ndef grad_w1(x, dz1):\n    return x.T @ dz1 * 2\n\n# %%\ndef grad_b1(dz1):\n    return dz1.sum(0)\n",
)


@given(st.data(), st.sampled_from(ANSWERS), st.booleans())
@settings(max_examples=12)
def test_two_replies_with_the_same_words_make_the_same_documents(
    data: st.DataObject, answers: str, is_flagged: bool
) -> None:
    run, assignment = run_of(answers), with_seed(1)
    policy = "flag" if is_flagged else "forbid"
    object.__setattr__(assignment, "autograd", policy)
    exercises = data.draw(st.lists(st.sampled_from(assignment.exercises), min_size=1, max_size=3, unique=True))
    hidden = {e: [case for case in build_cases(assignment)[e.name] if not case.public] for e in exercises}
    chosen = {e: [data.draw(st.sampled_from(WORDS)) for _ in cases] for e, cases in hidden.items()}
    status = data.draw(st.sampled_from(["crashed", "done", "too_large"]))

    def report() -> Report:
        replies = dict(run.execution.replies)
        for exercise, cases in hidden.items():
            replies[hidden_keys(exercise)[0]] = reply_with(data, exercise, cases, chosen[exercise], status)
        again = InProcessRun.__new__(InProcessRun)
        again.__dict__ |= run.__dict__ | {"execution": dataclasses.replace(run.execution, replies=replies)}
        return again.report(assignment)

    try:
        first, second = report(), report()
        assert words(first) == words(second)
        for one, two in zip(documents(first), documents(second), strict=True):
            assert one == two
    finally:
        object.__setattr__(assignment, "autograd", "forbid")


def reply_with(data: st.DataObject, exercise: Exercise, cases: list[Case], chosen: list[str], status: str) -> Reply:
    """A reply of any content that has these words."""
    records = {}
    for case, word in zip(cases, chosen, strict=True):
        record = data.draw(said_by(word, case), label=f"{exercise.name} {case.name} {word}")
        if record is not None:
            records[case.name] = record
    detail, is_odd = data.draw(texts), data.draw(st.booleans())
    return Reply(status=status, detail=detail, records=records, is_odd=is_odd)
