"""
The grader's end of the forkserver: starts it, asks it for kernels, and lets go of them.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import dataclasses
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import zmq
import zmq.asyncio
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning import KernelProvisionerBase
from jupyter_client.session import Session

from grader.errors import SandboxError
from grader.model import Limits
from grader.walls.confine import namespaces

__all__ = ["Forked", "ForkServer", "ForkServerProvisioner", "fork_kernel"]

START_TIMEOUT_S = 60.0
KERNEL_TIMEOUT_S = 20.0
MESSAGE_LIMIT_BYTES = 32 * 1024 * 1024


@dataclasses.dataclass(slots=True)
class Forked:
    """A kernel's process: `pidfd` is readable when it has ended, `folder` holds its sockets."""

    pidfd: int
    folder: int
    layers: tuple[str, ...]

    @property
    def has_ended(self) -> bool:
        """Is it gone, and everything that it started with it?"""
        if self.pidfd < 0:
            return True
        import select

        return bool(select.select([self.pidfd], [], [], 0)[0])

    def send_signal(self, number: int) -> None:
        """Send a signal, which a process that is gone does not mind."""
        if self.pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.pidfd, number)

    def close(self) -> None:
        """Let go of it."""
        for descriptor in (self.pidfd, self.folder):
            if descriptor >= 0:
                os.close(descriptor)
        self.pidfd = self.folder = -1


