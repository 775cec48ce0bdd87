"""Mutants: every realistic edit, told by name; equivalent ones are no answer to anything."""

from __future__ import annotations

import sys
from importlib.resources import files

import pytest
import torch

from grader.assignment.load import Assignment
from grader.diagnosis.bank import bank, evaluate
from grader.diagnosis.factors import name_factor
from grader.diagnosis.mutants import EDITS, Mutant, make_mutants, make_pairs
from grader.diagnosis.projection import agrees
from grader.diagnosis.wording import worded
from grader.reference.cases import build_cases

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SOURCE = '''
def grad_z1(da1, z1):
    """What is asked."""
    return da1 * (z1 > 0)
'''


def sources_of(*kinds: str) -> set[str]:
    mutants = make_mutants(SOURCE, "grad_z1", ("da1",))
    return {mutant.code.splitlines()[-1].strip() for mutant in mutants if mutant.edits[0].name in kinds}


def test_edits_of_a_mask() -> None:
    assert "return da1" in sources_of("drop_mask")
    assert sources_of("flip_comparison") == {"return da1 * (z1 <= 0)"}
    assert sources_of("move_boundary") == {"return da1 * (z1 >= 0)"}
    assert "return z1 > 0" in sources_of("drop_upstream")


def test_no_mutant_twice_and_none_is_the_original() -> None:
    sources = [mutant.code for mutant in make_mutants(SOURCE, "grad_z1", ("da1",))]

    assert len(sources) == len(set(sources)) > 10
    assert not any("return da1 * (z1 > 0)" in source for source in sources)


def test_pairs_are_of_two_kinds() -> None:
    for pair in make_pairs(SOURCE, "grad_z1", ("da1",)):
        assert len(pair.edits) == 2
        assert pair.edits[0].diagnosis != pair.edits[1].diagnosis


def test_the_bank_holds_no_equivalent_mutant(assignment: Assignment) -> None:
    cases = build_cases(assignment)
    for exercise in assignment.exercises:
        names = [entry.mutant.edits[0].name for entry in bank(assignment, exercise)]
        assert names
        assert all(agrees(case.expected, case, case.expected) for case in cases[exercise.name])
        if exercise.name == "grad_z1":
            assert "drop_mask" in names
            assert "move_boundary" not in names, "at the kink every subgradient is right"


def test_every_edit_leads_to_hints() -> None:
    hints = tomllib.loads(files("grader.diagnosis").joinpath("texts/hints.toml").read_text(encoding="utf-8"))

    assert {edit.diagnosis for edit in EDITS.values()} <= hints.keys()
    assert all(len(entry["hints"]) == 3 and entry["analogy"].strip() for entry in hints.values())


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_the_instructor_chooses_how_far_hints_go(level: int) -> None:
    facts = dict.fromkeys(("function", "target", "expected", "got", "arguments"), "…")

    diagnosis = worded("transposed", "What was observed.", facts, level=level)

    assert bool(diagnosis.hint) + len(diagnosis.more) == level
    assert bool(diagnosis.analogy) is (level >= 2)


@pytest.mark.parametrize(
    ("observed", "text", "hard_coded"),
    [
        ([(2.0, 64), (2.0, 48), (2.0, 17)], "2", None),
        ([(-1.0, 64), (-1.0, 48), (-1.0, 17)], "−1", None),
        ([(64.0, 64), (48.0, 48), (17.0, 17)], "N", None),
        ([(1 / 64, 64), (1 / 48, 48), (1 / 17, 17)], "1/N", None),
        ([(1.0, 64), (0.75, 48), (17 / 64, 17)], "1/64 · N", 64),
        ([(1 / 784, 64), (1 / 784, 48), (1 / 784, 17)], "1/784 (784 is a size of x)", None),
    ],
)
def test_factors_have_names(observed: list[tuple[float, int]], text: str, hard_coded: int | None) -> None:
    factor = name_factor(observed, {"x": [784]})

    assert factor is not None
    assert (factor.text, factor.hard_coded) == (text, hard_coded)


def test_what_differs_from_case_to_case_is_no_factor() -> None:
    assert name_factor([(2.0, 64), (2.1, 48), (2.0, 17)], {}) is None


@pytest.mark.parametrize(
    ("statements", "edit", "mutated"),
    [
        ("dt[i:i + 2] += d", "overwrite", "dt[i:i + 2] = d"),
        ("dt.index_add_(0, i, d)", "overwrite", "dt.index_copy_(0, i, d)"),
        ("dt = d - (d * t).sum(1, keepdim=True)", "own_entry_only", "dt = d - d * t"),
        ("dt = d.sum((0, 2), keepdim=True)", "drop_axis", "dt = d.sum(dim=(2,), keepdim=True)"),
        ("dt = d * mask", "drop_mask", "dt = d"),
        ("dt = d + -t", "flip_term", "dt = d + t"),
        ("dt = t.sum(dim=-1)", "change_constant", "dt = t.sum(dim=1)"),
    ],
)
def test_edits_of_statements(statements: str, edit: str, mutated: str) -> None:
    """What is overwritten instead of added up, who hears from himself alone, what is not summed over all axes."""
    source = f"def grad_t(t, i, mask, d):\n    {statements}\n    return dt"

    made = {(m.edits[0].name, m.source.splitlines()[1].strip()) for m in make_mutants(source, "grad_t", ("nothing",))}

    assert (edit, mutated) in made


def test_a_mutant_that_works_in_place_leaves_the_cases_alone(assignment: Assignment) -> None:
    """Whatever it does to its arguments, the next one gets the right ones."""
    exercise = next(e for e in assignment.exercises if e.name == "grad_b1")
    case = build_cases(assignment)["grad_b1"][-1]
    before = case.arguments["dz1"].clone()
    source = "def grad_b1(dz1):\n    dz1 -= 1\n    return dz1.sum(0, keepdim=True)"

    next(evaluate(assignment, exercise, Mutant(edits=(), site="", operands=(), code=source), [case]))

    assert case.arguments["dz1"].dtype is torch.float64
    assert torch.equal(case.arguments["dz1"], before)


def test_no_pair_ignores_what_it_uses() -> None:
    """An upstream gradient that one edit takes away and the other brings back is not ignored."""
    source = "def grad_s(da, a):\n    return a * (da - (da * a).sum(-1, keepdim=True))"

    pairs = make_pairs(source, "grad_s", ("da",))

    ignoring = [pair for pair in pairs if "drop_upstream" in {edit.name for edit in pair.edits}]
    assert ignoring
    assert not any("da" in pair.source.split("return")[1] for pair in ignoring)


def test_each_edit_of_a_pair_is_about_its_own_argument() -> None:
    source = "def grad_w2(a1, dyhat):\n    return a1.T @ dyhat"
    pairs = {pair.source.split("return ")[1]: pair for pair in make_pairs(source, "grad_w2", ("dyhat",))}
    pair = pairs["a1.T @ (a1 > 0)"]
    assert [edit.name for edit in pair.edits] == ["drop_upstream", "operand_to_mask"]
    assert pair.operands == ("dyhat", "a1")
