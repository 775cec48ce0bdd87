"""
Makes mutants of a solution: the same function with one or two realistic mistakes in it.

Mutation analysis (DeMillo, Lipton and Sayward, *Hints on test data selection*, 1978) has two uses here. A mutant that
computes the same as a student's function shows the student's mistake. The share of mutants that an assignment's cases
catch shows how good the cases are. `texts/edits.toml` describes each edit in words, the preferred ones first.
"""

from __future__ import annotations

import ast
import contextlib
import copy
import dataclasses
import functools
import itertools
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from types import CodeType
from typing import Any

from grader.assignment.cells import regions_in
from grader.assignment.misconceptions import Misconception
from grader.diagnosis.arrays import for_arrays
from grader.diagnosis.edits import edited_everywhere, edits_of
from grader.diagnosis.losses import AT_THE_LOSS, OF_LOSSES
from grader.diagnosis.operands import COMPUTED_AGAIN
from grader.diagnosis.plain import Root, root_of
from grader.diagnosis.roles import in_comparisons, in_terms, names_read, no_numbers, normalisers
from grader.diagnosis.whole import edits_of_function
from grader.diagnosis.wording import table

__all__ = ["EDITS", "TERMS_LEFT_OUT", "Edit", "Mutant", "as_mutant", "make_mutants", "make_pairs"]

EVERYWHERE = (
    "other_axis",
    "mean_for_sum",
    "sum_for_mean",
    "drop_keepdim",
    "drop_transpose",
    "overwrite",
    "drop_call",
    "flip_term",
    "sum_of_everything",
    "drop_size",
    "size_off_by_one",
    "other_size",
    "repeated_as_a_whole",
    "short_range",
)
"""Edits that are also made in all places at once: people who mix up two axes do so more than once."""

TERMS_LEFT_OUT = ("drop_term", "drop_terms", "drop_several")
_IN_TERMS = {
    "drop_sum": "own_entry_only",
    "drop_keepdim": "keepdim_in_term",
    "sum_of_everything": "sum_of_all_in_term",
}
"""What some edits are called inside of a sum, where they have other consequences."""

_IN_COMPARISONS = {"operand_summed": "compared_sums"}
"""What some edits are called inside of a comparison, where they move the region that it decides about."""

OF_ONE_ARGUMENT = (
    "sigmoid_once_more",
    "tanh_once_more",
    "softmax_once_more",
    "first_row_for_all",
    "last_row_for_all",
    "first_part_for_all",
    "last_part_for_all",
)
"""Edits that are made wherever an argument occurs: students who take an output for the input do so everywhere."""