class ForkServer:
    """
    A warm process that forks kernels; may be asked from several threads at once.

    Args:
        hidden: Folders of the Python installation that students must not see.
    """

    def __init__(self, *, hidden: Sequence[Path] = ()) -> None:
        self._hidden = [str(path) for path in hidden]
        self._readable = _readable_folders()
        self._outside = namespaces()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    @staticmethod
    def is_available() -> bool:
        """Can this platform do it? It takes Linux, and a Python that knows pidfds."""
        return sys.platform == "linux" and hasattr(os, "pidfd_open")

    def __enter__(self) -> ForkServer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The warm process, if it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def close(self) -> None:
        """End it, and every kernel that it forked."""
        with self._lock:
            self._stop()

    def request(self, limits: Limits, connection: dict[str, Any], folder: Path) -> tuple[socket.socket, socket.socket]:
        """
        Ask for a kernel.

        Returns:
            tuple: Where it reports (see `fork_kernel`), and our end of the channel to its harness.

        Raises:
            SandboxError: The forkserver does not start.
        """
        message = json.dumps(
            {
                "limits": dataclasses.asdict(limits),
                "readable": self._readable,
                "hidden": self._hidden,
                "outside": self._outside,
                "folder": str(folder),
                "connection": connection,
                "environment": _environment(),
            }
        ).encode()
        report, their_report = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        channel, their_channel = socket.socketpair()
        try:
            rights = array.array("i", [their_report.fileno(), their_channel.fileno()]).tobytes()
            with self._lock:
                control = self._started()
                control.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        except BaseException as error:
            report.close()
            channel.close()
            if isinstance(error, OSError):
                self.close()
                raise SandboxError(f"The forkserver has gone ({error}).", "Try again.") from error
            raise
        finally:
            their_report.close()
            their_channel.close()
        return report, channel

    def _started(self) -> socket.socket:
        if self._control is not None and self.pid is not None:
            return self._control
        self._stop()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with tempfile.TemporaryFile() as complaints, theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "grader.walls.forkserver", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=complaints,
                env=_environment(),
                cwd="/",
                start_new_session=True,
            )
            theirs.close()
            ours.settimeout(START_TIMEOUT_S)
            try:
                answer = ours.recv(1000)
            except OSError:
                answer = b""
            if not answer:

                complaints.seek(0)
                last = complaints.read()[-2000:].decode(errors="replace").strip().rpartition("\n")[2]
                self._stop()
                ours.close()
                raise SandboxError(f"The forkserver did not start ({last or 'no answer'}).", "Try `grader doctor`.")
        ours.settimeout(None)
        self._control = ours
        return ours

    def _stop(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class ForkServerProvisioner(KernelProvisionerBase):  # type: ignore[misc]
    """
    A Jupyter kernel provisioner whose kernels are forked by a `ForkServer`.

    `fork_kernel` sets `server`, `limits` and `scratch` before the kernel is launched.
    """

    server: ForkServer
    limits: Limits
    scratch: Path
    forked: Forked | None = None
    channel: socket.socket | None = None

    @property
    def has_process(self) -> bool:
        """Was one forked, and not cleaned up yet?"""
        return self.forked is not None

    async def poll(self) -> int | None:
        """None while it runs."""
        return 0 if self.forked is None or self.forked.has_ended else None

    async def wait(self) -> int | None:
        """Wait for its end."""
        if self.forked is not None and not self.forked.has_ended:
            ended = asyncio.Event()
            loop = asyncio.get_running_loop()
            loop.add_reader(self.forked.pidfd, ended.set)
            try:
                await ended.wait()
            finally:
                loop.remove_reader(self.forked.pidfd)
        return 0

    async def send_signal(self, signum: int) -> None:
        """Send a signal to the kernel."""
        if self.forked is not None:
            self.forked.send_signal(signum)

    async def kill(self, restart: bool = False) -> None:
        """Kill it with everything that it started."""
        await self.send_signal(signal.SIGKILL)

    async def terminate(self, restart: bool = False) -> None:
        """As `kill`: there is nothing that it should still do."""
        await self.send_signal(signal.SIGKILL)

    async def cleanup(self, restart: bool = False) -> None:
        """Let go of it."""
        if self.forked is not None:
            self.forked.close()
            self.forked = None

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """There is no command to run."""
        return await super().pre_launch(cmd=[], **kwargs)  # type: ignore[no-any-return]

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> dict[str, Any]:
        """Fork a kernel and wait until its sockets are bound."""
        session: Session = self.parent.session
        ports = dict(zip(("shell_port", "iopub_port", "stdin_port", "control_port", "hb_port"), range(1, 6), strict=True))
        connection = {
            **ports,
            "transport": "ipc",
            "key": session.key.decode(),
            "signature_scheme": session.signature_scheme,
        }
        report, self.channel = self.server.request(self.limits, connection, self.scratch)
        with report:
            self.forked = await asyncio.wait_for(_ready(report), KERNEL_TIMEOUT_S)
        # A path into a folder that only the kernel and we can reach; a unix socket's path must be short.
        return connection | {"ip": f"/proc/self/fd/{self.forked.folder}/ipc", "key": session.key}


async def _ready(report: socket.socket) -> Forked:
    """What supervisor and kernel report: a pidfd, then the folder of its sockets and its layers; or what went wrong."""
    report.setblocking(False)
    loop = asyncio.get_running_loop()
    forked = Forked(-1, -1, ())
    try:
        while forked.pidfd < 0 or forked.folder < 0:
            message, descriptors = await _receive(loop, report)
            if "error" in message or not descriptors:
                raise SandboxError(f"A kernel did not start ({message.get('error', 'it died')}).", "Try `grader doctor`.")
            if "started" in message:
                forked.pidfd = descriptors[0]
            else:
                forked.folder = descriptors[0]
                forked.layers = tuple(message["layers"])
    except BaseException:
        forked.send_signal(signal.SIGKILL)
        forked.close()
        raise
    return forked


async def _receive(loop: asyncio.AbstractEventLoop, report: socket.socket) -> tuple[dict[str, Any], list[int]]:
    readable = asyncio.Event()
    loop.add_reader(report, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(report)
    message, descriptors, _, _ = socket.recv_fds(report, 1 << 16, 4)
    return json.loads(message or b"{}"), list(descriptors)


@contextlib.asynccontextmanager
async def fork_kernel(
    server: ForkServer, limits: Limits
) -> AsyncIterator[tuple[AsyncKernelManager, Any, socket.socket, tuple[str, ...]]]:
    """
    A kernel for one submission: manager, client, channel and layers. All of it is gone when the context is left.

    Raises:
        SandboxError: It did not start.
    """
    folder = Path(tempfile.mkdtemp(prefix="grader-"))
    for name in ("scratch", "k"):
        (folder / name).mkdir(mode=0o700)
    context = zmq.asyncio.Context()
    context.setsockopt(zmq.MAXMSGSIZE, MESSAGE_LIMIT_BYTES)
    manager = AsyncKernelManager(context=context, transport="ipc", connection_file=str(folder / "connection.json"))
    manager._kernel_spec = KernelSpec(
        argv=[],
        language="python",
        display_name="Graded Python",
        metadata={"kernel_provisioner": {"provisioner_name": "grader-forkserver"}},
    )
    client = provisioner = None
    try:
        provisioner = ForkServerProvisioner(kernel_id=manager.kernel_id, kernel_spec=manager._kernel_spec, parent=manager)
        provisioner.server, provisioner.limits, provisioner.scratch = server, limits, folder
        manager.provisioner = provisioner
        information = await provisioner.launch_kernel([])
        manager.load_connection_info(information)
        client = manager.client()
        client.start_channels(shell=True, iopub=True, stdin=False, hb=False, control=False)
        await asyncio.wait_for(_welcomed(client), KERNEL_TIMEOUT_S)
        client.allow_stdin = False
        assert provisioner.channel is not None
        assert provisioner.forked is not None
        provisioner.channel.setblocking(False)
        yield manager, client, provisioner.channel, provisioner.forked.layers
    except asyncio.TimeoutError as error:
        if client is not None and client.channels_running:
            raise
        raise SandboxError("A kernel did not become ready in time.", "Try `grader doctor`.") from error
    finally:
        if client is not None:
            client.stop_channels()
        if provisioner is not None:
            await provisioner.kill()
            await provisioner.wait()
            await provisioner.cleanup()
            if provisioner.channel is not None:
                provisioner.channel.close()
        context.destroy(linger=0)
        shutil.rmtree(folder, ignore_errors=True)


async def _welcomed(client: Any) -> None:
    """Until our subscription has reached the kernel: from then on nothing that it publishes is lost."""
    while True:
        message = await client.get_iopub_msg()
        if message["msg_type"] == "iopub_welcome":
            return


def _environment() -> dict[str, str]:
    """What a kernel may know of ours."""
    kept = {name: os.environ[name] for name in ("LANG", "LC_ALL", "TZ") if name in os.environ}
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    return {
        **kept,
        **threads,
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
    }


def _readable_folders() -> list[str]:
    """The Python installation: what a student's process has to read in order to import."""
    package = Path(__file__).parent.parent
    folders = {Path(sys.prefix), Path(sys.base_prefix), Path(sys.exec_prefix), Path(sys.base_exec_prefix), package}
    folders |= {Path(entry) for entry in sys.path if "site-packages" in entry or "dist-packages" in entry}
    resolved = {str(path) for path in folders} | {str(path.resolve()) for path in folders}
    outermost = [path for path in sorted(resolved) if not any(path != o and path.startswith(o + "/") for o in resolved)]
    return [path for path in outermost if path not in ("/", "/usr") and not path.startswith("/usr/")]
