"""
An IPython kernel that is built before the fork, and gets its sockets after it.

`prepare_kernel` does all that takes time and needs neither threads nor sockets: once, in the warm process. `run_kernel`
does the rest in the forked process. The sockets are bound and listening before the kernel exists. So the kernel makes
no file for them and shares no folder with another process, and a client may connect at once.
"""

from __future__ import annotations

import asyncio
import builtins
import importlib
import importlib.util
import logging
import os
import subprocess
import sys
import threading
import types
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import zmq
from ipykernel import ipkernel, zmqshell
from ipykernel.compiler import XCachingCompiler
from ipykernel.iostream import IOPubThread, OutStream
from ipykernel.ipkernel import IPythonKernel
from ipykernel.kernelapp import IPKernelApp
from ipykernel.zmqshell import ZMQInteractiveShell
from IPython.core.profiledir import ProfileDir
from jupyter_client.session import Session
from jupyter_core.paths import jupyter_runtime_dir
from traitlets.config import Config

__all__ = ["prepare_kernel", "run_kernel", "warm_up_tracebacks"]

_EVALUE_CHARACTERS = 10_000
_IMPORT = builtins.__import__


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


class _NoShellChannelThread:
    """
    Stands for the thread that passes messages on to subshells: there is none, since every cell would wake it.

    ipykernel asks whether there is one, and which thread runs cells.
    """

    def __init__(self) -> None:
        self.parent_thread = threading.main_thread()

    def __bool__(self) -> bool:
        return False


class _ForkedKernelApp(IPKernelApp):
    """The kernel's application, with sockets that were bound elsewhere."""

    listeners: Mapping[int, int] = {}
    prepared_shell: Any = None

    def _bind_socket(self, socket: Any, port: int) -> int:
        socket.setsockopt(zmq.USE_FD, self.listeners[port])
        socket.bind(f"ipc://{self.ip}-{port}")  # the name has no effect: the descriptor is bound already
        return port

    def init_control(self, context: Any) -> None:
        """As in the base class, but without the thread for subshells."""
        super().init_control(context)  # type: ignore[no-untyped-call]
        self.shell_channel_thread = _NoShellChannelThread()

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


class _AskedTwice:
    """
    A function that gives an answer once more if it is asked the same again right afterwards.

    ipykernel asks the shell what each cell is in Python, and whether it awaits anything; and then IPython asks, too.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._known: tuple[object, Any] | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        asked = args, kwargs
        known, self._known = self._known, None
        if known is not None and known[0] == asked:
            return known[1]
        answer = self._function(*args, **kwargs)
        self._known = asked, answer
        return answer


class _QuietSession(Session):
    """Sends no more than a caller needs who only wants to know whether each cell succeeded, if it `is_quiet`."""

    is_quiet = False

    def send(self, stream: Any, msg_or_type: Any, content: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Send replies, with errors cut short, and which state the kernel is in; nothing that cells show."""
        if self.is_quiet:
            kind = msg_or_type["header"]["msg_type"] if isinstance(msg_or_type, dict) else msg_or_type
            if kind == "execute_reply" and isinstance(content, dict):
                content = {**content, "payload": []}
                if content.get("status") == "error":
                    content |= {"evalue": str(content.get("evalue"))[:_EVALUE_CHARACTERS], "traceback": []}
            elif kind != "status" and not kind.endswith("_reply"):
                return None
        return super().send(stream, msg_or_type, content, *args, **kwargs)


class _ForkedKernel(IPythonKernel):
    """
    A kernel without subshells, which can be asked to serve on its channel, and which answers every cell.

    Attributes:
        take_over: Called in the main thread for a message of the type `serve_request`.
    """

    _supports_kernel_subshells = False
    take_over: Callable[[], object] = staticmethod(lambda: None)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)  # type: ignore[no-untyped-call]
        self.shell_handlers["serve_request"] = lambda *_: self.take_over()

    def _abort_queues(self, subshell_id: str | None = None) -> None:  # noqa: ARG002
        """As in the base class with subshells: what waits already is aborted, and what arrives later is not."""

        async def stop_aborting() -> None:
            async with self._main_asyncio_lock:  # in line behind the requests that wait for it
                self._aborting = False

        self._aborting = True
        assert self.shell_stream is not None
        self.shell_stream.flush()
        self._stopping = asyncio.ensure_future(stop_aborting())  # held, or it might be collected before it has run

    async def execute_request(self, stream: Any, ident: Any, parent: Any) -> None:
        """As in the base class. If it cannot describe an exception, such as one that raises when shown, say that."""
        try:
            await super().execute_request(stream, ident, parent)  # type: ignore[no-untyped-call]
        except Exception as error:
            assert self.session is not None
            self.session.send(
                stream,
                "execute_reply",
                {
                    "status": "error",
                    "execution_count": self.execution_count,
                    "ename": type(error).__name__,
                    "evalue": "the exception cannot be shown",
                    "traceback": [],
                    "user_expressions": {},
                    "payload": [],
                },
                parent=parent,
                ident=ident,
            )
        finally:
            _mend_imports()


class _UnwatchedKernel(_ForkedKernel):
    """Sends when a cell has ended, and its result; not that a cell has begun. It does not end because a cell asks."""

    def _publish_execute_input(self, code: str, parent: Any, execution_count: int) -> None:
        pass

    def _publish_status(self, status: str, channel: str, parent: Any = None) -> None:
        if status == "idle":
            super()._publish_status(status, channel, parent)  # type: ignore[no-untyped-call]

    def do_shutdown(self, restart: bool) -> dict[str, Any]:  # type: ignore[override]  # as in IPythonKernel
        """Stay: cells call this to start anew after an installation, or to end a session that is over."""
        return {"status": "ok", "restart": restart}


