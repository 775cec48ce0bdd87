"""
Finds which other exercises the code of an exercise calls, without running it.
"""

from __future__ import annotations

import ast
from collections import deque
from collections.abc import Collection, Iterable

from grader.notebook.parsing import defined_in
from grader.notebook.scope import helpers_among, used_in

__all__ = ["Calls"]


class Calls:
    """
    Finds the exercises that a definition uses, itself or through functions and classes that are no exercises.

    Args:
        trees: The code of a notebook's cells, in their order.
        exercises: The names of the exercises.
    """

    def __init__(self, trees: Iterable[ast.Module], exercises: Collection[str]) -> None:
        self._exercises = frozenset(exercises)
        self._helpers = {name: node for tree in trees for name, node in defined_in(tree) if name not in self._exercises}
        self._known: dict[ast.AST, tuple[frozenset[str], frozenset[str]]] = {}

    def of(self, name: str, node: ast.AST) -> tuple[str, ...]:
        """The other exercises that the code of an exercise uses, sorted; what is nowhere in the notebook, too."""
        found: set[str] = set()
        visited: set[str] = set()
        waiting = deque([node])
        while waiting:
            exercises, helpers = self._look_at(waiting.popleft())
            found |= exercises
            waiting += [self._helpers[helper] for helper in helpers - visited]
            visited |= helpers
        return tuple(sorted(found - {name}))

    def _look_at(self, node: ast.AST) -> tuple[frozenset[str], frozenset[str]]:
        """The exercises and the helpers that some code uses."""
        if node not in self._known:
            read, called = used_in(node)
            self._known[node] = read & self._exercises, helpers_among(read, called, self._helpers)
        return self._known[node]
