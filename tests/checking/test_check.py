"""`check(grad_w1)`: what a student sees in the notebook at once, without the solution."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from grader.assignment.declared import declare
from grader.checking.check import Check, check
from grader.errors import SourceError
from grader.model import Outcome
from grader.modes import one_thread
from grader.reports.html import render_html
from tests.conftest import SOURCES, handed_in
from tests.inprocess import TRANSFORMER
from tests.test_corpus import CORPUS, tomllib

ASSIGNMENTS = sorted(path.stem for path in SOURCES.glob("*.md"))

pytestmark = pytest.mark.usefixtures("shared_images")


def notebook_of(answers: str = "", *, assignment_id: str = "two_layer_mse", base: str = "solution") -> dict[str, Any]:
    """The variables after running a submitted notebook, without its plots and its training."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for cell in handed_in(answers, assignment_id=assignment_id, base=base).cells:
        if cell.cell_type != "code" or "plt." in cell.source or "range(40)" in cell.source:
            continue
        try:
            exec(TRANSFORMER.transform_cell(cell.source), namespace)
        except Exception:  # a notebook goes on after a cell that raised
            continue
    return namespace


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
def test_a_check_and_a_grading_have_the_same_outcomes(folder: Path) -> None:
    """For every realistic mistake in the corpus, the outcome is the one that a report has."""
    expect = tomllib.loads((folder / "expect.toml").read_text(encoding="utf-8"))
    answers = (folder / "answers.py").read_text(encoding="utf-8")
    namespace = notebook_of(answers, assignment_id=folder.parent.name)

    found = {name: check.examine(name, namespace).report.exercises[0].outcome.value for name in expect["outcomes"]}

    assert found == expect["outcomes"]


@pytest.mark.parametrize(
    "name",
    [
        "two_layer_mse/ok_words_of_autograd",
        "two_layer_mse/ok_bound_by_a_wrapper",
        "two_layer_mse/ok_trailing_comma",
        "two_layer_mse/fail_autograd_by_other_names",
        "two_layer_mse/fail_not_implemented_elsewhere",
        "two_layer_mse/fail_returned_in_a_collection",
        "two_layer_mse/fail_blank",
        "two_layer_mse/fail_half_done",
        "layernorm/ok_dict",
        "layernorm/fail_dict_with_names_mixed_up",
        "attention/fail_softmax_backward",
    ],
)
def test_a_check_and_a_grading_agree_on_what_ran(name: str) -> None:
    """On what is blank, what autograd did, and what may come back."""
    folder = CORPUS / name
    expect = tomllib.loads((folder / "expect.toml").read_text(encoding="utf-8"))
    answers = (folder / "answers.py").read_text(encoding="utf-8")
    namespace = notebook_of(answers, assignment_id=folder.parent.name, base=expect.get("base", "solution"))

    found = {result.name: result.outcome.value for result in check.examine_all(namespace).report.exercises}

    assert found == dict.fromkeys(found, "match") | expect.get("outcomes", {})


@pytest.mark.parametrize(
    "change", ["torch.complex(dw1, dw1)", "dw1.to(torch.float8_e4m3fn)", "dw1.long()", "dw1 > 0", "dw1.to_sparse()"]
)
def test_the_whole_pass_is_checked_whatever_a_function_returns(change: str) -> None:
    """The right shape in a dtype that cannot update a parameter."""
    wrong = f"# %%\ndef grad_w1(x, dz1):\n    dw1 = x.T @ dz1\n    return {change}\n"

    report = check.examine_all(notebook_of(wrong)).report

    outcomes = {exercise.name: exercise.outcome for exercise in report.exercises}
    assert outcomes.pop("grad_w1") in (Outcome.WRONG_DTYPE, Outcome.WRONG_TYPE)
    assert set(outcomes.values()) == {Outcome.MATCH}
    assert report.chain is not None
    assert report.chain.training is not None


