"""
The least that a grading can cost: a fork of a warm process runs the cells and calls the functions.

There is no sandbox, kernel, message, comparison or report. As a program, this reads lines of JSON with the path of a
notebook, and answers each with the seconds from the fork to the end of the child.

    python floor.py CALLS      # CALLS: a file with the arguments that each function is called on
"""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

__all__: list[str] = []

LONGEST_S = 60
MOST_BYTES = 4 * 2**30
"""Nothing else bounds what a notebook does here; those that need more are left out of the comparison."""


def _serve(calls_path: Path) -> None:
    import matplotlib.pyplot as plt  # noqa: F401 - warm
    import numpy as np  # noqa: F401 - warm
    import torch
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    import grader.checking.check  # noqa: F401 - warm
    from grader.reference.mnist import prepare_mnist

    torch.set_num_threads(1)

    class Shell(InteractiveShell):
        def enable_gui(self, gui: Any = None) -> None:
            """Open no window."""

    shell: Any = Shell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    shell.enable_matplotlib("inline")  # figures are drawn, as in a kernel
    prepare_mnist()
    calls: list[tuple[str, list[list[torch.Tensor]]]] = torch.load(calls_path)
    replies = os.fdopen(os.dup(1), "w")
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)
    shell.run_cell("None\n1", store_history=False)
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        cells = json.loads(Path(json.loads(line)["path"]).read_text(encoding="utf-8"))["cells"]
        sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        started = time.perf_counter()
        child = os.fork()
        if child == 0:
            _grade_and_exit(shell, sources, calls)
        _, status = os.waitpid(child, 0)
        seconds = time.perf_counter() - started
        print(json.dumps({"seconds": seconds, "done": status == 0}), file=replies, flush=True)


def _grade_and_exit(shell: Any, sources: list[str], calls: list[tuple[str, list[list[Any]]]]) -> None:
    status = 1
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # a debugger that a student left in would wait, and eat our requests
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    signal.alarm(LONGEST_S)
    os.chdir(os.environ["IPYTHONDIR"])  # some notebooks write files
    try:
        for source in sources:
            shell.run_cell(source, store_history=True).raise_error()
        for name, cases in calls:
            for arguments in cases:
                shell.user_ns[name](*(argument.clone() for argument in arguments))
        status = 0
    finally:
        os._exit(status)


if __name__ == "__main__":
    os.environ["IPYTHONDIR"] = tempfile.mkdtemp(prefix="floor-", dir=Path(sys.argv[1]).parent)
    _serve(Path(sys.argv[1]))
