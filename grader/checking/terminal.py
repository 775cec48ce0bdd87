"""
A check of a whole notebook: all of its cells run in a kernel of their own, then `check.all()` in the same kernel.

What comes back was made by the student's process, for the student: it decides nothing, and is shown so that it can do
nothing, to a terminal or in a browser.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from grader.checking.check import IS_RIGHT
from grader.execution.kernels import start_kernel
from grader.model import Limits, Submission
from grader.notebook.read import Unreadable, read_notebook
from grader.reports.html import render_frame
from grader.reports.words import clip, visible

__all__ = ["NotebookCheck", "check_notebook"]

LAST_CELL = "from grader import check\n\ncheck.report({name!r})"
MAX_TEXT, MAX_PAGE = 100_000, 32 * 1024 * 1024
_SILENT = logging.getLogger("grader.check")
_SILENT.disabled = True
_TOO_LONG = {"ename": "TimeoutError", "evalue": "", "traceback": []}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NotebookCheck:
    """The check as text, and as a page of its own unless there is none; `is_unreadable`: the file is no notebook."""

    text: str
    page: str = ""
    is_right: bool = False
    is_unreadable: bool = False


class _LastOutput(NotebookClient):
    """Keeps what the last cell shows, and drops the rest: a notebook may print without end."""

    def output(self, outs: list[NotebookNode], msg: dict[str, Any], display_id: str | None, cell_index: int) -> None:
        if cell_index == len(self.nb.cells) - 1:
            super().output(outs, msg, display_id, cell_index)


def check_notebook(submission: Submission, limits: Limits | None = None) -> NotebookCheck:
    """
    Check a notebook.

    Raises:
        SandboxError: No kernel could be started.
    """
    notebook = read_notebook(submission)
    if isinstance(notebook, Unreadable):
        return NotebookCheck(text=notebook.problem, is_unreadable=True)
    notebook.cells.append(nbformat.v4.new_code_cell(LAST_CELL.format(name=submission.name)))
    shown, problem = asyncio.run(_run(notebook, limits or Limits()))
    if not shown:
        return NotebookCheck(text=problem)
    return NotebookCheck(
        text=clip(visible(_text(shown.get("text/plain"))), MAX_TEXT),
        page=render_frame(_text(shown.get("text/html"))[:MAX_PAGE], title=f"{submission.name}: checked"),
        is_right=_text(shown.get(IS_RIGHT)) == "yes",
    )


async def _run(notebook: NotebookNode, limits: Limits) -> tuple[dict[str, Any], str]:
    """What the last cell shows; or nothing, and why."""
    number = 0
    async with start_kernel(limits) as kernel:
        client = _LastOutput(
            notebook,
            km=kernel.manager,
            timeout=limits.cell_s,
            interrupt_on_timeout=True,
            error_on_timeout=_TOO_LONG,
            allow_errors=True,
            store_widget_state=False,
            record_timing=False,
            log=_SILENT,
        )
        client.reset_execution_trackers()
        client.kc = kernel.client
        try:
            for index, cell in enumerate(notebook.cells):
                if cell.cell_type == "code" and cell.source.strip():
                    number += 1
                    await client.async_execute_cell(cell, index)
        except (DeadKernelError, CellTimeoutError):
            where = f"In [{number}]" if index < len(notebook.cells) - 1 else "one of your functions"
            return {}, f"The notebook's process did not survive {where}, or took too long there."
    for output in notebook.cells[-1].outputs:
        if output.output_type == "display_data" and IS_RIGHT in output.data:
            return output.data, ""
    return {}, "The check did not come to an end: is there a loop without one in a function of yours?"


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
