"""`grader`, and `python -m grader`: the command line as a process."""

from __future__ import annotations

import atexit
import os
import sys
from typing import NoReturn

__all__ = ["run"]


def run() -> NoReturn:
    """Run a command, then exit at once: tearing down the interpreter would keep the caller waiting."""
    code = 1  # if a traceback ends the process

    def leave() -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

    atexit.register(leave)  # registered first, called last
    if sys.argv[1:2] == ["grade"]:
        from grader.execution.warm import begin

        begin()

    from grader.cli import main

    code = main()
    sys.exit(code)


if __name__ == "__main__":
    run()
