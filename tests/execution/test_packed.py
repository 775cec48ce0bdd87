"""Every reply is packed and unpacked to the last bit, and damaged bytes are refused."""

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
from grader.execution.asking import CHAIN
from grader.execution.channel import Reply
from grader.execution.packed import pack_execution, unpack_execution
from grader.execution.record import Execution
from grader.model import CallError
from grader.modes import one_thread
from grader.reference.cases import build_cases
from grader.reference.chain import build_chain
from tests.conftest import assignment_called

HEAD = json.dumps({"0": {"dtype": "F32", "shape": [64, 1], "data_offsets": [0, 256]}}).encode()


def execution_with(records: dict[str, dict[str, tuple[dict, bytes]]]) -> Execution:
    return Execution(
        executed=3,
        errors={2: CallError(type="ValueError", message="\ud800 é", cell=2)},
        stopped=None,
        replies={key: Reply(status="done", records=of_request) for key, of_request in records.items()},
        layers=("seccomp",),
        seconds=0.25,
    )


def right_execution(assignment: Assignment) -> Execution:
    """An execution in which every gradient is right, except for noise in the last bits."""
    records: dict[str, dict[str, tuple[dict, bytes]]] = {}
    for name, cases in build_cases(assignment).items():
        records[name] = {}
        for case in cases:
            noisy = [tensor * (1 + torch.finfo(case.dtype).eps) for tensor in case.expected]
            tensors = {str(number): tensor.to(case.dtype).contiguous() for number, tensor in enumerate(noisy)}
            records[name][case.name] = {"case": case.name, "status": "returned"}, save(tensors)
    chain = build_chain(assignment).expected
    links = {
        f"{e.name}/d{target}": chain[f"d{target}"].float().contiguous()
        for e in assignment.exercises
        for target in e.targets
    }
    records[CHAIN] = {CHAIN: ({"case": CHAIN}, save(links)), "training": ({"losses": [1.0, float("inf")]}, b"")}
    return execution_with(records)


@pytest.mark.parametrize("name", ["two_layer_mse", "batchnorm"])
def test_right_answers_take_little_room(name: str) -> None:
    assignment = assignment_called(name)
    execution = right_execution(assignment)
    size = sum(len(payload) for reply in execution.replies.values() for _, payload in reply.records.values())

    packed = pack_execution(execution, assignment)

    assert packed is not None
    assert unpack_execution(packed, assignment) == execution
    assert len(packed) < 0.1 * size


@given(
    st.lists(
        st.one_of(st.binary(max_size=300), st.binary(max_size=400).map(lambda data: _file(HEAD, data))), max_size=4
    )
)
def test_any_payload_is_restored(payloads: list[bytes]) -> None:
    """The student's process wrote it, so its head may lie, or its numbers may be cut off."""
    assignment = assignment_called("two_layer_mse")
    cases = [case.name for case in build_cases(assignment)["grad_yhat"]]
    execution = execution_with(
        {"grad_yhat": {case: ({}, payload) for case, payload in zip(cases, payloads, strict=False)}}
    )

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
def test_a_payload_whose_head_lies_is_restored(assignment: Assignment, head: bytes) -> None:
    execution = execution_with({"grad_yhat": {"mnist": ({}, _file(head, os.urandom(256)))}})

    packed = pack_execution(execution, assignment)

    assert packed is not None
    assert unpack_execution(packed, assignment) == execution


def test_nothing_is_restored_if_the_reference_has_changed(assignment: Assignment) -> None:
    packed = pack_execution(right_execution(assignment), assignment)
    assert packed is not None

    assert unpack_execution(packed, dataclasses.replace(assignment, hidden_seed=7)) is None


def test_nothing_is_restored_from_damaged_bytes(assignment: Assignment) -> None:
    packed = pack_execution(right_execution(assignment), assignment)
    assert packed is not None
    unpacked = bytearray(zlib.decompress(packed))
    unpacked[-9] ^= 1

    assert unpack_execution(packed[:-20], assignment) is None
    assert unpack_execution(zlib.compress(bytes(unpacked)), assignment) is None
    for content in (b"", b"no", zlib.compress(b"[]\n"), zlib.compress(b"{}"), zlib.compress(b'{"format": 2}\n')):
        assert unpack_execution(content, assignment) is None


def test_an_execution_that_is_too_large_is_not_packed(assignment: Assignment, monkeypatch: pytest.MonkeyPatch) -> None:
    execution = execution_with({"grad_yhat": {"mnist": ({}, os.urandom(20_000))}})
    assert pack_execution(execution, assignment) is not None

    monkeypatch.setattr("grader.execution.packed.LIMIT_BYTES", 10_000)
    assert pack_execution(execution, assignment) is None

    monkeypatch.undo()
    monkeypatch.setattr("grader.execution.packed.UNPACKED_LIMIT_BYTES", 10_000)
    assert pack_execution(execution, assignment) is None
    assert unpack_execution(zlib.compress(bytes(10**7)), assignment) is None


def test_references_do_not_depend_on_threads(assignment: Assignment) -> None:
    """They are the same bit for bit. Otherwise one process could not unpack what another one packed."""
    threads = torch.get_num_threads()
    references = []
    for number in (1, 3):
        torch.set_num_threads(number)
        fresh = dataclasses.replace(assignment, steps=1)  # one whose cases are not cached
        references.append([right for cases in build_cases(fresh).values() for case in cases for right in case.expected])
        assert torch.get_num_threads() == number
    torch.set_num_threads(threads)
    with one_thread():
        assert torch.get_num_threads() == 1

    assert all(torch.equal(first, second) for first, second in zip(*references, strict=True))
