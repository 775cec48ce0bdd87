"""
The caller's end of the warm process: starts it, sends it requests, and starts it again if it has died.
"""

from __future__ import annotations

import array
import contextlib
import dataclasses
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any

from typing_extensions import Self

from grader.sandbox.bounds import Bounds
from grader.sandbox.companion import Companion
from grader.sandbox.environment import clean_environment
from grader.sandbox.errors import SandboxUnavailable
from grader.sandbox.folders import sweep, temporary_folder
from grader.sandbox.installation import own_folders

__all__ = ["ForkServer"]

_START_TIMEOUT_S = 60.0
_PROBE_BOUNDS = Bounds(memory_mib=256, processes=16, cpu_s=10, file_size_mib=1, scratch_mib=1)
_OWN_NEEDS = ("ipykernel", "zmq")


class ForkServer:
    """
    A warm process from which kernels are forked. May be used from many threads at once.

    The process is started on first use, and again if it has died. It is a new interpreter with a clean environment:
    what the caller knows is not in its memory, and so not in a kernel's.

    Args:
        preload: The name of a module that the warm process imports, once the shell exists, so that kernels need not
            import what it imports. It may have four functions: `prepare(*, watched)`, which is called before the first
            kernel is forked; `settle()`, which is called while the first kernel is busy; `begin(*, seed)`, which is
            called in each kernel before it runs any code; and `serve(shell, descriptor)`, which is called in a kernel
            when `RunningKernel.serve` is, with IPython's shell and the descriptor of the channel. Empty for none.
        packages: Top-level packages that the warm process must find where this process finds them, besides our own
            package and those that a kernel needs.
        own: Which modules and folders of our own package a kernel may import, besides the sandbox's.
        secrets: Files and folders that no kernel may see. Nothing outside of the Python installation is shown, but they
            may be in it. A kernel tries to read them before it runs any code, and does not go on if it can.
        watched: Whether anybody looks at what cells show. Drawing a figure takes longer than most cells do.
        channel_variable: The environment variable that tells a kernel which descriptor its channel has: `fd:7`.
    """

    def __init__(
        self,
        *,
        preload: str = "",
        packages: Sequence[str] = (),
        own: Sequence[str] = (),
        secrets: Sequence[Path] = (),
        watched: bool = True,
        channel_variable: str = "KERNEL_CHANNEL",
    ) -> None:
        self._preload = preload
        self._packages = tuple(packages)
        self._channel_variable = channel_variable
        self._watched = watched
        self._own = tuple(own)
        self._secrets = tuple(str(Path(path).resolve()) for path in secrets)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._adopted: int | None = None
        self._control: socket.socket | None = None
        self._layers: tuple[str, ...] | None = None
        self._is_warm = False
        self._is_closed = False
        self._caches = contextlib.ExitStack()

    @staticmethod
    def is_available() -> bool:
        """Whether this platform can fork kernels: only Linux can."""
        return sys.platform == "linux" and hasattr(os, "fork") and hasattr(os, "pidfd_open")

    @property
    def layers(self) -> tuple[str, ...]:
        """
        The names of the layers that a kernel's sandbox has here, probed in a process that is forked for that.

        Raises:
            SandboxUnavailable: The warm process does not start, or cannot fork.
        """
        if self._layers is None:
            self._layers = self._probe()
        return self._layers

    @property
    def pid(self) -> int | None:
        """The process id of the warm process; None if it does not run."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else self._adopted

    def begin(self, companion: Companion | None = None) -> None:
        """
        Start the warm process, if it does not run, and do not wait for it.

        Args:
            companion: Forked from the warm process as early as can be. Such a process is for a few kernels only.

        Raises:
            SandboxUnavailable: It cannot be started here, or this server was closed.
        """
        with self._lock:
            self._launch_if_needed(companion)

    def hand_over(self, companion: Companion) -> None:
        """Make a companion that has been forked the caller of the warm process in our place."""
        with self._lock:
            assert self._control is not None
            assert self._process is not None
            companion.tell(self._control, self._process.pid)
            self._is_warm = self._is_closed = True  # it goes on without us
            self._disconnect(wait=False)

    def adopt(self, control: socket.socket, pid: int) -> None:
        """Use a warm process that has been handed over to us."""
        with self._lock:
            self._control, self._adopted = control, pid

    def start(self) -> None:
        """
        Start the warm process, if it does not run, and wait until it takes requests.

        Raises:
            SandboxUnavailable: It does not start.
        """
        with self._lock:
            self._connect()

    def submit(self, request: dict[str, Any], descriptors: Sequence[int]) -> None:
        """
        Send one request. Replies to it arrive on the other end of the first of the descriptors.

        Raises:
            SandboxUnavailable: The warm process does not start, or does not take the request.
        """
        packet = json.dumps(request).encode()
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
        with self._lock:
            for attempt in (1, 2):
                control = self._connect()
                try:
                    control.sendmsg([packet], rights)
                except OSError as error:
                    self._disconnect()
                    if attempt == 2:
                        raise SandboxUnavailable("The process that forks kernels takes no requests.") from error
                else:
                    return

    def close(self, *, wait: bool = True) -> None:
        """
        End the warm process, and with it every kernel that it has forked.

        Args:
            wait: Whether to wait until the process has ended.
        """
        with self._lock:
            self._is_closed = True
            self._disconnect(wait=wait)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        try:  # noqa: SIM105 - when the interpreter ends, `contextlib` may be gone already
            self._disconnect()
        except Exception:  # noqa: S110 - likewise
            pass

    def _connect(self) -> socket.socket:
        """The control socket of a warm process that takes requests."""
        control = self._launch_if_needed()
        if not self._is_warm:
            control.settimeout(_START_TIMEOUT_S)
            try:
                self._is_warm = bool(control.recv(1 << 10))
            except OSError:
                self._is_warm = False
            if not self._is_warm:
                self._disconnect()
                raise SandboxUnavailable(
                    "The process that forks kernels did not start.", "Its messages are on standard error."
                )
            control.settimeout(None)
        return control

    def _launch_if_needed(self, companion: Companion | None = None) -> socket.socket:
        """The control socket of a warm process that may still be starting."""
        if self._is_closed:
            raise SandboxUnavailable("The forkserver was closed.")
        if self._process is not None and self._process.poll() is not None:
            self._disconnect()
        if self._control is None:
            self._control = self._launch(companion)
        return self._control

    def _disconnect(self, *, wait: bool = True) -> None:
        if self._control is not None:
            self._control.close()
            self._control = self._adopted = None
        self._caches.close()
        if self._process is not None:
            if not self._is_warm:  # it would not notice before it is warm, and it has no kernel yet
                self._process.kill()
            self._is_warm = False
            try:
                self._process.wait(5 if wait else 0)
            except subprocess.TimeoutExpired:
                if wait:
                    self._process.kill()
                    self._process.wait()
                else:
                    self._process.returncode = 0  # nobody needs it, and without one Popen would warn
            self._process = None

    def _launch(self, companion: Companion | None) -> socket.socket:
        if not self.is_available():
            raise SandboxUnavailable("This platform cannot fork kernels.", "Use Linux, or a Linux container.")
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        options = {
            "preload": self._preload,
            "own": self._own,
            "secrets": self._secrets,
            "watched": self._watched,
            "settles": companion is None,
            "channel_variable": self._channel_variable,
        }
        own = [str(folder.parent) for folder in own_folders()]
        others = _import_folders([*_OWN_NEEDS, *self._packages])
        fork, descriptors = "", [theirs.fileno()]
        if companion is not None:
            its_end = companion.its_end.fileno()
            descriptors.append(its_end)
            fork = (
                f"from {__package__}.companion import fork_companion; "
                f"fork_companion({its_end}, caller={os.getpid()}, imports={companion.imports!r}); "
            )
        code = (
            # Imports leave little garbage, and collecting it would take a fifth of their time.
            "import gc, sys; gc.disable(); sys.path.remove(''); "
            f"sys.path[:0] = [p for p in {own!r} if p not in sys.path]; "
            f"sys.path += [p for p in {others!r} if p not in sys.path]; "
            # What is imported now is stored compiled, as it would be for us; nothing that a kernel imports is.
            f"sys.dont_write_bytecode = {sys.dont_write_bytecode}; {fork}"
            f"from {__package__}.forkserver import main; main({theirs.fileno()})"
        )
        sweep()  # whoever starts next removes what a killed process left
        ours.send(json.dumps(options).encode())  # not as an argument, since kernels inherit the command line
        environment = clean_environment() | {"HOME": str(Path.home())}  # libraries have their caches there
        if not os.access(Path.home(), os.W_OK):  # matplotlib would make a folder that it leaves behind
            environment["MPLCONFIGDIR"] = str(self._caches.enter_context(temporary_folder()))
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own code
                # Not `-I`, which ignores the seed of hashes. The environment is clean, and so is the path.
                [sys.executable, "-s", "-X", "frozen_modules=on", "-c", code],
                pass_fds=descriptors,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=environment,
                cwd="/",
                start_new_session=True,
            )
        return ours

    def _probe(self) -> tuple[str, ...]:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        channel, kernels_end = socket.socketpair()
        with ours, theirs, channel, kernels_end, temporary_folder() as scratch:
            bounds = dataclasses.asdict(_PROBE_BOUNDS)
            request = {"probe": True, "listeners": [], "bounds": bounds, "scratch": str(scratch), "secrets": []}
            self.submit(request, [theirs.fileno(), kernels_end.fileno()])
            theirs.close()
            ours.settimeout(_START_TIMEOUT_S)
            report: dict[str, Any] = {}
            with contextlib.suppress(OSError):
                report = json.loads(ours.recv(1 << 16) or b"{}")
                while ours.recv(1 << 16):  # until the probe has ended
                    pass
        if "refusal" in report:
            raise SandboxUnavailable(*report["refusal"])
        if "layers" not in report:
            raise SandboxUnavailable("The process that forks kernels could not fork one.")
        return tuple(report["layers"])


def _import_folders(packages: Sequence[str]) -> list[str]:
    """The folders in which this interpreter finds these packages; those that it does not find are left out."""
    folders: dict[str, None] = {}
    for name in packages:
        spec = find_spec(name)
        if spec is not None and spec.origin is not None:
            folders[str(Path(spec.origin).resolve().parent.parent)] = None
    return list(folders)
