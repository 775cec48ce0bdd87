"""
The grader's end of the warm process: starts it, hands it requests, and notices when it is gone.
"""

from __future__ import annotations

import array
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any

from typing_extensions import Self

from grader.errors import SandboxError

__all__ = ["DEFAULT_PRELOAD", "ForkServer"]

DEFAULT_PRELOAD = (
    "numpy",
    "torch",
    "safetensors.torch",
    "matplotlib.pyplot",
    "matplotlib_inline.backend_inline",
    "IPython.core.completer",
    "grader.reference.mnist",
    "grader.harness.serve",
)
_START_S = 60.0
_PROBE_BOUNDS = {"memory_mib": 256, "processes": 16, "cpu_s": 10, "file_size_mib": 1, "scratch_mib": 1}
_PASSED_ON = ("LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH")


class ForkServer:
    """
    A warm process, from which kernels are forked. May be used from many threads at once.

    It is started on first use, and again if it died. It is a fresh interpreter with a clean environment: what the
    grader knows is not in its memory, so not in a kernel's.

    Args:
        preload: Modules to import; those that are not there are left out.
        hide: Paths within the Python installation that no kernel may see.
        watched: Whether anybody looks at what cells show. Drawing figures costs more than most cells do.
    """

    def __init__(
        self, *, preload: Sequence[str] = DEFAULT_PRELOAD, hide: Sequence[Path] = (), watched: bool = True
    ) -> None:
        self._preload = tuple(preload)
        self._watched = watched
        self._hide = tuple(str(Path(path).resolve()) for path in hide)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._layers: tuple[str, ...] | None = None
        self._is_warm = False
        self._is_closed = False

    @staticmethod
    def is_available() -> bool:
        """Whether this platform can fork a kernel: Linux only."""
        return sys.platform == "linux" and hasattr(os, "fork") and hasattr(os, "pidfd_open")

    @property
    def layers(self) -> tuple[str, ...]:
        """
        The layers that a kernel gets here, probed in a process that was forked for it.

        Raises:
            SandboxError: There is no forkserver, or it forks nothing.
        """
        if self._layers is None:
            self._layers = self._probe()
        return self._layers

    @property
    def pid(self) -> int | None:
        """The warm process, if it runs."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def begin(self) -> None:
        """Start the warm process, if it does not run, and do not wait for it."""
        with self._lock:
            self._launched()

    def start(self) -> None:
        """Start the warm process, if it does not run, and wait until it is warm."""
        with self._lock:
            self._connected()

    def submit(self, request: dict[str, Any], descriptors: Sequence[int]) -> None:
        """Hand over one request; what becomes of it is told over the first of the descriptors."""
        packet = json.dumps(request).encode()
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
        with self._lock:
            for attempt in (1, 2):
                control = self._connected()
                try:
                    control.sendmsg([packet], rights)
                except OSError as error:
                    self._disconnect()
                    if attempt == 2:
                        raise SandboxError("The forkserver does not take requests.", "Try `grader doctor`.") from error
                else:
                    return

    def close(self, *, wait: bool = True) -> None:
        """End the warm process, and with it every kernel that it forked; or let it end by itself, which it does now."""
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
        with contextlib.suppress(Exception):
            self._disconnect()

    def _connected(self) -> socket.socket:
        control = self._launched()
        if not self._is_warm:
            control.settimeout(_START_S)
            try:
                self._is_warm = bool(control.recv(1 << 10))
            except OSError:
                self._is_warm = False
            if not self._is_warm:
                self._disconnect()
                raise SandboxError("The forkserver did not start.", "What it said is on standard error.")
            control.settimeout(None)
        return control

    def _launched(self) -> socket.socket:
        if self._is_closed:
            raise SandboxError("The forkserver was closed.")
        if self._process is not None and self._process.poll() is not None:
            self._disconnect()
        if self._control is None:
            self._control = self._launch()
        return self._control

    def _disconnect(self, *, wait: bool = True) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            if not self._is_warm:  # it would not look before it is, and there is no kernel yet
                self._process.kill()
            self._is_warm = False
            try:
                self._process.wait(5 if wait else 0)
            except subprocess.TimeoutExpired:
                if wait:
                    self._process.kill()
                    self._process.wait()
                else:
                    self._process.returncode = 0  # nobody is going to ask, and Popen would complain of that
            self._process = None

    def _launch(self) -> socket.socket:
        if not self.is_available():
            raise SandboxError("This platform cannot fork kernels.", "Use Linux, or a Linux container.")
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        options = {"control": theirs.fileno(), "preload": self._preload, "hide": self._hide, "watched": self._watched}
        own, *others = _import_folders()
        code = (
            # Imports leave no garbage worth looking for, and looking takes a fifth of their time.
            f"import gc, sys; gc.disable(); sys.path[:0] = [p for p in {[own]!r} if p not in sys.path]; "
            f"sys.path += [p for p in {others!r} if p not in sys.path]; "
            "from grader.sandbox.forkserver import main; main(sys.argv[1])"
        )
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - ourselves
                [sys.executable, "-I", "-X", "frozen_modules=on", "-c", code, json.dumps(options)],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=_environment(),
                cwd="/",
                start_new_session=True,
            )
        return ours

    def _probe(self) -> tuple[str, ...]:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        channel, other_end = socket.socketpair()
        with ours, theirs, channel, other_end, tempfile.TemporaryDirectory(prefix="grader-") as scratch:
            request = {"probe": True, "listeners": [], "bounds": _PROBE_BOUNDS, "scratch": scratch}
            self.submit(request, [theirs.fileno(), other_end.fileno()])
            theirs.close()
            ours.settimeout(_START_S)
            report: dict[str, Any] = {}
            with contextlib.suppress(OSError):
                report = json.loads(ours.recv(1 << 16) or b"{}")
                while ours.recv(1 << 16):  # until the probe is gone
                    pass
        if "layers" not in report:
            raise SandboxError("The forkserver forks nothing.", "Try `grader doctor`.")
        return tuple(report["layers"])


def _environment() -> dict[str, str]:
    """What a student's process may know: an allow-list, with nothing of ours in it."""
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    environment.setdefault("LANG", "C.UTF-8")
    return environment | {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin"]),
        "HOME": str(Path.home()),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "2",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _import_folders() -> list[str]:
    """Where this interpreter finds the grader, then what it needs: the warm one must find the same."""
    folders: dict[str, None] = {}
    for name in ("grader", "ipykernel", "torch", "numpy", "zmq", "matplotlib"):
        spec = find_spec(name)
        if spec is not None and spec.origin is not None:
            folders[str(Path(spec.origin).resolve().parent.parent)] = None
    return list(folders)
