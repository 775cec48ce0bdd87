"""Mutants: every realistic edit is made and has a name; mutants that equal the solution explain nothing."""

from __future__ import annotations

import sys
from importlib.resources import files

import numpy as np
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

CODE = '''
def grad_z1(da1, z1):
    """The question."""
    return da1 * (z1 > 0)
'''


def last_lines(*kinds: str) -> set[str]:
    """The last line of each mutant with an edit of these kinds."""
    mutants = make_mutants(CODE, "grad_z1", ("da1",))
    return {mutant.code.splitlines()[-1].strip() for mutant in mutants if mutant.edits[0].name in kinds}


def test_a_mask_can_be_dropped_flipped_and_moved() -> None:
    assert "return da1" in last_lines("drop_mask")
    assert last_lines("flip_comparison") == {"return da1 * (z1 <= 0)"}
    assert last_lines("move_boundary") == {"return da1 * (z1 >= 0)"}
    assert "return z1 > 0" in last_lines("drop_upstream")


def test_all_mutants_differ_from_one_another_and_from_the_solution() -> None:
    codes = [mutant.code for mutant in make_mutants(CODE, "grad_z1", ("da1",))]

    assert len(codes) == len(set(codes)) > 10
    assert not any(code.endswith("return da1 * (z1 > 0)") for code in codes)


def test_the_two_edits_of_a_pair_have_different_diagnoses() -> None:
    for pair in make_pairs(CODE, "grad_z1", ("da1",)):
        assert len(pair.edits) == 2
        assert pair.edits[0].diagnosis != pair.edits[1].diagnosis


def test_the_bank_contains_no_equivalent_mutant(assignment: Assignment) -> None:
    cases = build_cases(assignment)
    for exercise in assignment.exercises:
        names = [entry.mutant.edits[0].name for entry in bank(assignment, exercise)]
        assert names
        assert all(agrees(case.expected, case, case.expected) for case in cases[exercise.name])
        if exercise.name == "grad_z1":
            assert "drop_mask" in names
            assert "move_boundary" not in names, "at the kink every subgradient is right"


def test_every_edit_has_three_hints_and_an_analogy() -> None:
    hints = tomllib.loads(files("grader.diagnosis").joinpath("texts/hints.toml").read_text(encoding="utf-8"))

    assert {edit.diagnosis for edit in EDITS.values()} <= hints.keys()
    assert all(len(entry["hints"]) == 3 and entry["analogy"].strip() for entry in hints.values())


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_the_level_decides_how_many_hints_there_are(level: int) -> None:
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
        ([(5**0.5, 64), (5**0.5, 48), (5**0.5, 17)], "√5 (5 is a size of x)", None),
        ([(5**-0.5, 64), (5**-0.5, 48), (5**-0.5, 17)], "1/√5 (5 is a size of x)", None),
        ([(6**0.5, 64), (6**0.5, 48), (6**0.5, 17)], "2.449", None),
        ([(2**0.5, 64), (2**0.5, 48), (2**0.5, 17)], "√2", None),
        ([(1 / 784, 64), (1 / 784, 48), (1 / 784, 17)], "1/784 (784 is a size of x)", None),
    ],
)
def test_a_constant_factor_gets_a_name(observed: list[tuple[float, int]], text: str, hard_coded: int | None) -> None:
    factor = name_factor(observed, {"x": [784, 5]})

    assert factor is not None
    assert (factor.text, factor.hard_coded) == (text, hard_coded)


def test_a_factor_that_differs_between_cases_gets_no_name() -> None:
    assert name_factor([(2.0, 64), (2.1, 48), (2.0, 17)], {}) is None


