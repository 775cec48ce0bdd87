"""
A function of the preloaded module in a sandbox of its own: for all that parses, or waits for, what untrusted code says.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import socket
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from grader.sandbox.bounds import Bounds
from grader.sandbox.folders import temporary_folder
from grader.sandbox.kernels import layers_in, make_listeners
from grader.sandbox.levels import Level, level_of, refusal
from grader.sandbox.server import ForkServer
from grader.sandbox.view import spellings

__all__ = ["ConfinedProcess", "start_confined"]

START_TIMEOUT_S = 60.0
END_TIMEOUT_S = 10.0
_PACKET = 1 << 16


@dataclasses.dataclass(frozen=True, slots=True)
class ConfinedProcess:
    """
    A process in its sandbox.

    Attributes:
        channel: A stream socket that blocks. The process has the other end, and nothing else of the machine.
        listeners: The sockets that it was given, in the same order. It decides where they are bound.
    """

    channel: socket.socket
    listeners: tuple[socket.socket, ...]
    _control: socket.socket

    def wait_until_confined(self, require: Level) -> None:
        """
        Wait until it is in its sandbox, once. What was written into the channel before has waited, too.

        Args:
            require: The level that its sandbox must reach.

        Raises:
            SandboxUnavailable: It did not start, would see a secret, or its sandbox does not reach the level.
        """
        started = _next_message(self._control, time.monotonic() + START_TIMEOUT_S)
        layers = layers_in(started, of="A process that reads submissions")
        if level_of(layers) < require:
            raise refusal(layers, require)

    def why_ended(self, *, within_s: float) -> str:
        """Why the sandbox has ended the process: `memory`, `cpu`, or empty if it has not, or not in that time."""
        message = _next_message(self._control, time.monotonic() + within_s)
        return str(message.get("reason", ""))


@contextlib.contextmanager
def start_confined(
    server: ForkServer,
    call: str,
    bounds: Bounds,
    *,
    kernels: int = 0,
    secrets: Sequence[Path] = (),
) -> Iterator[ConfinedProcess]:
    """
    Fork a process that enters a sandbox, calls a function, and ends. It has ended when the context is left.

    Args:
        server: The forkserver to ask.
        call: The name of a function of the module that the server has preloaded. It is called with the descriptor of
            the process's end of the channel, and with those of its listeners.
        bounds: What the process may use.
        kernels: For how many kernels it gets listeners.
        secrets: Files and folders that it may not see, besides those of the server.

    Raises:
        SandboxUnavailable: The warm process takes no requests.
    """
    control, supervisors_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    channel, its_end = socket.socketpair()
    with contextlib.ExitStack() as held:
        # The folder is used only if the process has no private root. The process may be another user.
        scratch = held.enter_context(temporary_folder())
        listeners = [held.enter_context(listener) for listener in make_listeners(kernels)]
        held.enter_context(control)
        held.enter_context(channel)
        with supervisors_end, its_end:
            request = {
                "call": call,
                "listeners": list(range(len(listeners))),
                "bounds": dataclasses.asdict(bounds),
                "secrets": spellings(secrets),
                "scratch": str(scratch),
            }
            server.submit(request, [end.fileno() for end in (supervisors_end, its_end, *listeners)])
        try:
            yield ConfinedProcess(channel, tuple(listeners), control)
        finally:
            with contextlib.suppress(OSError):
                control.shutdown(socket.SHUT_WR)  # the supervisor ends the process, says so, and closes its end
            until = time.monotonic() + END_TIMEOUT_S
            while _next_message(control, until):
                pass


def _next_message(control: socket.socket, until: float) -> dict[str, Any]:
    """The supervisor's next message; empty if there is none until then."""
    control.settimeout(max(0.001, until - time.monotonic()))
    try:
        packet = control.recv(_PACKET)
    except OSError:
        return {}
    message: dict[str, Any] = json.loads(packet) if packet else {}
    return message
