"""
Whatever a student's process sends, the judge gives an outcome that was earned, and every writer writes a report.

`grader_error` is for what would fail on the solution, too: no reply makes one.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import functools
import json
import math
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from grader.classroom.outputs import write_gradebook
from grader.classroom.overview import build_overview
from grader.classroom.page import render_overview
from grader.classroom.records import Entry, Problem
from grader.errors import UsageError
from grader.execution.asking import CHAIN
from grader.execution.channel import Reply, reply_from
from grader.execution.packed import pack_execution, unpack_execution
from grader.exports.formats import Format
from grader.harness.wire import PREFIX
from grader.model import CallError, Outcome, Report
from grader.reports.html import render_html
from grader.reports.json import render_json, report_to_dict
from grader.reports.reading import parse_report
from tests.case_samples import payload_of
from tests.classroom.class_samples import received_of
from tests.conftest import ROOT, assignment_called
from tests.exports.rendering import rendered
from tests.fuzz.values import TENSORS
from tests.inprocess import InProcessRun

SCHEMA = json.loads((ROOT / "grader" / "schemas" / "report-1.json").read_text())
ASSIGNMENTS = ("two_layer_mse", "layernorm")
NUMBERS = (0.0, -0.0, 5e-324, 2.2e-308, 1e-300, 1e308, -1e308, math.nan, math.inf, -math.inf, 1.0, 7.5)
STRANGE = (
    "\ud800",
    "a\udfffb",
    "\x1b[2J",
    "\u202egnp",
    "a\n::error::b",
    "%0A##[error]",
    "=1+1",
    "",
    "\x00",
    "é" * 4000,
)

strange_text = st.sampled_from(STRANGE) | st.text(st.characters(), max_size=12)
numbers = st.sampled_from(NUMBERS) | st.integers(-3, 70) | st.sampled_from([2**62, -(2**63), 2**70, 10**400])
scalars = st.none() | st.booleans() | numbers | strange_text
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(strange_text, inner, max_size=3), max_leaves=8
)
sizes = st.lists(st.lists(st.integers(0, 70) | st.sampled_from([2**62, 0, 784, 50]), max_size=5), max_size=3)
headers = st.fixed_dictionaries(
    {"status": st.sampled_from(["returned", "raised", "out_of_memory", "missing"]) | anything},
    optional={
        "type": strange_text | anything,
        "collection": st.sampled_from(["dict", "list", "named tuple"]) | anything,
        "parts": numbers | anything,
        "shapes": sizes | anything,
        "dtypes": st.lists(st.sampled_from(["float32", "qint8", "float99"]) | strange_text, max_size=3) | anything,
        "requires_grad": st.booleans() | anything,
        "autograd": st.lists(strange_text, max_size=3) | anything,
        "mutated": st.lists(st.sampled_from(["x", "dz1"]) | strange_text, max_size=3) | anything,
        "narrowed": st.booleans() | anything,
        "blank": st.booleans() | anything,
        "place": st.lists(st.integers(-2, 40), min_size=2, max_size=2) | anything,
        "error": st.fixed_dictionaries(
            {},
            optional={
                "type": strange_text | anything,
                "message": strange_text | anything,
                "frames": st.lists(
                    st.fixed_dictionaries(
                        {}, optional={"cell": numbers, "line": numbers, "function": strange_text | anything}
                    ),
                    max_size=3,
                )
                | anything,
            },
        )
        | anything,
        "losses": st.lists(st.sampled_from(NUMBERS), min_size=31, max_size=31) | anything,
    },
)


@functools.cache
def run_of(assignment_id: str) -> InProcessRun:
    return InProcessRun(assignment_called(assignment_id), "", base="solution", name="1001.ipynb")


def message(header: Any, payload: bytes) -> bytes:
    """A message as the wire has it. Unlike the harness, it may say anything."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return PREFIX.pack(len(text), len(payload)) + text + payload