MUTANTS_TO_EDIT_AGAIN = 50
"""How many of the mutants with one edit get a second one."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """
    A kind of mistake.

    Attributes:
        diagnosis: The id of the diagnosis that reports it.
        observation: What students read if their gradient equals the mutant's.
        of_value: The same for a part of a result that is no gradient; empty if the observation fits that, too.
        of_other: The same where the rows of the edited argument are not the examples of the batch, if that matters.
        rank: Its position in the table. If several edits have the same effect, the first one is reported.
        alone: Whether it is made only alone, and not as one of a pair.
    """

    name: str
    diagnosis: str
    observation: str
    rank: int
    of_value: str = ""
    of_other: str = ""
    alone: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """
    A solution with one or two edits in it.

    Attributes:
        site: The part of the solution that was edited. For instructors only.
        operands: For each edit, the name of the argument that it is about, or an empty string.
        code: The code of the whole function.
        line: The line of the solution's code that was edited, from 1; 0 if that is not known.
    """

    edits: tuple[Edit, ...]
    site: str
    operands: tuple[str, ...]
    code: str
    line: int = 0

    def compile(self, name: str, namespace: Mapping[str, Any]) -> dict[str, Any]:
        """A copy of the namespace in which the function is defined."""
        variables = dict(namespace)
        exec(_compiled(self.code, name), variables)  # noqa: S102 - the instructor's code, edited
        return variables


@functools.lru_cache(maxsize=4096)
def _compiled(code: str, name: str) -> CodeType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what no person would write, such as 2[0]
        return compile(code, f"<mutant of {name}>", "exec")


EDITS = {name: Edit(name=name, rank=rank, **entry) for rank, (name, entry) in enumerate(table("edits").items())}


def as_mutant(misconception: Misconception) -> Mutant:
    """The code of a misconception that an author has named, as a mutant without edits."""
    return Mutant(edits=(), site=misconception.id, operands=(), code=misconception.code)


@functools.lru_cache(maxsize=256)
def make_mutants(code: str, name: str, upstream: tuple[str, ...], *, arrays: str = "torch") -> tuple[Mutant, ...]:
    """
    Every mutant with one realistic edit, the preferred ones first. No two of them have the same code.

    Args:
        code: Python code that defines the function, or a class; with its helpers, which are edited, too.
        name: Its name.
        upstream: The parameters that are upstream gradients.
        arrays: "torch" or "numpy": what it computes with.
    """
    root = root_of(code, name)
    known = {ast.unparse(root)}
    mutants = []
    for draft in _drafts(root, upstream, arrays, frozenset[int]().union(*regions_in(code))):
        text = draft.write()
        if text not in known:
            known.add(text)
            mutants.append(
                Mutant(
                    edits=(draft.edit,),
                    site=ast.unparse(draft.site),
                    operands=(draft.operand,),
                    code=text,
                    line=draft.line,
                )
            )
    return tuple(sorted(mutants, key=lambda mutant: mutant.edits[0].rank))


@functools.lru_cache(maxsize=256)
def make_pairs(
    code: str, name: str, upstream: tuple[str, ...], *, arrays: str = "torch", limit: int = 600
) -> tuple[Mutant, ...]:
    """
    Mutants with two edits of different kinds, the preferred ones first.

    Args:
        limit: The largest number of mutants. Of a long function, not all are made.
    """
    singles = make_mutants(code, name, upstream, arrays=arrays)
    drafts = [
        (first, second)
        for first in [single for single in singles if not single.edits[0].alone][:MUTANTS_TO_EDIT_AGAIN]
        for second in _drafts(root_of(first.code, name), upstream, arrays)
        if not second.edit.alone and second.edit.diagnosis != first.edits[0].diagnosis
    ]
    drafts.sort(key=lambda pair: pair[0].edits[0].rank + pair[1].edit.rank)
    known = {mutant.code for mutant in singles}
    pairs: list[Mutant] = []
    for first, second in drafts:
        if len(pairs) == limit:
            break
        text = second.write()
        if text in known or "* 0" in ast.unparse(second.site):
            continue  # an edit of what the first one wrote
        names = {first.edits[0].name, second.edit.name}
        if names & {"drop_upstream", "drop_term_of_upstream"} and set(upstream) <= set(second.loads):
            continue  # one edit restored the upstream gradient that the other had dropped
        known.add(text)
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
    An edit whose code has not been written out. Most pairs never are.

    Attributes:
        site: The node that was edited.
        operand: The name of the argument that the edit is about, or an empty string.
        loads: The names that the function reads after the edit.
        write: Makes the code of the function with the edit in it.
        line: The line that was edited; of a whole function, one that students write, if it has any.
    """

    edit: Edit
    site: ast.AST
    operand: str
    loads: tuple[str, ...]
    write: Callable[[], str]
    line: int = 0


def _drafts(
    root: Root, upstream: tuple[str, ...], arrays: str, written: frozenset[int] = frozenset()
) -> Iterator[_Draft]:
    """The drafts of a function, or of each one in a cell; `written` are the lines that students write, if known."""
    for function in ast.walk(root):
        if isinstance(function, ast.FunctionDef):
            yield from _Drafter(function, upstream, root, arrays, written).drafts()


