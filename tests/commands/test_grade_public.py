"""Grading without a solution: autograd alone gives the same verdicts, from a notebook that students have."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import nbformat
import pytest
import torch

from grader.assignment.find import find_sources
from grader.assignment.load import load_assignment
from grader.assignment.source import read_source
from grader.authoring.release import release_notebook
from grader.cli import main
from grader.errors import SourceError
from grader.reference.cases import build_cases
from tests.conftest import ROOT, SOURCES, handed_in

RELEASED = ROOT / "assignments"
WRONG = "# %%\ndef grad_z1(da1, z1):\n    return da1\n\n# %%\ndef grad_w1(x, dz1):\n    return dz1.T @ x\n"


@pytest.mark.parametrize("assignment_id", find_sources(SOURCES))
def test_a_released_notebook_can_serve_for_grading(assignment_id: str) -> None:
    """It has the same exercises, points and limits as its source, the same cases for the same seed, and no solution."""
    source = load_assignment(SOURCES / f"{assignment_id}.md", hidden_seed=7)
    released = load_assignment(find_sources(RELEASED)[assignment_id], hidden_seed=7)

    assert released.exercises == source.exercises
    for field in (
        "id",
        "title",
        "version",
        "limits",
        "autograd",
        "hints",
        "learning_rate",
        "rows",
        "steps",
        "extra_cases",
    ):
        assert getattr(released, field) == getattr(source, field), field
    assert released.solutions == released.solution_code == {}
    source_cases, released_cases = build_cases(source), build_cases(released)
    for name, cases in source_cases.items():
        for source_case, released_case in zip(cases, released_cases[name], strict=True):
            assert all(map(torch.equal, source_case.expected, released_case.expected))


def test_a_source_that_is_loaded_as_public_has_no_secrets() -> None:
    source = load_assignment(SOURCES / "two_layer_mse.md", public=True)

    assert source.solutions == source.solution_code == {}
    assert source.hidden_seed == 0


@pytest.mark.parametrize("answers", ["", WRONG, None])
def test_verdicts_are_the_same_without_a_solution(
    tmp_path: Path, answers: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The repository has the released notebooks and no solutions."""
    repository = tmp_path / "repository"
    shutil.copytree(RELEASED / "two_layer_mse", repository / "assignments" / "two_layer_mse")
    notebook = (
        handed_in(answers)
        if answers is not None
        else nbformat.read(RELEASED / "two_layer_mse" / "two_layer_mse.ipynb", 4)
    )
    nbformat.write(notebook, repository / "alice.ipynb")
    monkeypatch.chdir(repository)

    code = main(["grade", "alice.ipynb", "--public", "-o", "public", "-q"])
    again = main(["grade", "alice.ipynb", "--solutions", str(SOURCES), "-o", "full", "-q"])

    public, full = (json.loads((repository / name / "alice.json").read_text()) for name in ("public", "full"))
    assert code == again
    assert [(e["name"], e["outcome"], e["points"]) for e in public["exercises"]] == [
        (e["name"], e["outcome"], e["points"]) for e in full["exercises"]
    ]
    assert public["notes"] == ["Graded by autograd alone, without a solution."]
    if answers == WRONG:
        diagnoses = {e["name"]: [d["id"] for d in e["diagnoses"]] for e in public["exercises"]}
        assert "transposed" in diagnoses["grad_w1"], "shapes and factors are explained without a solution"


def test_a_command_that_needs_a_solution_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "two_layer_mse", "--solutions", str(RELEASED)]) == 2
    assert "has no solutions" in capsys.readouterr().err
    with pytest.raises(SourceError, match="already a notebook for students"):
        release_notebook(read_source(find_sources(RELEASED)["two_layer_mse"]))


def test_a_released_notebook_with_a_region_in_it_is_refused(tmp_path: Path) -> None:
    """Somebody put a solution back into it."""
    path = tmp_path / "two_layer_mse.md"
    text = (RELEASED / "two_layer_mse" / "two_layer_mse.md").read_text()
    blank = '    raise NotImplementedError("grad_yhat is still blank")'
    path.write_text(text.replace(blank, f"    ### BEGIN SOLUTION\n{blank}\n    ### END SOLUTION"))

    with pytest.raises(SourceError, match="grad_yhat has 1 solution region"):
        read_source(path)
