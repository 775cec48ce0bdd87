"""
Sets up nbclient's notebook client so that it keeps only the outputs that are wanted.
"""

from __future__ import annotations

import base64
import logging
import queue
from collections.abc import Callable, Mapping
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

from grader.errors import SandboxError
from grader.execution.kernels import ASK_DOCTOR, RunningKernel
from grader.notebook.read import Notebook

__all__ = ["TIMED_OUT", "connect_client", "put_files"]

TIMED_OUT = "<the cell took too long>"
"""The `ename` of the reply if a cell was interrupted because its time was up. No exception has this name."""

IOPUB_TIMEOUT_S = 2
PUT_TIMEOUT_S = 30.0
_PUT = "__import__('grader.harness.files', fromlist=['put']).put({name!r}, {encoded!r})"
_PUT_BYTES = 1 << 20  # in one message
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


async def put_files(kernel: RunningKernel, files: Mapping[str, bytes]) -> None:
    """
    Put copies of these files, by their paths, into the folder of a kernel in which nothing has run yet.

    Raises:
        SandboxError: The kernel does not answer.
    """
    for name, content in files.items():
        for begin in range(0, max(1, len(content)), _PUT_BYTES):
            encoded = base64.b64encode(content[begin : begin + _PUT_BYTES]).decode()
            request = kernel.client.execute(_PUT.format(name=name, encoded=encoded), silent=True, store_history=False)
            await _answered(kernel, request)


async def _answered(kernel: RunningKernel, request: str) -> None:
    reply: dict[str, Any] = {}
    while reply.get("parent_header", {}).get("msg_id") != request:
        try:
            reply = await kernel.client.get_shell_msg(timeout=PUT_TIMEOUT_S)
        except queue.Empty as error:
            raise SandboxError("A kernel did not take the files of the notebook.", ASK_DOCTOR) from error
    if reply["content"].get("status") != "ok":
        raise SandboxError(
            "A kernel could not write the files of the notebook.", "Are they larger than `limits` allow?"
        )


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
