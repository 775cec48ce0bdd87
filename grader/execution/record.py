"""
All that a judgement rests on, as data: what is in a notebook, and how it ran.
"""

from __future__ import annotations

import dataclasses

from grader.execution.channel import Reply
from grader.model import CallError
from grader.notebook.functions import Definition, FunctionIndex, Place
from grader.notebook.read import Notebook

__all__ = ["Attempt", "Execution", "Found", "Lines", "Reading"]

Lines = dict[int, tuple[int, ...]]
"""For each cell, `In [number]`, the lines of the file, counted from 1, where its lines stand."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """
    What is in a submission.

    Attributes:
        functions: The functions in the notebook.
        lines: Where the lines of the cells stand, if that was asked for.
    """

    notebook: Notebook
    functions: FunctionIndex
    lines: Lines = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """
    How a notebook ran.

    Attributes:
        executed: How many cells were executed.
        errors: The errors that cells raised, by the number of the cell, `In [number]`.
        stopped: Why the notebook did not run to its end, in a sentence; None if it did.
        replies: The harness's replies, by the keys of the requests.
        layers: The layers of the sandbox in which the notebook ran.
        seconds: The wall time from the start of the kernel to the last reply before the hidden cases.
        is_doubtful: Whether something was stopped by its limit on wall time, although it had used little CPU time: the
            machine may have been too busy.
    """

    executed: int
    errors: dict[int, CallError]
    stopped: str | None
    replies: dict[str, Reply]
    layers: tuple[str, ...]
    seconds: float = 0.0
    is_doubtful: bool = False

    @staticmethod
    def in_this_process(replies: dict[str, Reply]) -> Execution:
        """The replies of functions that were called in this process, without executing their notebook."""
        return Execution(executed=0, errors={}, stopped=None, replies=replies, layers=())


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """The functions that ran: for each, its name, where its code begins, and its definition, if the code is known."""

    functions: tuple[tuple[str, Place, Definition | None], ...] = ()

    def at(self, name: str, place: Place) -> Definition | None:
        """The function that begins at a place, as the definition of a name."""
        return next((found for known, where, found in self.functions if (known, where) == (name, place)), None)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What is known about a notebook before it is judged: its code, the functions in it, and how it ran."""

    notebook: Notebook
    functions: FunctionIndex
    execution: Execution
