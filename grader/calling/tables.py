"""
A counterexample as plain data: a call of a wrong function with so few numbers that it can be worked through on paper.
"""

from __future__ import annotations

import dataclasses

__all__ = ["Answer", "Counterexample", "Table"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """
    A tensor of few numbers.

    Attributes:
        name: What it is called, such as `x`, `cache[0]` or `dw1`.
        numbers: Its entries, the last index running fastest; nan and inf may be among them.
    """

    name: str
    shape: tuple[int, ...]
    numbers: tuple[float, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """
    A part of a result: the student's, and autograd's.

    Attributes:
        differs: For each entry of the student's, whether it is wrong; for all of them if the shapes differ.
    """

    yours: Table
    right: Table
    differs: tuple[bool, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Counterexample:
    """
    The smallest call that was found on which a function is wrong.

    Attributes:
        rows: How many rows its batch has.
        arguments: The tensors among the arguments.
        constants: The other arguments, as text: numbers, words, None.
        answers: The parts of the result that are wrong.
        partway: Up to where the student's result may still be right, a sentence; empty if that cannot be shown.
        reason: Why there is no such call, a sentence for the student; then there is nothing else.
    """

    rows: int = 0
    arguments: tuple[Table, ...] = ()
    constants: tuple[tuple[str, str], ...] = ()
    answers: tuple[Answer, ...] = ()
    partway: str = ""
    reason: str = ""