class _Drafter:
    """Makes the drafts of one function, which may be a part of a cell."""

    def __init__(
        self,
        function: ast.FunctionDef,
        upstream: tuple[str, ...],
        root: Root,
        arrays: str,
        written: frozenset[int],
    ) -> None:
        self._root = root
        self._written = written
        self._arrays = arrays
        self._place = _places(root)[id(function)]
        self._function = function
        self._upstream = upstream
        self._arguments = tuple(argument.arg for argument in function.args.args)
        self._loads = names_read(function)
        self._kinds: Counter[str] = Counter()

    def drafts(self) -> Iterator[_Draft]:
        """Edits of one node; then edits in all places at once; then each upstream gradient, returned unchanged."""
        yield from self._edits_of_nodes()
        yield from (self._edit_everywhere(kind) for kind in EVERYWHERE if self._kinds[kind] > 1)
        others = [name for name in self._arguments if name not in self._upstream]
        for name, kind in itertools.product(others, OF_ONE_ARGUMENT):
            yield self._edit_everywhere(kind, operand=name)
        for kind, edited, name in edits_of_function(self._function, self._upstream):
            yield self._draft_of(kind, ast.fix_missing_locations(edited), operand=name)
        for name in self._upstream:
            if name in self._arguments:
                passing = copy.copy(self._function)
                passing.body = [ast.Return(ast.Name(name, ast.Load()))]
                yield self._draft_of("pass_through", passing, operand=name)

    def _edits_of_nodes(self) -> Iterator[_Draft]:
        function = self._function
        places, without, terms = _places(function), no_numbers(function), in_terms(function)
        own, compared = normalisers(function), in_comparisons(function)
        # Only an edit of one of these nodes can change which upstream gradients are read.
        around_upstream = {
            id(node)
            for load in ast.walk(function)
            if _is_load(load, self._upstream)
            for node in _with_parents(load, places)
        }
        for node in list(ast.walk(function)):
            if id(node) in without:
                continue
            place = places[id(node)]
            for kind, replacement, operand in edits_of(node, self._arguments):
                of_values = kind in (*OF_LOSSES, *COMPUTED_AGAIN)
                if (of_values and operand in self._upstream) or (kind in AT_THE_LOSS and self._upstream):
                    continue
                if kind == "drop_sum" and id(node) in own:
                    continue
                self._kinds[kind] += 1
                instead = for_arrays(copy.deepcopy(replacement)) if self._arrays == "numpy" else replacement
                loads = self._loads
                if id(node) in around_upstream:
                    with _replaced(place, node, instead):
                        loads = names_read(function)
                name = _IN_TERMS.get(kind, kind) if id(node) in terms else kind
                name = _IN_COMPARISONS.get(name, name) if id(node) in compared else name
                write = functools.partial(_written, self._root, place, node, instead)
                draft = self._draft(name, node, operand, loads, write)
                line = next((n.lineno for n in _with_parents(node, places) if hasattr(n, "lineno")), 0)
                yield dataclasses.replace(draft, line=line)

    def _edit_everywhere(self, kind: str, *, operand: str = "") -> _Draft:
        arguments, nodes = ((operand,), ast.Name) if operand else (self._arguments, ast.AST)
        edited = edited_everywhere(copy.deepcopy(self._function), kind, arguments, nodes=nodes)
        if self._arrays == "numpy":
            edited = for_arrays(edited)
        return self._draft_of(kind, ast.fix_missing_locations(edited), operand=operand)

    def _draft_of(self, kind: str, mutated: ast.FunctionDef, *, operand: str) -> _Draft:
        last = self._function.body[-1]
        write = functools.partial(_written, self._root, self._place, self._function, mutated)
        draft = self._draft(kind, last, operand, names_read(mutated), write)
        lines = {node.lineno for node in ast.walk(self._function) if hasattr(node, "lineno")}
        return dataclasses.replace(draft, line=min(lines & self._written or lines, default=0))

    def _draft(
        self, kind: str, site: ast.AST, operand: str, loads: tuple[str, ...], write: Callable[[], str]
    ) -> _Draft:
        """A draft; where an upstream gradient is no longer used, that is what the edit is about."""
        dropped = [name for name in self._upstream if name in self._loads and name not in loads]
        if kind in ("wrong_operand", "one_for_several") and operand in self._upstream:
            dropped = []  # another upstream gradient in its place
        if kind == "operand_of_ones" and operand in self._upstream and self._loads.count(operand) == 1:
            dropped = [operand]
        return _Draft(
            edit=EDITS[("drop_term_of_upstream" if kind in TERMS_LEFT_OUT else "drop_upstream") if dropped else kind],
            site=site,
            operand=dropped[0] if dropped else operand,
            loads=loads,
            write=write,
        )


_Place = tuple[ast.AST, str, int | None]
"""The place of a node in a tree: its parent, the field of the parent, and the position in it if that is a list."""


def _places(root: Root) -> dict[int, _Place]:
    places: dict[int, _Place] = {id(root): (ast.Module([root] if isinstance(root, ast.stmt) else [], []), "body", 0)}
    for parent in ast.walk(root):
        for field, value in ast.iter_fields(parent):
            if isinstance(value, ast.AST):
                places[id(value)] = (parent, field, None)
            elif isinstance(value, list):
                places |= {id(child): (parent, field, number) for number, child in enumerate(value)}
    return places


def _with_parents(node: ast.AST, places: Mapping[int, _Place]) -> Iterator[ast.AST]:
    """A node, its parent, the parent of that, and so on."""
    while id(node) in places:
        yield node
        node = places[id(node)][0]


def _is_load(node: ast.AST, names: tuple[str, ...]) -> bool:
    return isinstance(node, ast.Name) and node.id in names and isinstance(node.ctx, ast.Load)


@contextlib.contextmanager
def _replaced(place: _Place, node: ast.AST, replacement: ast.AST) -> Iterator[None]:
    """Within the context, the tree has another node in this place. A copy of the tree would take far longer."""
    parent, field, number = place

    def put(child: ast.AST) -> None:
        if number is None:
            setattr(parent, field, child)
        else:
            getattr(parent, field)[number] = child

    put(ast.copy_location(replacement, node) if isinstance(replacement, ast.stmt) else replacement)
    try:
        yield
    finally:
        put(node)


def _written(root: Root, place: _Place, node: ast.AST, replacement: ast.AST) -> str:
    if node is root:
        return ast.unparse(replacement)
    with _replaced(place, node, replacement):
        return ast.unparse(root)
