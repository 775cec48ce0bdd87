"""
Mutants of a solution: the same function with one realistic mistake in it.

Mutation analysis (DeMillo, Lipton and Sayward, *Hints on test data selection*, 1978) is used twice. A mutant that
computes what a student computed names the student's mistake; the share of mutants that an assignment's cases tell from
the solution says how good the cases are. `texts/edits.toml` says what each edit means to a person, the best first.
"""

from __future__ import annotations

import ast
import copy
import dataclasses
import functools
import re
from collections.abc import Callable, Mapping
from typing import Any

from grader.diagnosis.edits import edited_everywhere, edits_of, replaced
from grader.diagnosis.wording import table
from grader.model import Misconception

__all__ = ["EDITS", "Edit", "Mutant", "as_mutant", "make_mutants", "make_pairs"]

EVERYWHERE = ("other_axis", "mean_for_sum", "sum_for_mean", "drop_keepdim", "drop_transpose", "overwrite")
"""Edits that are also made at all places at once: who mixes up two axes does so more than once."""

FIRSTS = 50
"""How many mutants get a second edit."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """
    A kind of mistake.

    Attributes:
        diagnosis: The id that it is reported by.
        observation: What is said of a gradient that equals the mutant's.
        rank: Its place in the table: of several edits with the same effect, the first one is told.
    """

    name: str
    diagnosis: str
    observation: str
    rank: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """
    A solution with one or two edits in it.

    Attributes:
        site: The piece of the solution that was edited. For instructors only.
        operand: An argument's name that the edit is about, or empty.
        source: The whole function.
    """

    edits: tuple[Edit, ...]
    site: str
    operand: str
    source: str

    def compile(self, name: str, namespace: Mapping[str, Any]) -> Callable[..., Any]:
        """The function, in a namespace of its own."""
        own = dict(namespace)
        exec(compile(self.source, f"<mutant of {name}>", "exec"), own)  # noqa: S102 - the instructor's code, edited
        function: Callable[..., Any] = own[name]
        return function


EDITS = {name: Edit(name=name, rank=rank, **entry) for rank, (name, entry) in enumerate(table("edits").items())}


def as_mutant(own: Misconception) -> Mutant:
    """A mistake that an author has written down."""
    return Mutant(edits=(), site=own.id, operand="", source=own.code)


@functools.lru_cache(maxsize=256)
def make_mutants(source: str, name: str, upstream: tuple[str, ...]) -> tuple[Mutant, ...]:
    """
    Every realistic single edit of a function, the ones to be preferred first, no two of them with the same source.

    Args:
        source: Python with the function in it.
        name: The function's name.
        upstream: Those of its arguments that are upstream gradients.
    """
    function = _function(source, name)
    arguments = tuple(argument.arg for argument in function.args.args)
    loads, of_sizes, in_terms = _loads(function), _of_sizes(function), _in_terms(function)
    seen = {ast.unparse(function)}
    mutants = []

    def add(kind: str, mutated: ast.FunctionDef, site: ast.AST, operand: str) -> None:
        text = ast.unparse(mutated)
        if text not in seen:
            seen.add(text)
            lost = [one for one in upstream if one in loads and one not in _loads(mutated)]
            if kind == "operand_of_ones" and operand in upstream and loads.count(operand) == 1:
                lost = [operand]
            edit = EDITS["drop_upstream" if lost else kind]
            operand = lost[0] if lost else operand
            mutants.append(Mutant(edits=(edit,), site=ast.unparse(site), operand=operand, source=text))

    for place, node in enumerate(ast.walk(function)):
        for kind, replacement, operand in edits_of(node, arguments) if id(node) not in of_sizes else ():
            in_a_term = kind == "drop_sum" and id(node) in in_terms
            add("own_entry_only" if in_a_term else kind, _replaced(function, place, replacement), node, operand)
    for kind in EVERYWHERE:
        mutated = edited_everywhere(copy.deepcopy(function), kind, arguments)
        add(kind, ast.fix_missing_locations(mutated), function.body[-1], "")
    for one in upstream:
        add(
            "pass_through",
            _function(f"def {name}({', '.join(arguments)}):\n    return {one}", name),
            function.body[-1],
            one,
        )
    return tuple(sorted(mutants, key=lambda mutant: mutant.edits[0].rank))


@functools.lru_cache(maxsize=256)
def make_pairs(source: str, name: str, upstream: tuple[str, ...], limit: int = 600) -> tuple[Mutant, ...]:
    """Two edits at once, of different kinds, the ones to be preferred first; of a long function, not all there are."""
    seen = {mutant.source for mutant in make_mutants(source, name, upstream)}
    pairs = []
    for first in make_mutants(source, name, upstream)[:FIRSTS]:
        for second in make_mutants(first.source, name, upstream):
            if second.source in seen or second.edits[0].diagnosis == first.edits[0].diagnosis:
                continue
            if "drop_upstream" in (first.edits[0].name, second.edits[0].name) and set(upstream) <= set(
                _loads(_function(second.source, name))
            ):
                continue  # one edit brought back what the other had lost
            seen.add(second.source)
            edits = tuple(sorted((*first.edits, *second.edits), key=lambda edit: edit.rank))
            site = f"{first.site}; {second.site}"
            pairs.append(Mutant(edits=edits, site=site, operand=first.operand or second.operand, source=second.source))
    return tuple(sorted(pairs, key=lambda mutant: sum(edit.rank for edit in mutant.edits))[:limit])


# ------------------------------------------------------------------------------------------------------ small things


def _function(source: str, name: str) -> ast.FunctionDef:
    function = next(n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.FunctionDef) and n.name == name)
    if ast.get_docstring(function) is not None:
        function.body = function.body[1:]
    function.returns = None
    for argument in function.args.args:
        argument.annotation = None
    return function


def _replaced(function: ast.FunctionDef, place: int, replacement: ast.AST) -> ast.FunctionDef:
    fresh = copy.deepcopy(function)
    old = next(node for number, node in enumerate(ast.walk(fresh)) if number == place)
    new: ast.FunctionDef = replaced(fresh, old, copy.deepcopy(replacement))
    return ast.fix_missing_locations(new)


def _in_terms(function: ast.FunctionDef) -> set[int]:
    """The ids of the nodes within the terms of sums and differences, or of what is computed on the way."""
    nodes = list(ast.walk(function))
    terms = [node for node in nodes if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub))]
    return {
        id(inner)
        for node in (*terms, *(node for node in nodes if isinstance(node, (ast.Assign, ast.AugAssign))))
        for inner in ast.walk(node)
    }


def _of_sizes(function: ast.FunctionDef) -> set[int]:
    """The ids of names that only say how large something is: `x.shape`, `len(x)`, `zeros_like(x)`."""
    found: set[int] = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Attribute) and node.attr in ("shape", "dtype", "new_zeros", "new_ones"):
            found.add(id(node.value))
        elif isinstance(node, ast.Call) and re.fullmatch(r"len|torch\.\w+_like", ast.unparse(node.func)):
            found.update(map(id, node.args[:1]))
    return found


def _loads(function: ast.FunctionDef) -> list[str]:
    return [
        node.id
        for statement in function.body
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    ]
