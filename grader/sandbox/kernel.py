"""
An IPython kernel that is built before the fork, and gets its sockets after it.

`prepare_kernel` does all that takes time and needs neither threads nor sockets: once, in the warm process. `run_kernel`
does the rest in the forked process. The sockets are bound and listening before the kernel exists. So the kernel makes
no file for them and shares no folder with another process, and a client may connect at once.
"""

from __future__ import annotations

import importlib
import logging
import os
import subprocess
import sys
import types
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import zmq
from ipykernel import ipkernel
from ipykernel.compiler import XCachingCompiler
from ipykernel.iostream import IOPubThread, OutStream
from ipykernel.ipkernel import IPythonKernel
from ipykernel.kernelapp import IPKernelApp
from ipykernel.zmqshell import ZMQInteractiveShell
from IPython.core.profiledir import ProfileDir
from traitlets import observe
from traitlets.config import Config

__all__ = ["prepare_kernel", "run_kernel", "warm_up_tracebacks"]


class BoundedStream(OutStream):
    """
    Standard output with a limit: what is printed past it is dropped, and one line says so.

    This helps against mistakes. The protection against intent is on the other side of the sockets.
    """

    left_bytes = 1 << 20
    _is_clean = True

    def flush(self) -> None:
        """Send what was written, and wait until it is sent; if nothing was, do not wake the thread that sends."""
        if not self._is_clean:
            self._is_clean = True
            super().flush()  # type: ignore[no-untyped-call]

    def _schedule_flush(self) -> None:
        self._is_clean = False
        super()._schedule_flush()  # type: ignore[no-untyped-call]

    def write(self, string: str) -> int:
        """Write as much as the limit allows."""
        if self.left_bytes <= 0 or not isinstance(string, str):
            return len(string) if isinstance(string, str) else int(super().write(string) or 0)
        self.left_bytes -= len(string)
        if self.left_bytes <= 0:
            super().write(string[: self.left_bytes + len(string)] + "\n[more was printed than is kept]\n")
        else:
            super().write(string)
        return len(string)


class _NoProfile(ProfileDir):
    """A profile that is never read, and has no folder."""

    @observe("location")
    def _location_changed(self, change: object) -> None:
        pass


class _ForkedKernelApp(IPKernelApp):
    """The kernel's application, with sockets that were bound elsewhere."""

    listeners: Mapping[int, int] = {}
    prepared_shell: Any = None

    def _bind_socket(self, socket: Any, port: int) -> int:
        socket.setsockopt(zmq.USE_FD, self.listeners[port])
        socket.bind(f"ipc://{self.ip}-{port}")  # the name has no effect: the descriptor is bound already
        return port

    def init_control(self, context: Any) -> None:
        """As in the base class, but without the thread for subshells: each cell would wake it, and it has no use."""
        super().init_control(context)  # type: ignore[no-untyped-call]
        self.shell_channel_thread = None

    def init_iopub(self, context: Any) -> None:
        """As in the base class, but without a socket for the output of forked children: it would be a TCP socket."""
        self.iopub_socket = context.socket(zmq.XPUB)
        self.iopub_socket.xpub_verbose = True  # every subscriber gets an `iopub_welcome`, not only the first
        self.iopub_socket.sndhwm = 20_000  # messages that the reader has no room for wait in this process's memory
        self.iopub_port = self._bind_socket(self.iopub_socket, self.iopub_port)
        self.configure_tornado_logger()  # type: ignore[no-untyped-call]
        self.iopub_thread = IOPubThread(self.iopub_socket, pipe=False, session=self.session)
        self.iopub_thread.start()
        self.iopub_socket = self.iopub_thread.background_socket

    def init_heartbeat(self) -> None:
        """No heartbeat: it needs a thread and a context, and the supervisor knows whether the kernel lives."""


class _SysWithoutModules(types.ModuleType):
    """`sys` without modules, for the kernel class: it would touch all of them for the debugger, which copies memory."""

    modules: Mapping[str, types.ModuleType] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(sys, name)


class _TerseKernel(IPythonKernel):
    """Sends when a cell has ended, and its result; not that a cell has begun, and not the code that it was sent."""

    def _publish_execute_input(self, code: str, parent: Any, execution_count: int) -> None:
        pass

    def _publish_status(self, status: str, channel: str, parent: Any = None) -> None:
        if status == "idle":
            super()._publish_status(status, channel, parent)  # type: ignore[no-untyped-call]


