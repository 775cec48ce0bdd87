"""
Mutants of a solution: the same function with one realistic mistake in it.

Mutation analysis (DeMillo, Lipton and Sayward, *Hints on test data selection*, 1978) is used twice. A mutant that
computes what a student computed names the student's mistake; the share of mutants that an assignment's cases tell from
the solution says how good the cases are. `texts/edits.toml` says what each edit means to a person, the best first.
"""

from __future__ import annotations

import ast
import contextlib
import copy
import dataclasses
import functools
import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from grader.assignment.misconceptions import Misconception
from grader.diagnosis.edits import edited_everywhere, edits_of
from grader.diagnosis.wording import table

__all__ = ["EDITS", "Edit", "Mutant", "as_mutant", "make_mutants", "make_pairs"]

EVERYWHERE = ("other_axis", "mean_for_sum", "sum_for_mean", "drop_keepdim", "drop_transpose", "overwrite")
"""Edits that are also made at all places at once: who mixes up two axes does so more than once."""

ONCE_MORE = ("sigmoid_once_more", "tanh_once_more")
"""Edits of an argument that are made wherever it stands: who takes it for what went in does so throughout."""

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
        operands: For each edit, the name of an argument that it is about, or empty.
        code: The whole function.
    """

    edits: tuple[Edit, ...]
    site: str
    operands: tuple[str, ...]
    code: str

    def compile(self, name: str, namespace: Mapping[str, Any]) -> Callable[..., Any]:
        """The function, in a namespace of its own."""
        variables = dict(namespace)
        exec(compile(self.code, f"<mutant of {name}>", "exec"), variables)  # noqa: S102 - the instructor's code, edited
        function: Callable[..., Any] = variables[name]
        return function


EDITS = {name: Edit(name=name, rank=rank, **entry) for rank, (name, entry) in enumerate(table("edits").items())}


def as_mutant(misconception: Misconception) -> Mutant:
    """A mistake that an author has written down."""
    return Mutant(edits=(), site=misconception.id, operands=(), code=misconception.code)


@functools.lru_cache(maxsize=256)
def make_mutants(code: str, name: str, upstream: tuple[str, ...]) -> tuple[Mutant, ...]:
    """
    Every realistic single edit of a function, the ones to be preferred first, no two of them with the same code.

    Args:
        code: Python with the function in it.
        name: The function's name.
        upstream: Those of its arguments that are upstream gradients.
    """
    function = _function(code, name)
    seen = {ast.unparse(function)}
    mutants = []
    for draft in _drafts(function, upstream):
        text = draft.write()
        if text not in seen:
            seen.add(text)
            mutants.append(
                Mutant(edits=(draft.edit,), site=ast.unparse(draft.site), operands=(draft.operand,), code=text)
            )
    return tuple(sorted(mutants, key=lambda mutant: mutant.edits[0].rank))


@functools.lru_cache(maxsize=256)
def make_pairs(code: str, name: str, upstream: tuple[str, ...], limit: int = 600) -> tuple[Mutant, ...]:
    """Two edits at once, of different kinds, the ones to be preferred first; of a long function, not all there are."""
    singles = make_mutants(code, name, upstream)
    drafts = [
        (first, second)
        for first in singles[:FIRSTS]
        for second in _drafts(_function(first.code, name), upstream)
        if second.edit.diagnosis != first.edits[0].diagnosis
    ]
    drafts.sort(key=lambda pair: pair[0].edits[0].rank + pair[1].edit.rank)
    seen = {mutant.code for mutant in singles}
    pairs: list[Mutant] = []
    for first, second in drafts:
        if len(pairs) == limit:
            break
        text = second.write()
        if text in seen:
            continue
        if "drop_upstream" in (first.edits[0].name, second.edit.name) and set(upstream) <= set(second.loads):
            continue  # one edit brought back what the other had lost
        seen.add(text)
        both = [(first.edits[0], first.operands[0]), (second.edit, second.operand)]
        both.sort(key=lambda edited: edited[0].rank)
        pairs.append(
            Mutant(
                edits=tuple(edit for edit, _ in both),
                site=f"{first.site}; {ast.unparse(second.site)}",
                operands=tuple(operand for _, operand in both),
                code=text,
            )
        )
    return tuple(pairs)


# ------------------------------------------------------------------------------------------------------------ drafts


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    """
    An edit that has not been written out: most of the pairs never are.

    Attributes:
        write: Makes the function's code with the edit in it.
        loads: The names that are read then.
    """

    edit: Edit
    site: ast.AST
    operand: str
    loads: tuple[str, ...]
    write: Callable[[], str]


def _drafts(function: ast.FunctionDef, upstream: tuple[str, ...]) -> Iterator[_Draft]:
    arguments = tuple(argument.arg for argument in function.args.args)
    loads, of_sizes, in_terms = _loads(function), _of_sizes(function), _in_terms(function)
    places = _places(function)
    matters = {id(node) for one in ast.walk(function) if _is_load(one, upstream) for node in _above(one, places)}
    kinds: Counter[str] = Counter()

    def draft(kind: str, site: ast.AST, operand: str, loaded: tuple[str, ...], write: Callable[[], str]) -> _Draft:
        lost = [one for one in upstream if one in loads and one not in loaded]
        if kind == "operand_of_ones" and operand in upstream and loads.count(operand) == 1:
            lost = [operand]
        return _Draft(
            edit=EDITS["drop_upstream" if lost else kind],
            site=site,
            operand=lost[0] if lost else operand,
            loads=loaded,
            write=write,
        )

    for node in list(ast.walk(function)):
        for kind, replacement, operand in edits_of(node, arguments) if id(node) not in of_sizes else ():
            in_a_term = kind == "drop_sum" and id(node) in in_terms
            kinds[kind] += 1
            loaded = loads
            if id(node) in matters:
                with _instead(places[id(node)], node, replacement):
                    loaded = _loads(function)
            write = functools.partial(_written, function, places[id(node)], node, replacement)
            yield draft("own_entry_only" if in_a_term else kind, node, operand, loaded, write)
    last = function.body[-1]
    for kind in (kind for kind in EVERYWHERE if kinds[kind] > 1):
        mutated = ast.fix_missing_locations(edited_everywhere(copy.deepcopy(function), kind, arguments))
        yield draft(kind, last, "", _loads(mutated), functools.partial(ast.unparse, mutated))
    for one, kind in itertools.product([name for name in arguments if name not in upstream], ONCE_MORE):
        mutated = ast.fix_missing_locations(edited_everywhere(copy.deepcopy(function), kind, (one,)))
        yield draft(kind, last, one, _loads(mutated), functools.partial(ast.unparse, mutated))
    for one in upstream:
        mutated = _function(f"def {function.name}({', '.join(arguments)}):\n    return {one}", function.name)
        yield draft("pass_through", last, one, _loads(mutated), functools.partial(ast.unparse, mutated))


_Place = tuple[ast.AST, str, int | None]
"""Where a node is: its parent, the parent's field, and the place in that field if it is a list."""


