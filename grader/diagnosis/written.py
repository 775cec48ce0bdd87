"""
What stands in a student's own code: evidence to choose between explanations of the same numbers.

The code is read and never executed. Where it is not known, or is no Python, it is evidence for nothing.
"""

from __future__ import annotations

import ast
import builtins
import dataclasses
import functools
from collections import Counter
from collections.abc import Iterator, Sequence

__all__ = ["Written"]

_MEANS = ("mean", "average", "AvgPool2d", "avg_pool2d")
_EMPTY = ("zeros", "zeros_like", "new_zeros", "empty", "empty_like", "full", "full_like")
_ONE_LESS = ("var", "std", "correction", "unbiased", "ddof")
_SAME = {
    "t": "T",
    "mT": "T",
    "transpose": "T",
    "permute": "T",
    "axis": "dim",
    "keepdims": "keepdim",
    "matmul": "MatMult",
}
_IN_PLACE = ("append", "extend", "update", "setdefault", "insert", "add")
"""Methods that change what they are called on, besides those of tensors, whose names end with an underscore."""
_FEWEST_TO_BE_A_SIZE = 3


@dataclasses.dataclass(frozen=True)
class Written:
    """The code of a function, or of a cell of straight lines."""

    code: str

    @functools.cached_property
    def _tree(self) -> ast.Module | None:
        try:
            return ast.parse(self.code) if self.code else None
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None

    @functools.cached_property
    def _nodes(self) -> tuple[ast.AST, ...]:
        return tuple(ast.walk(self._tree)) if self._tree is not None else ()

    @property
    def is_known(self) -> bool:
        """Whether it can be evidence for anything."""
        return bool(self._nodes)

    @functools.cached_property
    def words(self) -> frozenset[str]:
        """The names of everything that is read or called, and of keywords."""
        return frozenset(_words(self._nodes))

    @functools.cached_property
    def operators(self) -> frozenset[str]:
        """The names of the operators in the code, such as `MatMult`."""
        return frozenset(type(node).__name__ for node in self._nodes if isinstance(node, ast.operator))

    @property
    def calls_helpers(self) -> bool:
        """Whether a function is called that the code does not define, and that is none of Python's."""
        called = {
            node.func.id for node in self._nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        own = {node.name for node in self._nodes if isinstance(node, ast.FunctionDef)}
        return any(name not in own and not hasattr(builtins, name) for name in called)

    @property
    def takes_a_mean(self) -> bool:
        """Whether a function that averages is called."""
        return not self.words.isdisjoint(_MEANS)

    @functools.cached_property
    def numbers(self) -> frozenset[float]:
        """The numbers in the code."""
        constants = (node.value for node in self._nodes if isinstance(node, ast.Constant))
        return frozenset(value for value in constants if isinstance(value, (int, float)))

    @property
    def has_loop(self) -> bool:
        """Whether something is done in a loop."""
        return any(isinstance(node, (ast.For, ast.While, ast.comprehension)) for node in self._nodes)

    @property
    def takes_parts(self) -> bool:
        """Whether a part of a tensor is taken by its place."""
        subscripts = [node for node in self._nodes if isinstance(node, ast.Subscript)]
        by_place = any(not _is_size(node) and _has_a_place(node.slice) for node in subscripts)
        return self.has_loop or by_place or not self.words.isdisjoint(("select", "narrow", "index_select", "diag"))

    @property
    def may_be_off_by_one(self) -> bool:
        """Whether one may be added to a size, or taken off: `n - 1`, a variance, or a size as a number."""
        changes = any(
            isinstance(node, ast.BinOp)
            and isinstance(node.op, (ast.Add, ast.Sub))
            and any(isinstance(side, ast.Constant) and side.value == 1 for side in (node.left, node.right))
            for node in self._nodes
        )
        return changes or not self.words.isdisjoint(_ONE_LESS) or any(n >= _FEWEST_TO_BE_A_SIZE for n in self.numbers)

    @functools.cached_property
    def lost(self) -> tuple[str, ...]:
        """The variables whose values are replaced before anything has read them, in a sequence or in a loop."""
        function = next((node for node in self._nodes if isinstance(node, ast.FunctionDef)), None)
        body = function.body if function is not None else self._tree.body if self._tree is not None else []
        return tuple(dict.fromkeys(_lost_in(body)))

    @functools.cached_property
    def changed_outside(self) -> tuple[str, ...]:
        """The variables outside of the function that it changes, and that it also uses for something else."""
        function = next((node for node in self._nodes if isinstance(node, ast.FunctionDef)), None)
        if function is None:
            return ()
        defaults = _with_defaults(function)
        declared = {name for node in self._nodes if isinstance(node, (ast.Global, ast.Nonlocal)) for name in node.names}
        stored = {node.id for node in self._nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        arguments = {node.arg for node in ast.walk(function.args) if isinstance(node, ast.arg)}
        local = (stored - declared) | (arguments - defaults)
        updates = [found for node in self._nodes for found in _updates(node, declared | defaults)]
        reads = Counter(name for name in _loads(self._nodes))
        for name, update in updates:
            reads[name] -= name in _loads(tuple(ast.walk(update)))
        return tuple(dict.fromkeys(name for name, _ in updates if name not in local and reads[name] > 0))

    def distance(self, code: str) -> int:
        """How many operations, names and numbers stand in only one of this code and another."""
        own, other = Counter(_features(self._nodes)), Counter(_features(_parsed(code)))
        return (own - other).total() + (other - own).total()


@functools.lru_cache(maxsize=256)
def _parsed(code: str) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(ast.parse(code)))


def _words(nodes: Sequence[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.keyword) and node.arg:
            yield node.arg


def _features(nodes: Sequence[ast.AST]) -> Iterator[str]:
    """What code is made of, whatever its variables are called and in whatever order its lines are."""
    for node in nodes:
        if isinstance(node, (ast.operator, ast.unaryop, ast.cmpop)):
            yield type(node).__name__
        elif isinstance(node, ast.AugAssign):
            yield "AugAssign"
        elif isinstance(node, ast.Attribute) and node.attr not in ("shape", "dtype"):
            yield _SAME.get(node.attr, node.attr)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id not in ("torch", "np", "F"):
            yield node.id
        elif isinstance(node, ast.keyword) and node.arg:
            yield _SAME.get(node.arg, node.arg)
        elif isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
            yield repr(node.value)


def _is_size(node: ast.Subscript) -> bool:
    return isinstance(node.value, ast.Attribute) and node.value.attr == "shape"


def _has_a_place(index: ast.expr) -> bool:
    """Whether an index says a place: a number, or a slice with an end."""
    parts = index.elts if isinstance(index, ast.Tuple) else [index]
    return any(
        (isinstance(part, ast.Slice) and (part.lower is not None or part.upper is not None or part.step is not None))
        or isinstance(part, ast.Name)
        or (isinstance(part, (ast.Constant, ast.UnaryOp)) and not _is_none(part))
        for part in parts
    )


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and (node.value is None or node.value is Ellipsis)


def _lost_in(body: Sequence[ast.stmt]) -> Iterator[str]:
    waiting: set[str] = set()
    for place, statement in enumerate(body):
        read = set(_loads(tuple(ast.walk(statement))))
        waiting -= read
        if isinstance(statement, ast.AugAssign) and isinstance(statement.target, ast.Name):
            waiting.discard(statement.target.id)
        target = statement.targets[0] if isinstance(statement, ast.Assign) and len(statement.targets) == 1 else None
        if isinstance(target, ast.Name) and isinstance(statement, ast.Assign):
            if target.id in waiting:
                yield target.id
            waiting.discard(target.id)
            if not _is_empty(statement.value):
                waiting.add(target.id)
        if isinstance(statement, (ast.For, ast.While)):
            later = {name for after in body[place + 1 :] for name in _loads(tuple(ast.walk(after)))}
            added = (node.target for node in ast.walk(statement) if isinstance(node, ast.AugAssign))
            kept = {target.id for target in added if isinstance(target, ast.Name)}
            for inner in ast.walk(statement):
                if isinstance(inner, ast.Assign) and isinstance(inner.targets[0], ast.Name):
                    name = inner.targets[0].id
                    if name in later and name not in read and name not in kept:
                        yield name


def _is_empty(value: ast.expr) -> bool:
    """Whether a value is one to begin with, such as `torch.zeros(3)` or 0."""
    if isinstance(value, ast.Constant):
        return True
    function = value.func if isinstance(value, ast.Call) else None
    return isinstance(function, ast.Attribute) and function.attr in _EMPTY


def _with_defaults(function: ast.FunctionDef) -> set[str]:
    """The parameters that have a default value, which is made once."""
    parameters = function.args.args[len(function.args.args) - len(function.args.defaults) :]
    keyword_only = [
        each
        for each, default in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
        if default is not None
    ]
    return {each.arg for each in (*parameters, *keyword_only)}


def _updates(node: ast.AST, declared: set[str]) -> Iterator[tuple[str, ast.AST]]:
    """The variable that a statement or a call changes, and the code that does so."""
    if isinstance(node, ast.AugAssign):
        name = _base(node.target)
        if name and (not isinstance(node.target, ast.Name) or name in declared):
            yield name, node
    elif isinstance(node, ast.Assign):
        for target in node.targets:
            name = _base(target)
            if name and (isinstance(target, (ast.Subscript, ast.Attribute)) or name in declared):
                yield name, node
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        method, name = node.func.attr, _base(node.func.value)
        if name and (method in _IN_PLACE or (method.endswith("_") and not method.endswith("__"))):
            yield name, node


def _base(node: ast.expr) -> str:
    """The variable that an expression such as `d[0].data` is a part of."""
    while isinstance(node, (ast.Subscript, ast.Attribute)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _loads(nodes: Sequence[ast.AST]) -> list[str]:
    """The variables that are read: `log` in `log.append(x)`, but not `n` in `n += 1`."""
    return [node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)]