def test_a_wrong_gradient_comes_with_its_shapes_a_picture_and_a_first_hint() -> None:
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
    """The check says what is special about the batch on which the function fails."""
    wrong = "# %%\ndef grad_yhat(yhat, y):\n    return 2 * (yhat - y) / 64\n"

    shown = check.examine("grad_yhat", notebook_of(wrong))

    assert shown.report.exercises[0].diagnoses[0].id == "hard_coded_size"
    assert "of another size" in repr(shown)


def test_a_missing_function_is_reported_and_the_others_are_checked() -> None:
    namespace = notebook_of()
    del namespace["grad_b1"]

    report = check.examine_all(namespace).report

    assert [exercise.name for exercise in report.exercises if exercise.outcome is Outcome.MISSING] == ["grad_b1"]
    assert report.chain is not None
    assert report.chain.links["grad_w1"] is Outcome.MATCH


def test_without_a_network_it_says_which_cells_to_run() -> None:
    shown = Check().examine("grad_w1", {"grad_w1": lambda x, dz1: x})

    assert "Run the cells above" in repr(shown)
    assert "Run the cells above" in shown._repr_html_()


def test_a_forward_pass_that_fails_is_described_in_a_sentence() -> None:
    namespace = notebook_of()
    namespace["forward"] = lambda x, y, **parameters: {"loss": x @ y}

    assert "cannot be evaluated" in repr(check.examine("grad_w1", namespace))


def test_without_a_declaration_the_names_of_functions_are_enough() -> None:
    namespace = notebook_of()
    fresh = Check()

    report = fresh.examine_all(namespace).report

    assert [exercise.name for exercise in report.exercises] == [name for name in namespace if name[:5] == "grad_"]
    assert {exercise.outcome for exercise in report.exercises} == {Outcome.MATCH}
    assert "does not know what" in repr(fresh.examine("backward", namespace))


def test_a_network_that_changes_is_evaluated_again() -> None:
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


def test_a_check_gives_no_marks() -> None:
    shown = check.examine_all(notebook_of())

    page = render_html(shown.report)
    assert "points" not in page.partition("<body>")[2].lower()
    assert "points" not in shown._repr_html_()
    assert "points" not in repr(shown)


def test_an_interrupt_ends_a_check_at_once() -> None:
    """It ends all calls, not only the current one."""
    calls: list[int] = []

    def grad_b1(dz1: torch.Tensor) -> torch.Tensor:
        calls.append(len(calls))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check.examine("grad_b1", notebook_of() | {"grad_b1": grad_b1})

    assert len(calls) == 1


def test_a_check_restores_the_number_of_threads() -> None:
    with one_thread():  # as many as before are used afterwards
        torch.set_num_threads(2)

        check.examine("grad_b1", notebook_of())

        assert torch.get_num_threads() == 2


def test_a_check_shows_nothing_during_a_grading(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GRADER_CHANNEL", "fd:0")

    check("grad_w1")
    check.all()

    assert capsys.readouterr() == ("", "")


def test_outside_of_a_notebook_a_check_prints_text(capsys: pytest.CaptureFixture[str]) -> None:
    exec("from grader import check\ncheck(grad_w1)", notebook_of())

    assert capsys.readouterr().out.startswith("✓ grad_w1: Right\n")


def test_check_refuses_anything_but_a_function() -> None:
    with pytest.raises(TypeError, match=r"check\(grad_w1\)"):
        check(3)


@pytest.mark.parametrize(
    ("lines", "settings", "says"),
    [
        (["grad_w1: w1"], {}, "cannot read 'grad_w1: w1'"),
        (["grad_w1(x) -> "], {}, "cannot read"),
        (["grad_w1(x) -> w1"], {"points": 3}, "has no setting 'points'"),
    ],
)
def test_a_wrong_declaration_is_refused(lines: list[str], settings: dict[str, Any], says: str) -> None:
    with pytest.raises(SourceError, match=says):
        declare("mine", lines, settings)


def test_importing_check_is_cheap() -> None:
    script = (
        "import sys; from grader import check; "
        "assert not {'torch', 'numpy', 'IPython', 'jinja2', 'nbformat'} & set(sys.modules), sorted(sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
