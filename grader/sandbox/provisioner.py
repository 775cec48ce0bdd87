"""
Forked kernels in Jupyter's terms: a provisioner, and a context in which a kernel runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import signal
import socket
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning.provisioner_base import KernelProvisionerBase

from grader.sandbox.bounds import Bounds
from grader.sandbox.client import START_TIMEOUT_S, PromptKernelManager
from grader.sandbox.errors import SandboxUnavailable
from grader.sandbox.folders import temporary_folder
from grader.sandbox.installation import OWN_PACKAGE
from grader.sandbox.levels import Level, level_of, refusal
from grader.sandbox.server import ForkServer
from grader.sandbox.view import spellings

__all__ = ["ForkServerProvisioner", "RunningKernel", "start_forked_kernel"]

CHANNELS = ("shell", "iopub", "stdin", "control", "hb")
"""The channels of a kernel. The first one has port 1, and so on."""
END_TIMEOUT_S = 10.0
_ANSWER_TIMEOUT_S = 2.0
_ENTRY_POINT = f"{OWN_PACKAGE}-forkserver"  # the name of the provisioner for Jupyter
_SPEC = KernelSpec(
    argv=[_ENTRY_POINT],
    display_name="Python in a sandbox",
    language="python",
    interrupt_mode="signal",
    metadata={"kernel_provisioner": {"provisioner_name": _ENTRY_POINT, "config": {}}},
)
_default_server: ForkServer | None = None


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


class ForkServerProvisioner(KernelProvisionerBase):
    """
    Asks a `ForkServer` for a kernel, and ends the kernel by closing its control socket.

    Attributes:
        server: The forkserver to ask; None for one that all provisioners of this process share.
        bounds: What the kernel may use.
        quiet: Whether nothing that cells show is sent.
        seed: What the generators of random numbers in the kernel start from: 32 bits, drawn at random if not given.
        secrets: Files and folders that the kernel may not see, besides those of the server.
        layers: The names of the sandbox's layers; empty before the kernel is started.
        problem: Why the kernel did not start; empty if it did.
        end: Why the sandbox has ended the kernel: `memory`, `cpu`, or empty if it has not.
        is_over_allowance: Whether the kernel was interrupted because it has used all that the last `allow_cpu` allowed.
    """

    def __init__(
        self,
        *,
        server: ForkServer | None = None,
        bounds: Bounds | None = None,
        quiet: bool = False,
        seed: int | None = None,
        secrets: Sequence[Path] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.server = server
        self.bounds = bounds or Bounds()
        self.quiet = quiet
        self.seed = int.from_bytes(os.urandom(4), "big") if seed is None else seed
        self.secrets = tuple(secrets)
        self.layers: tuple[str, ...] = ()
        self.end = ""
        self.is_over_allowance = False
        self.problem = ""
        self.channel: socket.socket | None = None
        self._control: socket.socket | None = None
        self._temporary = contextlib.ExitStack()
        self._follower: asyncio.Task[None] | None = None
        self._started: asyncio.Future[None] | None = None
        self._used: asyncio.Future[float] | None = None
        self._exit_code: int | None = None

    @property
    def has_process(self) -> bool:
        """Whether the kernel was started, and `cleanup` was not yet called."""
        return self._control is not None

    async def poll(self) -> int | None:
        """The kernel's exit code, negative if a signal ended it; None while it runs."""
        if self._control is None and self._exit_code is None:
            return 0
        return self._exit_code

    async def wait(self) -> int | None:
        """Wait until the kernel and all that it started have ended."""
        if self._follower is not None:
            await asyncio.wait([self._follower])
        return self._exit_code

    async def send_signal(self, signum: int) -> None:
        """Have the supervisor send the kernel a signal."""
        if signum == 0 or self._control is None:
            return
        with contextlib.suppress(OSError):
            self._control.send(str(int(signum)).encode())

    def allow_cpu(self, seconds: float, *, then: signal.Signals) -> None:
        """
        Limit the CPU time that the kernel's processes may use together from now on.

        Args:
            seconds: Seconds of CPU time.
            then: The signal that the kernel gets when they have used it.
        """
        self.is_over_allowance = False
        if self._control is not None:
            with contextlib.suppress(OSError):
                self._control.send(f"cpu {seconds:.3f} {int(then)}".encode())

    async def used_cpu(self) -> float | None:
        """Seconds of CPU time that the kernel has used since the last `allow_cpu`; None if nobody can say."""
        if self._control is None or self._exit_code is not None:
            return None
        self._used = asyncio.get_running_loop().create_future()
        with contextlib.suppress(OSError, asyncio.TimeoutError):
            self._control.send(b"used")
            return await asyncio.wait_for(self._used, _ANSWER_TIMEOUT_S)
        return None

    async def kill(self, restart: bool = False) -> None:  # noqa: ARG002
        """End the kernel and all that it started."""
        await self.send_signal(signal.SIGKILL)

    async def terminate(self, restart: bool = False) -> None:
        """The same as `kill`: there is nothing in the kernel to save."""
        await self.kill(restart)

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Prepare no command line, since none is run."""
        return {**await super().pre_launch(**kwargs), "cmd": []}

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:  # noqa: ARG002
        """
        Start a kernel, and wait until it is in its sandbox.

        Raises:
            SandboxUnavailable: It did not start.
        """
        self.begin()
        await self.started()
        return self.connection_info

    def begin(self) -> None:
        """
        Ask for a kernel, and do not wait for it. Its sockets are listening when this returns.

        Raises:
            SandboxUnavailable: The forkserver takes no requests.
        """
        server = self.server or _get_default_server()
        control, supervisors_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        channel, kernels_end = socket.socketpair()
        folder = self._temporary.enter_context(temporary_folder())
        name = str(folder / "k")
        key = uuid.uuid4().hex
        scratch = folder / "scratch"  # used only if the kernel has no private root
        scratch.mkdir(0o700)
        folder.chmod(0o711)  # the kernel may be another user; the sockets can still be used by nobody else
        listeners: list[socket.socket] = []
        try:
            for port in range(1, len(CHANNELS) + 1):
                listener = socket.socket(socket.AF_UNIX)
                listeners.append(listener)
                listener.bind(f"{name}-{port}")
                listener.listen(16)
            request = {
                "bounds": dataclasses.asdict(self.bounds),
                "key": key,
                "name": name,
                "quiet": self.quiet,
                "seed": self.seed,
                "listeners": CHANNELS,
                "secrets": spellings(self.secrets),
                "scratch": str(scratch),
            }
            descriptors = [theirs.fileno() for theirs in (supervisors_end, kernels_end, *listeners)]
            server.submit(request, descriptors)
        except BaseException:
            control.close()
            channel.close()
            self._remove_folder()
            raise
        finally:
            for theirs in (supervisors_end, kernels_end, *listeners):
                theirs.close()
        control.setblocking(False)
        channel.setblocking(False)
        self._control, self.channel = control, channel
        self._exit_code, self.end = None, ""
        loop = asyncio.get_running_loop()
        self._started = loop.create_future()
        self._follower = loop.create_task(self._follow(control))
        ports = {f"{kind}_port": port for port, kind in enumerate(CHANNELS, 1)}
        self.connection_info = {
            "transport": "ipc",
            "ip": name,
            "key": key.encode(),
            "signature_scheme": "hmac-sha256",
            **ports,  # type: ignore[typeddict-item]  # the type has these keys
        }

    async def started(self) -> None:
        """
        Wait until the kernel is in its sandbox, and its layers are known.

        Raises:
            SandboxUnavailable: It did not get there.
        """
        assert self._started is not None
        try:
            await asyncio.wait_for(asyncio.shield(self._started), START_TIMEOUT_S)
        except (asyncio.TimeoutError, EOFError) as error:
            problem = self.problem or "no reply"
            raise SandboxUnavailable(f"A kernel could not be put into its sandbox ({problem}).") from error

    async def _follow(self, control: socket.socket) -> None:
        """Read the supervisor's messages until the kernel has ended."""
        loop = asyncio.get_running_loop()
        assert self._started is not None
        while True:
            try:
                packet = await loop.sock_recv(control, 1 << 16)
            except OSError:
                packet = b""
            if not packet:
                break
            self._note(json.loads(packet))
            if self._exit_code is not None:
                break  # the supervisor has nothing left to do, and ends by itself
        if self._exit_code is None:
            self._exit_code = -int(signal.SIGKILL)  # the supervisor was killed, and so was the kernel
        if not self._started.done():
            self._started.set_exception(EOFError())
            self._started.exception()  # marks it as retrieved: there may be nobody who waits for it

    def _note(self, message: dict[str, Any]) -> None:
        """Note what a message of the supervisor says."""
        if "layers" in message:
            self.layers = tuple(message["layers"])
            assert self._started is not None
            self._started.set_result(None)
        elif "problem" in message:
            self.problem = message["problem"]
        elif "refusal" in message and self._started is not None:
            self._started.set_exception(SandboxUnavailable(*message["refusal"]))
        elif "over" in message:
            self.is_over_allowance = True
        elif "used" in message and self._used is not None and not self._used.done():
            self._used.set_result(float(message["used"]))
        elif "exit" in message:
            self._exit_code, self.end = message["exit"], message["reason"]

    async def cleanup(self, restart: bool = False) -> None:  # noqa: ARG002
        """Close the sockets, which ends the kernel if it still runs, and remove the folder."""
        if self._follower is not None:
            self._follower.cancel()
            self._follower = None
        for end in (self._control, self.channel):
            if end is not None:
                end.close()
        self._control = self.channel = None
        self._remove_folder()

    def _remove_folder(self) -> None:
        self._temporary.close()


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
    manager = PromptKernelManager()
    manager._kernel_spec = _SPEC
    provisioner = ForkServerProvisioner(
        server=server, bounds=bounds, quiet=quiet, seed=seed, secrets=secrets, kernel_spec=_SPEC, parent=manager
    )
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
            await _wait_for_ready(client.wait_for_ready(START_TIMEOUT_S), provisioner.wait())
        except RuntimeError as error:
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


def _get_default_server() -> ForkServer:
    global _default_server  # noqa: PLW0603 - one for all that use the provisioner by its entry point
    if _default_server is None:
        _default_server = ForkServer()
    return _default_server
