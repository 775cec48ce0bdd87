"""Turns code into syntax trees, for one thread at a time."""

from __future__ import annotations

import ast
import os
import threading

__all__ = ["expression_of", "tree_of"]

_LOCK = threading.RLock()
"""
Held while code is parsed.

Until Python 3.12, the parsers of all threads count how deep a tree is with one counter. If garbage is collected while
one thread makes a tree, and another one parses then, the first one fails with "AST constructor recursion depth
mismatch".
"""

if hasattr(os, "register_at_fork"):  # a new process must not begin with a lock that a thread of its parent holds
    os.register_at_fork(before=_LOCK.acquire, after_in_parent=_LOCK.release, after_in_child=_LOCK.release)


def tree_of(code: str | bytes, *, filename: str = "<unknown>", flags: int = 0) -> ast.Module:
    """
    The syntax tree of some code.

    >>> ast.unparse(tree_of("d = (a@b)"))
    'd = a @ b'

    Args:
        code: What is parsed.
        filename: The name of its file for errors and warnings.
        flags: More flags for `compile`.

    Raises:
        SyntaxError: It is not Python.
        ValueError: It has a null byte or a number with too many digits.
        MemoryError, RecursionError: The parser gave up.
    """
    with _LOCK:
        tree = compile(code, filename, "exec", flags=ast.PyCF_ONLY_AST | flags, dont_inherit=True)
    assert isinstance(tree, ast.Module)
    return tree


def expression_of(code: str) -> ast.expr:
    """
    The syntax tree of an expression.

    >>> ast.unparse(expression_of("(a@b)"))
    'a @ b'

    Raises:
        SyntaxError: It is not an expression.
    """
    with _LOCK:
        tree = compile(code, "<unknown>", "eval", flags=ast.PyCF_ONLY_AST, dont_inherit=True)
    assert isinstance(tree, ast.Expression)
    return tree.body
