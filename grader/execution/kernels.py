"""
How a kernel is started. Only this module decides in what kind of process a notebook is executed.

`start_kernel` yields a kernel that is ready for nbclient, with a channel to the harness in it. On Linux the kernel is
forked from a warm process, and is in a sandbox. Elsewhere it is an ordinary process with a clean environment and a
scratch folder, and its layers say so.

What the sandbox raises becomes a `SandboxError` here, and nowhere else.
"""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager

from grader import shipped
from grader.errors import SandboxError, UsageError
from grader.execution.warm import forkserver
from grader.harness.wire import CHANNEL_VARIABLE
from grader.model import Limits
from grader.sandbox import (
    Bounds,
    ForkServer,
    Level,
    RunningKernel,
    SandboxUnavailable,
    clean_environment,
    level_of,
    make_scratch,
    refusal,
    start_forked_kernel,
    temporary_folder,
)

__all__ = [
    "ASK_DOCTOR",
    "ORDINARY_LAYERS",
    "RunningKernel",
    "bounds_of",
    "check_sandbox",
    "sandbox_errors",
    "start_kernel",
    "start_ordinary_kernel",
]

ORDINARY_LAYERS = ("own_process", "clean_environment", "time_limits")
"""What confines a kernel that is not forked."""
START_TIMEOUT_S = 60.0
_SERVE = "__import__('grader.harness.serve', fromlist=['serve']).serve(get_ipython(), {descriptor})"
"""What an ordinary kernel executes to serve on its channel. It names nothing that a notebook often renames."""
ASK_DOCTOR = "Try `grader doctor`."


def bounds_of(limits: Limits) -> Bounds:
    """The limits of a submission that the sandbox enforces."""
    return Bounds(
        memory_mib=limits.memory_mib,
        processes=limits.processes,
        cpu_s=limits.cpu_s,
        file_size_mib=limits.file_size_mib,
        scratch_mib=limits.scratch_mib,
        output_bytes=limits.output_bytes,
    )


@contextlib.contextmanager
def sandbox_errors() -> Iterator[None]:
    """Turn what the sandbox raises in this context into a `SandboxError`."""
    try:
        yield
    except SandboxUnavailable as error:
        raise SandboxError(error.message, error.hint or ASK_DOCTOR) from error


@contextlib.asynccontextmanager
async def start_kernel(
    limits: Limits,
    *,
    require: Level = Level.NONE,
    quiet: bool = False,
    seed: int | None = None,
    secrets: Sequence[Path] = (),
) -> AsyncIterator[RunningKernel]:
    """
    A kernel for one submission. When the context is left, the kernel and all that it started have ended.

    Args:
        require: The level that its sandbox must reach.
        quiet: Whether a forked kernel sends nothing that cells show, and errors without their tracebacks.
        seed: What the generators of random numbers start from in a forked kernel: 32 bits, drawn at random if None.
        secrets: Files and folders that the kernel may not see, besides the answers that came with the grader.

    Raises:
        SandboxError: It did not start, its sandbox does not reach the level, or it would see a secret.
    """
    with sandbox_errors():
        if ForkServer.is_available():
            async with start_forked_kernel(
                forkserver(), bounds_of(limits), require=require, quiet=quiet, seed=seed, secrets=secrets
            ) as kernel:
                yield kernel
        elif require > Level.NONE:
            raise refusal((), require)
        else:
            async with start_ordinary_kernel() as kernel:
                yield kernel


def check_sandbox(require: Level, server: ForkServer | None = None) -> None:
    """
    Check, before anything is graded, that the sandbox of kernels on this machine reaches a level.

    Args:
        require: The level.
        server: The forkserver to ask, if there is one already. Otherwise one is started that preloads nothing.

    Raises:
        UsageError: It does not reach the level.
        SandboxError: No kernel can be started at all.
    """
    if require == Level.NONE:
        return
    layers: tuple[str, ...] = ()
    if ForkServer.is_available():
        probing = contextlib.nullcontext(server) if server else ForkServer(secrets=shipped.answers())
        with sandbox_errors(), probing as probed:
            layers = probed.layers
    if level_of(layers) < require:
        reason = refusal(layers, require)
        raise UsageError(reason.message, reason.hint)


@contextlib.asynccontextmanager
async def start_ordinary_kernel() -> AsyncIterator[RunningKernel]:
    """
    A kernel without a sandbox, in a process of its own. When the context is left, it and its scratch folder are gone.

    Raises:
        SandboxError: It did not start.
    """
    # The folder's name must be short, since the path of a unix socket may have 107 bytes at most.
    held = contextlib.ExitStack()
    folder = held.enter_context(temporary_folder())
    ours, theirs = socket.socketpair()
    manager = AsyncKernelManager(
        transport="ipc", ip=str(folder / "ipc"), connection_file=str(folder / "connection.json")
    )
    manager._kernel_spec = KernelSpec(
        argv=[
            sys.executable,
            "-m",
            "ipykernel_launcher",
            "-f",
            "{connection_file}",
            "--HistoryManager.hist_file=:memory:",
        ],
        display_name="Graded Python",
        language="python",
    )
    work, variables = make_scratch(folder / "scratch")
    environment = clean_environment() | variables | {CHANNEL_VARIABLE: f"fd:{theirs.fileno()}"}
    code = _SERVE.format(descriptor=theirs.fileno())
    client = None
    try:
        await manager.start_kernel(cwd=str(work), env=environment, pass_fds=(theirs.fileno(),))
        theirs.close()
        client = manager.client()
        client.start_channels()
        await client.wait_for_ready(timeout=START_TIMEOUT_S)
        client.allow_stdin = False
        ours.setblocking(False)
        yield RunningKernel(
            manager,
            client,
            ours,
            ORDINARY_LAYERS,
            serve=lambda: client.execute(code, silent=True, store_history=False),
        )
    except (RuntimeError, OSError) as error:
        if client is not None and client.channels_running and "ready" not in str(error):
            raise
        raise SandboxError(f"A kernel did not start ({error}).", ASK_DOCTOR) from error
    finally:
        ours.close()
        theirs.close()
        if client is not None:
            client.stop_channels()
        with contextlib.suppress(RuntimeError):
            await manager.shutdown_kernel(now=True)
        manager.context.destroy(linger=0)
        held.close()
