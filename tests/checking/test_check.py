"""`check(grad_w1)`: what a student is told in the notebook, at once, without the solution."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from IPython.core.inputtransformer2 import TransformerManager

from grader.assignment.declared import declare
from grader.checking.check import Check, check
from grader.errors import SourceError
from grader.model import Outcome
from grader.reports.html import render_html
from tests.conftest import SOURCES, handed_in
from tests.test_corpus import CORPUS, tomllib

ASSIGNMENTS = sorted(path.stem for path in SOURCES.glob("*.md"))
TRANSFORMER = TransformerManager()


def notebook_of(answers: str = "", *, assignment_id: str = "two_layer_mse", base: str = "solution") -> dict[str, Any]:
    """The variables that a handed in notebook leaves, without its drawings and its training."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for cell in handed_in(answers, assignment_id=assignment_id, base=base).cells:
        if cell.cell_type != "code" or "plt." in cell.source or "range(40)" in cell.source:
            continue
        try:
            exec(TRANSFORMER.transform_cell(cell.source), namespace)
        except Exception:  # a notebook goes on after a cell that raised
            continue
    return namespace


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("assignment_id", ASSIGNMENTS)
def test_the_solution_is_right_and_so_is_the_whole_chain(assignment_id: str) -> None:
    report = check.examine_all(notebook_of(assignment_id=assignment_id)).report

    assert len(report.exercises) >= 7
    assert {exercise.outcome for exercise in report.exercises} == {Outcome.MATCH}
    assert report.chain is not None
    assert set(report.chain.links.values()) == {Outcome.MATCH}
    assert report.chain.training is not None
    assert report.chain.training.student == pytest.approx(report.chain.training.reference, rel=1e-3)


@pytest.mark.parametrize("folder", sorted(CORPUS.glob("*/wrong_*")), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_is_wrong_here_is_what_is_wrong_in_a_grading(folder: Path) -> None:
    """On all realistic mistakes of the corpus, the outcome is the one that a report will have."""
    expect = tomllib.loads((folder / "expect.toml").read_text(encoding="utf-8"))
    answers = (folder / "answers.py").read_text(encoding="utf-8")
    namespace = notebook_of(answers, assignment_id=folder.parent.name)

    found = {name: check.examine(name, namespace).report.exercises[0].outcome.value for name in expect["outcomes"]}

    assert found == expect["outcomes"]


def test_a_wrong_one_comes_with_its_shapes_a_picture_and_a_first_hint() -> None:
    wrong = "# %%\ndef grad_w1(x, dz1):\n    return dz1.T @ x\n"

    shown = check.examine("grad_w1", notebook_of(wrong))._repr_mimebundle_()

    for form in shown.values():
        assert "Wrong shape" in form
        assert "(50, 784)" in form
        assert "(784, 50)" in form
        assert "To think about:" in form
    assert shown["text/html"].count("<img") >= 2
    assert shown["text/html"].count("<strong>To think about:") == 1


def test_right_on_the_public_batch_is_not_enough() -> None:
    """It says what is special about the batch on which it fails."""
    wrong = "# %%\ndef grad_yhat(yhat, y):\n    return 2 * (yhat - y) / 64\n"

    shown = check.examine("grad_yhat", notebook_of(wrong))

    assert shown.report.exercises[0].diagnoses[0].id == "hard_coded_size"
    assert "of another size" in repr(shown)


def test_what_is_not_there() -> None:
    namespace = notebook_of()
    del namespace["grad_b1"]

    report = check.examine_all(namespace).report

    assert [exercise.name for exercise in report.exercises if exercise.outcome is Outcome.MISSING] == ["grad_b1"]
    assert report.chain is not None
    assert report.chain.links["grad_w1"] is Outcome.MATCH


def test_before_the_network_is_there_it_says_so() -> None:
    shown = Check().examine("grad_w1", {"grad_w1": lambda x, dz1: x})

    assert "Run the cells above" in repr(shown)
    assert "Run the cells above" in shown._repr_html_()


def test_a_forward_pass_that_fails_is_a_sentence() -> None:
    namespace = notebook_of()
    namespace["forward"] = lambda x, y, **parameters: {"loss": x @ y}

    assert "cannot be evaluated" in repr(check.examine("grad_w1", namespace))


def test_without_a_declaration_names_say_enough() -> None:
    namespace = notebook_of()
    fresh = Check()

    report = fresh.examine_all(namespace).report

    assert [exercise.name for exercise in report.exercises] == [name for name in namespace if name[:5] == "grad_"]
    assert {exercise.outcome for exercise in report.exercises} == {Outcome.MATCH}
    assert "does not know what" in repr(fresh.examine("backward", namespace))


def test_a_network_that_changes_is_looked_at_again() -> None:
    namespace = notebook_of()
    exec("def forward(x, y, w1, b1, w2, b2, old=forward):\n"
         "    out = old(x, y, w1, b1, w2, b2)\n"
         "    return {**out, 'loss': 3 * out['loss']}", namespace)  # fmt: skip

    assert check.examine("grad_yhat", namespace).report.exercises[0].outcome is Outcome.MISMATCH


def test_students_text_is_escaped() -> None:
    hostile = "<script>alert(1)</script>\x1b[31m"
    wrong = f"# %%\ndef grad_w1(x, dz1):\n    raise ValueError({hostile!r})\n"

    shown = check.examine("grad_w1", notebook_of(wrong))

    assert "<script>" not in shown._repr_html_()
    assert "alert(1)" in shown._repr_html_()
    assert "\x1b" not in repr(shown) + shown._repr_html_()


def test_it_gives_no_marks() -> None:
    shown = check.examine_all(notebook_of())

    page = render_html(shown.report)
    assert "points" not in page.partition("<body>")[2].lower()
    assert "points" not in shown._repr_html_()
    assert "points" not in repr(shown)


def test_an_interrupt_ends_it_at_once() -> None:
    """Not one call only, of several."""
    calls: list[int] = []

    def grad_b1(dz1: torch.Tensor) -> torch.Tensor:
        calls.append(len(calls))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check.examine("grad_b1", notebook_of() | {"grad_b1": grad_b1})

    assert len(calls) == 1


def test_threads_are_given_back() -> None:
    torch.set_num_threads(2)

    check.examine("grad_b1", notebook_of())

    assert torch.get_num_threads() == 2


def test_while_being_graded_it_keeps_quiet(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("GRADER_CHANNEL", "fd:0")

    check("grad_w1")
    check.all()

    assert capsys.readouterr() == ("", "")


def test_outside_of_a_notebook_it_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    exec("from grader import check\ncheck(grad_w1)", notebook_of())

    assert capsys.readouterr().out.startswith("✓ grad_w1: Right\n")


def test_what_is_no_function() -> None:
    with pytest.raises(TypeError, match=r"check\(grad_w1\)"):
        check(3)


@pytest.mark.parametrize(
    ("lines", "settings", "said"),
    [
        (["grad_w1: w1"], {}, "cannot read 'grad_w1: w1'"),
        (["grad_w1(x) -> "], {}, "cannot read"),
        (["grad_w1(x) -> w1"], {"points": 3}, "has no setting 'points'"),
    ],
)
def test_what_is_declared_is_read_strictly(lines: list[str], settings: dict[str, Any], said: str) -> None:
    with pytest.raises(SourceError, match=said):
        declare("mine", lines, settings)


def test_importing_it_is_cheap() -> None:
    script = (
        "import sys; from grader import check; "
        "assert not {'torch', 'numpy', 'IPython', 'jinja2', 'nbformat'} & set(sys.modules), sorted(sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
