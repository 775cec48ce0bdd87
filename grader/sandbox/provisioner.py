"""
Forked kernels in Jupyter's terms: a provisioner.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.provisioning.provisioner_base import KernelProvisionerBase

from grader.sandbox.bounds import Bounds
from grader.sandbox.client import START_TIMEOUT_S
from grader.sandbox.errors import SandboxUnavailable
from grader.sandbox.folders import temporary_folder
from grader.sandbox.installation import OWN_PACKAGE
from grader.sandbox.kernels import CHANNELS, KernelEnds, fork_kernel, listen, make_listeners
from grader.sandbox.server import ForkServer

__all__ = ["SPEC", "ForkServerProvisioner"]

_ANSWER_TIMEOUT_S = 2.0
_ENTRY_POINT = f"{OWN_PACKAGE}-forkserver"  # the name of the provisioner for Jupyter
SPEC = KernelSpec(
    argv=[_ENTRY_POINT],
    display_name="Python in a sandbox",
    language="python",
    interrupt_mode="signal",
    metadata={"kernel_provisioner": {"provisioner_name": _ENTRY_POINT, "config": {}}},
)
_default_server: ForkServer | None = None


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
        folder = self._temporary.enter_context(temporary_folder())
        name = str(folder / "k")
        scratch = folder / "scratch"  # used only if the kernel has no private root
        scratch.mkdir(0o700)
        folder.chmod(0o711)  # the kernel may be another user; the sockets can still be used by nobody else
        listeners = make_listeners(1)
        try:
            listen(listeners, name)
            ends = fork_kernel(
                self.server or _get_default_server(),
                self.bounds,
                listeners,
                scratch=scratch,
                name=name,
                quiet=self.quiet,
                seed=self.seed,
                secrets=self.secrets,
            )
        except BaseException:
            self._remove_folder()
            raise
        finally:
            for listener in listeners:
                listener.close()
        self.adopt(ends, name)

    def adopt(self, ends: KernelEnds, name: str, *, layers: Sequence[str] = ()) -> None:
        """
        Take over a kernel that was asked for, perhaps by another process.

        Args:
            ends: Our ends of its sockets.
            name: The name of the sockets on which it listens, without their port numbers.
            layers: The names of its sandbox's layers, if they are known, because it is in its sandbox.
        """
        ends.control.setblocking(False)
        ends.channel.setblocking(False)
        self._control, self.channel = ends.control, ends.channel
        self._exit_code, self.end = None, ""
        loop = asyncio.get_running_loop()
        self._started = loop.create_future()
        if layers:
            self._note({"layers": layers})
        self._follower = loop.create_task(self._follow(ends.control))
        ports = {f"{kind}_port": port for port, kind in enumerate(CHANNELS, 1)}
        self.connection_info = {
            "transport": "ipc",
            "ip": name,
            "key": ends.key.encode(),
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


def _get_default_server() -> ForkServer:
    global _default_server  # noqa: PLW0603 - one for all that use the provisioner by its entry point
    if _default_server is None:
        _default_server = ForkServer()
    return _default_server
