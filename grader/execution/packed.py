"""
Packs how a notebook ran into bytes: everything that is needed to judge it again without running it.

Every reply is kept to the last bit, right or wrong, because nobody knows what a later version of the grader will need.
That takes little space. Of each gradient, the bitwise difference from the reference is kept. For a right answer that is
noise in the last few bits; for a wrong sign or a missing mask much of it is zero; and zeros compress to almost nothing.
The reader computes the reference again, and a checksum shows whether it is still the same. If it is not, for example on
another kind of processor, the notebook has to run again.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

from grader.assignment.load import Assignment
from grader.execution.asking import CHAIN, hidden_keys, practice_key
from grader.execution.channel import Reply
from grader.execution.record import Execution
from grader.model import CallError
from grader.reference.cases import Case, build_cases
from grader.reference.chain import build_chain
from grader.reference.practice import build_practice

__all__ = ["LIMIT_BYTES", "UNPACKED_LIMIT_BYTES", "pack_execution", "unpack_execution"]

LIMIT_BYTES = 8 * 1024 * 1024
"""The largest size of a packed execution."""
UNPACKED_LIMIT_BYTES = 64 * 1024 * 1024
"""The largest size of an execution before it is compressed."""

_FORMAT = 2
_DTYPES = {"F32": torch.float32, "F64": torch.float64}
_WIDTH = 8
_LEVEL = 3

Gradients = dict[str, torch.Tensor]


def pack_execution(execution: Execution, assignment: Assignment) -> bytes | None:
    """An execution as bytes; None if it is larger than `UNPACKED_LIMIT_BYTES` or, compressed, than `LIMIT_BYTES`."""
    expected = _expected(assignment)
    payloads: list[bytes] = []
    replies: list[dict[str, Any]] = []
    digest = hashlib.sha256()
    for key, reply in execution.replies.items():
        records = []
        for case, (header, payload) in reply.records.items():
            digest.update(payload)
            payloads.append(_difference(payload, expected.get((key, case), {})))
            records.append({"case": case, "header": header, "bytes": len(payload)})
        described = {name: getattr(reply, name) for name in ("status", "detail", "is_fatal", "is_odd")} | {"key": key}
        replies.append({**described, "records": records})
    summary = {
        "format": _FORMAT,
        "executed": execution.executed,
        "errors": {str(number): dataclasses.asdict(error) for number, error in execution.errors.items()},
        "stopped": execution.stopped,
        "layers": execution.layers,
        "seconds": execution.seconds,
        "answers": replies,
        "sha256": digest.hexdigest(),
    }
    unpacked = b"\n".join((json.dumps(summary).encode(), b"".join(payloads)))
    if len(unpacked) > UNPACKED_LIMIT_BYTES:
        return None
    packed = zlib.compress(unpacked, _LEVEL)
    return packed if len(packed) <= LIMIT_BYTES else None


def unpack_execution(content: bytes, assignment: Assignment) -> Execution | None:
    """The execution that `pack_execution` packed; None if the bytes are damaged or the reference has changed."""
    expected = _expected(assignment)
    replies: dict[str, Reply] = {}
    digest = hashlib.sha256()
    try:
        text, _, payloads = zlib.decompressobj().decompress(content, UNPACKED_LIMIT_BYTES).partition(b"\n")
        summary = json.loads(text)
        if summary["format"] != _FORMAT:
            return None
        place = 0
        for described in summary["answers"]:
            records: dict[str, tuple[dict[str, Any], bytes]] = {}
            for record in described["records"]:
                kept = payloads[place : place + record["bytes"]]
                place += record["bytes"]
                payload = _restored(kept, expected.get((described["key"], record["case"]), {}))
                digest.update(payload)
                records[record["case"]] = record["header"], payload
            replies[described["key"]] = Reply(
                status=described["status"],
                detail=described["detail"],
                is_fatal=described["is_fatal"],
                is_odd=described["is_odd"],
                records=records,
            )
        if digest.hexdigest() != summary["sha256"]:
            return None
        return Execution(
            executed=summary["executed"],
            errors={int(number): CallError(**error) for number, error in summary["errors"].items()},
            stopped=summary["stopped"],
            replies=replies,
            layers=tuple(summary["layers"]),
            seconds=summary["seconds"],
        )
    except (zlib.error, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _expected(assignment: Assignment) -> dict[tuple[str, str], Gradients]:
    """The references: by the key of a reply and the case of a record, and then by the names of the tensors there."""
    known = build_chain(assignment)
    links = {f"{name}/{of}": known.expected[of] for name, returned in known.returned.items() for of in returned}
    cases, practice = build_cases(assignment), build_practice(assignment)
    by_key: dict[str, Iterable[Case]] = {}
    for exercise in assignment.exercises:
        by_key |= dict.fromkeys((exercise.name, *hidden_keys(exercise)), cases[exercise.name])
        by_key[practice_key(exercise)] = practice[exercise.name]
    return {(CHAIN, CHAIN): links} | {
        (key, case.name): {str(number): tensor for number, tensor in enumerate(case.expected)}
        for key, of_key in by_key.items()
        for case in of_key
    }


# --------------------------------------------------------------------------------- one payload, and the reference


def _difference(payload: bytes, expected: Gradients) -> bytes:
    """
    The bitwise difference between a payload and the reference, as long as the payload. `_restored` is the inverse.

    Bytes of the same significance are grouped, so that the leading ones, which are all zero, form one long run.
    """
    head, data = _head_and_numbers(payload)
    difference = data ^ _reference(head, data.size, expected)
    grouped = difference.size // _WIDTH * _WIDTH
    return b"".join((head, difference[:grouped].reshape(-1, _WIDTH).T.tobytes(), difference[grouped:].tobytes()))


def _restored(kept: bytes, expected: Gradients) -> bytes:
    head, data = _head_and_numbers(kept)
    grouped = data.size // _WIDTH * _WIDTH
    difference = np.concatenate([data[:grouped].reshape(_WIDTH, -1).T.reshape(-1), data[grouped:]])
    return head + (difference ^ _reference(head, data.size, expected)).tobytes()


def _head_and_numbers(payload: bytes) -> tuple[bytes, np.typing.NDArray[np.uint8]]:
    """The head and the numbers of a payload in the safetensors format. Another payload may have only a head."""
    end = 8 + int.from_bytes(payload[:8], "little")
    return payload[:end], np.frombuffer(payload[end:], dtype=np.uint8)


def _reference(head: bytes, size: int, expected: Gradients) -> np.typing.NDArray[np.uint8]:
    """The bytes that the numbers have if all are right; zeros for tensors without a reference, or not in the head."""
    numbers = np.zeros(size, dtype=np.uint8)
    try:
        described = json.loads(head[8:])
        for name, tensor in expected.items():
            entry = described.get(name, {})
            begin, end = entry.get("data_offsets", (0, 0))
            if entry.get("dtype") in _DTYPES and type(begin) is type(end) is int and 0 <= begin < end <= size:
                right = np.frombuffer(tensor.to(_DTYPES[entry["dtype"]]).contiguous().numpy().tobytes(), np.uint8)
                if right.size == end - begin:
                    numbers[begin:end] = right
    except (ValueError, TypeError, AttributeError, RecursionError):
        pass  # the student's process wrote the head; reading it again fails in the same place, so any reference will do
    return numbers
