"""
What stands in a student's own code: evidence to choose between explanations of the same numbers.

The code is read and never executed, where it is parsed: in the conductor. The judge gets what is found, and no code of
a student's is parsed there. Code that is longer than that of any exercise is evidence for nothing.
"""

from __future__ import annotations

import ast
import builtins
import dataclasses
import functools
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeGuard

from grader.notebook.variables import changed_outside, lost_in, lost_in_loops, set_in_loop, with_effect
from grader.trees import tree_of

__all__ = ["Written", "features_of", "written_in"]

_MEANS = ("mean", "average", "AvgPool2d", "avg_pool2d")
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
_MEASURES = (
    "shape",
    "size",
    "numel",
    "dim",
    "ndim",
    "dtype",
    "device",
    "new_zeros",
    "new_ones",
    "new_full",
    "new_empty",
)
_COMPARISONS = ("Eq", "NotEq", "Lt", "LtE", "Gt", "GtE")
_DECISIONS = (
    "where", "maximum", "minimum", "max", "min", "amax", "amin", "argmax", "argmin", "clamp", "clamp_", "clip",
    "clamp_min", "clamp_max", "abs", "abs_", "fabs", "sign", "sgn", "relu", "relu_", "leaky_relu", "elu", "heaviside",
    "threshold", "masked_fill", "masked_fill_", "gt", "ge", "lt", "le", "eq", "ne", "greater", "less", "isclose",
    "sort", "argsort", "topk", "nonzero", "hardtanh", "relu6", "signbit",
)  # fmt: skip
"""Functions whose slope, or whose result, changes where a number passes a boundary."""
_FEWEST_TO_BE_A_SIZE = 3
_MOST_NODES = 5_000
"""How large a syntax tree may be. The solutions of the courses in the tests have fewer than 600 nodes."""
_LARGEST = 1e9
"""Numbers beyond this are not told apart."""
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?")
_LONGEST = 100
"""How many characters a name may have to be noted."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Written:
    """
    What stands in the code of a function, or of a cell of straight lines.

    It crosses the border between conductor and judge, so it is limited: what is more, or larger, is a ValueError.

    Attributes:
        is_known: Whether it can be evidence for anything.
        names: The names of everything that is read or called, and of keywords, sorted.
        operators: The names of the operators in the code, such as `MatMult`, sorted.
        numbers: The numbers in the code, sorted.
        calls_helpers: Whether a function is called that the code does not define, and that is none of Python's.
        has_loop: Whether something is done in a loop.
        takes_parts: Whether a part of a tensor is taken by its place.
        may_be_off_by_one: Whether one may be added to a size, or taken off: `n - 1`, a variance, a size as a number.
        lost: The variables whose values are replaced before anything has read them, in a sequence or in a loop.
        changed_outside: The variables outside of the function that it changes, and also uses for something else.
        set_in_loop: The variables whose entries are set in a loop, and never added to there.
        lost_in_loop: The variables that are set anew in each step of a loop, and read after it only.
        sums_are_apart: Whether things are added or subtracted, and no product or quotient stands in such a sum itself.
        features: How often each operation, name and number stands in the code.
    """

    is_known: bool = False
    names: tuple[str, ...] = ()
    operators: tuple[str, ...] = ()
    numbers: tuple[float, ...] = ()
    calls_helpers: bool = False
    has_loop: bool = False
    takes_parts: bool = False
    may_be_off_by_one: bool = False
    lost: tuple[str, ...] = ()
    changed_outside: tuple[str, ...] = ()
    set_in_loop: tuple[str, ...] = ()
    lost_in_loop: tuple[str, ...] = ()
    sums_are_apart: bool = False
    features: tuple[tuple[str, int], ...] = ()

    def __post_init__(self) -> None:
        """Check what a conductor has sent."""
        identifiers = (*self.operators, *self.lost, *self.changed_outside, *self.set_in_loop, *self.lost_in_loop)
        words = (*self.names, *identifiers, *(word for word, _ in self.features))
        if not (
            max(map(len, (self.names, identifiers, self.numbers, self.features))) <= _MOST_NODES
            and all(len(word) <= _LONGEST for word in words)
            and all(word.isidentifier() for word in identifiers)
            and all(word.isidentifier() or _NUMBER.fullmatch(word) for word, _ in self.features)
            and all(1 <= count <= _MOST_NODES for _, count in self.features)
            and all(map(_is_small, self.numbers))
        ):
            raise ValueError("This is more than the code of an exercise has.")

    @functools.cached_property
    def words(self) -> frozenset[str]:
        """The names of everything that is read or called, and of keywords."""
        return frozenset(self.names)

    @property
    def takes_a_mean(self) -> bool:
        """Whether a function that averages is called."""
        return not self.words.isdisjoint(_MEANS)

    @property
    def is_complete(self) -> bool:
        """Whether nothing that it does is hidden: in code that is too long, or in a helper."""
        return self.is_known and not self.calls_helpers

    def count(self, name: str) -> int:
        """How often a variable with this name is read, or a function called."""
        return next((count for feature, count in self.features if feature == name), 0)

    def counts(self, names: Sequence[str] = ()) -> dict[str, int]:
        """How often each variable is read or called, of those with these names; of all, if there are none."""
        return {word: count for word, count in self.features if word in (names or self.names)}

    @property
    def constants(self) -> dict[str, int]:
        """How often each number stands in the code, but for 0 and 1, which are often a dimension."""
        return {word: count for word, count in self.features if word[:1].isdigit() and float(word) not in (0, 1)}

    @property
    def decides(self) -> bool:
        """Whether it may treat some numbers in another way than others, by a comparison or a maximum."""
        own = {word for word, _ in self.features}
        return not (own.isdisjoint(_COMPARISONS) and self.words.isdisjoint(_DECISIONS)) or self.calls_helpers

    def distance(self, code: str) -> int:
        """How many operations, names and numbers stand in only one of this code and another."""
        own, other = Counter(dict(self.features)), features_of(code)
        return (own - other).total() + (other - own).total()


@functools.lru_cache(maxsize=256)
def features_of(code: str) -> Counter[str]:
    """How often each operation, name and number stands in some code of the assignment's."""
    return Counter(_features(ast.walk(tree_of(code))))


