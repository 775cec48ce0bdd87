"""The mutants of a solution are evaluated once, and only as many as there is time for."""

from __future__ import annotations

import dataclasses

import pytest

from grader.assignment.load import Assignment, load_assignment
from grader.diagnosis import bank as module
from grader.diagnosis.bank import bank
from tests.conftest import ROOT


@pytest.fixture
def assignment(monkeypatch: pytest.MonkeyPatch) -> Assignment:
    """One that no earlier test has evaluated."""
    bank.cache_clear()
    monkeypatch.setattr(module, "BUDGET_S", 10.0)
    return load_assignment(ROOT / "docs" / "examples" / "forms.md")


def test_a_quick_solution_has_its_mutants_called_on_every_case(assignment: Assignment) -> None:
    evaluated = bank(assignment, assignment.exercises[0])

    assert len(evaluated) > 50
    assert {len(mutant.projections) for mutant in evaluated} == {4}


def test_a_slow_one_on_the_smallest_case_only(assignment: Assignment, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as one with loops over pixels."""
    monkeypatch.setattr(module, "BUDGET_S", 1e-3)
    monkeypatch.setattr(module.time, "thread_time", _Clock(1e-4))

    evaluated = bank(assignment, assignment.exercises[0])

    assert {len(mutant.projections) for mutant in evaluated} == {1}
    assert 1 <= len(evaluated) < 15
    assert evaluated[0].mutant.edits[0].rank <= evaluated[-1].mutant.edits[0].rank


def test_without_a_solution_there_are_no_mutants(assignment: Assignment) -> None:
    assert bank(dataclasses.replace(assignment, solutions={}), assignment.exercises[0]) == ()


class _Clock:
    """A clock that goes on a little whenever it is read."""

    def __init__(self, step: float) -> None:
        self._now, self._step = 0.0, step

    def __call__(self) -> float:
        self._now += self._step
        return self._now
