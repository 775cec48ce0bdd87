"""
A *companion*: a process without a sandbox that is forked from the warm process before that prepares any kernel.

    caller ──starts──► warm process ──forks──► companion (a child of the caller from then on), kernels
       └── one socket: the companion's arguments, environment and descriptors ──►┘

The caller imports next to nothing. What the companion and kernels both need is imported once, by the warm process. That
is told nothing but names of modules: the companion reads all else from a socket that the warm process closes unread. So
a kernel that is forked later has none of it in its memory. From then on, the companion is a client of the warm process.
"""

from __future__ import annotations

import array
import contextlib
import fcntl
import gc
import importlib
import io
import json
import os
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from typing import Any, NoReturn

from grader.sandbox import linux
from grader.sandbox.descriptors import close_all_but

__all__ = ["Companion", "fork_companion"]

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_ADOPTION_S = 10.0
_FIRST_OWN = 128
_MOST_DESCRIPTORS = _FIRST_OWN + 2  # Linux passes 253 at once
_SIZE = struct.Struct("!Q")
_STREAMS = ("stdin", "stdout", "stderr")


class Companion:
    """
    The caller's end of a companion.

    Args:
        imports: The module that the warm process imports before it forks the companion: what both need.
        call: What the companion calls, as `module:function`, with a socket to the warm process and its process id. The
            module is imported by the companion alone.
    """

    def __init__(self, imports: str, call: str) -> None:
        self.imports = imports
        self.call = call
        self.channel, self.its_end = socket.socketpair()
        self.pid = 0
        linux.prctl(_PR_SET_CHILD_SUBREAPER, 1)

    def wait_until_forked(self) -> bool:
        """Wait until it is our child. Returns False if it never will be, since the warm process has ended."""
        self.its_end.close()
        try:
            self.pid = int.from_bytes(_receive(self.channel, 4), "big")
        except (OSError, EOFError):
            linux.prctl(_PR_SET_CHILD_SUBREAPER, 0)
            return False
        return True

    def tell(self, server: socket.socket, server_pid: int) -> None:
        """
        Tell it what this process has been told, and give it all that this process has open.

        Args:
            server: This process's end of the socket to the warm process.
            server_pid: The id of the warm process.
        """
        open_now = _inherited()
        with contextlib.ExitStack() as held:
            folder = os.open(".", os.O_PATH | os.O_DIRECTORY)
            held.callback(os.close, folder)
            told = {
                "call": self.call,
                "server": server_pid,
                "numbers": open_now,
                "argv": sys.argv,
                "environment": dict(os.environ),
                "path": sys.path,
                "writes_bytecode": not sys.dont_write_bytecode,
                "streams": {name: _described(getattr(sys, name)) for name in _STREAMS},
            }
            message = json.dumps(told).encode()
            descriptors = array.array("i", [server.fileno(), folder, *open_now])
            with contextlib.suppress(OSError):  # it has ended: its exit code says why
                rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)]
                self.channel.sendmsg([_SIZE.pack(len(message))], rights)
                self.channel.sendall(message)

    def wait(self) -> int:
        """Wait until it has ended. Returns its exit code; that of a signal is negative."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def fork_companion(channel: int, *, caller: int, imports: str) -> None:
    """
    In the warm process: import what everybody needs, fork the companion, and forget its socket.

    Args:
        channel: The descriptor of the companion's end of its socket.
        caller: The process that the companion becomes a child of.
        imports: The module to import.
    """
    importlib.import_module(imports)
    gc.freeze()
    between = os.fork()
    if between == 0:
        # When the process between has ended, the caller adopts the companion, and can wait for it and signal it.
        if os.fork() != 0:
            os._exit(0)
        _become_companion(channel, caller)
    os.close(channel)
    os.waitpid(between, 0)


def _become_companion(descriptor: int, caller: int) -> NoReturn:
    close_all_but({descriptor})
    os.setsid()  # a process group of our own: a signal to that of the warm process is not for us
    until = time.monotonic() + _ADOPTION_S
    while os.getppid() != caller and time.monotonic() < until:
        time.sleep(0.0005)
    linux.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != caller:
        os._exit(1)
    with socket.socket(fileno=descriptor) as channel:
        channel.send(os.getpid().to_bytes(4, "big"))
        try:
            told, descriptors = _receive_told(channel)
        except (OSError, EOFError):
            os._exit(1)
    call, server = _settle_in(told, descriptors)
    call(server, told["server"])
    sys.exit()


def _receive_told(channel: socket.socket) -> tuple[dict[str, Any], list[int]]:
    space = socket.CMSG_SPACE(_MOST_DESCRIPTORS * 4)
    size, ancillary, _, _ = channel.recvmsg(_SIZE.size, space, socket.MSG_CMSG_CLOEXEC)
    descriptors = array.array("i")
    for _, _, data in ancillary:
        descriptors.frombytes(data)
    size += _receive(channel, _SIZE.size - len(size))
    told: dict[str, Any] = json.loads(_receive(channel, _SIZE.unpack(size)[0]))
    return told, descriptors.tolist()


def _settle_in(told: dict[str, Any], descriptors: list[int]) -> tuple[Callable[..., object], socket.socket]:
    """Take the caller's place: its descriptors by their numbers, folder, environment, arguments and streams."""
    server, folder, *others = [_moved_up(descriptor) for descriptor in descriptors]
    os.closerange(0, 3)
    for number, descriptor in zip(told["numbers"], others, strict=True):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.fchdir(folder)
    os.close(folder)
    os.environ.clear()
    os.environ.update(told["environment"])
    time.tzset()
    sys.argv[:] = told["argv"]
    sys.path[:] = told["path"]
    sys.dont_write_bytecode = not told["writes_bytecode"]
    for number, name in enumerate(_STREAMS):
        stream = _opened(number, told["streams"][name])
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    module, _, function = told["call"].partition(":")
    return getattr(importlib.import_module(module), function), socket.socket(fileno=server)


def _moved_up(descriptor: int) -> int:
    """The same descriptor with a number that the caller does not use."""
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _FIRST_OWN)
    os.close(descriptor)
    return moved


def _inherited() -> list[int]:
    """The descriptors that a program started by this process would have."""
    numbers = []
    for name in sorted(map(int, os.listdir("/proc/self/fd"))):  # noqa: PTH208 - only names are needed
        with contextlib.suppress(OSError):  # that of the listing itself
            if name < _FIRST_OWN and os.get_inheritable(name):
                numbers.append(name)
    return numbers


def _described(stream: Any) -> dict[str, Any] | None:
    """How a standard stream encodes text; None if there is none."""
    if stream is None:
        return None
    return {
        "encoding": stream.encoding,
        "errors": stream.errors,
        "line_buffering": stream.line_buffering,
        "write_through": stream.write_through,
    }


def _opened(number: int, described: dict[str, Any] | None) -> io.TextIOWrapper | None:
    if described is None:
        return None
    mode = "rb" if number == 0 else "wb"
    raw = open(number, mode, buffering=0 if described["write_through"] else -1, closefd=False)  # noqa: SIM115
    return io.TextIOWrapper(raw, newline=None if number == 0 else "\n", **described)


def _receive(channel: socket.socket, size: int) -> bytes:
    """Exactly this many bytes. Raises an `EOFError` if there are fewer."""
    received = bytearray()
    while len(received) < size:
        packet = channel.recv(min(size - len(received), 1 << 20))
        if not packet:
            raise EOFError
        received += packet
    return bytes(received)
