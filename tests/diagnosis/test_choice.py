"""What stands in a student's code decides between mistakes of the same effect, where it can have to do with them."""

from __future__ import annotations

import ast

import pytest

from grader.diagnosis.choice import as_written, best_of, is_possible
from grader.diagnosis.mutants import EDITS, Mutant
from grader.notebook.written import Written, written_in

LOST = written_in(ast.parse("def f(a, b):\n    n = a.numel()\n    n = a.size(0)\n    return a / n").body[0])


def mutant(name: str, code: str = "def f(a): return a") -> Mutant:
    return Mutant(edits=(EDITS[name],), site="", operands=("a",), code=code)


@pytest.mark.parametrize(
    ("part", "expected"),
    [("", ("overwrites", "overwritten", "n")), ("n", ("overwrites", "overwritten", "n")), ("dw", None)],
)
def test_a_term_was_overwritten_only_in_the_part_that_is_wrong(part: str, expected: tuple[str, ...] | None) -> None:
    assert as_written("drop_term", LOST, part) == expected


def test_other_edits_are_not_called_overwritten() -> None:
    assert as_written("flip_term", LOST) is None
    assert as_written("drop_term", Written()) is None


def test_what_the_code_cannot_have_done_is_not_said() -> None:
    code = "def f(a):\n    return a.sum()"
    written = written_in(ast.parse(code).body[0])

    assert not is_possible(mutant("short_range"), written, Written())
    assert best_of([mutant("short_range"), mutant("last_row_for_all")], written, Written()) is None
    assert best_of([mutant("short_range"), mutant("sum_for_mean")], written, Written()) == mutant("sum_for_mean")


def test_a_helper_may_have_done_it() -> None:
    written = written_in(ast.parse("def f(a):\n    return helper(a)").body[0])

    assert best_of([mutant("short_range")], written, Written()) == mutant("short_range")


def test_the_first_is_the_best_if_nothing_is_known() -> None:
    mutants = [mutant("flip_term", "def f(a): return -a"), mutant("sum_for_mean")]

    assert best_of(mutants, Written(), Written()) == mutants[0]
