"""
Puts a counterexample into tables that people read, and work through on paper.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence

from grader.calling.tables import Answer, Counterexample, Table
from grader.reports.svg import number
from grader.reports.words import clip

__all__ = ["CounterexampleView", "TableView", "counterexample_view", "lines_of"]

_DIGITS = 4


@dataclasses.dataclass(frozen=True, slots=True)
class Cell:
    """A number in a table, and whether it is wrong."""

    text: str
    is_wrong: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A table of two dimensions: of a tensor of more dimensions, the one whose index is `label`."""

    label: str
    rows: tuple[tuple[Cell, ...], ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TableView:
    """A small tensor, with what it is called and its shape."""

    name: str
    shape: str
    blocks: tuple[Block, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CounterexampleView:
    """
    A counterexample on the page.

    Attributes:
        words: What it is, in sentences.
        partway: Up to where the student's result may still be right.
        pairs: Of each part that is wrong, the student's table and autograd's.
    """

    words: tuple[str, ...]
    arguments: tuple[TableView, ...]
    constants: tuple[str, ...]
    partway: str
    pairs: tuple[tuple[TableView, TableView], ...]


def counterexample_view(
    example: Counterexample | None, name: str, data: Mapping[str, str]
) -> CounterexampleView | None:
    """
    A counterexample in the words and tables of the page; None if there is none.

    Args:
        name: The function's.
        data: What the author calls the data, see `grader.reports.words`.
    """
    if example is None or example.reason:
        return None
    rows = data.get("rows", "rows")
    batch = f"a batch with {example.rows} {rows}" if example.rows > 1 else "a batch with one entry"
    words = [
        f"Here is a call of {clip(name, 120)} on {batch}, and its result is wrong.",
        "Take a pencil: work it out from the numbers below, and see where your result and autograd's part.",
    ]
    tables = [*example.arguments, *(table for answer in example.answers for table in (answer.yours, answer.right))]
    if any(_is_rounded(value) for table in tables for value in table.numbers):
        words.append(f"Numbers are rounded to {_DIGITS} digits.")
    return CounterexampleView(
        words=tuple(words),
        arguments=tuple(_table(table) for table in example.arguments),
        constants=tuple(clip(f"{name} = {text}", 120) for name, text in example.constants),
        partway=clip(example.partway),
        pairs=tuple(_pair(answer) for answer in example.answers),
    )


def lines_of(view: CounterexampleView) -> Iterator[str]:
    """A counterexample as lines of text: a mark stands after each number that is wrong."""
    yield from view.words
    for table in view.arguments:
        yield from _lines(table, table.name)
    yield from view.constants
    for yours, right in view.pairs:
        yield from _lines(yours, f"yours, {yours.name}")
        yield from _lines(right, f"autograd's, {right.name}")
    if view.partway:
        yield view.partway


def _pair(answer: Answer) -> tuple[TableView, TableView]:
    return _table(answer.yours, answer.differs), _table(answer.right)


def _table(table: Table, differs: Sequence[bool] = ()) -> TableView:
    wrong = differs or (False,) * len(table.numbers)
    cells = [Cell(number(value, _DIGITS), is_wrong) for value, is_wrong in zip(table.numbers, wrong, strict=True)]
    outer, height, width = table.shape[:-2], *((1, 1, *table.shape)[-2:])
    blocks = []
    for place, index in enumerate(itertools.product(*map(range, outer))):
        first = place * height * width
        rows = tuple(tuple(cells[first + row * width : first + (row + 1) * width]) for row in range(height))
        blocks.append(Block(label=f"[{', '.join(map(str, index))}]" if outer else "", rows=rows))
    shape = " × ".join(map(str, table.shape)) if table.shape else "a single number"
    return TableView(name=clip(table.name, 80), shape=shape, blocks=tuple(blocks))


def _lines(table: TableView, title: str) -> Iterator[str]:
    yield f"{title} ({table.shape}):"
    for block in table.blocks:
        if block.label:
            yield f"  {block.label}"
        width = max((len(cell.text) for row in block.rows for cell in row), default=0)
        for row in block.rows:
            yield "  " + " ".join(f"{cell.text:>{width}}{'✗' if cell.is_wrong else ' '}" for cell in row).rstrip()


def _is_rounded(value: float) -> bool:
    return math.isfinite(value) and abs(float(f"{value:.{_DIGITS}g}") - value) > 1e-6 * abs(value)
