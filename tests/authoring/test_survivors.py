"""Mutants that no case catches: equivalent ones are distinguished from holes."""

from __future__ import annotations

import dataclasses

import torch

from grader.authoring.survivors import Survivor, Why, find_survivors
from grader.diagnosis.mutants import make_mutants
from grader.reference.cases import build_cases
from tests.conftest import assignment_called


def survivors(assignment_id: str, name: str, cases: slice = slice(None)) -> dict[str, Survivor]:
    assignment = assignment_called(assignment_id)
    exercise = next(exercise for exercise in assignment.exercises if exercise.name == name)
    all_cases = build_cases(assignment)[name]
    mutants = make_mutants(assignment.solution_code[name], name, all_cases[0].upstream)
    found = find_survivors(assignment, exercise, mutants, all_cases[cases])
    return {survivor.change: survivor for survivor in found}


def test_a_mutant_that_overflows_in_float32_is_caught() -> None:
    """A textbook softmax is right in float64, but submissions are called in float32, too."""
    changes = list(survivors("softmax_cross_entropy", "grad_logits"))

    assert not any("(logits).exp()" in change or "logits.exp()" in change for change in changes)
    assert not any("logits + logits.amax" in change for change in changes)
    assert len(survivors("softmax_cross_entropy", "grad_logits", slice(2, None))) > len(changes)


def test_every_survivor_has_its_reason() -> None:
    found = survivors("two_layer_mse", "grad_z1") | survivors("two_layer_mse", "grad_w1")

    assert found["return da1 * (z1 > 0) → return da1 * (z1 >= 0)"].why is Why.KINK
    assert found["return da1 * (z1 > 0) → return da1 * (z1.sign() > 0)"].why is Why.ALWAYS
    assert found["return x.T @ dz1 → return x.abs().T @ dz1"].why is Why.REACHED
    assert not any(survivor.is_hole for survivor in found.values())


def test_a_mistake_that_only_the_cases_miss_is_a_hole() -> None:
    """Where z1 is positive in every case, nothing is clipped; in general something is."""
    assignment = assignment_called("two_layer_mse")
    exercise = next(exercise for exercise in assignment.exercises if exercise.name == "grad_z1")
    cases = tuple(
        dataclasses.replace(case, arguments=case.arguments | {"z1": case.arguments["z1"].abs() + 1}, expected=(da1,))
        for case in build_cases(assignment)["grad_z1"]
        for da1 in [case.arguments["da1"].to(torch.float64)]
    )
    mutants = make_mutants(assignment.solution_code["grad_z1"], "grad_z1", ("da1",))

    found = find_survivors(assignment, exercise, mutants, cases)

    assert "drop_mask" in [survivor.edit for survivor in found if survivor.is_hole]