def judged(assignment_id: str, replies: dict[str, Reply], errors: dict[int, CallError] | None = None) -> Report:
    """The report on a right submission, of whose replies some are these."""
    run = run_of(assignment_id)
    execution = dataclasses.replace(run.execution, replies=run.execution.replies | replies, errors=errors or {})
    again = InProcessRun.__new__(InProcessRun)
    again.__dict__ |= run.__dict__ | {"execution": execution}
    return again.report(assignment_called(assignment_id))


def written(report: Report) -> Iterator[str]:
    """Everything that is written about a submission and its class: each of it can be saved as UTF-8."""
    jsonschema.validate(report_to_dict(report), SCHEMA)
    text = render_json(report)
    yield text
    yield render_html(report)
    read = parse_report(text)
    for form in Format:
        yield rendered(read, form)


def all_is_well(assignment_id: str, report: Report, changed: set[str]) -> None:
    """What was changed costs only its own points, and everything can be written."""
    assert not any(flag.id == "unexplained" for flag in report.flags)
    for result in report.exercises:
        assert result.passed is not None
        assert result.message
        assert result.max_points > 0
        if result.name not in changed:
            assert result.outcome is Outcome.MATCH
    assert report.max_score == sum(exercise.points for exercise in assignment_called(assignment_id).exercises)
    for text in written(report):
        assert text.encode("utf-8")
        assert "\x1b" not in text
        assert "\u202e" not in text


@st.composite
def payloads(draw: st.DrawFn, names: list[str]) -> bytes:
    """The bytes of tensors, or others: whole, cut off or changed."""
    chosen = draw(st.dictionaries(st.sampled_from([*names, "0", "1", "x"]), st.sampled_from(TENSORS), max_size=3))
    content = bytearray(payload_of(chosen) if chosen else draw(st.binary(max_size=30)))
    for place in draw(st.lists(st.integers(0, max(0, len(content) - 1)), max_size=2)) if content else ():
        content[place] = draw(st.integers(0, 255))
    return bytes(content[: draw(st.just(len(content)) | st.integers(0, len(content)))])


@st.composite
def hostile_replies(draw: st.DrawFn, assignment_id: str) -> tuple[dict[str, Reply], set[str]]:
    """Replies that the harness would never send, and the exercises that they are about."""
    run, changed, replies = run_of(assignment_id), set(), {}
    names = [f"{e.name}/d{t}" for e in assignment_called(assignment_id).exercises for t in e.targets]
    for key in draw(st.lists(st.sampled_from(sorted(run.execution.replies)), min_size=1, max_size=3, unique=True)):
        known = [*run.execution.replies[key].records, CHAIN, "training", "unknown"]
        content = b"".join(
            message(draw(headers) | {"case": draw(st.sampled_from(known) | anything)}, draw(payloads(names)))
            for _ in range(draw(st.integers(0, 5)))
        )
        status = draw(st.sampled_from(["done", "timed_out", "too_large", "crashed"]))
        ended = draw(st.fixed_dictionaries({}, optional={"signal": numbers, "exit": numbers | anything}))
        replies[key] = reply_from(({"status": status, **ended}, content + draw(st.binary(max_size=9))))
        changed.add(key.split(" ")[0])
    return replies, changed


@given(st.sampled_from(ASSIGNMENTS).flatmap(lambda name: st.tuples(st.just(name), hostile_replies(name))))
@settings(max_examples=20)
def test_any_reply_has_an_outcome_and_a_report(chosen: tuple[str, tuple[dict[str, Reply], set[str]]]) -> None:
    assignment_id, (replies, changed) = chosen

    all_is_well(assignment_id, judged(assignment_id, replies), changed)


