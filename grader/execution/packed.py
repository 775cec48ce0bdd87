"""
How a notebook ran, as bytes to keep: all that is needed to judge it again, without running anything.

Every answer is kept to the last bit, right or wrong, since what the next judgement will look at is not known today.
That costs little. Gradients are kept as what they differ by from the reference, bit for bit: of a right answer that is
noise in the last few bits, of one with a wrong sign or half a mask much of it is zero, and zeros compress to nothing.
The reference is computed anew by whoever reads, so a checksum says whether it is still the same; where it is not
(another kind of processor, say), the notebook has to run again.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import zlib
from typing import Any

import numpy as np
import torch

from grader.assignment.load import Assignment
from grader.execution.calls import CHAIN
from grader.execution.channel import Reply
from grader.execution.execute import Execution
from grader.model import CallError
from grader.reference.cases import build_cases, build_chain

__all__ = ["LIMIT_BYTES", "PLAIN_LIMIT_BYTES", "pack_execution", "unpack_execution"]

LIMIT_BYTES = 8 * 1024 * 1024
"""What packs to more than this is not kept."""
PLAIN_LIMIT_BYTES = 64 * 1024 * 1024
"""Nor is what is larger than this before."""

_FORMAT = 1
_DTYPES = {"F32": torch.float32, "F64": torch.float64}
_WIDTH = 8
_LEVEL = 3

Gradients = dict[str, torch.Tensor]


def pack_execution(execution: Execution, assignment: Assignment) -> bytes | None:
    """An execution as bytes; None where that would be more than `LIMIT_BYTES`."""
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
        described = {"key": key, "status": reply.status, "detail": reply.detail, "is_fatal": reply.is_fatal}
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
    plain = b"\n".join((json.dumps(summary).encode(), b"".join(payloads)))
    if len(plain) > PLAIN_LIMIT_BYTES:
        return None
    packed = zlib.compress(plain, _LEVEL)
    return packed if len(packed) <= LIMIT_BYTES else None


def unpack_execution(content: bytes, assignment: Assignment) -> Execution | None:
    """What `pack_execution` made into bytes; None where these are damaged, or the reference is another one now."""
    expected = _expected(assignment)
    replies: dict[str, Reply] = {}
    digest = hashlib.sha256()
    try:
        words, _, payloads = zlib.decompressobj().decompress(content, PLAIN_LIMIT_BYTES).partition(b"\n")
        summary = json.loads(words)
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
    """The references, by an answer's key and a record's case, then by the names that tensors have there."""
    chain = build_chain(assignment).expected
    links = {f"{e.name}/d{target}": chain[f"d{target}"] for e in assignment.exercises for target in e.targets}
    return {(CHAIN, CHAIN): links} | {
        (name, case.name): {str(number): tensor for number, tensor in enumerate(case.expected)}
        for name, cases in build_cases(assignment).items()
        for case in cases
    }


# --------------------------------------------------------------------------------- one payload, and the reference


def _difference(payload: bytes, expected: Gradients) -> bytes:
    """
    What a payload differs by from the reference, as many bytes as the payload; `_restored` is its inverse.

    Bytes of the same significance stand together, so that the leading ones, all zero, are one long run.
    """
    head, data = _parted(payload)
    mixed = data ^ _reference(head, data.size, expected)
    whole = mixed.size // _WIDTH * _WIDTH
    return b"".join((head, mixed[:whole].reshape(-1, _WIDTH).T.tobytes(), mixed[whole:].tobytes()))


def _restored(kept: bytes, expected: Gradients) -> bytes:
    head, data = _parted(kept)
    whole = data.size // _WIDTH * _WIDTH
    mixed = np.concatenate([data[:whole].reshape(_WIDTH, -1).T.reshape(-1), data[whole:]])
    return head + (mixed ^ _reference(head, data.size, expected)).tobytes()


def _parted(payload: bytes) -> tuple[bytes, np.typing.NDArray[np.uint8]]:
    """The head of a file in the safetensors format, and its numbers; what is none has a head only."""
    end = 8 + int.from_bytes(payload[:8], "little")
    return payload[:end], np.frombuffer(payload[end:], dtype=np.uint8)


def _reference(head: bytes, size: int, expected: Gradients) -> np.typing.NDArray[np.uint8]:
    """What the numbers would be if all were right, as far as the head names tensors that there are references for."""
    numbers = np.zeros(size, dtype=np.uint8)
    try:
        described = json.loads(head[8:])
        for name, tensor in expected.items():
            about = described.get(name, {})
            begin, end = about.get("data_offsets", (0, 0))
            if about.get("dtype") in _DTYPES and type(begin) is type(end) is int and 0 <= begin < end <= size:
                right = np.frombuffer(tensor.to(_DTYPES[about["dtype"]]).contiguous().numpy().tobytes(), np.uint8)
                if right.size == end - begin:
                    numbers[begin:end] = right
    except (ValueError, TypeError, AttributeError, RecursionError):
        pass  # the student's process wrote it: as far as it could be read is as good as anything, and the same later
    return numbers
