"""`grader`, and `python -m grader`: the command line as a process."""

from __future__ import annotations

import atexit
import os
import sys
from typing import NoReturn

__all__ = ["run"]


def run() -> NoReturn:
    """Run a command, and leave without taking the interpreter apart, for which whoever calls us would have to wait."""
    code = 1  # that of a traceback

    def leave() -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

    atexit.register(leave)  # the first one to be registered is the last one to be called
    if sys.argv[1:2] == ["grade"]:
        from grader.execution.warm import begin

        begin()

    from grader.cli import main

    code = main()
    sys.exit(code)


if __name__ == "__main__":
    run()
