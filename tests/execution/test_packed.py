"""Answers are kept to the last bit, whatever they are, and what is damaged is not believed."""

from __future__ import annotations

import dataclasses
import json
import os
import zlib

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save

from grader.assignment.load import Assignment
from grader.execution.calls import CHAIN
from grader.execution.channel import Reply
from grader.execution.execute import Execution
from grader.execution.packed import pack_execution, unpack_execution
from grader.model import CallError
from grader.reference.cases import build_cases, build_chain
from grader.reference.networks import one_thread
from tests.conftest import assignment_called

HEAD = json.dumps({"0": {"dtype": "F32", "shape": [64, 1], "data_offsets": [0, 256]}}).encode()


def executed(records: dict[str, dict[str, tuple[dict, bytes]]]) -> Execution:
    return Execution(
        executed=3,
        errors={2: CallError(type="ValueError", message="\ud800 é", cell=2)},
        stopped=None,
        replies={key: Reply(status="done", records=theirs) for key, theirs in records.items()},
        layers=("seccomp",),
        seconds=0.25,
    )


def right(assignment: Assignment) -> Execution:
    """All is right, but for noise in the last bits."""
    records: dict[str, dict[str, tuple[dict, bytes]]] = {}
    for name, cases in build_cases(assignment).items():
        records[name] = {}
        for case in cases:
            noisy = [tensor * (1 + torch.finfo(case.dtype).eps) for tensor in case.expected]
            tensors = {str(number): tensor.to(case.dtype).contiguous() for number, tensor in enumerate(noisy)}
            records[name][case.name] = {"case": case.name, "status": "returned"}, save(tensors)
    chain = build_chain(assignment).expected
    made = {
        f"{e.name}/d{target}": chain[f"d{target}"].float().contiguous()
        for e in assignment.exercises
        for target in e.targets
    }
    records[CHAIN] = {CHAIN: ({"case": CHAIN}, save(made)), "training": ({"losses": [1.0, float("inf")]}, b"")}
    return executed(records)


@pytest.mark.parametrize("name", ["two_layer_mse", "batchnorm"])
def test_right_answers_take_little_room(name: str) -> None:
    assignment = assignment_called(name)
    execution = right(assignment)
    size = sum(len(p) for reply in execution.replies.values() for _, p in reply.records.values())

    packed = pack_execution(execution, assignment)

    assert packed is not None
    assert unpack_execution(packed, assignment) == execution
    assert len(packed) < 0.1 * size


@given(
    st.lists(
        st.one_of(st.binary(max_size=300), st.binary(max_size=400).map(lambda data: _file(HEAD, data))), max_size=4
    )
)
def test_whatever_was_answered_comes_back(payloads: list[bytes]) -> None:
    """The student's process wrote it: heads that lie, numbers cut off, no format at all."""
    assignment = assignment_called("two_layer_mse")
    cases = [case.name for case in build_cases(assignment)["grad_yhat"]]
    execution = executed({"grad_yhat": {case: ({}, payload) for case, payload in zip(cases, payloads, strict=False)}})

    packed = pack_execution(execution, assignment)

    assert packed is not None
    assert unpack_execution(packed, assignment) == execution


def _file(head: bytes, data: bytes) -> bytes:
    return len(head).to_bytes(8, "little") + head + data


@pytest.mark.parametrize(
    "head",
    [
        b"[]",
        b"{",
        b'{"0": 3}',
        b'{"0": {"dtype": "F32", "data_offsets": [0, 1e9]}}',
        b'{"0": {"dtype": "F32", "data_offsets": [-8, 248]}}',
        b'{"0": {"dtype": ["F32"], "data_offsets": [0, 256]}}',
        b'{"0": {"dtype": "F32", "data_offsets": {"a": 1, "b": 2}}}',
        b'{"0": {"dtype": "F32", "data_offsets": [0, 256, 3]}}',
    ],
)
def test_heads_that_lie(assignment: Assignment, head: bytes) -> None:
    execution = executed({"grad_yhat": {"mnist": ({}, _file(head, os.urandom(256)))}})

    packed = pack_execution(execution, assignment)

    assert packed is not None
    assert unpack_execution(packed, assignment) == execution


def test_another_reference_is_noticed(assignment: Assignment) -> None:
    """What cannot be restored exactly is not restored at all."""
    packed = pack_execution(right(assignment), assignment)
    assert packed is not None

    assert unpack_execution(packed, dataclasses.replace(assignment, hidden_seed=7)) is None


def test_damage_is_noticed(assignment: Assignment) -> None:
    packed = pack_execution(right(assignment), assignment)
    assert packed is not None
    plain = bytearray(zlib.decompress(packed))
    plain[-9] ^= 1

    assert unpack_execution(packed[:-20], assignment) is None
    assert unpack_execution(zlib.compress(bytes(plain)), assignment) is None
    for content in (b"", b"no", zlib.compress(b"[]\n"), zlib.compress(b"{}"), zlib.compress(b'{"format": 2}\n')):
        assert unpack_execution(content, assignment) is None


def test_what_is_too_large_is_not_kept(assignment: Assignment, monkeypatch: pytest.MonkeyPatch) -> None:
    execution = executed({"grad_yhat": {"mnist": ({}, os.urandom(20_000))}})
    assert pack_execution(execution, assignment) is not None

    monkeypatch.setattr("grader.execution.packed.LIMIT_BYTES", 10_000)
    assert pack_execution(execution, assignment) is None

    monkeypatch.undo()
    monkeypatch.setattr("grader.execution.packed.PLAIN_LIMIT_BYTES", 10_000)
    assert pack_execution(execution, assignment) is None
    assert unpack_execution(zlib.compress(bytes(10**7)), assignment) is None


def test_references_do_not_depend_on_threads(assignment: Assignment) -> None:
    """Bit for bit: else what one process keeps, another one could not read."""
    threads = torch.get_num_threads()
    found = []
    for number in (1, 3):
        torch.set_num_threads(number)
        again = dataclasses.replace(assignment, steps=1)  # not the one that is known already
        found.append([tensor for cases in build_cases(again).values() for case in cases for tensor in case.expected])
        assert torch.get_num_threads() == number
    torch.set_num_threads(threads)
    with one_thread():
        assert torch.get_num_threads() == 1

    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))
