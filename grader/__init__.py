"""
Grades hand-derived gradients in Jupyter notebooks, and explains why a wrong one is wrong.

A notebook uses `from grader import check, load_mnist`, and `%load_ext grader` for the cell magic `%%derive`. Everything
else is on the command line: `grader --help`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grader.checking.check import check
    from grader.reference.mnist import load_mnist
    from grader.version import __version__ as __version__

__all__ = ["check", "load_ipython_extension", "load_mnist"]


def __getattr__(name: str) -> Any:
    # `grader --help` must not wait for numpy and torch.
    if name == "__version__":
        from grader.version import __version__

        return __version__
    if name == "load_mnist":
        from grader.reference.mnist import load_mnist

        return load_mnist
    if name == "check":
        from grader.checking.check import check

        return check
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def load_ipython_extension(shell: Any) -> None:
    """Make `%%derive` a magic of an IPython shell: `%load_ext grader` calls this."""
    from grader.checking.magic import derive

    shell.register_magic_function(derive, "cell")
