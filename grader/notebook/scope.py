"""
Finds what a function uses besides its arguments: variables of the notebook, and numbers in its code.
"""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Collection, Iterable, Mapping

__all__ = ["Scope", "called_in", "helpers_among", "notebook_data", "scope_of", "used_in"]

_SMALLEST_SIZE = 8
_LARGEST_SIZE = 1 << 40
_OWN_SCOPE = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.comprehension)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """
    What one function uses besides its arguments.

    Attributes:
        reads: Variables of the notebook that hold data (not functions, modules or classes), sorted by name.
        frozen: Those that its default arguments read, when the function is defined.
        unused: Arguments that it never reads.
        numbers: Whole numbers in its code that may be the size of a tensor, and not one of the smallest.
        redefined: Functions that it calls and that a later cell defines again: the name, the cell whose function it was
            written with, and the cell whose function runs.
    """

    reads: tuple[str, ...] = ()
    frozen: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()
    redefined: tuple[tuple[str, int, int], ...] = ()


def notebook_data(trees: Iterable[ast.Module]) -> frozenset[str]:
    """The names that a notebook assigns at its top level; functions and classes do not count."""
    data: set[str] = set()
    for tree in trees:
        waiting: list[ast.AST] = list(tree.body)
        while waiting:
            node = waiting.pop()
            if isinstance(node, _OWN_SCOPE) or (isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda)):
                continue
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                data.add(node.id)
            waiting += ast.iter_child_nodes(node)
    return frozenset(data)


def scope_of(node: ast.stmt, data: frozenset[str]) -> Scope:
    """
    Find what a definition uses besides its arguments.

    >>> tree = ast.parse("N = len(x)" + chr(10) + "def f(a, b): return a / N / 256")
    >>> scope_of(tree.body[1], notebook_data([tree]))
    Scope(reads=('N',), frozen=(), unused=('b',), numbers=(256,), redefined=())
    """
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return Scope()
    nodes = list(ast.walk(node))
    arguments = [inner.arg for inner in ast.walk(node.args) if isinstance(inner, ast.arg)]
    names = [inner for inner in nodes if isinstance(inner, ast.Name)]
    declared_global = {name for inner in nodes if isinstance(inner, ast.Global) for name in inner.names}
    local = {inner.arg for inner in nodes if isinstance(inner, ast.arg)}
    local |= {name.id for name in names if isinstance(name.ctx, ast.Store)} - declared_global
    loaded = {name.id for name in names if isinstance(name.ctx, ast.Load)}
    in_defaults = {
        inner.id
        for default in (*node.args.defaults, *node.args.kw_defaults)
        if default is not None
        for inner in ast.walk(default)
        if isinstance(inner, ast.Name)
    }
    constants = [inner for statement in node.body for inner in ast.walk(statement) if isinstance(inner, ast.Constant)]
    whole = {inner.value for inner in constants if type(inner.value) is int}
    return Scope(
        reads=tuple(sorted((loaded - local | in_defaults | _by_key(nodes)) & data)),
        frozen=tuple(sorted(in_defaults & data)),
        unused=tuple(name for name in arguments if name not in loaded),
        numbers=tuple(sorted(number for number in whole if _SMALLEST_SIZE <= number <= _LARGEST_SIZE)),
    )


def called_in(node: ast.stmt) -> tuple[str, ...]:
    """
    The names that a definition calls and does not define itself, sorted.

    >>> called_in(ast.parse("def f(a): return g(h(a.sum()), a)").body[0])
    ('g', 'h')
    """
    return tuple(sorted(used_in(node)[1]))


def used_in(node: ast.AST) -> tuple[frozenset[str], frozenset[str]]:
    """
    The names that some code reads and does not define within itself, and those of them that it calls.

    A method sees none of the names that its class defines: there, they are those of the notebook.

    >>> read, called = used_in(ast.parse("class A:" + chr(10) + " def f(self, a): return f(a, g)").body[0])
    >>> sorted(read), sorted(called)
    (['f', 'g'], ['f'])
    """
    if isinstance(node, (ast.ClassDef, ast.Module)):
        found = [used_in(inner) for inner in ast.iter_child_nodes(node)]
        return frozenset().union(*(read for read, _ in found)), frozenset().union(*(called for _, called in found))
    nodes = list(ast.walk(node))
    names = [inner for inner in nodes if isinstance(inner, ast.Name)]
    local = {inner.arg for inner in nodes if isinstance(inner, ast.arg)}
    local |= {name.id for name in names if isinstance(name.ctx, ast.Store)}
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    local |= {inner.name for inner in nodes[1:] if isinstance(inner, definitions)}
    read = {name.id for name in names if isinstance(name.ctx, ast.Load)}
    called = {inner.func.id for inner in nodes if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name)}
    return frozenset(read - local), frozenset(called - local)


def helpers_among(
    read: Collection[str], called: Collection[str], definitions: Mapping[str, ast.stmt]
) -> frozenset[str]:
    """Those of the definitions that code uses. A variable is a helper only where it is called; see `used_in`."""
    return frozenset(
        name
        for name in read
        if name in definitions and (name in called or not isinstance(definitions[name], (ast.Assign, ast.AnnAssign)))
    )


def _by_key(nodes: list[ast.AST]) -> set[str]:
    """Names that are read as `globals()["name"]`."""
    return {
        inner.slice.value
        for inner in nodes
        if isinstance(inner, ast.Subscript)
        and isinstance(inner.slice, ast.Constant)
        and isinstance(inner.slice.value, str)
        and isinstance(inner.value, ast.Call)
        and isinstance(inner.value.func, ast.Name)
        and inner.value.func.id == "globals"
    }