def _places(function: ast.FunctionDef) -> dict[int, _Place]:
    places: dict[int, _Place] = {id(function): (ast.Module([function], []), "body", 0)}
    for parent in ast.walk(function):
        for field, value in ast.iter_fields(parent):
            if isinstance(value, ast.AST):
                places[id(value)] = (parent, field, None)
            elif isinstance(value, list):
                places |= {id(each): (parent, field, number) for number, each in enumerate(value)}
    return places


def _above(node: ast.AST, places: Mapping[int, _Place]) -> Iterator[ast.AST]:
    """A node, and all that it is a part of."""
    while id(node) in places:
        yield node
        node = places[id(node)][0]


def _is_load(node: ast.AST, names: tuple[str, ...]) -> bool:
    return isinstance(node, ast.Name) and node.id in names and isinstance(node.ctx, ast.Load)


@contextlib.contextmanager
def _instead(place: _Place, node: ast.AST, replacement: ast.AST) -> Iterator[None]:
    """The tree with another node there, for a while: a copy of it would cost more than all the rest."""
    parent, field, number = place

    def put(what: ast.AST) -> None:
        if number is None:
            setattr(parent, field, what)
        else:
            getattr(parent, field)[number] = what

    put(ast.copy_location(replacement, node) if isinstance(replacement, ast.stmt) else replacement)
    try:
        yield
    finally:
        put(node)


def _written(function: ast.FunctionDef, place: _Place, node: ast.AST, replacement: ast.AST) -> str:
    with _instead(place, node, replacement):
        return ast.unparse(function)


# ------------------------------------------------------------------------------------------------------ small things


def _function(code: str, name: str) -> ast.FunctionDef:
    function = next(n for n in ast.walk(ast.parse(code)) if isinstance(n, ast.FunctionDef) and n.name == name)
    if ast.get_docstring(function) is not None:
        function.body = function.body[1:]
    function.returns = None
    for argument in function.args.args:
        argument.annotation = None
    return function


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


def _loads(function: ast.FunctionDef) -> tuple[str, ...]:
    return tuple(
        node.id
        for statement in function.body
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    )
