"""
The process that a user starts, if the judge is another one: it imports next to nothing, and passes signals on.

    front ──starts──► warm process ──forks──► judge, conductors, kernels

So PyTorch is imported once, by the warm process, and not at all for a command line that cannot be read. See
`grader.sandbox.companion`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator

from grader.execution.installed import missing_for_grading
from grader.execution.warm import SHARED, begin, forkserver
from grader.sandbox import Companion, ForkServer

__all__ = ["run_in_judge"]

_JUDGE = "grader.__main__:judge"
_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
_STOPPED, _FAILED = 2, 3  # as in `grader.commands.options`, which imports more than is needed here


def run_in_judge(is_refused: Callable[[], bool]) -> int | None:
    """
    Run this process's command in the judge, and wait for it.

    Args:
        is_refused: Whether the command cannot read its command line. It is called while the warm process imports
            PyTorch, so that it may import what the command line needs.

    Returns:
        Its exit code; None if there is no judge, so that this process has to run the command itself.
    """
    # The judge is forked from another interpreter, and has none of this one's switches.
    if not ForkServer.is_available() or sys.warnoptions or sys.flags.dev_mode:
        return None
    if sys.gettrace() is not None or sys.getprofile() is not None:
        return None
    if missing_for_grading():  # which the command says
        return None
    try:
        judge = Companion(SHARED, _JUDGE)
    except OSError:
        return None
    try:
        begin(judge)
        if is_refused():  # so it needs no judge, and says why in this process
            forkserver().close()
            return None
        if not judge.wait_until_forked():
            return None
        with _signals_passed_on(judge) as passed_on:
            forkserver().hand_over(judge)
            code = judge.wait()
    except KeyboardInterrupt:
        forkserver().close()
        return _say("Stopped.", _STOPPED)
    if code >= 0:
        return code
    if -code in passed_on:  # end as this process would have ended
        signal.signal(-code, signal.SIG_DFL)
        signal.raise_signal(-code)
    name = signal.Signals(-code).name
    hint = " The machine may have too little memory." if -code == signal.SIGKILL else ""
    return _say(f"grader: The process that grades was ended by {name}. Nothing was decided.{hint}", _FAILED)


@contextlib.contextmanager
def _signals_passed_on(judge: Companion) -> Iterator[set[int]]:
    """Pass signals on to the judge as long as it is not waited for. Yields those that were passed on."""
    passed_on: set[int] = set()

    def pass_on(number: int, _: object) -> None:
        passed_on.add(number)
        with contextlib.suppress(ProcessLookupError):
            os.kill(judge.pid, number)

    for number in _PASSED_ON:
        if signal.getsignal(number) is not signal.SIG_IGN:  # the judge ignores it, too
            signal.signal(number, pass_on)
    yield passed_on


def _say(text: str, code: int) -> int:
    with contextlib.suppress(OSError):
        sys.stderr.write(text + "\n")
    return code
