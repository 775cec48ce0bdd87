"""
Sets up nbclient's notebook client so that it keeps only the outputs that are wanted.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

from grader.execution.kernels import RunningKernel
from grader.notebook.read import Notebook

__all__ = ["TIMED_OUT", "connect_client"]

TIMED_OUT = "<the cell took too long>"
"""The `ename` of the reply if a cell was interrupted because its time was up. No exception has this name."""

IOPUB_TIMEOUT_S = 2
_SILENT = logging.getLogger("grader.nbclient")
_SILENT.disabled = True

Keeps = Callable[[dict[str, Any], list[NotebookNode], int], bool]
"""Whether to keep an output, given its message, the cell's outputs so far, and the cell's index."""


class _SelectiveClient(NotebookClient):
    """Drops all outputs except those that `keeps` selects: a notebook may print without end."""

    keeps: Keeps

    def output(self, outs: list[NotebookNode], msg: dict[str, Any], display_id: str | None, cell_index: int) -> None:
        if self.keeps(msg, outs, cell_index):
            super().output(outs, msg, display_id, cell_index)


def connect_client(
    notebook: Notebook, kernel: RunningKernel, *, seconds: Callable[[], float], keeps: Keeps
) -> NotebookClient:
    """
    A client that is ready to execute the cells of a notebook in a running kernel.

    Its `nb` contains only the notebook's code cells, without outputs. Cell `In [number]` is `nb.cells[number - 1]`.
    """
    empty: dict[str, Any] = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    cells = [{**empty, "id": f"cell-{cell.index}", "source": cell.code} for cell in notebook.cells]
    client = _SelectiveClient(
        nbformat.from_dict({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}),
        km=kernel.manager,
        timeout_func=lambda _: seconds(),  # not `timeout`, which may not have decimals
        interrupt_on_timeout=True,
        error_on_timeout={"ename": TIMED_OUT, "evalue": "", "traceback": []},
        iopub_timeout=IOPUB_TIMEOUT_S,
        allow_errors=True,
        store_widget_state=False,
        record_timing=False,
        coalesce_streams=False,
        log=_SILENT,
    )
    client.keeps = keeps
    client.reset_execution_trackers()
    client.kc = kernel.client
    return client
