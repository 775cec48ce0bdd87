"""
The border: what a student's process sent becomes bounded, valid data here, and tensors in `grader.execution.tensors`.

Nothing is refused for being strange, because a strange part must not cost the parts beside it. Words that the harness
does not use are left out; text is valid Unicode and short; numbers, lists and nesting are bounded. What had to be
changed is reported, for the instructor.

Torch is not imported here, since whoever only reads a notebook would wait for it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from grader.harness.journal import NOTES
from grader.harness.wire import Message, unpack_all

__all__ = ["WORDS", "add_record", "read_records", "safe_text", "whole_characters", "within_bounds"]

WORDS = frozenset(
    {
        *("case", "status", "place", "type", "collection", "parts", "absent", "shapes", "dtypes", "requires_grad"),
        *NOTES,
        *("mutated", "narrowed", "blank", "error", "message", "frames", "cell", "line", "function"),
        *("losses", "failed", "returned"),
    }
)
"""The keys that records of the harness have."""

MOST_RECORDS = 200
MOST_ITEMS = 1_000
MOST_CHARACTERS = 4_000
DEEPEST = 6
LARGEST_INTEGER = 2**63 - 1

_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,}\b")
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def safe_text(value: object, limit: int) -> str:
    """
    Text from the student's process: valid Unicode without control characters and colours, and no longer than `limit`.

    Addresses of objects are left out, because they differ from run to run, and say nothing.

    >>> safe_text("<C object at 0x7f3a5c0d1e50> is not a tensor", 100)
    '<C object at 0x…> is not a tensor'
    """
    text = _ADDRESS.sub("0x…", _CONTROL.sub("", whole_characters(value))) if isinstance(value, str) else ""
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text) - limit} characters more)"


def whole_characters(text: str) -> str:
    """The text with a replacement character for each surrogate: half a character, which no file can contain."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def read_records(payload: bytes, *, known: Collection[str] | None = None) -> tuple[dict[str, Message], bool]:
    """
    The records in the payload of a reply, by their case, and whether the harness would have sent them like this.

    Args:
        known: The cases that were asked for; None for any. Of several records for a case, the first one counts.
    """
    records: dict[str, Message] = {}
    is_odd = False
    for count, (header, content) in enumerate(unpack_all(payload)):
        if count >= MOST_RECORDS:
            return records, True
        bounded, was_changed = within_bounds(header)
        case = bounded.get("case")
        if isinstance(case, str) and (known is None or case in known) and add_record(records, bounded, content):
            is_odd |= was_changed
        else:
            is_odd = True
    return records, is_odd


def add_record(records: dict[str, Message], header: dict[str, Any], payload: bytes) -> bool:
    """
    Add a record to those of its case: the harness sends one with a status, and any number of notes.

    Returns:
        bool: False for a second one with a status, which is left out.
    """
    before, content = records.get(header["case"], ({}, b""))
    notes = {word: _notes(before, word) + _notes(header, word) for word in NOTES if word in before or word in header}
    if "status" not in header:
        records[header["case"]] = {**before, "case": header["case"], **notes}, content
    elif "status" not in before:
        records[header["case"]] = {**header, **notes}, payload
    else:
        return False
    return True


def _notes(header: Mapping[str, Any], word: str) -> list[Any]:
    notes = header.get(word)
    return notes if isinstance(notes, list) else []


def within_bounds(header: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """
    A record's header with nothing in it that the harness does not send, and whether anything was left out or cut.

    A replaced surrogate does not count: the harness sends what an exception says, and that may be any text.
    """
    changes: list[str] = []
    bounded = _bounded(header, DEEPEST, changes)
    return bounded, bool(changes)


def _bounded(value: Any, depth: int, changes: list[str]) -> Any:
    if value is None or isinstance(value, (bool, float)):
        return value
    if isinstance(value, str):
        if len(value) > MOST_CHARACTERS:
            changes.append("text")
        return whole_characters(value[:MOST_CHARACTERS])
    if isinstance(value, int) and abs(value) <= LARGEST_INTEGER:
        return value
    if isinstance(value, list) and depth:
        if len(value) > MOST_ITEMS:
            changes.append("list")
        return [_bounded(item, depth - 1, changes) for item in value[:MOST_ITEMS]]
    if isinstance(value, dict) and depth:
        if not value.keys() <= WORDS:
            changes.append("word")
        return {key: _bounded(item, depth - 1, changes) for key, item in value.items() if key in WORDS}
    changes.append("value")
    return None
