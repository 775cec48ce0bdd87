"""
Grades hand-derived gradients in Jupyter notebooks, and says why a wrong one is wrong.

In a notebook: `from grader import load_mnist`. Everything else is the command line, `grader --help`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grader.data import load_mnist

__all__ = ["load_mnist"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # `grader --help` must not wait for numpy and torch.
    if name == "load_mnist":
        from grader.data import load_mnist

        return load_mnist
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
