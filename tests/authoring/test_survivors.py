"""Mutants that no case catches: equivalent ones are told from holes, as a grading would tell them."""

from __future__ import annotations

import dataclasses

import torch

from grader.authoring.survivors import Survivor, Why, find_survivors
from grader.diagnosis.mutants import make_mutants
from grader.reference.cases import build_cases
from tests.conftest import assignment_called


def survivors(assignment_id: str, name: str, cases: slice = slice(None)) -> dict[str, Survivor]:
    assignment = assignment_called(assignment_id)
    exercise = next(each for each in assignment.exercises if each.name == name)
    all_cases = build_cases(assignment)[name]
    mutants = make_mutants(assignment.solution_code[name], name, all_cases[0].upstream)
    return {each.change: each for each in find_survivors(assignment, exercise, mutants, all_cases[cases])}


def test_what_overflows_where_students_compute_is_caught() -> None:
    """In float64 a softmax as it stands in the book is right; a submission is called in float32, too."""
    changes = list(survivors("softmax_cross_entropy", "grad_logits"))

    assert not any("(logits).exp()" in change or "logits.exp()" in change for change in changes)
    assert not any("logits + logits.amax" in change for change in changes)
    assert len(survivors("softmax_cross_entropy", "grad_logits", slice(2, None))) > len(changes)


def test_each_has_its_reason() -> None:
    found = survivors("two_layer_mse", "grad_z1") | survivors("two_layer_mse", "grad_w1")

    assert found["return da1 * (z1 > 0) → return da1 * (z1 >= 0)"].why is Why.KINK
    assert found["return da1 * (z1 > 0) → return da1 * (z1.sign() > 0)"].why is Why.ALWAYS
    assert found["return x.T @ dz1 → return x.abs().T @ dz1"].why is Why.REACHED
    assert not any(each.is_hole for each in found.values())


def test_what_only_the_cases_cannot_tell_is_a_hole() -> None:
    """Where weights are positive, nothing is clipped; in general something is."""
    assignment = assignment_called("two_layer_mse")
    exercise = next(each for each in assignment.exercises if each.name == "grad_z1")
    cases = tuple(
        dataclasses.replace(case, arguments=case.arguments | {"z1": case.arguments["z1"].abs() + 1}, expected=(da1,))
        for case in build_cases(assignment)["grad_z1"]
        for da1 in [case.arguments["da1"].to(torch.float64)]
    )
    mutants = make_mutants(assignment.solution_code["grad_z1"], "grad_z1", ("da1",))

    holes = [each.edit for each in find_survivors(assignment, exercise, mutants, cases) if each.is_hole]

    assert "drop_mask" in holes
