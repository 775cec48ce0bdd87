"""
`%%derive`: runs a cell, and checks the gradient functions that it defines.
"""

from __future__ import annotations

import ast
from typing import Any

from IPython.core.getipython import get_ipython

from grader.checking.check import check
from grader.trees import tree_of

__all__ = ["derive"]


def derive(line: str, cell: str) -> None:
    """
    Run the cell, then check the functions `grad_…` that it defines, or those named after `%%derive`.

    Args:
        line: Names of functions, or nothing.
        cell: The cell without its first line; a comment replaces that line, so that lines keep their numbers.
    """
    shell: Any = get_ipython()
    count = shell.execution_count
    shell.execution_count = len(shell.history_manager.input_hist_raw) - 1  # its functions are defined in this cell
    try:
        result = shell.run_cell(f"# %%derive\n{cell}")
    finally:
        shell.execution_count = count
    if result.success:
        check.show(line.replace(",", " ").split() or _gradients(shell.transform_cell(cell)), shell.user_ns)


def _gradients(code: str) -> list[str]:
    defined = [node.name for node in tree_of(code).body if isinstance(node, ast.FunctionDef)]
    return [name for name in dict.fromkeys(defined) if name.startswith("grad_")]
