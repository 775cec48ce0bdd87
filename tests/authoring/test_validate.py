"""`grader validate` finds the shipped assignments sound, and reports a hole in the cases."""

from __future__ import annotations

from pathlib import Path

import pytest

from grader.authoring.validate import validate
from grader.cli import main
from tests.conftest import SOURCE, SOURCES


@pytest.mark.parametrize("source", sorted(SOURCES.glob("*.md")), ids=lambda source: source.stem)
def test_the_shipped_assignments_are_sound(source: Path) -> None:
    validation = validate(source)

    assert validation.problems == ()
    for exercise in validation.exercises:
        assert exercise.caught >= 3
        assert exercise.holes == ()
        assert exercise.difference < 1e-5


def test_positive_weights_leave_the_mask_untested(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With `torch.rand`, z1 is never negative, and a student who forgets the relu gets full marks."""
    text = SOURCE.read_text(encoding="utf-8").replace("scale * torch.randn(", "scale * torch.rand(")
    (tmp_path / SOURCE.name).write_text(text, encoding="utf-8")
    picture = SOURCE.with_suffix(".svg")
    (tmp_path / picture.name).write_bytes(picture.read_bytes())

    assert main(["validate", "--solutions", str(tmp_path)]) == 1

    shown = capsys.readouterr().out
    assert "grad_z1: no case tests the mask" in shown
    assert "is sound" not in shown
