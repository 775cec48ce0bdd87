"""
What a function does with its variables: which of them are read, set, lost, or changed outside of it.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

__all__ = ["changed_outside", "loads", "lost_in", "lost_in_loops", "set_in_loop", "with_effect"]

_MOST_PASSES = 5
"""How many variables in a row may be without effect because only the next of them reads each."""
_EMPTY = ("zeros", "zeros_like", "new_zeros", "empty", "empty_like", "full", "full_like")
_IN_PLACE = ("append", "extend", "update", "setdefault", "insert", "add")
"""Methods that change what they are called on, besides those of tensors, whose names end with an underscore."""


def with_effect(nodes: tuple[ast.AST, ...]) -> tuple[ast.AST, ...]:
    """The nodes without assignments to variables that nothing reads: what stands there has no effect."""
    for _ in range(_MOST_PASSES):
        read = set(loads(nodes))
        read.update(name for each in nodes if isinstance(each, (ast.Global, ast.Nonlocal)) for name in each.names)
        dead = [each for each in nodes if isinstance(each, ast.Assign) and not any(_may_be_read(each, read))]
        inside = {id(inner) for each in dead for inner in ast.walk(each)}
        if not inside:
            break
        nodes = tuple(each for each in nodes if id(each) not in inside)
    return nodes


def _may_be_read(node: ast.Assign, read: set[str]) -> Iterator[bool]:
    return (not isinstance(target, ast.Name) or target.id in read for target in node.targets)


def changed_outside(function: ast.FunctionDef, nodes: Sequence[ast.AST]) -> Iterator[str]:
    """The variables outside of a function that it changes, and also uses for something else."""
    defaults = _with_defaults(function)
    declared = {name for node in nodes if isinstance(node, (ast.Global, ast.Nonlocal)) for name in node.names}
    stored = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    arguments = {node.arg for node in ast.walk(function.args) if isinstance(node, ast.arg)}
    local = (stored - declared) | (arguments - defaults)
    updates = [found for node in nodes for found in _updates(node, declared | defaults)]
    reads = Counter(loads(nodes))
    for name, reads_itself in updates:
        reads[name] -= reads_itself
    yield from dict.fromkeys(name for name, _ in updates if name not in local and reads[name] > 0)


def set_in_loop(nodes: Sequence[ast.AST]) -> Iterator[str]:
    """`d` in `for i in …: d[i] = …`, if nothing is added to it in a loop, and its value so far is not read there."""
    inside = {id(inner) for node in nodes if isinstance(node, (ast.For, ast.While)) for inner in ast.walk(node)}
    added = {_base(node.target) for node in nodes if isinstance(node, ast.AugAssign) and id(node) in inside}
    for node in nodes:
        if isinstance(node, ast.Assign) and id(node) in inside and isinstance(node.targets[0], ast.Subscript):
            name = _base(node.targets[0])
            if name and name not in added and name not in loads(ast.walk(node.value)):
                yield name


def lost_in(body: Sequence[ast.stmt]) -> Iterator[str]:
    """The variables whose values are replaced by a later statement before anything has read them."""
    waiting: set[str] = set()
    for statement in body:
        waiting -= set(loads(ast.walk(statement)))
        if isinstance(statement, ast.AugAssign) and isinstance(statement.target, ast.Name):
            waiting.discard(statement.target.id)
        target = statement.targets[0] if isinstance(statement, ast.Assign) and len(statement.targets) == 1 else None
        if isinstance(target, ast.Name) and isinstance(statement, ast.Assign):
            if target.id in waiting:
                yield target.id
            waiting.discard(target.id)
            if target.id != "_" and not _is_empty(statement.value):
                waiting.add(target.id)


def lost_in_loops(body: Sequence[ast.stmt]) -> Iterator[str]:
    """The variables that are set anew in each step of a loop, or entries of which are, and read after it only."""
    reads = [frozenset(loads(ast.walk(statement))) for statement in body]
    last_read = {name: place for place, read in enumerate(reads) for name in read}
    for place, (statement, read) in enumerate(zip(body, reads, strict=True)):
        if isinstance(statement, (ast.For, ast.While)):
            added = (node.target for node in ast.walk(statement) if isinstance(node, ast.AugAssign))
            kept = {target.id for target in added if isinstance(target, ast.Name)}
            for name in _set_anew(statement):
                if last_read.get(name, 0) > place and name not in read and name not in kept:
                    yield name
            yield from (name for name in _same_entries(statement) if last_read.get(name, 0) > place)


def _set_anew(loop: ast.stmt) -> Iterator[str]:
    """The variables that get another value in a loop: `a` and `b` in `a, b = x[i], y[i]`."""
    for inner in ast.walk(loop):
        if isinstance(inner, ast.Assign):
            target = inner.targets[0]
            elements = target.elts if isinstance(target, ast.Tuple) else [target]
            yield from (each.id for each in elements if isinstance(each, ast.Name))


def _same_entries(statement: ast.stmt) -> Iterator[str]:
    """`d` in `for i in …: d[j] = a[i]`, if nothing in the loop reads it or adds to it, nor decides when it is set."""
    for loop in (node for node in ast.walk(statement) if isinstance(node, ast.For)):
        inside = [node for each in loop.body for node in ast.walk(each)]
        if any(isinstance(node, (ast.If, ast.AugAssign, ast.Break, ast.Continue)) for node in inside):
            continue
        assigned = [node for node in inside if isinstance(node, ast.Assign)]
        set_here = [(node, node.targets[0]) for node in assigned if isinstance(node.targets[0], ast.Subscript)]
        reads = Counter(loads(inside))
        reads.subtract(_base(target) for _, target in set_here)
        of_step = _of_step(loop, inside)
        moves = of_step.union(*map(_stored_in, assigned))
        for node, target in set_here:
            name = _base(target)
            index, value = (set(loads(ast.walk(part))) for part in (target, node.value))
            if name and not reads[name] and not moves & index and of_step & value:
                yield name


def _of_step(loop: ast.For, inside: Sequence[ast.AST]) -> set[str]:
    """The variables that depend on which step of a loop it is."""
    of_step = _stored_in(loop.target)
    for node in inside:
        source = node.value if isinstance(node, ast.Assign) else node.iter if isinstance(node, ast.For) else None
        if source is not None and of_step & set(loads(ast.walk(source))):
            of_step |= _stored_in(node.target if isinstance(node, ast.For) else node)
    return of_step


def _stored_in(node: ast.AST) -> set[str]:
    """The variables that get a value of their own in some code: `a`, but not `d` in `d[i] = …`."""
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}


def _is_empty(value: ast.expr) -> bool:
    """Whether a value is one to begin with, such as `torch.zeros(3)` or 0."""
    if isinstance(value, ast.Constant):
        return True
    function = value.func if isinstance(value, ast.Call) else None
    return isinstance(function, ast.Attribute) and function.attr in _EMPTY


def _with_defaults(function: ast.FunctionDef) -> set[str]:
    """The parameters that have a default value, which is made once."""
    positional = [*function.args.posonlyargs, *function.args.args]
    parameters = positional[len(positional) - len(function.args.defaults) :]
    keyword_only = [
        each
        for each, default in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
        if default is not None
    ]
    return {each.arg for each in (*parameters, *keyword_only)}


def _updates(node: ast.AST, declared: set[str]) -> Iterator[tuple[str, bool]]:
    """The variable that a statement or a call changes, and whether it reads it in doing so."""
    if isinstance(node, (ast.AugAssign, ast.Assign)):
        for target in [node.target] if isinstance(node, ast.AugAssign) else node.targets:
            name = _base(target)
            if name and (isinstance(target, (ast.Subscript, ast.Attribute)) or name in declared):
                yield name, not isinstance(target, ast.Name) or name in loads(ast.walk(node.value))
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        method, name = node.func.attr, _base(node.func.value)
        if name and (method in _IN_PLACE or (method.endswith("_") and not method.endswith("__"))):
            yield name, True


def _base(node: ast.expr) -> str:
    """The variable that an expression such as `d[0].data` is a part of."""
    while isinstance(node, (ast.Subscript, ast.Attribute)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def loads(nodes: Iterable[ast.AST]) -> list[str]:
    """The variables that are read: `log` in `log.append(x)`, but not `n` in `n += 1`."""
    return [node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)]