@pytest.mark.parametrize(
    ("header", "tensors", "outcome"),
    [
        ({"status": "returned", "type": "\ud800" * 3, "parts": 10**400}, {}, Outcome.WRONG_TYPE),
        ({"status": "returned", "shapes": [[2**62, 2**62, 0]], "dtypes": ["float32"]}, {}, Outcome.WRONG_SHAPE),
        ({"status": "returned"}, {"0": torch.zeros(784, 0)}, Outcome.WRONG_SHAPE),
        ({"status": "returned"}, {"0": torch.tensor(2.0)}, Outcome.WRONG_SHAPE),
        ({"status": "returned"}, {"0": torch.zeros(784, 50).to(torch.float8_e5m2)}, Outcome.WRONG_DTYPE),
        ({"status": "returned"}, {"0": torch.zeros(784, 50, dtype=torch.complex64)}, Outcome.WRONG_DTYPE),
        ({"status": "returned"}, {"0": torch.full((784, 50), math.nan)}, Outcome.NOT_FINITE),
        ({"status": "raised", "error": {"type": "\udfff", "message": "\ud800\x1b[2J"}}, {}, Outcome.RAISED),
        ({"status": "raised", "error": {"frames": [{"cell": 2**70, "line": -1}] * 9}}, {}, Outcome.RAISED),
        ({"status": ["returned"]}, {}, Outcome.CRASHED),
        ({}, {}, Outcome.CRASHED),
    ],
)
def test_a_strange_reply_has_the_outcome_that_was_earned(
    header: dict[str, Any], tensors: dict[str, torch.Tensor], outcome: Outcome
) -> None:
    payload = payload_of(tensors) if tensors else b""
    replies = {
        f"grad_w1{suffix}": reply_from(
            (
                {"status": "done"},
                b"".join(message(header | {"case": case}, payload) for case in cases),
            )
        )
        for suffix, cases in (
            ("", ["mnist"]),
            *((s, ["mnist_hidden", "vjp", "linear"]) for s in (" practice", " hidden")),
        )
    }

    report = judged("two_layer_mse", replies)

    (result,) = (each for each in report.exercises if each.name == "grad_w1")
    assert {case.outcome for case in result.cases} == {outcome}
    all_is_well("two_layer_mse", report, {"grad_w1"})


def deep(levels: int) -> bytes:
    return b'{"case": "mnist", "status": "returned", "x": ' + b"[" * levels + b"]" * levels + b"}"


@pytest.mark.parametrize(
    "header", [deep(3), deep(970), deep(100_000), b"[" * 500_000, b'{"case": "mnist"', b"3", b"\xff"]
)
def test_other_records_stay_beside_one_that_is_no_json(header: bytes) -> None:
    """A record that is deep, cut off or no JSON costs at most itself and what follows; the instructor is told."""
    right = run_of("two_layer_mse").execution.replies["grad_w1"].records["mnist"]

    reply = reply_from(({"status": "done"}, message(*right) + message(header, b"")))

    report = judged("two_layer_mse", {"grad_w1": reply})
    assert reply.records == {"mnist": right}
    assert all(result.outcome is Outcome.MATCH for result in report.exercises)
    assert [(flag.id, flag.exercise) for flag in report.flags] == [("odd_reply", "grad_w1")]


def test_thousands_of_records_are_not_kept() -> None:
    """Nor are records of unknown cases, or a second one of a known case."""
    right = run_of("two_layer_mse").execution.replies["grad_w1"].records["mnist"]
    many = b"".join(message({"case": f"{number}"}, b"") for number in range(20_000))

    reply = reply_from(({"status": "done"}, message(*right) + message(right[0] | {"status": "raised"}, b"") + many))

    assert len(reply.records) < 1000
    assert reply.records["mnist"] == right
    assert reply.is_odd


def test_what_the_harness_sends_is_not_odd() -> None:
    for assignment_id in ASSIGNMENTS:
        assert not any(reply.is_odd for reply in run_of(assignment_id).execution.replies.values())
        assert judged(assignment_id, {}).flags == ()


