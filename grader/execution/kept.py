"""
Packs what was read in a notebook, and how it ran, into bytes: with them it can be judged again without either.
"""

from __future__ import annotations

import zlib

import msgspec

from grader.assignment.load import Assignment
from grader.execution.packed import LIMIT_BYTES, UNPACKED_LIMIT_BYTES, pack_execution, unpack_execution
from grader.execution.record import Attempt, Found
from grader.model import CallError
from grader.notebook.functions import Definition, FunctionIndex, Place
from grader.notebook.read import Notebook

__all__ = ["pack_attempt", "unpack_attempt"]

_LEVEL = 3


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    """
    An attempt.

    Attributes:
        ran: As in `Found`.
        execution: As `pack_execution` packs it.
    """

    notebook: Notebook
    definitions: dict[str, tuple[Definition, ...]]
    syntax_errors: dict[int, CallError]
    broken_names: dict[str, int]
    ran: tuple[tuple[str, Place, Definition | None], ...]
    execution: bytes


def pack_attempt(attempt: Attempt, assignment: Assignment) -> bytes | None:
    """An attempt as bytes; None if it is larger than `LIMIT_BYTES`."""
    execution = pack_execution(attempt.execution, assignment)
    if execution is None:
        return None
    functions = attempt.functions
    kept = _Kept(
        notebook=attempt.notebook,
        definitions=functions.definitions,
        syntax_errors=functions.syntax_errors,
        broken_names=functions.broken_names,
        ran=functions.finder.functions if isinstance(functions.finder, Found) else (),
        execution=execution,
    )
    packed = zlib.compress(msgspec.msgpack.encode(kept), _LEVEL)
    return packed if len(packed) <= LIMIT_BYTES else None


def unpack_attempt(content: bytes, assignment: Assignment) -> Attempt | None:
    """The attempt that `pack_attempt` packed; None if the bytes are damaged or the reference has changed."""
    try:
        unpacked = zlib.decompressobj().decompress(content, UNPACKED_LIMIT_BYTES)
        kept = msgspec.msgpack.decode(unpacked, type=_Kept)
    except (zlib.error, msgspec.MsgspecError, ValueError, RecursionError):
        return None
    execution = unpack_execution(kept.execution, assignment)
    if execution is None:
        return None
    functions = FunctionIndex(
        definitions=kept.definitions,
        syntax_errors=kept.syntax_errors,
        broken_names=kept.broken_names,
        finder=Found(kept.ran),
    )
    return Attempt(notebook=kept.notebook, functions=functions, execution=execution)