def written_in(node: ast.stmt | ast.Module) -> Written:
    """
    What stands in the code of a function, or of a cell of straight lines; nothing is known of what is too long.

    >>> written_in(ast.parse("def f(a): return a.mean(0) / 4").body[0]).numbers
    (0.0, 4.0)
    """
    nodes = tuple(itertools.islice(ast.walk(node), _MOST_NODES + 1))
    if len(nodes) > _MOST_NODES:
        return Written()
    if isinstance(node, ast.FunctionDef):
        nodes = with_effect(nodes)
    words = frozenset(_words(nodes))
    constants = (each.value for each in nodes if isinstance(each, ast.Constant))
    numbers = frozenset(float(value) for value in constants if _is_small(value))
    has_loop = any(map(_loops_over_parts, nodes))
    body = node.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Module)) else [node]
    lost_in_loop = tuple(dict.fromkeys(lost_in_loops(body)))
    return Written(
        is_known=len(nodes) > 1,
        names=tuple(sorted(words)),
        operators=tuple(sorted({type(each).__name__ for each in nodes if isinstance(each, ast.operator)})),
        numbers=tuple(sorted(numbers)),
        calls_helpers=_calls_helpers(nodes),
        has_loop=has_loop,
        takes_parts=has_loop or _takes_parts(nodes) or not words.isdisjoint(_PARTS),
        may_be_off_by_one=_adds_one(nodes)
        or not words.isdisjoint(_ONE_LESS)
        or any(number >= _FEWEST_TO_BE_A_SIZE for number in numbers),
        lost=_short(dict.fromkeys((*lost_in(body), *lost_in_loop))),
        lost_in_loop=_short(lost_in_loop),
        changed_outside=_short(changed_outside(node, nodes)) if isinstance(node, ast.FunctionDef) else (),
        set_in_loop=_short(dict.fromkeys(set_in_loop(nodes))),
        sums_are_apart=_sums_are_apart(nodes),
        features=tuple(Counter(_features(nodes)).items()),
    )