class _ForkedShell(ZMQInteractiveShell):
    """A shell without a terminal."""

    def system(self, cmd: str) -> None:
        """Run a `!command`, and show what it prints."""
        command = self.var_expand(cmd, depth=1)  # type: ignore[no-untyped-call]
        with subprocess.Popen(  # noqa: S602 - `!command` means: run it in a shell
            command, shell=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as process:
            try:
                assert process.stdout is not None
                for line in process.stdout:
                    sys.stdout.write(line.decode(errors="replace"))
            except KeyboardInterrupt:
                process.kill()
                raise
        self.user_ns["_exit_code"] = process.returncode


def prepare_kernel(*, watched: bool = True) -> Any:
    """
    The kernel's application with its shell, before the fork: no thread is started, and no socket is made.

    Call it before you import matplotlib's inline backend, which then finds the shell.

    Args:
        watched: Whether anybody looks at what cells show. If not, figures are still made and closed, but not drawn,
            tracebacks are short, and the kernel sends two messages less for each cell.
    """
    # The debugger has no use here, and importing it takes longer than all the rest.
    no_debugger: Any = types.ModuleType("ipykernel.debugger")
    no_debugger._is_debugpy_available = False
    no_debugger.Debugger = type("Debugger", (), {})
    sys.modules["ipykernel.debugger"] = no_debugger
    ipkernel.sys = _SysWithoutModules("sys")

    config = Config({"HistoryManager": {"enabled": False}})
    if not watched:
        config.InlineBackend.figure_formats = set()
        config.InteractiveShell.xmode = "Minimal"
    app = _ForkedKernelApp.instance(config=config)
    if not watched:
        app.kernel_class = _TerseKernel
    app.log.setLevel(logging.WARNING)
    app.outstream_class = f"{__name__}.{BoundedStream.__name__}"
    app.profile_dir = _NoProfile(location="/nowhere")
    app.init_pdb()  # type: ignore[no-untyped-call]
    app.prepared_shell = _ForkedShell.instance(
        parent=app, profile_dir=app.profile_dir, user_ns={}, compiler_class=XCachingCompiler
    )
    _warm_up(app.prepared_shell)
    return app


def _warm_up(shell: Any) -> None:
    """Run what every notebook runs, so that what it imports and caches is there."""
    for name in ("tornado.platform.asyncio", "IPython.core.logger"):
        importlib.import_module(name)
    shell.run_cell("import sys\nsys", store_history=False, silent=True)
    shell.user_ns.pop("sys", None)
    shell.display_formatter.format(1)


def warm_up_tracebacks(app: Any) -> None:
    """Format a traceback: the first one takes long. Done later than the rest, since few notebooks need it."""
    try:
        exec(compile("1 / 0", "<a cell>", "exec"), {})  # noqa: S102 - our own code
    except ZeroDivisionError:
        app.prepared_shell.InteractiveTB.structured_traceback(*sys.exc_info())


def run_kernel(
    app: Any, *, key: bytes, listeners: Mapping[str, int], name: str, output_bytes: int, ready: Callable[[], None]
) -> None:
    """
    Serve until killed.

    Args:
        app: From `prepare_kernel`.
        key: Signs messages.
        listeners: The descriptor of a listening unix socket for each channel of the kernel. The first one is that of
            port 1, and so on.
        name: The names of the sockets, without their port numbers.
        output_bytes: Characters of standard output that are kept, and as many of standard error.
        ready: Called as soon as the kernel answers requests.
    """
    app.listeners = dict(enumerate(listeners.values(), 1))
    app.transport, app.ip = "ipc", name
    for port, channel in enumerate(listeners, 1):
        setattr(app, f"{channel}_port", port)
    session = app.session
    session.session = uuid.uuid4().hex
    session.pid = os.getpid()
    session.key = key
    BoundedStream.left_bytes = output_bytes
    app.init_sockets()
    app.init_io()
    app.init_signal()
    app.init_kernel()
    app.kernel._execute_sleep = 0  # a pause that lets output arrive before the reply, which nobody needs
    shell = app.prepared_shell
    shell.kernel, shell.parent = app.kernel, app.kernel
    app.init_shell()
    ready()
    app.start()
