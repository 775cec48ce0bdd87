"""
Contexts in which a forked kernel runs, ready for nbclient.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.manager import AsyncKernelManager

from grader.sandbox.bounds import Bounds
from grader.sandbox.client import START_TIMEOUT_S, PromptKernelManager
from grader.sandbox.errors import SandboxUnavailable
from grader.sandbox.kernels import KernelEnds
from grader.sandbox.levels import Level, level_of, refusal
from grader.sandbox.provisioner import SPEC, ForkServerProvisioner
from grader.sandbox.server import ForkServer

__all__ = ["RunningKernel", "adopt_kernel", "start_forked_kernel"]

END_TIMEOUT_S = 10.0


@dataclasses.dataclass(frozen=True, slots=True)
class RunningKernel:
    """
    A kernel that is ready for requests.

    Attributes:
        manager: For nbclient; it owns the process.
        client: Its channels are started, and its subscription is in place: no output is missed.
        channel: A stream socket that does not block. In the kernel, the environment variable `channel_variable` of the
            `ForkServer` says which descriptor the other end has: `fd:7`.
        layers: The names of the sandbox's layers.
        serve: Has the kernel call `serve` of the preloaded module when no cell runs.
        sandbox: The provisioner of a forked kernel; None for an ordinary kernel.
    """

    manager: AsyncKernelManager
    client: AsyncKernelClient
    channel: socket.socket
    layers: tuple[str, ...]
    serve: Callable[[], object]
    sandbox: ForkServerProvisioner | None = None


@contextlib.asynccontextmanager
async def start_forked_kernel(
    server: ForkServer,
    bounds: Bounds,
    *,
    require: Level = Level.NONE,
    quiet: bool = False,
    seed: int | None = None,
    secrets: Sequence[Path] = (),
) -> AsyncIterator[RunningKernel]:
    """
    A kernel for one notebook. When the context is left, the kernel, all that it started, and its folder are gone.

    Args:
        server: The forkserver to ask.
        bounds: What the kernel may use.
        require: The level that its sandbox must reach.
        quiet: Send nothing that cells show, and errors without their tracebacks.
        seed: What the generators of random numbers start from: 32 bits, drawn at random if None.
        secrets: Files and folders that the kernel may not see, besides those of the server.

    Raises:
        SandboxUnavailable: It did not start, would see a secret, or its sandbox does not reach the level.
    """
    if server.pid is None:
        await asyncio.to_thread(server.start)
    provisioner = ForkServerProvisioner(
        server=server, bounds=bounds, quiet=quiet, seed=seed, secrets=secrets, kernel_spec=SPEC
    )
    async with _running(provisioner, provisioner.begin, require) as kernel:
        yield kernel


@contextlib.asynccontextmanager
async def adopt_kernel(ends: KernelEnds, name: str, *, layers: Sequence[str]) -> AsyncIterator[RunningKernel]:
    """
    A kernel that another process has asked for. When the context is left, it has ended.

    Args:
        ends: Our ends of its sockets.
        name: The name of the sockets on which it listens, without their port numbers.
        layers: The names of its sandbox's layers.

    Raises:
        SandboxUnavailable: It did not get ready.
    """
    provisioner = ForkServerProvisioner(kernel_spec=SPEC)
    async with _running(provisioner, lambda: provisioner.adopt(ends, name, layers=layers), Level.NONE) as kernel:
        yield kernel


@contextlib.asynccontextmanager
async def _running(
    provisioner: ForkServerProvisioner, begin: Callable[[], None], require: Level
) -> AsyncIterator[RunningKernel]:
    """The provisioner's kernel, once it is ready; `begin` gives it one."""
    manager = PromptKernelManager()
    manager._kernel_spec = SPEC
    provisioner.parent = manager
    client = None
    try:
        begin()
        manager.provisioner = provisioner
        manager.load_connection_info(provisioner.connection_info)
        client = manager.client()
        client.start_channels(stdin=False)
        await provisioner.started()
        if level_of(provisioner.layers) < require:
            raise refusal(provisioner.layers, require)
        try:
            await _wait_for_ready(client.wait_for_ready(START_TIMEOUT_S), provisioner.wait())
        except Exception as error:  # jupyter_client lets through anything that a malformed message makes it raise
            problem = provisioner.problem or str(error)
            raise SandboxUnavailable(f"A kernel did not get ready ({problem}).") from error
        assert provisioner.channel is not None
        shell = client.shell_channel
        yield RunningKernel(
            manager,
            client,
            provisioner.channel,
            provisioner.layers,
            serve=lambda: shell.send(client.session.msg("serve_request")),
            sandbox=provisioner,
        )
    finally:
        await provisioner.kill()
        if client is not None:
            client.stop_channels()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(provisioner.wait(), END_TIMEOUT_S)
        await provisioner.cleanup()
        manager.context.destroy(linger=0)


async def _wait_for_ready(ready: Any, ended: Any) -> None:
    """Wait until the kernel is ready; raises a `RuntimeError` if it ends first."""
    tasks = [asyncio.ensure_future(ready), asyncio.ensure_future(ended)]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if tasks[0] not in done:
            raise RuntimeError("it has ended")
        tasks[0].result()
    finally:
        for task in tasks:
            task.cancel()
