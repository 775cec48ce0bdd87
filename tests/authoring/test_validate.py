"""`grader validate` finds the shipped assignments sound, and reports a hole in the cases."""

from __future__ import annotations

from pathlib import Path

import pytest

from grader.authoring.validate import Known, validate
from grader.cli import main
from tests.conftest import ROOT, SOURCE, SOURCES
from tests.reference.test_chain import PIECES, source_with


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


def test_only_what_may_have_changed_is_checked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is the exercise that was edited, and those whose solutions call it."""
    path = tmp_path / "forms.md"
    text = (ROOT / "docs" / "examples" / "forms.md").read_text(encoding="utf-8")
    path.write_text(text, encoding="utf-8")
    known = Known()
    monkeypatch.setattr("grader.authoring.validate.problems_of_submissions", lambda *_: ())
    told: list[str] = []
    first = validate(path, known=known, tell=lambda what, done, total: told.append(f"{what} {done}/{total}"))

    path.write_text(text.replace("return s * (1 - s)", "return s - s * s"), encoding="utf-8")
    again = validate(path, known=known)

    assert told[1:3] == ["layer_backward 0/8", "softmax_loss 1/8"]
    assert told[-1] == " 8/8"
    changed = [new.name for old, new in zip(first.exercises, again.exercises, strict=True) if old is not new]
    assert changed == ["sigmoid_prime"]


def test_a_hole_says_what_to_change(tmp_path: Path) -> None:
    """A gain that is about 1 does not tell whether it was used."""
    path = tmp_path / "forms.md"
    text = (ROOT / "docs" / "examples" / "forms.md").read_text(encoding="utf-8")
    text = text.replace('"w2": draw(12, 10, scale=0.4)', '"w2": 1 + draw(12, 10, scale=1e-9)')
    path.write_text(text, encoding="utf-8")

    problems = " ".join(validate(path).problems)

    assert "layer_backward: no case notices" in problems
    assert "`w2` is about 1 in every case: draw both signs, and other sizes." in problems
    line = next(n for n, row in enumerate(text.split("\n"), 1) if "return dout @ w.T, x.T @ dout" in row)
    assert f"(line {line})" in problems


def test_gradients_that_come_from_autograd_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In one line and on the page, where functions form a backward pass; it is no problem."""
    source_with(tmp_path, (PIECES["grad_z"], ""), (PIECES["grad_w"], ""))

    main(["validate", "pieces", "--solutions", str(tmp_path), "--html", str(tmp_path / "page.html")])

    shown = capsys.readouterr().out
    assert "In the whole backward pass, from autograd: da, db, dv (no exercise asks for them)." in shown
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "no exercise asks for them: <code>da</code>, <code>db</code>, <code>dv</code>." in page
