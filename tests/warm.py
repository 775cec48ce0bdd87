"""
Runs `grader` and pytest in forks of a process that has imported everything and has a warm forkserver.

For tests of what commands do, of which starting them is not a part: a start takes seconds, and a fork milliseconds. The
commands have arguments, a working directory, an environment and standard streams of their own, and can be killed.

`python -m tests.warm SOCKET` serves until its standard input ends.
"""

from __future__ import annotations

import array
import contextlib
import dataclasses
import importlib
import json
import multiprocessing
import os
import select
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from multiprocessing.util import register_after_fork
from pathlib import Path
from typing import Any, NoReturn

import psutil

from grader.sandbox import ForkServer

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "solutions" / "two_layer_mse.md"
_CLIENT = """#!{python} -ISs
import array, json, os, socket, sys
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as control:
    control.connect({path!r})
    request = json.dumps([sys.argv, os.getcwd(), dict(os.environ)]).encode()
    control.sendmsg([request], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))])
    control.recv(100)
    status = control.recv(100)
sys.exit(int(status) if status else 70)
"""
_PACKET = 1 << 17


@dataclasses.dataclass(frozen=True)
class Running:
    """A command that was started."""

    pid: int
    _control: socket.socket

    def end(self) -> int | None:
        """Its exit code; None if it was killed."""
        with self._control:
            self._control.settimeout(120)
            status = self._control.recv(100)
            return int(status) if status else None


class WarmGrader:
    """
    A process that forks commands. `folder` has the programs `grader` and `pytest`, which have it run them.

    Args:
        folder: An empty folder with a short path.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = str(folder / "socket")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.warm", self._path],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"
        for name in ("grader", "pytest"):
            program = folder / name
            program.write_text(_CLIENT.format(python=sys.executable, path=self._path), encoding="utf-8")
            program.chmod(program.stat().st_mode | stat.S_IXUSR)

    @property
    def path(self) -> str:
        """The variable `PATH`, with these programs before all others."""
        return os.pathsep.join((str(self.folder), str(Path(sys.executable).parent), os.environ["PATH"]))

    def begin(self, *arguments: object, environment: Mapping[str, str] | None = None) -> Running:
        """
        Start a command, whose messages nobody sees.

        Args:
            environment: That of this process if None. With `GRADER_TEST_NO_FORKS`, files are read in threads, and no
                kernel is forked.
        """
        control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        control.connect(self._path)
        request = [["grader", *map(str, arguments)], str(ROOT), dict(environment or os.environ)]
        with Path(os.devnull).open("r+b") as null:
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [null.fileno()] * 3))]
            control.sendmsg([json.dumps(request).encode()], rights)
        return Running(int(control.recv(100)), control)

    def is_alone(self) -> bool:
        """Wait until nothing is left of any command, and none of their kernels."""
        (forkserver, *commands) = sorted(psutil.Process(self._process.pid).children(), key=psutil.Process.create_time)
        return not psutil.wait_procs([*commands, *forkserver.children(recursive=True)], timeout=30)[1]

    def close(self) -> None:
        self._process.communicate(timeout=30)


def _serve(path: str) -> None:
    """Fork a process for each request, which says its id, and when it has ended, its exit code."""
    import pytest  # noqa: F401 - so that forks have it
    import torch

    from grader.assignment.load import load_assignment
    from grader.classroom.keys import Basis
    from grader.cli import main
    from grader.execution import warm
    from grader.reference.cases import build_cases

    for package in ("authoring", "classroom", "commands", "exports", "reports"):  # imported only when they are needed
        for module in (ROOT / "grader" / package).glob("*.py"):
            importlib.import_module(f"grader.{package}.{module.stem}")
    torch.set_num_threads(1)  # a fork has no other threads
    warm.forkserver().start()
    assignment = load_assignment(Path(SOURCE.name), SOURCE.read_bytes())
    build_cases(assignment)
    Basis.of(assignment)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(path)
        listener.listen()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while listener in select.select([listener, sys.stdin], [], [])[0]:
            control, _address = listener.accept()
            with control:
                request, descriptors, _flags, _ = socket.recv_fds(control, _PACKET, 3)
                if os.fork() == 0:
                    listener.close()
                    _run(main, control, json.loads(request), descriptors)
                for descriptor in descriptors:
                    os.close(descriptor)


def _run(main: Any, control: socket.socket, request: Sequence[Any], descriptors: Sequence[int]) -> NoReturn:
    """Be the command, `grader` or `pytest`."""
    import pytest

    (program, *arguments), folder, environment = request
    code = 1
    try:
        control.sendall(str(os.getpid()).encode())
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number, descriptor in enumerate(descriptors):
            os.dup2(descriptor, number)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = [program, *arguments]
        _adopt_forkserver(is_needed="GRADER_TEST_NO_FORKS" not in environment)
        code = int(pytest.main(arguments)) if program.endswith("pytest") else main(arguments)
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
            control.sendall(str(code).encode())
        os._exit(code)


def _adopt_forkserver(*, is_needed: bool) -> None:
    """Use the forkserver that our parent started, and have workers forked, too, so that they do likewise."""
    from grader.execution import warm

    if not is_needed:
        ForkServer.is_available = staticmethod(lambda: False)
    started = warm.forkserver()
    warm.forkserver.cache_clear()
    ours = warm.forkserver()
    assert started._control is not None
    assert started._process is not None
    ours.adopt(started._control.dup(), started._process.pid)
    ours._is_warm = True
    context: Any = multiprocessing.get_context("fork")
    make_pipe = context.Pipe

    def pipe() -> tuple[Connection, Connection]:
        mine, workers = make_pipe()
        register_after_fork(mine, Connection.close)  # a worker's pipe ends with us
        return mine, workers

    context.Pipe = pipe
    multiprocessing.get_context = lambda *_: context


if __name__ == "__main__":
    _serve(sys.argv[1])
