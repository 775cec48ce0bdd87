"""
Stands for a node of autograd's graph, and tells when it is called: `z.grad_fn(dz)` is a derivative that autograd knows.

To read a node, to ask for its name or to compare it is not to use it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["WatchedNode", "bare"]


class WatchedNode:
    """A node of a graph that says so when it is called. In everything else it is as the node is."""

    __slots__ = ("_called", "_node")

    def __init__(self, node: Any, called: Callable[[], None]) -> None:
        self._node = node
        self._called = called

    @classmethod
    def around(cls, node: Any, called: Callable[[], None]) -> Any:
        """The node, watched. A node of a student's own `Function` is left as it is: its backward is the student's."""
        is_own = node is None or not callable(node)
        return node if is_own else cls(node, called)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the node, and tell."""
        self._called()
        return self._node(*args, **kwargs)

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        """The nodes after this one, watched as well."""
        return tuple((self.around(node, self._called), place) for node, place in self._node.next_functions)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return type(self._node)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._node, name)

    def __eq__(self, other: object) -> bool:
        return bool(self._node == bare(other))

    def __hash__(self) -> int:
        return hash(self._node)

    def __repr__(self) -> str:
        return repr(self._node)


def bare(value: Any) -> Any:
    """The node that a watched one stands for; any other value as it is."""
    return value._node if type(value) is WatchedNode else value
