"""
Forked kernels as Jupyter knows kernels: a provisioner, and a manager and client that wait for nothing they need not.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import shutil
import signal
import socket
import tempfile
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from queue import Empty
from typing import Any

from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning.provisioner_base import KernelProvisionerBase

from grader.errors import SandboxError
from grader.model import Limits
from grader.sandbox.levels import Level, level_of, refusal
from grader.sandbox.server import ForkServer

__all__ = ["ForkServerProvisioner", "PromptKernelClient", "RunningKernel", "start_forked_kernel"]

CHANNELS = ("shell", "iopub", "stdin", "control", "hb")
START_TIMEOUT_S = 30.0
END_TIMEOUT_S = 10.0
_MESSAGE_BYTES = 8 << 20
_QUEUED_MESSAGES = 64
_SPEC = KernelSpec(
    argv=["grader-forkserver"],
    display_name="Graded Python",
    language="python",
    interrupt_mode="signal",
    metadata={"kernel_provisioner": {"provisioner_name": "grader-forkserver", "config": {}}},
)
_default_server: ForkServer | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class RunningKernel:
    """
    A kernel that answers.

    Attributes:
        manager: For nbclient; it owns the process.
        client: Its channels are started, and it has its subscription: no output is missed.
        channel: A stream socket, not blocking; the other end is `GRADER_CHANNEL` in the kernel.
        layers: What keeps the kernel from the rest of the machine, by name.
        sandbox: What watches over it; None for an ordinary kernel.
    """

    manager: AsyncKernelManager
    client: AsyncKernelClient
    channel: socket.socket
    layers: tuple[str, ...]
    sandbox: ForkServerProvisioner | None = None


class ForkServerProvisioner(KernelProvisionerBase):
    """
    Starts a kernel by asking a `ForkServer` for it, and ends it by closing its control socket.

    Attributes:
        server: Which one to ask; the process's own if None.
        limits: What the kernel may use.
        layers: What keeps the kernel from the machine; empty before it is started.
        problem: What kept it from starting, if anything did.
        end: Why the kernel was ended, if the sandbox ended it: `memory` or `cpu`, else empty.
        is_over_allowance: Whether it was interrupted since `allow_cpu`, having used all that it was allowed.
    """

    def __init__(self, *, server: ForkServer | None = None, limits: Limits | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.server = server
        self.limits = limits or Limits()
        self.layers: tuple[str, ...] = ()
        self.end = ""
        self.is_over_allowance = False
        self.problem = ""
        self.channel: socket.socket | None = None
        self._control: socket.socket | None = None
        self._folder: Path | None = None
        self._follower: asyncio.Task[None] | None = None
        self._started: asyncio.Future[None] | None = None
        self._exit_code: int | None = None

    @property
    def has_process(self) -> bool:
        """Whether there is a process that was not yet cleaned up."""
        return self._control is not None

    async def poll(self) -> int | None:
        """The kernel's exit code, negative for a signal; None while it runs."""
        if self._control is None and self._exit_code is None:
            return 0
        return self._exit_code

    async def wait(self) -> int | None:
        """Wait until the kernel and all that it started are gone."""
        if self._follower is not None:
            await asyncio.wait([self._follower])
        return self._exit_code

    async def send_signal(self, signum: int) -> None:
        """Send the kernel a signal, from outside."""
        if signum == 0 or self._control is None:
            return
        with contextlib.suppress(OSError):
            self._control.send(str(int(signum)).encode())

    def allow_cpu(self, seconds: float, *, then: signal.Signals) -> None:
        """
        How much CPU time the kernel's processes may use together from now on.

        Args:
            then: What the kernel gets when they have.
        """
        self.is_over_allowance = False
        if self._control is not None:
            with contextlib.suppress(OSError):
                self._control.send(f"cpu {seconds:.3f} {int(then)}".encode())

    async def kill(self, restart: bool = False) -> None:  # noqa: ARG002
        """End the kernel and all that it started."""
        await self.send_signal(signal.SIGKILL)

    async def terminate(self, restart: bool = False) -> None:
        """As `kill`: there is nothing in there that is worth an orderly end."""
        await self.kill(restart)

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Nothing of what a command line would need is used."""
        return {**await super().pre_launch(**kwargs), "cmd": []}

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:  # noqa: ARG002
        """
        Start a kernel, and wait until it is in its sandbox.

        Raises:
            SandboxError: It did not start.
        """
        self.begin()
        await self.started()
        return self.connection_info

    def begin(self) -> None:
        """Ask for a kernel. Its sockets listen already when this returns."""
        server = self.server or _get_default_server()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        channel, other_end = socket.socketpair()
        self._folder = Path(tempfile.mkdtemp(prefix="grader-"))
        name = str(self._folder / "k")
        key = uuid.uuid4().hex
        scratch = self._folder / "scratch"  # used only where there can be no private one
        scratch.mkdir(0o700)
        self._folder.chmod(0o711)  # the kernel may be another user; the sockets are nobody else's still
        listeners: list[socket.socket] = []
        try:
            for number in range(1, len(CHANNELS) + 1):
                listener = socket.socket(socket.AF_UNIX)
                listeners.append(listener)
                listener.bind(f"{name}-{number}")
                listener.listen(16)
            limits = self.limits
            bounds = {field: getattr(limits, field) for field in ("memory_mib", "processes", "cpu_s")}
            bounds |= {field: getattr(limits, field) for field in ("file_size_mib", "scratch_mib")}
            request = {
                "bounds": bounds,
                "key": key,
                "name": name,
                "listeners": CHANNELS,
                "scratch": str(scratch),
                "output_bytes": limits.output_bytes,
            }
            server.submit(request, [theirs.fileno(), other_end.fileno(), *(each.fileno() for each in listeners)])
        except BaseException:
            ours.close()
            channel.close()
            self._remove_folder()
            raise
        finally:
            for each in (theirs, other_end, *listeners):
                each.close()
        ours.setblocking(False)
        channel.setblocking(False)
        self._control, self.channel = ours, channel
        self._exit_code, self.end = None, ""
        loop = asyncio.get_running_loop()
        self._started = loop.create_future()
        self._follower = loop.create_task(self._follow(ours))
        ports = {f"{channel}_port": number for number, channel in enumerate(CHANNELS, 1)}
        self.connection_info = {
            "transport": "ipc",
            "ip": name,
            "key": key.encode(),
            "signature_scheme": "hmac-sha256",
            **ports,  # type: ignore[typeddict-item]  # they are the keys that it knows
        }

    async def started(self) -> None:
        """
        Wait until the kernel is in its sandbox, and its layers are known.

        Raises:
            SandboxError: It did not get there.
        """
        assert self._started is not None
        try:
            await asyncio.wait_for(asyncio.shield(self._started), START_TIMEOUT_S)
        except (asyncio.TimeoutError, EOFError) as error:
            raise SandboxError(
                f"A kernel could not be put into its sandbox ({self.problem or 'no answer'}).", "Try `grader doctor`."
            ) from error

    async def _follow(self, control: socket.socket) -> None:
        """Read what the supervisor tells, until it is gone."""
        loop = asyncio.get_running_loop()
        assert self._started is not None
        while True:
            try:
                packet = await loop.sock_recv(control, 1 << 16)
            except OSError:
                packet = b""
            if not packet:
                break
            message = json.loads(packet)
            if "layers" in message:
                self.layers = tuple(message["layers"])
                self._started.set_result(None)
            elif "problem" in message:
                self.problem = message["problem"]
            elif "over" in message:
                self.is_over_allowance = True
            elif "exit" in message:
                self._exit_code, self.end = message["exit"], message["why"]
                break  # the supervisor, which has nothing left to do, goes by itself
        if self._exit_code is None:
            self._exit_code = -int(signal.SIGKILL)  # the supervisor itself was killed, and the kernel with it
        if not self._started.done():
            self._started.set_exception(EOFError())
            self._started.exception()  # looked at: nobody may be waiting

    async def cleanup(self, restart: bool = False) -> None:  # noqa: ARG002
        """Close the sockets, which ends the kernel if it still runs, and remove the folder."""
        if self._follower is not None:
            self._follower.cancel()
            self._follower = None
        for each in (self._control, self.channel):
            if each is not None:
                each.close()
        self._control = self.channel = None
        self._remove_folder()

    def _remove_folder(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None


class PromptKernelClient(AsyncKernelClient):
    """A client that learns of readiness from the message that answers its subscription, and has no heartbeat."""

    def start_channels(
        self, shell: bool = True, iopub: bool = True, stdin: bool = True, hb: bool = False, control: bool = True
    ) -> None:
        """As in the base class; no heartbeat, which is a thread that polls."""
        super().start_channels(shell=shell, iopub=iopub, stdin=stdin, hb=hb, control=control)

    def stop_channels(self) -> None:
        """Stop the channels that there are; the base class makes those that there are not, to stop them."""
        for channel in (
            self._shell_channel,
            self._iopub_channel,
            self._stdin_channel,
            self._hb_channel,
            self._control_channel,
        ):
            if channel is not None and channel.is_alive():
                channel.stop()

    async def wait_for_ready(self, timeout: float | None = None) -> None:
        """
        Wait for `iopub_welcome`: the kernel is there, and the subscription is in place.

        Raises:
            RuntimeError: It did not come in time.
        """
        until = time.monotonic() + (START_TIMEOUT_S if timeout is None else timeout)
        while True:
            try:
                message = await self.get_iopub_msg(timeout=max(0.0, until - time.monotonic()))
            except Empty:
                raise RuntimeError(f"Kernel didn't respond in {timeout} seconds") from None
            if message["msg_type"] == "iopub_welcome":
                return


class _Manager(AsyncKernelManager):
    """A manager all of whose clients share its context, with bounds on what may queue up on our side."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(client_class=f"{__name__}.{PromptKernelClient.__name__}", **kwargs)
        self._kernel_spec = _SPEC
        self.context.linger = 0
        self.context.rcvhwm = _QUEUED_MESSAGES
        self.context.maxmsgsize = _MESSAGE_BYTES

    def client(self, **kwargs: Any) -> AsyncKernelClient:  # type: ignore[override]  # as the base class has it
        """A client of this kernel."""
        return super().client(context=self.context, **kwargs)