@given(st.data())
@settings(max_examples=15)
def test_any_losses_make_a_report(data: st.DataObject) -> None:
    length = assignment_called("two_layer_mse").steps + 1
    losses = data.draw(st.lists(st.sampled_from(NUMBERS), min_size=length, max_size=length))
    records = run_of("two_layer_mse").execution.replies[CHAIN].records
    reply = Reply(status="done", records=records | {"training": ({"losses": losses}, b"")})

    report = judged("two_layer_mse", {CHAIN: reply})

    assert report.chain is not None
    assert report.chain.training is not None
    assert render_html(report)
    assert render_json(report)


def test_an_execution_with_hostile_replies_can_be_kept() -> None:
    assignment = assignment_called("two_layer_mse")
    content = message({"case": "mnist", "status": "raised", "error": {"message": "\ud800" * 9000}}, b"\xff" * 99)
    replies = {"grad_w1": reply_from(({"status": "crashed", "exit": 10**400}, content + deep(970)))}
    execution = dataclasses.replace(run_of("two_layer_mse").execution, replies=replies)

    packed = pack_execution(execution, assignment)

    assert packed is not None
    assert unpack_execution(packed, assignment) == execution


# ---------------------------------------------------------------------------------------------- writers of typed data

KEPT = {"release", "sha256", "points", "max_points", "graded", "seconds", "id", "assignment_version"}


def strange(value: Any, rng: random.Random, name: str = "") -> Any:
    """Typed data of the same types, with other texts and numbers wherever a student may have chosen them."""
    if name in KEPT or isinstance(value, (Outcome, bool, bytes)):
        return value
    if isinstance(value, str):
        return rng.choice((*STRANGE, value))
    if isinstance(value, float):
        return rng.choice(NUMBERS)
    if isinstance(value, tuple):
        return tuple(strange(item, rng) for item in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return dataclasses.replace(value, **{key: strange(inner, rng, key) for key, inner in fields.items()})
    return value


@pytest.mark.parametrize("seed", range(12))
def test_writers_take_any_text_and_number(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    answers = (
        "# %%\ndef grad_w1(x, dz1):\n    return x.T @ dz1 * 2\n\n# %%\ndef grad_b1(dz1):\n    raise ValueError(1)\n"
    )
    report = strange(wrong_report(answers), rng)

    for name, text in written_anyhow(report):
        assert text.encode("utf-8")
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert name == "html" or not any(line.lstrip().startswith("::error::b") for line in text.splitlines())
    read = dataclasses.replace(parse_report(render_json(report)), student="1001")
    student = rng.choice(STRANGE)
    received = received_of(student, display=rng.choice(STRANGE))
    problem = Problem(where=rng.choice(STRANGE), message=rng.choice(STRANGE), owner=received.owner)
    entries = [Entry(received=received, file="a.html", report=read, fault=rng.choice(STRANGE))]
    write_gradebook(tmp_path, entries, [problem])
    page = render_overview(build_overview(entries, [problem], title=rng.choice(STRANGE), facts=[]))
    cells = [
        cell
        for row in csv.reader((tmp_path / "gradebook.csv").read_text(encoding="utf-8").splitlines())
        for cell in row
    ]
    for text in (page, *cells):
        assert "\x1b" not in text
        assert "\u202e" not in text
    assert not any(
        cell.startswith(("=", "+", "-", "@")) for cell in cells if not cell.replace("-", "").isdigit() and cell != "-"
    )


@functools.cache
def wrong_report(answers: str) -> Report:
    assignment = assignment_called("two_layer_mse")
    return InProcessRun(assignment, answers, base="solution", name="1001.ipynb").report(assignment)


def written_anyhow(report: Report) -> Iterator[tuple[str, str]]:
    """As `written`, but a format may refuse names that it cannot express."""
    yield "html", render_html(report)
    yield "json", render_json(report)
    read = parse_report(render_json(report))
    for form in Format:
        with contextlib.suppress(UsageError):
            yield form.value, rendered(read, form)
