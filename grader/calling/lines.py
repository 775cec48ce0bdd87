"""
Runs an exercise that is written as straight lines, `dlogits = …`, and takes out each gradient that the lines compute.

Each name is judged by itself: when the last line that changes `dlogits` has run, its value is taken, and later lines
go on with the right one, if that is given.
"""

from __future__ import annotations

import ast
import types
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, TypeGuard

import numpy as np
import torch

from grader.trees import tree_of

__all__ = ["Lines", "names_changed"]

_VIEWS = ("diagonal", "permute", "ravel", "reshape", "squeeze", "swapaxes", "t", "transpose", "unsqueeze", "view")
_METHODS = ("fill", "put")
_FUNCTIONS = ("at", "copyto", "fill_diagonal", "place", "put", "put_along_axis", "putmask")
"""What changes an array in numpy: methods of it, and functions that take it first, `np.add.at(d, rows, values)`."""


class Lines:
    """
    Straight lines that compute gradients.

    Attributes:
        error: What the first line that failed has raised, after `run`. A line whose result nobody reads, such as
            `print(dz.grad.shape)` or an `assert`, may fail.
        failed: The names that lines which failed would have changed.
    """

    def __init__(self, cells: Sequence[tuple[str, ast.Module]], targets: Sequence[str]) -> None:
        """
        Prepare lines.

        Args:
            cells: File names and syntax trees, in the order in which they run.
            targets: The names that are wanted, `dlogits`.
        """
        self._targets = tuple(targets)
        self._statements = [(file, statement) for file, tree in cells for statement in tree.body]
        self._last = {
            name: number for number, (_, node) in enumerate(self._statements) for name in names_changed(node, targets)
        }
        self._codes: dict[int, types.CodeType] = {}
        self.error: BaseException | None = None
        self.failed: set[str] = set()

    @staticmethod
    def among(cells: Sequence[tuple[str, ast.Module]], targets: Sequence[str]) -> tuple[Lines, tuple[str, int]] | None:
        """
        The lines of a notebook that compute gradients: the cell that computes most of them, and those for the rest.

        Args:
            cells: All cells that ran, in their order.

        Returns:
            The lines, and the file name and line where the main cell begins; None if no cell computes any.
        """
        computed = [set().union(*(names_changed(node, targets) for node in tree.body)) for _, tree in cells]
        most = max(map(len, computed), default=0)
        if not most:
            return None
        main = max(number for number, names in enumerate(computed) if len(names) == most)
        chosen = {main}
        for number in reversed(range(len(cells))):
            if computed[number] - set().union(*(computed[other] for other in chosen)):
                chosen.add(number)
        file, tree = cells[main]
        return Lines([cells[number] for number in sorted(chosen)], targets), (file, tree.body[0].lineno)

    @staticmethod
    def in_function(code: str, name: str, targets: Sequence[str]) -> Lines:
        """The body of a function, as lines."""
        function = next(n for n in tree_of(code).body if isinstance(n, ast.FunctionDef) and n.name == name)
        return Lines([(f"<{name}>", ast.Module(function.body, []))], targets)

    def run(
        self,
        variables: Mapping[str, Any],
        given: Mapping[str, Any],
        right: Mapping[str, Any],
        *,
        wanted: str | None = None,
    ) -> dict[str, Any]:
        """
        Run the lines.

        Args:
            variables: Those of the notebook; they stay as they are.
            given: What else the lines may read, by name.
            right: The right values of names that lines compute, with which later lines go on.
            wanted: The only name whose value is taken; None for all. No line runs after it is complete.

        Returns:
            The value of each wanted name; those that no line has computed are left out.
        """
        namespace = {name: value for name, value in {**variables, **given}.items() if name not in self._targets}
        found: dict[str, Any] = {}
        self.error, self.failed = None, set()
        for number, (_, statement) in enumerate(self._statements):
            try:
                exec(self._code(number), namespace)  # noqa: S102 - student's or ours
            except (Exception, SystemExit) as error:
                self._note(error, names_changed(statement, self._targets), is_needed=self._is_needed(number))
            for name in (name for name, last in self._last.items() if last == number):
                if name in namespace and name not in self.failed and wanted in (None, name):
                    try:
                        found[name] = _copied(namespace[name])
                    except Exception as error:  # of a student's own kind of tensor
                        self._note(error, {name})
                if wanted == name:
                    return found
                if name in right:
                    namespace[name] = right[name]
        return found

    def _note(self, error: BaseException, names: Collection[str], *, is_needed: bool = True) -> None:
        if is_needed:
            self.error = self.error or error
        self.failed |= set(names)

    def _is_needed(self, number: int) -> bool:
        """Whether a statement computes what is wanted, or what a later one reads."""
        _, statement = self._statements[number]
        if isinstance(statement, (ast.Raise, ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)):
            return True
        read = set().union(*(_names_read(later) for _, later in self._statements[number + 1 :]))
        return bool(names_changed(statement, {*self._targets, *read}))

    def _code(self, number: int) -> types.CodeType:
        """The code of a statement, which is compiled once."""
        if number not in self._codes:
            file, statement = self._statements[number]
            self._codes[number] = compile(ast.Module([statement], []), file, "exec")
        return self._codes[number]


def _copied(value: Any) -> Any:
    """A copy of a tensor or an array; another value as it is."""
    if isinstance(value, torch.Tensor):
        return value.clone()
    return value.copy() if isinstance(value, np.ndarray) else value


def _names_read(statement: ast.stmt) -> set[str]:
    """The names that a statement reads, without those of its own loops."""
    nodes = list(ast.walk(statement))
    looped = [node.target for node in nodes if isinstance(node, (ast.For, ast.comprehension))]
    own = {name.id for target in looped for name in ast.walk(target) if isinstance(name, ast.Name)}
    return {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)} - own


def names_changed(statement: ast.stmt, names: Collection[str]) -> set[str]:
    """
    Which names a statement binds or changes: `d = …`, `d += …`, `d[0] = …`, `d.add_(…)`, `np.add.at(d, …)`, `f(out=d)`.

    >>> names_changed(ast.parse("for k in range(3): dC[k] += d[k]").body[0], ["dC", "d"])
    {'dC'}
    >>> names_changed(ast.parse("np.add.at(dC.reshape(-1, 2), ix, d)").body[0], ["dC", "d"])
    {'dC'}
    """
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return set()
    return {name for node in ast.walk(statement) for name in map(_root, _changed_by(node)) if name in names}


def _changed_by(node: ast.AST) -> Iterator[ast.AST]:
    """The expressions whose values a node of a syntax tree binds or changes."""
    if isinstance(node, (ast.Name, ast.Subscript, ast.Attribute)) and isinstance(node.ctx, ast.Store):
        yield node
    if not isinstance(node, ast.Call):
        return
    yield from (keyword.value for keyword in node.keywords if keyword.arg == "out")
    if isinstance(node.func, ast.Attribute) and (node.func.attr.endswith("_") or node.func.attr in _METHODS):
        yield node.func
    if isinstance(node.func, ast.Attribute) and node.func.attr in _FUNCTIONS and node.args:
        yield node.args[0]


def _root(node: ast.AST) -> str:
    """The name of the array that an expression is a view of, `d` for `d.view(-1)[0]`; empty if there is none."""
    while isinstance(node, (ast.Subscript, ast.Attribute)) or _is_view(node):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def _is_view(node: ast.AST) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _VIEWS
