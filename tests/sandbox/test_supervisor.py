"""A supervisor whose other end is a conductor that was taken over: limits hold, and the kernel ends as usual."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Iterator

import pytest

from grader.sandbox import Bounds, ForkServer, fork_kernel, listen, temporary_folder
from grader.sandbox.kernels import make_listeners

from .conftest import SANDBOX_BOUNDS


@contextlib.contextmanager
def _control_of_a_kernel(server: ForkServer, bounds: Bounds = SANDBOX_BOUNDS) -> Iterator[socket.socket]:
    """The socket to the supervisor of a kernel that is in its sandbox."""
    with temporary_folder() as folder, contextlib.ExitStack() as held:
        listeners = [held.enter_context(listener) for listener in make_listeners(1)]
        name, scratch = str(folder / "k"), folder / "scratch"
        scratch.mkdir()
        listen(listeners, name)
        ends = fork_kernel(server, bounds, listeners, scratch=scratch, name=name, quiet=True, seed=1)
        with ends.control, ends.channel:
            ends.control.settimeout(20)
            while b"ready" not in ends.control.recv(1 << 16):
                pass
            yield ends.control


def _last_message(control: socket.socket) -> dict[str, object]:
    last = b"{}"
    with contextlib.suppress(ConnectionError):
        while packet := control.recv(1 << 16):
            last = packet
    message: dict[str, object] = json.loads(last)
    return message


@pytest.mark.parametrize(
    "command",
    [b"\xff", b"cpu", b"cpu x 9", b"cpu 1 9000", b"cpu 1 x", b"9000", b"-1", b"kill", b"used up", b"9" * 64],
)
def test_what_is_no_command_ends_the_kernel_in_order(sandbox_server: ForkServer, command: bytes) -> None:
    with _control_of_a_kernel(sandbox_server) as control:
        control.send(command)
        assert _last_message(control) == {"exit": -9, "reason": ""}


def test_limits_hold_although_nobody_reads_what_the_supervisor_says(sandbox_server: ForkServer) -> None:
    with _control_of_a_kernel(sandbox_server) as control:
        until = time.monotonic() + 15
        for _ in range(3_000):
            control.settimeout(max(0.01, until - time.monotonic()))
            control.send(b"used")  # the supervisor would never take them all if it waited for us to read
        control.send(b"cpu 0 9")
        time.sleep(0.5)
        control.settimeout(10)
        with contextlib.suppress(ConnectionError):
            while packet := control.recv(1 << 16):
                assert b"used" in packet or b"exit" in packet
