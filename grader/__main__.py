"""`grader`, and `python -m grader`: the command line as a process."""

from __future__ import annotations

import atexit
import os
import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    import socket

__all__ = ["judge", "run"]


def run() -> NoReturn:
    """Run a command, then exit at once: tearing down the interpreter would keep the caller waiting."""
    if sys.argv[1:2] in (["grade"], ["validate"]) and not {"-h", "--help"} & set(sys.argv):
        from grader.commands.front import run_in_judge

        code = run_in_judge(_is_refused)
        if code is not None:
            os._exit(code)
    _run_here()


def _is_refused() -> bool:
    from grader.cli import is_refused

    return is_refused(sys.argv[1:])


def judge(server: socket.socket, server_pid: int) -> NoReturn:
    """Run this process's command in the judge, which is a client of the warm process from which it was forked."""
    from grader.execution.warm import forkserver

    forkserver().adopt(server, server_pid)
    _run_here()


def _run_here() -> NoReturn:
    code = 1  # if a traceback ends the process

    def leave() -> None:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        os._exit(code)

    atexit.register(leave)  # registered first, called last
    from grader.cli import main

    code = main()
    sys.exit(code)


if __name__ == "__main__":
    run()
