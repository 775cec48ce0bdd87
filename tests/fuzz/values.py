"""Hostile values and mutations of honest ones: of trees of plain data, of bytes, of records and of tensors."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from typing import Any

import torch

from grader.harness.wire import PREFIX
from tests.case_samples import payload_of

__all__ = [
    "TENSORS",
    "TEXTS",
    "changed_bytes",
    "changed_records",
    "changed_tree",
    "hostile_text",
    "hostile_value",
    "message",
]

TEXTS = (
    "",
    "\x00",
    "\x1b[2J\x1b]0;title\x07",
    "\u202egnp",
    "a\n::error::b",
    "%0A##[error]",
    "=1+1",
    "<script>alert(1)</script>",
    "{{ 7 * 7 }}",
    "../../etc/passwd",
    "é" * 5_000,
    "a" * 300_000,
    "\n" * 3_000,
    "[" * 3_000,
    "grader_error",
    "match",
    "unreachable",
    "\U0010ffff\ufffe",
)
NUMBERS = (
    *(0, -1, 1, 2, 31, 784, 2**31, 2**53, 2**63 - 1, -(2**63), 2**64 - 1),
    *(0.0, -0.0, 5e-324, 1e308, -1e308, math.nan, math.inf, -math.inf, 0.5),
)
TENSORS = (
    torch.zeros(0),
    torch.zeros(3, 0, 2),
    torch.zeros(0, 50),
    torch.tensor(1.0),
    torch.tensor(math.nan),
    torch.full((784, 50), math.inf),
    torch.full((784, 50), 1e308, dtype=torch.float64),
    torch.full((1, 1), 5e-324, dtype=torch.float64),
    torch.full((50, 1), -0.0),
    torch.zeros(64, 64),
    torch.ones(784, 50, dtype=torch.complex64),
    torch.ones(784, 50, dtype=torch.bool),
    torch.ones(1, 50).to(torch.float8_e5m2),
    torch.ones(1, 50).to(torch.float8_e4m3fn),
    torch.ones(50, 1, dtype=torch.float16) * 6e4,
    torch.ones(50, 1, dtype=torch.bfloat16),
    torch.full((64, 1), -(2**63), dtype=torch.int64),
    torch.ones(1, 1, 1, 1, 1, 1, 1, 1),
)
"""Tensors that no gradient should be."""
HUGE = (2**70, -(2**200), 10**400)
"""Numbers that JSON has and MessagePack has not."""
SURROGATES = ("\ud800", "a\udfffb", "\udcff" * 500)
"""Texts that JSON has and MessagePack has not."""


def message(header: Any, payload: bytes = b"") -> bytes:
    """A message as the wire has it. Unlike the harness, it may say anything."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return PREFIX.pack(len(text), len(payload)) + text + payload


def hostile_text(rng: random.Random, *, of_json: bool = False) -> str:
    """A text that somebody has to be careful with."""
    return rng.choice((*TEXTS, *SURROGATES)) if of_json else rng.choice(TEXTS)


def hostile_value(rng: random.Random, *, of_json: bool = False, depth: int = 3) -> Any:
    """A value of any type: one that JSON can express, or MessagePack."""
    kind = rng.randrange(7 if depth else 4)
    if kind == 0:
        return rng.choice((None, True, False))
    if kind in (1, 2):
        return rng.choice((*NUMBERS, *HUGE) if of_json else NUMBERS)
    if kind == 3:
        return hostile_text(rng, of_json=of_json)
    if kind == 4:
        return [hostile_value(rng, of_json=of_json, depth=depth - 1) for _ in range(rng.choice((0, 1, 2, 5)))]
    if kind == 5:
        items = range(rng.choice((0, 1, 2, 5)))
        return {rng.choice(TEXTS[:12]): hostile_value(rng, of_json=of_json, depth=depth - 1) for _ in items}
    nested: Any = rng.choice(NUMBERS)
    for _ in range(rng.choice((10, 100, 400))):
        nested = [nested] if rng.random() < 0.7 else {"a": nested}
    return nested


