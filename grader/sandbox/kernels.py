"""
Asks the warm process for a kernel. The sockets of the kernel and its supervisor may then be handed to another process.
"""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from grader.sandbox.bounds import Bounds
from grader.sandbox.errors import SandboxUnavailable
from grader.sandbox.server import ForkServer
from grader.sandbox.view import spellings

__all__ = ["CHANNELS", "KernelEnds", "fork_kernel", "give_seed", "layers_in", "listen", "make_listeners"]

CHANNELS = ("shell", "iopub", "stdin", "control", "hb")
"""The channels of a kernel. The first one has port 1, and so on."""
_WAITING = 16


@dataclasses.dataclass(frozen=True, slots=True)
class KernelEnds:
    """
    The caller's ends of a kernel's sockets.

    Attributes:
        control: To the supervisor: packets of JSON.
        channel: To whatever the preloaded module serves in the kernel: a stream.
        key: What signs the messages of Jupyter's protocol.
    """

    control: socket.socket
    channel: socket.socket
    key: str


def make_listeners(kernels: int) -> list[socket.socket]:
    """Sockets for the channels of some kernels, which nothing has bound yet."""
    return [socket.socket(socket.AF_UNIX) for _ in range(kernels * len(CHANNELS))]


def listen(listeners: Sequence[socket.socket], name: str) -> None:
    """Bind the sockets of one kernel to this path, followed by their port numbers, and listen."""
    for port, listener in enumerate(listeners, 1):
        listener.bind(f"{name}-{port}")
        listener.listen(_WAITING)


def fork_kernel(
    server: ForkServer,
    bounds: Bounds,
    listeners: Sequence[socket.socket],
    *,
    scratch: Path,
    name: str,
    quiet: bool,
    seed: int | None,
    secrets: Sequence[Path] = (),
) -> KernelEnds:
    """
    Ask for a kernel, and do not wait for it. The listeners stay open here, too.

    Args:
        listeners: One for each of `CHANNELS`, bound and listening, or so before `give_seed` is called.
        scratch: An empty folder, which is used only if the kernel has no private root.
        name: The name of the sockets, without their port numbers, for the kernel's own connection file.
        quiet: Whether nothing that cells show is sent.
        seed: What the generators of random numbers in the kernel start from: 32 bits. If None, the kernel enters its
            sandbox, and waits there until `give_seed` is called.
        secrets: Files and folders that the kernel may not see, besides those of the server.

    Raises:
        SandboxUnavailable: The warm process takes no requests.
    """
    control, supervisors_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    channel, kernels_end = socket.socketpair()
    key = uuid.uuid4().hex
    request = {
        "bounds": dataclasses.asdict(bounds),
        "key": key,
        "name": name,
        "quiet": quiet,
        "seed": seed,
        "listeners": CHANNELS,
        "secrets": spellings(secrets),
        "scratch": str(scratch),
    }
    with contextlib.ExitStack() as ours, supervisors_end, kernels_end:
        ours.enter_context(control)
        ours.enter_context(channel)
        server.submit(request, [end.fileno() for end in (supervisors_end, kernels_end, *listeners)])
        ours.pop_all()
    return KernelEnds(control, channel, key)


def give_seed(ends: KernelEnds, seed: int) -> None:
    """
    Let a kernel go on that was asked for without a seed.

    Args:
        ends: The caller's ends of its sockets.
        seed: What its generators of random numbers start from: 32 bits.
    """
    with contextlib.suppress(OSError):  # it has ended, and the next who waits for it will see that
        ends.control.send(f"seed {seed}".encode())


def layers_in(message: Mapping[str, Any], *, of: str) -> tuple[str, ...]:
    """
    The names of a sandbox's layers, from the first message of its supervisor.

    Args:
        message: Empty if there was none.
        of: What is in the sandbox: the subject of a sentence.

    Raises:
        SandboxUnavailable: The message says that it is not in its sandbox.
    """
    if "refusal" in message:
        raise SandboxUnavailable(*message["refusal"])
    if "layers" not in message:
        raise SandboxUnavailable(f"{of} could not be put into its sandbox ({message.get('problem', 'no reply')}).")
    return tuple(message["layers"])