@pytest.mark.parametrize(
    ("statement", "edit", "mutated"),
    [
        ("dt[i:i + 2] += d", "overwrite", "dt[i:i + 2] = d"),
        ("dt.index_add_(0, i, d)", "overwrite", "dt.index_copy_(0, i, d)"),
        ("dt[t <= 0] = 0", "drop_mask", "pass"),
        ("dt[i] = 0", "drop_setting", "pass"),
        ("dt = relu_backward(d, t)", "drop_call", "dt = d"),
        ("np.add.at(dt, i, d)", "overwrite", "dt.__setitem__(i, dt[i] + d)"),
        ("dt = d.sum(0)", "drop_sum", "dt = d"),
        ("dt = d.sum(1, keepdims=True)", "drop_keepdim", "dt = d.sum(1)"),
        ("dt = d - (d * t).sum(1, keepdim=True)", "own_entry_only", "dt = d - d * t"),
        ("dt = d.sum((0, 2), keepdim=True)", "drop_axis", "dt = d.sum(dim=(2,), keepdim=True)"),
        ("dt = d * mask", "drop_mask", "dt = d"),
        ("dt = d + -t", "flip_term", "dt = d + t"),
        ("dt = t.sum(dim=-1)", "other_axis", "dt = t.sum(dim=(-2, -1))"),
        ("dt = d - t / d.sum(1, keepdim=True)", "keepdim_in_term", "dt = d - t / d.sum(1)"),
        ("dt = d * (t > 0)", "other_brackets", "dt = d * t > 0"),
        ("dt = (d - t) / len(d)", "other_brackets", "dt = d - t / len(d)"),
        ("dt = d.T @ t", "reshaped_operand", "dt = d.reshape(d.T.shape) @ t"),
        ("dt = d * (1 - t ** 2)", "slope_of_output", "dt = d * (t * (1 - t))"),
        ("dt = d * t * (1 - t)", "mask_for_slope", "dt = d * (t > 0)"),
        ("dt = d / len(t)", "size_off_by_one", "dt = d / (len(t) - 1)"),
        ("dt = d / (n - 1)", "size_off_by_one", "dt = d / n"),
        ("dt = d / 25", "size_off_by_one", "dt = d / 24"),
        ("dt = hs[step - 1] * d", "other_step", "dt = hs[step] * d"),
        ("dt = hs[-2] * d", "other_step", "dt = hs[-1] * d"),
        ("dt[t, i] -= t.sum(1)", "one_for_count", "dt[t, i] -= 1"),
        ("dt[t, i] -= 1", "count_for_one", "dt[t, i] -= len(dt)"),
        ("dt += d[:, a, b]", "index_flipped", "dt += d[:, -1 - a, -1 - b]"),
        ("dt += d[:, a, b]", "indices_swapped", "dt += d[:, b, a]"),
        ("dt = torch.where(t > 0, d, 0.1 * d)", "other_leak", "dt = torch.where(t > 0, d, 0.01 * d)"),
    ],
)
def test_each_statement_has_the_expected_edit(statement: str, edit: str, mutated: str) -> None:
    code = f"def grad_t(t, i, mask, d):\n    {statement}\n    return dt"

    made = {(m.edits[0].name, m.code.splitlines()[1].strip()) for m in make_mutants(code, "grad_t", ("nothing",))}

    assert (edit, mutated) in made


def test_a_choice_by_text_is_no_mask() -> None:
    code = "def grad_t(t, d, kind):\n    return d if kind == 'relu' else d * t"
    made = make_mutants(code, "grad_t", ("d",))

    assert not any(mutant.edits[0].name in ("flip_comparison", "drop_mask", "move_boundary") for mutant in made)
    assert not any(mutant.edits[0].name == "wrong_operand" and "== 'relu'" not in mutant.code for mutant in made)


NUMPY = """
def layer_backward(dout, x, w, mask):
    d = np.multiply(dout, mask > 0)
    centred = d - np.mean(np.square(d), axis=0, keepdims=True)
    return np.dot(centred, np.transpose(w)), x.T.dot(centred), np.sum(centred, axis=0)
"""


def test_solutions_in_numpy_have_the_mutants_of_those_in_torch() -> None:
    """None of them calls a method that only tensors have."""
    mutants = make_mutants(NUMPY, "layer_backward", ("dout",), arrays="numpy")
    generator = np.random.RandomState(0)
    shapes = [(4, 3), (4, 5), (5, 3), (4, 3)]
    arrays = [generator.standard_normal(shape) for shape in shapes]

    made = {mutant.edits[0].name for mutant in mutants}
    assert {"drop_transpose", "mean_for_sum", "sum_for_mean", "other_axis", "drop_mask", "keepdim_in_term"} <= made
    ran = 0
    for mutant in mutants:
        function = mutant.compile("layer_backward", {"np": np})["layer_backward"]
        try:
            with np.errstate(all="ignore"):
                function(*(array.copy() for array in arrays))
            ran += 1
        except (ValueError, IndexError, TypeError):  # shapes that do not fit
            continue
    assert ran > len(mutants) / 2