def changed_tree(tree: Any, rng: random.Random, *, of_json: bool = False) -> Any:
    """A copy of plain data in which something is replaced, left out, doubled, renamed or added."""
    if isinstance(tree, dict) and tree and rng.random() < 0.85:
        return _changed_object(tree, rng, of_json)
    if isinstance(tree, (list, tuple)) and tree and rng.random() < 0.85:
        return _changed_list(list(tree), rng, of_json)
    if isinstance(tree, str) and rng.random() < 0.3:
        place = rng.randint(0, len(tree))
        return tree[:place] + hostile_text(rng, of_json=of_json) + tree[place:]
    if type(tree) is int and rng.random() < 0.5:
        return max(-(2**63), min(2**63, tree + rng.choice((-1, 1, 7, -(2**20)))))
    return hostile_value(rng, of_json=of_json)


def _changed_object(tree: dict[Any, Any], rng: random.Random, of_json: bool) -> dict[Any, Any]:
    key = rng.choice(list(tree))
    copy = dict(tree)
    how = rng.randrange(8)
    if how == 0:
        del copy[key]
    elif how == 1:
        copy[rng.choice(TEXTS[:12])] = copy.pop(key)
    elif how == 2:
        copy[rng.choice(list(tree))] = copy[key]
    else:
        copy[key] = changed_tree(copy[key], rng, of_json=of_json)
    return copy


def _changed_list(items: list[Any], rng: random.Random, of_json: bool) -> list[Any]:
    place = rng.randrange(len(items))
    how = rng.randrange(8)
    if how == 0:
        del items[place]
    elif how == 1:
        items.insert(place, items[place])
    elif how == 2:
        items += [items[place]] * rng.choice((2, 50, 2_100))
    else:
        items[place] = changed_tree(items[place], rng, of_json=of_json)
    return items


def changed_bytes(content: bytes, rng: random.Random) -> bytes:
    """A copy of some bytes: cut off, doubled, or with others in some places."""
    how = rng.randrange(6)
    place = rng.randint(0, len(content))
    until = min(len(content), place + rng.choice((1, 4, 40)))
    if how == 0:
        return content[:place]
    if how == 1:
        return content[:place] + content[until:]
    if how == 2:
        return content[:place] + content[place:until] * rng.choice((2, 3, 1_000)) + content[until:]
    if how == 3:
        return content[:place] + rng.randbytes(rng.choice((1, 8, 100))) + content[place:]
    if how == 4:
        return content[:place] + rng.choice((b"\xff", b"\0", b"\xed\xa0\x80", b"\x80" * 9, b'"', b"[" * 2_000))
    copy = bytearray(content)
    for _ in range(rng.choice((1, 1, 3, 20)) if copy else 0):
        copy[rng.randrange(min(len(copy), rng.choice((16, 400, len(copy)))))] = rng.randrange(256)
    return bytes(copy)


Record = tuple[dict[str, Any], bytes]


def changed_records(records: list[Record], rng: random.Random) -> bytes:
    """The payload of a reply with records that the harness would not send like this."""
    changed: list[bytes] = []
    chosen = rng.randrange(len(records)) if records else -1
    for number, (header, payload) in enumerate(records):
        if number != chosen:
            changed.append(message(header, payload))
        else:
            changed.append(_changed_record(header, payload, rng))
    content = b"".join(changed)
    return changed_bytes(content, rng) if not changed or rng.random() < 0.2 else content


