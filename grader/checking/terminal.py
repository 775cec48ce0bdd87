"""
Checks a whole notebook: runs all of its cells in a kernel, then `check.all()` in the same kernel.

The result comes from the student's process and is for the student. It decides nothing, and it is shown in a way that
does no harm to a terminal or a browser.
"""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path
from typing import Any

from nbclient.exceptions import CellTimeoutError, DeadKernelError

from grader.assignment.files import Files, read_files
from grader.assignment.settings import NOTEBOOK
from grader.checking.check import IS_RIGHT
from grader.execution.client import connect_client, put_files
from grader.execution.kernels import start_kernel
from grader.model import Limits, Submission
from grader.notebook.read import Notebook, Unreadable, read_notebook
from grader.reports.html import render_frame
from grader.reports.words import clip, visible

__all__ = ["NotebookCheck", "check_notebook"]

LAST_CELL = "from grader import check\n\ncheck.report({name!r})"
MAX_TEXT, MAX_PAGE = 100_000, 32 * 1024 * 1024


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NotebookCheck:
    """The result as text and as a page, which is empty if the check failed; or the file `is_unreadable`."""

    text: str
    page: str = ""
    is_right: bool = False
    is_unreadable: bool = False


def check_notebook(
    submission: Submission, limits: Limits | None = None, *, folder: Path | None = None
) -> NotebookCheck:
    """
    Check a notebook that a student has, as a file.

    Args:
        folder: Where the notebook is: the data that came with it is there, too.

    Raises:
        SourceError: That data cannot be read.
        SandboxError: No kernel could be started.
    """
    notebook = read_notebook(submission)
    if isinstance(notebook, Unreadable):
        return NotebookCheck(text=notebook.problem, is_unreadable=True)
    last_cell = LAST_CELL.format(name=submission.name)
    files = {}
    if folder is not None and notebook.files and NOTEBOOK["files"].allows(notebook.files):
        files = read_files(folder / notebook.files)
    whole = Notebook.of([*(cell.code for cell in notebook.cells), last_cell])
    shown, problem = asyncio.run(_run(whole, limits or Limits(), files))
    if not shown:
        return NotebookCheck(text=problem)
    return NotebookCheck(
        text=clip(visible(_text(shown.get("text/plain"))), MAX_TEXT),
        page=render_frame(_text(shown.get("text/html"))[:MAX_PAGE], title=f"{submission.name}: checked"),
        is_right=_text(shown.get(IS_RIGHT)) == "yes",
    )


async def _run(notebook: Notebook, limits: Limits, files: Files) -> tuple[dict[str, Any], str]:
    """The output of the last cell; or an empty output, and the reason."""
    last = len(notebook.cells)
    async with start_kernel(limits) as kernel:
        await put_files(kernel, files)
        client = connect_client(
            notebook, kernel, seconds=lambda: limits.cell_s, keeps=lambda _, __, index: index == last - 1
        )
        for cell, node in zip(notebook.cells, client.nb.cells, strict=True):
            try:
                await client.async_execute_cell(node, cell.number - 1)
            except (DeadKernelError, CellTimeoutError):
                where = f"In [{cell.number}]" if cell.number < last else "one of your functions"
                return {}, f"The notebook's process crashed or took too long while it ran {where}."
    for output in client.nb.cells[-1].outputs:
        if output.output_type == "display_data" and IS_RIGHT in output.data:
            return output.data, ""
    return {}, "The check did not finish. Does one of your functions loop forever?"


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
