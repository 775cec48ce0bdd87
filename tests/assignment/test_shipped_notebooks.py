"""Shipped notebooks are complete: introductions, shapes, a drawing, and a training curve that falls."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from grader.assignment.source import read_source
from grader.reference.chain import build_chain
from tests.conftest import SOURCES, assignment_called

ASSIGNMENTS = pytest.mark.parametrize("source", sorted(SOURCES.glob("*.md")), ids=lambda source: source.stem)
NOT_PROSE = re.compile(r"\$\$.*?\$\$|\$[^$]*\$|`[^`]*`", re.DOTALL)


@ASSIGNMENTS
def test_every_exercise_is_introduced_with_its_shapes(source: Path) -> None:
    read = read_source(source)
    cells = read.notebook.cells

    for number, exercise in enumerate(read.exercises, start=1):
        before = cells[exercise.index - 1].source
        assert before.startswith(f"## {number}. ")
        assert f"`{exercise.name}`" in before.splitlines()[0]
        assert "*Shapes:*" in before
        assert "shape (" in exercise.docstring


@ASSIGNMENTS
def test_no_placeholder_is_left(source: Path) -> None:
    """There are no placeholders, every picture exists, and every drawing is described."""
    prose = "\n".join(cell.source for cell in read_source(source).notebook.cells if cell.cell_type == "markdown")

    assert set(re.findall(r"\b[A-Z]{4,}\b", NOT_PROSE.sub("", prose))) <= {"MNIST"}
    (description, picture) = re.search(r"!\[([^\]]+)\]\((\S+\.svg)\)", prose).groups()
    assert "Backward" in description
    labels = [text for text in ET.parse(source.parent / picture).getroot().itertext() if text.strip()]
    assert labels
    assert not [label for label in labels if "_" in label], "a label shows an underscore instead of a subscript"


@ASSIGNMENTS
def test_the_curve_falls_at_every_step(source: Path) -> None:
    losses = build_chain(assignment_called(source.stem)).losses

    assert all(after < before for before, after in itertools.pairwise(losses))
    assert losses[-1] < 0.9 * losses[0]
