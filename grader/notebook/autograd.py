"""
Finds uses of autograd in the code of functions, without running it.
"""

from __future__ import annotations

import ast
import itertools
from collections import deque
from collections.abc import Iterable
from typing import Protocol

from grader.notebook.parsing import defined_in
from grader.notebook.scope import helpers_among, used_in

__all__ = ["Autograd"]

_AUTOGRAD_FUNCTIONS = frozenset({"grad", "vjp", "jvp", "jacrev", "jacfwd", "hessian", "grad_and_value", "linearize"})
_GRAPH = ("grad_fn", "next_functions")
_AUTOGRAD_MODULES = ("torch.autograd", "torch.func", "functorch")
_MOST_EVIDENCE = 20
_MOST_PARTS = 8
"""How many parts a dotted name may have that could be one of autograd's."""


class _Cell(Protocol):
    """The code of a cell: its number, `In [number]`, and its syntax tree."""

    @property
    def number(self) -> int: ...
    @property
    def tree(self) -> ast.Module: ...


class Autograd:
    """
    Finds uses of autograd in a function, and in the notebook's functions that it calls.

    Other cells may use autograd freely. Where a class of the notebook has a method `backward`, calling it is allowed.
    """

    def __init__(self, cells: Iterable[_Cell]) -> None:
        self._functions: dict[str, ast.stmt] = {}
        self._numbers: dict[str, int] = {}
        self._aliases: dict[str, str] = {}
        self._methods: set[str] = set()
        self._known: dict[ast.stmt, tuple[tuple[str, ...], frozenset[str]]] = {}
        for cell in cells:
            for name, node in defined_in(cell.tree):
                self._functions[name], self._numbers[name] = node, cell.number
            for inner in ast.walk(cell.tree):
                self._record(inner)

    def _record(self, node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                self._aliases[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                self._aliases[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        elif isinstance(node, ast.ClassDef):
            self._methods |= {item.name for item in node.body if isinstance(item, ast.FunctionDef)}

    def evidence(self, node: ast.stmt, cell: int) -> tuple[str, ...]:
        """Every use of autograd that a definition can reach, without repetitions."""
        found: dict[str, None] = {}
        visited: set[str] = set()
        queue = deque([(node, cell)])
        while queue and len(found) < _MOST_EVIDENCE:
            current, number = queue.popleft()
            uses, helpers = self._look_at(current)
            found |= dict.fromkeys(f"In [{number}], {use}" for use in uses)
            for name in helpers - visited:
                visited.add(name)
                queue.append((self._functions[name], self._numbers[name]))
        return tuple(found)[:_MOST_EVIDENCE]

    def _look_at(self, node: ast.stmt) -> tuple[tuple[str, ...], frozenset[str]]:
        """The uses of autograd in a definition, and the functions of the notebook that it uses."""
        if node not in self._known:
            uses = (
                f"line {getattr(inner, 'lineno', 0)}: the source mentions {use}"
                for inner in ast.walk(node)
                if (use := self._use(inner))
            )
            helpers = helpers_among(*used_in(node), self._functions)
            self._known[node] = tuple(itertools.islice(uses, _MOST_EVIDENCE)), helpers
        return self._known[node]

    def _use(self, node: ast.AST) -> str | None:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "backward":
            return None if "backward" in self._methods else ".backward()"
        if isinstance(node, ast.Attribute) and node.attr in _GRAPH:
            return f".{node.attr}"
        if isinstance(node, (ast.Attribute, ast.Name)):
            path = self._path(node)
            module, _, function = path.rpartition(".")
            if module in _AUTOGRAD_MODULES and function in _AUTOGRAD_FUNCTIONS:
                return path
            if path.startswith("torch.autograd.functional."):
                return path
        return None

    def _path(self, node: ast.expr) -> str:
        """The dotted name that an expression stands for, with import aliases resolved; empty for other expressions."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute) and len(parts) < _MOST_PARTS:
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ""
        return ".".join([self._aliases.get(node.id, node.id), *reversed(parts)])
