"""
A warm process that forks kernels: everything slow is imported once, no operation has run, no thread was started.

`python -m grader.walls.forkserver FD` serves requests from a socket (`grader.walls.server` is the other end) until it
is closed. It is a fresh interpreter with a clean environment: nothing of the grader's is in the memory that students'
processes inherit.

For each request:

    forkserver ─ fork ─► supervisor ─ new namespaces, fork ─► kernel, PID 1 of its own world
                           waits                              builds its root, drops everything, starts IPython

If any of the three dies, the ones to its right are killed by Linux.
"""

from __future__ import annotations

import array
import contextlib
import gc
import importlib
import json
import os
import signal
import socket
import sys
from typing import Any

from grader.walls import layers
from grader.walls.confine import confine

__all__ = ["PRELOAD", "main"]

PRELOAD = (
    "torch",
    "numpy",
    "IPython",
    "ipykernel.kernelapp",
    "ipykernel.ipkernel",
    "ipykernel.zmqshell",
    "matplotlib",
    "matplotlib.figure",
    "matplotlib.pyplot",
    "matplotlib_inline.backend_inline",
    "matplotlib.backends.backend_agg",
    "safetensors.torch",
    "grader.data",
    "grader.harness",
    "IPython.core.completerlib",
    "IPython.core.ultratb",
    "PIL.PngImagePlugin",
)
MESSAGE_LIMIT_BYTES = 1 << 16


def main(descriptor: int) -> None:
    """Serve until the socket is closed."""
    layers.die_with_parent()
    with socket.socket(fileno=descriptor) as control:
        _preload()
        control.send(json.dumps({"ready": True}).encode())
        signal.signal(signal.SIGCHLD, _reap)
        while True:
            message, descriptors = _receive(control)
            if not message:
                return
            report, channel = descriptors
            if os.fork() == 0:
                control.close()
                _supervise(json.loads(message), report, channel)
            os.close(report)
            os.close(channel)


def _preload() -> None:
    for name in PRELOAD:
        importlib.import_module(name)
    import torch
    from grader.data import read_split

    torch.set_num_threads(1)
    read_split("test")
    gc.collect()
    gc.freeze()


def _reap(*_: object) -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _receive(control: socket.socket) -> tuple[bytes, list[int]]:
    descriptors = array.array("i")
    message, ancillary, _, _ = control.recvmsg(MESSAGE_LIMIT_BYTES, socket.CMSG_SPACE(2 * descriptors.itemsize))
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(data)
    return message, list(descriptors)


def _supervise(request: dict[str, Any], report: int, channel: int) -> None:
    """Enter new namespaces, fork the kernel into them, and wait for it."""
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        layers.die_with_parent()
        with socket.socket(fileno=report) as reporting:
            entered = _enter_namespaces()
            kernel = os.fork()
            if kernel == 0:
                try:
                    _become_kernel(request, reporting, channel, entered)
                except BaseException as error:
                    import traceback; reporting.send(json.dumps({"error": traceback.format_exc()[-3000:]}).encode())
                finally:
                    os._exit(1)
            os.close(channel)
            _send(reporting, {"started": True}, [os.pidfd_open(kernel)])
        os.waitpid(kernel, 0)
    finally:
        os._exit(0)


def _send(reporting: socket.socket, message: dict[str, Any], descriptors: list[int]) -> None:
    rights = array.array("i", descriptors).tobytes()
    reporting.sendmsg([json.dumps(message).encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])


def _enter_namespaces() -> list[str]:
    """As many as may be had; the user namespace comes last for root, who needs its powers to build the others."""
    wanted = dict(layers.NAMESPACES)
    if os.geteuid() == 0:
        del wanted["user_namespace"]
    user, group = os.getuid(), os.getgid()
    flags = 0
    for flag in wanted.values():
        flags |= flag
    try:
        layers.enter_namespaces(flags)
        if user != 0:
            layers.map_user(user, user, group)
    except OSError:
        return []
    return list(wanted)


def _become_kernel(request: dict[str, Any], reporting: socket.socket, channel: int, entered: list[str]) -> None:
    layers.die_with_parent()
    confined = confine(request, entered)
    os.environ.clear()
    os.environ.update(request["environment"], GRADER_CHANNEL=f"fd:{channel}")
    os.environ.update(dict.fromkeys(("HOME", "TMPDIR", "IPYTHONDIR", "MPLCONFIGDIR"), confined.scratch))
    os.environ["USER"] = "student"
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    os.close(nowhere)

    from ipykernel.kernelapp import IPKernelApp
    from traitlets.config import Config

    connection = f"{confined.scratch}/connection.json"
    descriptor = os.open(connection, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(request["connection"] | {"ip": f"{confined.sockets}/ipc"}, file)
    application = IPKernelApp.instance(connection_file=connection, parent_handle=0)
    application.update_config(Config({"HistoryManager": {"enabled": False}}))
    application.initialize([])
    os.chdir(confined.scratch)
    folder = os.open(confined.sockets, os.O_PATH | os.O_DIRECTORY)
    _send(reporting, {"ready": True, "layers": confined.probe()}, [folder])
    os.close(folder)
    reporting.close()
    application.start()


if __name__ == "__main__":
    main(int(sys.argv[1]))