@contextlib.asynccontextmanager
async def start_forked_kernel(
    server: ForkServer, limits: Limits, *, require: Level = Level.NONE
) -> AsyncIterator[RunningKernel]:
    """
    A kernel for one submission. It, all that it started, and its folder are gone when the context is left.

    Raises:
        SandboxError: It did not start, or the platform does not offer the level that is asked for.
    """
    manager = _Manager()
    provisioner = ForkServerProvisioner(server=server, limits=limits, kernel_spec=_SPEC, parent=manager)
    if server.pid is None:
        await asyncio.to_thread(server.start)
    client = None
    try:
        provisioner.begin()
        manager.provisioner = provisioner
        manager.load_connection_info(provisioner.connection_info)
        client = manager.client()
        client.start_channels(stdin=False)
        await provisioner.started()
        if level_of(provisioner.layers) < require:
            raise refusal(provisioner.layers, require)
        try:
            await _first(client.wait_for_ready(START_TIMEOUT_S), provisioner.wait())
        except RuntimeError as error:
            problem = provisioner.problem or str(error)
            raise SandboxError(f"A kernel did not get ready ({problem}).", "Try `grader doctor`.") from error
        assert provisioner.channel is not None
        yield RunningKernel(manager, client, provisioner.channel, provisioner.layers, provisioner)
    finally:
        await provisioner.kill()
        if client is not None:
            client.stop_channels()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(provisioner.wait(), END_TIMEOUT_S)
        await provisioner.cleanup()
        manager.context.destroy(linger=0)


async def _first(ready: Any, gone: Any) -> None:
    """Wait for the kernel to be ready, but not for one that is gone."""
    tasks = [asyncio.ensure_future(ready), asyncio.ensure_future(gone)]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if tasks[0] not in done:
            raise RuntimeError("it ended first")
        tasks[0].result()
    finally:
        for task in tasks:
            task.cancel()


def _get_default_server() -> ForkServer:
    global _default_server  # noqa: PLW0603 - one warm process for whoever uses the provisioner by its name
    if _default_server is None:
        _default_server = ForkServer()
    return _default_server