def _mend_imports() -> None:
    """Undo that a cell has replaced `__import__` by what cannot import: nothing of IPython would work any more."""
    try:
        builtins.__import__("sys")
    except Exception:
        builtins.__import__ = _IMPORT


def _system(command: str) -> int:
    """
    Run a `!command` in the user's shell and show what it prints, as IPython's function does, but without a terminal.

    Returns:
        int: Its exit code; negative if a signal ended it.
    """
    with subprocess.Popen(  # noqa: S602 - `!command` means: run it in a shell
        command,
        shell=True,
        executable=os.environ.get("SHELL"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                sys.stdout.write(line.decode(errors="replace"))
        except KeyboardInterrupt:
            process.kill()
    return process.returncode if process.returncode <= 128 else 128 - process.returncode


def prepare_kernel(*, watched: bool = True) -> Any:
    """
    The kernel's application with its shell, before the fork: no thread is started, and no socket is made.

    Call it before you import matplotlib's inline backend, which then finds the shell.

    Args:
        watched: Whether anybody looks at what cells show. If not, figures are still made and closed, but not drawn,
            tracebacks are short, the kernel sends two messages less for each cell, and `exit()` in a cell has no
            effect, since nobody would start the kernel again.
    """
    # The debugger has no use here, and importing it takes longer than all the rest.
    no_debugger: Any = types.ModuleType("ipykernel.debugger")
    no_debugger._is_debugpy_available = False
    no_debugger.Debugger = type("Debugger", (), {})
    sys.modules["ipykernel.debugger"] = no_debugger
    sys.breakpointhook = lambda *_, **__: None  # as with the debugger's package, as long as no debugger is attached
    ipkernel.sys = _SysWithoutModules("sys")
    zmqshell.system = _system  # type: ignore[assignment]

    config = Config({"HistoryManager": {"hist_file": ":memory:"}})  # a file needs a thread, and nobody reads it
    if not watched:
        config.InlineBackend.figure_formats = set()
        config.InteractiveShell.xmode = "Minimal"
        ZMQInteractiveShell.ask_exit = lambda _: None  # type: ignore[method-assign]
    app = _ForkedKernelApp.instance(config=config)
    app.session = _QuietSession(parent=app)
    app.kernel_class = _ForkedKernel if watched else _UnwatchedKernel
    app.log.setLevel(logging.WARNING)
    app.outstream_class = f"{__name__}.{BoundedStream.__name__}"
    app.init_pdb()  # type: ignore[no-untyped-call]
    app.init_path()  # type: ignore[no-untyped-call]
    app.shell = app.prepared_shell = shell = ZMQInteractiveShell.instance(
        parent=app, ipython_dir="/", profile_dir=ProfileDir(), compiler_class=XCachingCompiler
    )
    shell.transform_cell = _AskedTwice(shell.transform_cell)  # type: ignore[method-assign]
    shell.should_run_async = _AskedTwice(shell.should_run_async)  # type: ignore[method-assign]
    app.init_extensions()  # type: ignore[no-untyped-call]
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
    app: Any,
    *,
    begin: Callable[[], None],
    key: bytes,
    listeners: Mapping[str, int],
    name: str,
    output_bytes: int,
    quiet: bool,
    ready: Callable[[], None],
    take_over: Callable[[Any], object],
) -> None:
    """
    Serve until killed, or until a client or a cell that somebody watches ends the kernel.

    Args:
        app: From `prepare_kernel`.
        begin: Called before the listeners are used.
        key: Signs messages.
        listeners: The descriptor of a listening unix socket for each channel of the kernel. The first one is that of
            port 1, and so on.
        name: The names of the sockets, without their port numbers.
        output_bytes: Characters of standard output that are kept, and as many of standard error.
        quiet: Send nothing that cells show, and errors without their tracebacks.
        ready: Called as soon as the kernel answers requests.
        take_over: Called with the shell when the client sends a message of the type `serve_request`.
    """
    app.listeners = dict(enumerate(listeners.values(), 1))
    app.transport, app.ip = "ipc", name
    for port, channel in enumerate(listeners, 1):
        setattr(app, f"{channel}_port", port)
    session = app.session
    session.session = uuid.uuid4().hex
    session.pid = os.getpid()
    session.key = key
    session.is_quiet = quiet
    BoundedStream.left_bytes = output_bytes
    shell = app.prepared_shell
    _settle_in(app, shell)
    begin()
    app.init_sockets()
    app.log_connection_info()
    app.init_io()
    app.init_signal()
    app.init_kernel()
    app.kernel._execute_sleep = 0  # a pause that lets output arrive before the reply, which nobody needs
    app.kernel.take_over = lambda: take_over(shell)
    shell.kernel, shell.parent = app.kernel, app.kernel
    app.init_shell()
    ready()
    app.start()
    app.close()


def _settle_in(app: Any, shell: Any) -> None:
    """Give the shell its folders, and the process what notebooks look for: a command line, a connection file."""
    folder = Path(os.environ["IPYTHONDIR"])
    profile = ProfileDir.create_profile_dir_by_name(folder, "default", config=app.config)
    app.ipython_dir = shell.ipython_dir = str(folder)
    app.profile_dir = shell.profile_dir = profile
    app.connection_file = str(Path(jupyter_runtime_dir(), f"kernel-{uuid.uuid4()}.json"))
    app.write_connection_file()
    launcher = importlib.util.find_spec("ipykernel_launcher")
    script = str(launcher.origin) if launcher is not None else "ipykernel_launcher.py"
    sys.argv[:] = [script, "-f", app.connection_file]
    os.environ["JPY_PARENT_PID"] = str(os.getppid())
    sys.orig_argv[:] = [sys.executable, "-m", "ipykernel_launcher", *sys.argv[1:]]
