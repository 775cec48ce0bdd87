"""Straight lines are run one by one, and each gradient is taken when it is complete."""

from __future__ import annotations

import ast
from typing import Any

import pytest
import torch

from grader.calling.lines import Lines, names_changed

RIGHT = {"dc": 10.0, "db": 20.0, "da": 30.0}


def right() -> dict[str, torch.Tensor]:
    """As in a call, nobody else has these tensors."""
    return {name: torch.tensor(value) for name, value in RIGHT.items()}


def run(*cells: str, variables: dict[str, Any] | None = None) -> tuple[dict[str, float], Lines]:
    """What lines compute, from b = 2."""
    trees = [(f"<{number}>", ast.parse(cell)) for number, cell in enumerate(cells)]
    found = Lines.among(trees, tuple(RIGHT))
    assert found is not None
    values = found[0].run(variables or {}, {"b": torch.tensor(2.0)}, right())
    return {name: float(value) for name, value in values.items()}, found[0]


def test_later_lines_go_on_with_right_values() -> None:
    values, _ = run("dc = b\ndb = dc + 1\nda = db + 1")

    assert values == {"dc": 2, "db": 11, "da": 21}


def test_a_gradient_is_taken_when_it_is_complete() -> None:
    """Whatever changes it: another line, a part of it, a method, a loop."""
    code = "dc = torch.zeros(())\nfor k in range(3):\n    dc += k\ndb = dc.clone()\ndc.add_(1)\nda = dc\n"

    values, _ = run(code, variables={"torch": torch})

    assert values == {"dc": 4, "db": 3, "da": 10}


def test_a_line_that_fails_costs_its_own_gradient_only() -> None:
    values, lines = run("dc = 1 / 0\ndb = dc + 1\nda = missing + db")

    assert values == {"db": 11}
    assert (type(lines.error), lines.failed) == (ZeroDivisionError, {"dc", "da"})


def test_what_cannot_be_copied_costs_its_own_gradient_only() -> None:
    """So does a line that wants to leave."""

    class Mine(torch.Tensor):
        def clone(self) -> torch.Tensor:
            raise ZeroDivisionError

    variables = {"mine": torch.ones(()).as_subclass(Mine), "torch": torch}

    values, lines = run("dc = mine\ndb = dc + 1\nda = db", variables=variables)
    assert (values, lines.failed) == ({"db": 11, "da": 20}, {"dc"})
    values, lines = run("dc = 1\ndb = exit(dc)\nda = dc", variables=variables)
    assert (values, type(lines.error)) == ({"dc": 1, "da": 10}, SystemExit)


@pytest.mark.parametrize(
    "line",
    [
        "cmp('c', dc, c)",  # `c.grad` is None here, where nothing has gone backward
        "print(missing.shape)",
        "assert missing",
        "for name in missing:\n    cmp(name)",
        "is_close = missing == dc",
        "with missing:\n    pass",
    ],
)
def test_a_line_whose_result_nobody_reads_may_fail(line: str) -> None:
    values, lines = run(f"dc = b\n{line}\ndb = dc + 1\n{line}\nda = db + 1")

    assert values == {"dc": 2, "db": 11, "da": 21}
    assert lines.error is None


@pytest.mark.parametrize(
    ("line", "then", "found"),
    [
        ("half = missing / 2", "da = half + db", {"dc", "db"}),
        ("from missing import half", "da = half(db)", {"dc", "db"}),
        ("raise NotImplementedError", "da = db", {"dc", "db", "da"}),
        ("db.add_(missing)", "da = db", {"dc", "da"}),
        ("halves = {}\nhalves['b'] = missing", "da = halves['b']", {"dc", "db"}),
    ],
)
def test_a_line_that_a_later_one_needs_is_the_error(line: str, then: str, found: set[str]) -> None:
    values, lines = run(f"dc = b\ndb = dc + 1\n{line}\n{then}")

    assert values.keys() == found
    assert lines.error is not None


def test_what_is_wrong_in_place_does_not_reach_other_gradients() -> None:
    """A gradient that shares its memory with an earlier one is changed alone."""
    values, _ = run("dc = b.clone()\ndb = dc\ndb += 100\nda = dc")

    assert values["dc"] == 2


def test_nothing_of_the_notebook_answers_for_the_lines() -> None:
    """A gradient that is in the notebook, or is right, is not there before a line computes it."""
    values, lines = run("dc = dc + 1\ndb = da", variables={"dc": torch.tensor(10.0), "da": torch.tensor(30.0)})

    assert values == {}
    assert type(lines.error) is NameError


def test_the_cell_with_most_gradients_is_the_answer() -> None:
    """Other cells count for the rest; of two answers, the last one counts."""
    values, _ = run("dc = b\ndb = b", "dc = b + 1\ndb = b + 1", "da = b", "dc = 0 * b")

    assert values == {"dc": 3, "db": 3, "da": 2}


def test_a_notebook_without_lines_has_no_answer() -> None:
    assert Lines.among([("<1>", ast.parse("def f():\n    dc = 1\nx = dc")), ("<2>", ast.parse("pass"))], ["dc"]) is None


@pytest.mark.parametrize(
    ("statement", "changed"),
    [
        ("dx = 1", {"dx"}),
        ("dx, (dy, z) = f()", {"dx", "dy"}),
        ("dx[0] += dy", {"dx"}),
        ("dx.grad = dy", {"dx"}),
        ("dx.index_add_(0, i, dy)", {"dx"}),
        ("dx[0].add_(dy)", {"dx"}),
        ("dx.view(-1)[0] = dy", {"dx"}),
        ("dx.T.reshape(-1).add_(dy)", {"dx"}),
        ("np.add.at(dx, i, dy)", {"dx"}),
        ("np.copyto(dx[0], dy)", {"dx"}),
        ("dx.fill(0)", {"dx"}),
        ("torch.mm(dy, w, out=dx)", {"dx"}),
        ("dx.add(dy)", set()),
        ("dy = dx.clone().mul_(2)", {"dy"}),
        ("f(dx)[0] = 1", set()),
        ("at(dx)", set()),
        ("print(dx)", set()),
        ("with torch.no_grad():\n    dx /= dy", {"dx"}),
        ("def f():\n    dx = 1", set()),
    ],
)
def test_what_a_statement_changes(statement: str, changed: set[str]) -> None:
    assert names_changed(ast.parse(statement).body[0], ["dx", "dy"]) == changed


def test_one_gradient_may_be_wanted_alone() -> None:
    """Then no line runs after it, and lines go on with what is given, or else with their own."""
    trees = [("<1>", ast.parse("dc = b\ndb = dc + 1\nda = db + dc\n1 / 0"))]
    lines, _ = Lines.among(trees, tuple(RIGHT)) or (None, None)
    assert lines is not None

    values = lines.run({}, {"b": torch.tensor(2.0)}, {"dc": right()["dc"]}, wanted="da")

    assert {name: float(value) for name, value in values.items()} == {"da": 21}
    assert lines.error is None
