"""Central differences find a forward pass that autograd does not differentiate, whatever its masks are."""

from __future__ import annotations

from pathlib import Path

import pytest

from grader.assignment.load import Assignment, load_assignment
from grader.authoring.differences import CLOSE, Traced, central_difference
from grader.authoring.validate import ExerciseCheck
from grader.errors import SourceError
from grader.reference.cases import build_cases
from tests.conftest import SOURCES


def attention(tmp_path: Path, *changes: tuple[str, str]) -> Assignment:
    """`attention` with changes in its source, without its solutions."""
    text = (SOURCES / "attention.md").read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "attention.md").write_text(text, encoding="utf-8")
    (tmp_path / "attention.svg").write_bytes((SOURCES / "attention.svg").read_bytes())
    return load_assignment(tmp_path / "attention.md")


def differences(assignment: Assignment) -> dict[str, float]:
    """Of the exercises around the scores."""
    exercises = [e for e in assignment.exercises if e.name in ("grad_s", "grad_q", "grad_k")]
    cases = build_cases(assignment)
    traced = Traced(assignment)
    return {e.name: central_difference(e, cases[e.name], traced) for e in exercises}


CAUSAL = (
    "    a = torch.softmax(s, dim=-1)\n",
    '    s = s.masked_fill(torch.ones(s.shape[-2:], dtype=torch.bool).triu(1), float("-inf"))\n'
    "    a = torch.softmax(s, dim=-1)\n",
)
DETACHED = ("    s = q @ k.mT / k.shape[-1] ** 0.5\n", "    s = q @ (2 * k - k.detach()).mT / k.shape[-1] ** 0.5\n")
TWICE = ("return ds.mT @ q / q.shape[-1] ** 0.5", "return 2 * ds.mT @ q / q.shape[-1] ** 0.5")


def test_infinite_scores_of_a_mask_do_not_disturb(tmp_path: Path) -> None:
    assert max(differences(attention(tmp_path, CAUSAL)).values()) < CLOSE


@pytest.mark.parametrize("changes", [(DETACHED, TWICE), (DETACHED, TWICE, CAUSAL)], ids=["plain", "behind a mask"])
def test_a_detached_tensor_is_found(tmp_path: Path, changes: tuple[tuple[str, str], ...]) -> None:
    """The value of k is right, its gradient is twice what it should be, and the author's solution agrees with it."""
    found = differences(attention(tmp_path, *changes))

    assert {name for name, difference in found.items() if difference > CLOSE} == {"grad_k"}


@pytest.mark.parametrize("difference", [float("nan"), float("inf"), 1e-3])
def test_what_is_not_close_is_a_problem(difference: float) -> None:
    """A comparison with NaN is false, whichever way it is written."""
    checked = ExerciseCheck(name="grad_w", difference=difference, mutants=1, survivors=(), milliseconds=1, kib=1)

    assert len(checked.problems) == 1


def test_a_gradient_that_is_not_finite_is_an_error_in_the_source(tmp_path: Path) -> None:
    """Every finite answer would be as close to infinity as any other."""
    root = ("    logits = o.mean(dim=1) @ wo + bo\n", "    logits = o.mean(dim=1) @ wo + bo + (0 * bo).sqrt()\n")

    with pytest.raises(SourceError, match="nan or inf"):
        build_cases(attention(tmp_path, root))