def _changed_record(header: dict[str, Any], payload: bytes, rng: random.Random) -> bytes:
    changes: list[Callable[[], bytes]] = [
        lambda: message(changed_tree(header, rng, of_json=True), payload),
        lambda: message(changed_tree(header, rng, of_json=True), payload),
        lambda: message(header | {"status": rng.choice(("raised", "missing", "out_of_memory", "?"))}, payload),
        lambda: message(header | {"status": "raised", "error": _error(rng)}),
        lambda: message(header | {"place": [rng.choice((0, 1, 2, 3, 99)), rng.choice((-1, 1, 2, 70))]}, payload),
        lambda: message(header | {rng.choice(_WORDS): hostile_value(rng, of_json=True)}, payload),
        lambda: message(header, changed_bytes(payload, rng)),
        lambda: message(header, payload_of({str(n): rng.choice(TENSORS) for n in range(rng.choice((1, 1, 2)))})),
        lambda: message(header, payload_of({"0": rng.choice(TENSORS).reshape(-1)})),
        lambda: message(header, _empty(rng)),
        lambda: message(header, _changed_tensors(payload, rng)),
        lambda: message(header, b""),
        lambda: message(b"[" * rng.choice((10, 900, 100_000)), payload),
        lambda: message(changed_bytes(json.dumps(header).encode(), rng), payload),
        lambda: message(header, payload) * rng.choice((2, 300)),
        lambda: PREFIX.pack(rng.choice((0, 2**20, 2**32 - 1)), rng.choice((0, 2**63, 2**64 - 1))) + payload,
    ]
    return rng.choice(changes)()


_WORDS = ("type", "collection", "parts", "shapes", "dtypes", "requires_grad", "autograd", "mutated", "narrowed")


def _error(rng: random.Random) -> dict[str, Any]:
    frame = {"cell": rng.choice((1, 2, 0, -1, 2**70)), "line": rng.choice((1, 2, 3, 0, 10**9)), "function": "f"}
    return {
        "type": hostile_text(rng, of_json=True),
        "message": hostile_text(rng, of_json=True),
        "frames": [changed_tree(frame, rng, of_json=True)] * rng.choice((0, 1, 30)),
    }


def _empty(rng: random.Random) -> bytes:
    """A tensor without numbers, whose other sizes are huge."""
    shape = rng.choice(([2**62, 0], [0, 2**62, 2**62], [0] * 20, [2**40, 2**40, 0], [0, 50], [-1, 0]))
    text = json.dumps({"0": {"dtype": rng.choice(("F32", "F64")), "shape": shape, "data_offsets": [0, 0]}}).encode()
    return len(text).to_bytes(8, "little") + text


def _changed_tensors(payload: bytes, rng: random.Random) -> bytes:
    """A payload in the safetensors format with other shapes, dtypes, places or numbers."""
    length = int.from_bytes(payload[:8], "little")
    try:
        described = json.loads(payload[8 : 8 + length])
    except ValueError:
        return changed_bytes(payload, rng)
    data = payload[8 + length :]
    if rng.random() < 0.4:
        width = rng.choice((4, 8))
        number = rng.choice((b"\xff", b"\0", b"\x7f\xf0\0\0\0\0\0\0"[::-1][-width:], b"\0\0\xc0\x7f", b"\1"))
        data = (number * (len(data) // len(number) + 1))[: len(data)]
    else:
        names = [name for name in described if name != "__metadata__"]
        entry = described.get(rng.choice(names)) if names else None
        how = rng.randrange(4)
        if not isinstance(entry, dict) or how == 0:
            described = changed_tree(described, rng, of_json=True)
        elif how == 1:
            entry["dtype"] = rng.choice(("F64", "F32", "F16", "BF16", "F8_E5M2", "I64", "U8", "BOOL", "C64", "Q9", 3))
        elif how == 2 and isinstance(entry.get("shape"), list):
            entry["shape"] = rng.choice((entry["shape"][::-1], [*entry["shape"], 1], [0], [], [2**62, 0], [1] * 70))
        else:
            entry["data_offsets"] = rng.choice(([0, 0], [0, 2**64 - 1], [len(data), 0], [0, len(data)], [-1, 4]))
    text = json.dumps(described).encode()
    size = len(text) if rng.random() < 0.9 else rng.choice((0, 2**63, len(text) + 1))
    return size.to_bytes(8, "little") + text + data
