"""
The cells that ran in this notebook's process.
"""

from __future__ import annotations

from IPython.core.getipython import get_ipython

__all__ = ["file_names", "typed_codes"]


def file_names() -> dict[str, int]:
    """The number of each cell that ran, `In [number]`, by the file name that IPython gave to the cell."""
    shell = get_ipython()
    return dict(getattr(shell.compile, "_filename_map", {})) if shell is not None else {}


def typed_codes() -> list[str]:
    """The code of every cell that ran, as it was typed; a cell's number is its index here."""
    history = getattr(get_ipython(), "history_manager", None)
    return list(history.input_hist_raw) if history is not None else []
