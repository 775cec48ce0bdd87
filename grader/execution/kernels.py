"""
How a kernel is started: the one seam between executing a notebook and whatever it is executed in.

`start_kernel` yields a kernel that is ready for nbclient, with a channel to the harness in it. Where the platform can
fork safely (Linux) it comes from a warm forkserver, within a sandbox; elsewhere it is an ordinary process of its own,
with a clean environment and a scratch folder, and its layers say so.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager

from grader import shipped
from grader.errors import SandboxError, UsageError
from grader.execution.warm import forkserver
from grader.model import Limits
from grader.sandbox import ForkServer, Level, RunningKernel, level_of, refusal, start_forked_kernel

__all__ = ["RunningKernel", "check_sandbox", "start_kernel", "start_ordinary_kernel"]

START_TIMEOUT_S = 60.0


def _clean_environment(home: Path) -> dict[str, str]:
    """What a student's process may know: an allow-list, with nothing of ours in it."""
    environment = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TZ") if name in os.environ}
    folder = str(home)
    return environment | {
        "HOME": folder,
        "TMPDIR": folder,
        "IPYTHONDIR": folder,
        "MPLCONFIGDIR": folder,
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


@contextlib.asynccontextmanager
async def start_kernel(limits: Limits, *, require: Level = Level.NONE) -> AsyncIterator[RunningKernel]:
    """
    A kernel for one submission. It, and everything that it started, is gone when the context is left.

    Args:
        require: The sandbox that it must have.

    Raises:
        SandboxError: It did not start, or the platform cannot give it that sandbox.
    """
    if ForkServer.is_available():
        async with start_forked_kernel(forkserver(), limits, require=require) as kernel:
            yield kernel
    elif require > Level.NONE:
        raise refusal((), require)
    else:
        async with start_ordinary_kernel() as kernel:
            yield kernel


def check_sandbox(require: Level, server: ForkServer | None = None) -> None:
    """
    Find out, before anything is graded, whether kernels get the sandbox that is asked for on this machine.

    Args:
        server: The one that will fork them; else one is made for the question, which knows how to do nothing else.

    Raises:
        UsageError: They do not.
        SandboxError: No kernel can be started at all.
    """
    if require == Level.NONE:
        return
    layers: tuple[str, ...] = ()
    if ForkServer.is_available():
        with contextlib.nullcontext(server) if server else ForkServer(preload=(), hide=shipped.answers()) as asked:
            layers = asked.layers
    if level_of(layers) < require:
        reason = refusal(layers, require)
        raise UsageError(reason.message, reason.hint)


@contextlib.asynccontextmanager
async def start_ordinary_kernel() -> AsyncIterator[RunningKernel]:
    """
    A kernel without a sandbox, in a process of its own. It and its scratch folder are gone when the context is left.

    Raises:
        SandboxError: It did not start.
    """
    # A unix socket's path may have 107 bytes at most: the folder's name must be short.
    folder = Path(tempfile.mkdtemp(prefix="grader-"))
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
            "--HistoryManager.enabled=False",
        ],
        display_name="Graded Python",
        language="python",
    )
    scratch = folder / "scratch"
    scratch.mkdir()
    environment = _clean_environment(scratch) | {"GRADER_CHANNEL": f"fd:{theirs.fileno()}"}
    client = None
    try:
        await manager.start_kernel(cwd=str(scratch), env=environment, pass_fds=(theirs.fileno(),))
        theirs.close()
        client = manager.client()
        client.start_channels()
        await client.wait_for_ready(timeout=START_TIMEOUT_S)
        client.allow_stdin = False
        ours.setblocking(False)
        yield RunningKernel(manager, client, ours, ("own_process", "clean_environment", "time_limits"))
    except (RuntimeError, OSError) as error:
        if client is not None and client.channels_running and "ready" not in str(error):
            raise
        raise SandboxError(f"A kernel did not start ({error}).", "Try `grader doctor`.") from error
    finally:
        ours.close()
        theirs.close()
        if client is not None:
            client.stop_channels()
        with contextlib.suppress(RuntimeError):
            await manager.shutdown_kernel(now=True)
        manager.context.destroy(linger=0)
        shutil.rmtree(folder, ignore_errors=True)