_PARTS = ("select", "narrow", "index_select", "diag")


def _short(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(name for name in names if len(name) <= _LONGEST)


def _is_small(value: object) -> TypeGuard[int | float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -_LARGEST <= value <= _LARGEST


def _calls_helpers(nodes: Sequence[ast.AST]) -> bool:
    called = {node.func.id for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    own = {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    return any(name not in own and not hasattr(builtins, name) for name in called)


def _loops_over_parts(node: ast.AST) -> bool:
    """Whether something is a loop, but for one over a few things that are written down: `for d in (dq, dk, dv)`."""
    if isinstance(node, (ast.For, ast.comprehension)):
        return not isinstance(node.iter, (ast.Tuple, ast.List))
    return isinstance(node, ast.While)


def _takes_parts(nodes: Sequence[ast.AST]) -> bool:
    subscripts = (node for node in nodes if isinstance(node, ast.Subscript))
    return any(not _is_size(node) and _has_a_place(node.slice) for node in subscripts)


def _adds_one(nodes: Sequence[ast.AST]) -> bool:
    return any(
        isinstance(node, ast.BinOp)
        and isinstance(node.op, (ast.Add, ast.Sub))
        and any(isinstance(side, ast.Constant) and side.value == 1 for side in (node.left, node.right))
        for node in nodes
    )


def _sums_are_apart(nodes: Sequence[ast.AST]) -> bool:
    """Whether the terms of each sum are computed before it, as in `a = r * d`, `b = x * m`, `a - b`."""
    added = [node for node in nodes if isinstance(node, (ast.BinOp, ast.AugAssign)) and _adds(node)]
    methods = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    return (
        bool(added)
        and methods.isdisjoint(_ADDING)
        and all(isinstance(node, ast.BinOp) and _is_plain(node.left) and _is_plain(node.right) for node in added)
    )


_ADDING = ("add", "add_", "sub", "sub_", "subtract", "rsub", "addcmul", "addcdiv")


def _adds(node: ast.BinOp | ast.AugAssign) -> bool:
    return isinstance(node.op, (ast.Add, ast.Sub))


def _is_plain(term: ast.expr) -> bool:
    """Whether a term is a variable or a number; or a sum, since the terms of each sum are looked at in their turn."""
    return isinstance(term, (ast.Name, ast.Constant)) or (isinstance(term, ast.BinOp) and _adds(term))


def _words(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        word = ""
        if isinstance(node, ast.Name):
            word = node.id
        elif isinstance(node, ast.Attribute):
            word = node.attr
        elif isinstance(node, ast.keyword):
            word = node.arg or ""
        if 0 < len(word) <= _LONGEST:
            yield word


def _features(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """What code is made of, whatever its variables are called and in whatever order its lines are."""
    nodes = tuple(nodes)
    sizes = set(map(id, itertools.chain.from_iterable(map(_only_measured, nodes))))
    others = (node for node in nodes if id(node) not in sizes)
    return (feature for feature in _each_feature(others) if len(feature) <= _LONGEST)


def _only_measured(node: ast.AST) -> Sequence[ast.expr]:
    """What only lends its size or dtype: `x` in `x.shape`, `len(x)`, `zeros_like(x)`."""
    if isinstance(node, ast.Attribute) and node.attr in _MEASURES:
        return [node.value]
    function = node.func if isinstance(node, ast.Call) else None
    name = (
        function.id if isinstance(function, ast.Name) else function.attr if isinstance(function, ast.Attribute) else ""
    )
    is_measured = name == "len" or name.endswith("_like")
    return node.args[:1] if is_measured and isinstance(node, ast.Call) else []


def _each_feature(nodes: Iterable[ast.AST]) -> Iterator[str]:
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
        elif isinstance(node, ast.Constant) and (isinstance(node.value, bool) or _is_small(node.value)):
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