def test_arguments_may_have_the_letters_of_templates() -> None:
    code = "def backward(A_prev, R, L):\n    return (A_prev * (R > L)) @ L.T - f(R)"

    mutants = make_mutants(code, "backward", ("L",), arrays="numpy")

    assert {m.code.splitlines()[1].strip() for m in mutants} >= {
        "return np.flip(A_prev, 0) * (R > L) @ L.T - f(R)",
        "return A_prev * R @ L.T - f(R)",
    }


def test_a_mutant_that_works_in_place_does_not_change_the_cases(assignment: Assignment) -> None:
    exercise = next(e for e in assignment.exercises if e.name == "grad_b1")
    case = build_cases(assignment)["grad_b1"][-1]
    before = case.arguments["dz1"].clone()
    code = "def grad_b1(dz1):\n    dz1 -= 1\n    return dz1.sum(0, keepdim=True)"

    next(evaluate(assignment, exercise, Mutant(edits=(), site="", operands=(), code=code), [case]))

    assert case.arguments["dz1"].dtype is torch.float64
    assert torch.equal(case.arguments["dz1"], before)


def test_a_pair_that_uses_the_upstream_gradient_is_not_said_to_ignore_it() -> None:
    """One edit may drop an upstream gradient and the other restore it."""
    code = "def grad_s(da, a):\n    return a * (da - (da * a).sum(-1, keepdim=True))"

    pairs = make_pairs(code, "grad_s", ("da",))

    ignoring = [pair for pair in pairs if "drop_upstream" in {edit.name for edit in pair.edits}]
    assert ignoring
    assert not any("da" in pair.code.split("return")[1] for pair in ignoring)


def test_each_edit_of_a_pair_is_about_its_own_argument() -> None:
    code = "def grad_w2(a1, dyhat):\n    return a1.T @ dyhat"

    pairs = {pair.code.split("return ")[1]: pair for pair in make_pairs(code, "grad_w2", ("dyhat",))}

    pair = pairs["a1.T @ (a1 > 0)"]
    assert [edit.name for edit in pair.edits] == ["drop_upstream", "operand_to_mask"]
    assert pair.operands == ("dyhat", "a1")


GIVEN = """def helper(z):
    return 2 * z.sum(0)


def grad_w(x, dz):
    n = x.shape[0] * 2
    ### BEGIN SOLUTION
    dw = x.T @ dz
    ### END SOLUTION
    return dw / n
"""


@pytest.mark.parametrize("arrays", ["torch", "numpy"])
def test_a_mutant_knows_its_line(arrays: str) -> None:
    """So mistakes in code that students are given are known; of a whole function, it is a line that they write."""
    lines = GIVEN.split("\n")
    made = make_mutants(GIVEN, "grad_w", ("dz",), arrays=arrays)

    assert {mutant.line for mutant in made if mutant.edits[0].name == "pass_through"} == {8}
    for mutant in made:
        if mutant.site in ("x.T", "x.T @ dz", "2 * z.sum(0)", "x.shape[0] * 2", "dw / n"):
            assert mutant.site in lines[mutant.line - 1]
    assert {"x.T @ dz", "2 * z.sum(0)", "x.shape[0] * 2"} & {mutant.site for mutant in made}


def test_a_mutant_of_numpy_s_functions_has_the_line_of_its_statement() -> None:
    region = "    ### BEGIN SOLUTION\n    return np.dot(x, np.sum(x, 0)) / m\n    ### END SOLUTION\n"
    code = f"def f(x):\n    m = np.sum(x)\n{region}"

    made = make_mutants(code, "f", (), arrays="numpy")

    assert {mutant.line for mutant in made} <= {1, 2, 3, 4}
    assert {mutant.line for mutant in made if "@" in mutant.site} == {4}
