"""
Finds what an author has forgotten: texts of the draft that are still there, and a solution beside its region.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence

from grader.assignment.cells import REGION, ExerciseCell, SourceCell, place_of, regions_in
from grader.assignment.source import SourceNotebook, code_lines
from grader.errors import SourceError
from grader.trees import tree_of

__all__ = ["DRAFTED", "exposed", "refuse_stubs", "refuse_unfinished", "unfinished"]

DRAFTED = (
    "**TODO.** Delete this cell",
    "TODO: the solution",
    "TODO: the question, and the shapes",
    "TODO: every parameter by its name",
    "TODO: the arguments are the inputs and the parameters",
)
"""What `grader new --from-notebook` writes where the author has to decide."""

_STUB = DRAFTED[1]
_PLAIN = frozenset({"len", "int", "float", "list", "tuple", "dict", "range", "print", "enumerate", "zip"})
_SHOWN = 60


def unfinished(source: SourceNotebook) -> Iterator[str]:
    """Where a text of the draft is still in a notebook, a sentence for each cell."""
    lines = code_lines(source.path.read_text(encoding="utf-8").replace("\r\n", "\n"), source.notebook)
    for index, cell in enumerate(source.notebook.cells):
        found = next((text for text in DRAFTED if text in cell.source), None)
        if found is not None:
            offset = cell.source[: cell.source.index(found)].count("\n")
            line = lines[index] + offset if index in lines else None
            place = place_of(source.path, SourceCell(index=index, code=cell.source, line=line))
            yield f"{place}: this is still the draft's `{found}`."


def refuse_unfinished(source: SourceNotebook) -> None:
    """
    Refuse a notebook that students must not get yet.

    Raises:
        SourceError: A text of the draft is still in it.
    """
    for sentence in unfinished(source):
        raise SourceError(sentence, "Write what it asks for, or delete it: students would get it.")


def refuse_stubs(source: SourceNotebook) -> None:
    """
    Refuse a notebook in which an exercise has no solution yet.

    Raises:
        SourceError: A solution region is still that of the draft.
    """
    for sentence in unfinished(source):
        if _STUB in sentence:
            below = next((text for text in exposed(source) if "only a stub" in text), "")
            hint = f" {below}" if below else ""
            raise SourceError(sentence, f"Write the solution there.{hint}")


def exposed(source: SourceNotebook) -> Iterator[str]:
    """
    Where students can read a solution, a sentence for each exercise.

    It is code below a region of the same block that repeats a statement of the region, that computes what the region
    computes, or that computes anything at all where the region is only a stub.
    """
    for cell in source.exercises:
        found = next(_exposed_in(cell), None)
        if found is not None:
            statement, why = found
            line = cell.line + statement.lineno - 1 if cell.line else None
            text = ast.unparse(statement).split("\n")[0]
            shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]} …"
            yield f"{place_of(source.path, cell, line)}: students can read `{shown}` of {cell.name}, {why}."


def _exposed_in(cell: ExerciseCell) -> Iterator[tuple[ast.stmt, str]]:
    """The statements below a region that give it away, each with the reason."""
    for region, below in _blocks(_parsed(cell.code).body, frozenset[int]().union(*regions_in(cell.code))):
        yield from _given_away(region, below)


def _parsed(code: str) -> ast.Module:
    """The tree of a cell, in which a region that has only comments in it has a statement, too."""
    marked = [re.sub(r"\S.*", "pass", line) if REGION.match(line) else line for line in code.split("\n")]
    try:
        return tree_of("\n".join(marked))
    except SyntaxError:
        return tree_of(code)


def _given_away(region: Sequence[ast.stmt], below: Sequence[ast.stmt]) -> Iterator[tuple[ast.stmt, str]]:
    solution = [leaf for statement in region for leaf in _leaves(statement)]
    dumps = {ast.dump(leaf) for leaf in solution}
    names = {name for leaf in solution for name in _assigned(leaf)}
    is_stub = all(map(_is_filler, solution))
    for leaf in (leaf for statement in below for leaf in _leaves(statement)):
        if not _computes(leaf):
            continue
        if ast.dump(leaf) in dumps:
            yield leaf, "which is in its solution region, too: delete it, or move it into the region"
        elif is_stub and isinstance(leaf, (ast.Assign, ast.AugAssign, ast.Return)):
            yield leaf, "below a solution region that is only a stub: is it the solution? Move it into the region"
        elif isinstance(leaf, ast.Assign) and names & set(_assigned(leaf)) - set(_read(leaf)):
            yield leaf, "which computes again what its solution region computes: move it into the region"


def _blocks(
    body: Sequence[ast.stmt], inside: frozenset[int], seen: Sequence[ast.stmt] = ()
) -> Iterator[tuple[list[ast.stmt], list[ast.stmt]]]:
    """The statements in regions, and those below them that run after them, for each block that has a region."""
    region, below = list(seen), list[ast.stmt]()
    for statement in body:
        if statement.lineno in inside and not _opens(statement, inside):
            region.append(statement)
        elif inside & set(range(statement.lineno, (statement.end_lineno or statement.lineno) + 1)):
            is_scope = isinstance(statement, (ast.FunctionDef, ast.ClassDef))
            for inner in _bodies(statement):
                yield from _blocks(inner, inside, () if is_scope else tuple(region))
            region += [] if is_scope else [leaf for leaf in _leaves(statement) if leaf.lineno in inside]
        elif region and not isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
            below.append(statement)
    if region and below:
        yield region, below


def _opens(statement: ast.stmt, inside: frozenset[int]) -> bool:
    """Whether a statement has lines that are in no region."""
    return not set(range(statement.lineno, (statement.end_lineno or statement.lineno) + 1)) <= inside


def _bodies(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    for field in ("body", "orelse", "finalbody"):
        yield getattr(statement, field, None) or []
    for handler in getattr(statement, "handlers", ()):
        yield handler.body


def _leaves(statement: ast.stmt) -> Iterator[ast.stmt]:
    """The statements in a statement that have no block of their own; itself, if it has none."""
    inner = [leaf for body in _bodies(statement) for child in body for leaf in _leaves(child)]
    yield from inner or [statement]


def _computes(statement: ast.stmt) -> bool:
    """Whether a statement computes something: a shape, a constant or a tuple of names gives nothing away."""
    value = getattr(statement, "value", None)
    for node in ast.walk(value) if isinstance(value, ast.AST) else ():
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") not in _PLAIN:
            return not isinstance(statement, ast.Expr)
        if isinstance(node, (ast.BinOp, ast.Compare)):
            return True
    return isinstance(statement, ast.AugAssign)


def _is_filler(statement: ast.stmt) -> bool:
    value = getattr(statement, "value", None)
    is_nothing = isinstance(value, ast.Constant) and value.value in (None, ...)
    return isinstance(statement, (ast.Pass, ast.Raise)) or (
        isinstance(statement, (ast.Assign, ast.Expr)) and is_nothing
    )


def _assigned(statement: ast.stmt) -> list[str]:
    return [node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]


def _read(statement: ast.stmt) -> list[str]:
    return [node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)]
