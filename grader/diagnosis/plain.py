"""
Solutions as mutants have them: without docstrings, annotations and comments.
"""

from __future__ import annotations

import ast
import functools

from grader.diagnosis.arrays import with_methods
from grader.trees import tree_of

__all__ = ["Root", "plain_code", "root_of"]

Root = ast.FunctionDef | ast.Module
"""What is written out: one function, or all of a cell."""


@functools.lru_cache(maxsize=256)
def plain_code(code: str, name: str) -> str:
    """The code of a solution as mutants have it: without docstrings, annotations and comments."""
    return ast.unparse(root_of(code, name))


def root_of(code: str, name: str) -> Root:
    """The syntax tree of a function, or of all functions and classes of a cell, without docstrings and annotations."""
    module: ast.Module = with_methods(tree_of(code))
    definitions = [node for node in module.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    for node in ast.walk(module):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        if isinstance(node, ast.FunctionDef):
            node.returns = None
            for argument in node.args.args:
                argument.annotation = None
    if not definitions:  # straight lines
        lines = module.body[1:] if ast.get_docstring(module) is not None else module.body
        function = tree_of(f"def {name}(): pass").body[0]
        assert isinstance(function, ast.FunctionDef)
        function.body = lines
        return function
    if [node.name for node in definitions] == [name] and isinstance(definitions[0], ast.FunctionDef):
        return definitions[0]
    return module
