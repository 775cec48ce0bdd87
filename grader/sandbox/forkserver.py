"""
The warm process: imports everything once, then forks a supervised, sandboxed kernel for each request.

It has one thread, is given no secret, and ends when its socket is closed. A request is one
packet of JSON with descriptors; the first of them is that kernel's own control socket, which its supervisor serves.

    grader ── control ──► forkserver
       └───── one per kernel ──► supervisor ──► kernel (process 1 of its namespace) ──► what student code starts
"""

# Between two roots, plain strings say best which path is meant.
# ruff: noqa: PTH116

from __future__ import annotations

import array
import contextlib
import dataclasses
import gc
import importlib
import io
import itertools
import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from grader.sandbox.cgroup import Tree
from grader.sandbox.installation import view_of_installation
from grader.sandbox.kernel import prepare_kernel, warm_up_tracebacks
from grader.sandbox.layers import Bounds, Identity, namespace_ids, write_maps_of
from grader.sandbox.pages import use_huge_pages
from grader.sandbox.processes import memory_mib, size_of_self
from grader.sandbox.seccomp import build_filter
from grader.sandbox.supervisor import Supervisor, Warm, run_and_exit

__all__ = ["main"]

_USERS = range(61184, 65520)  # what systemd gives to dynamic users: nobody else's
_PACKET = 1 << 16
_PATIENCE_S = 1.0
_REST_S = 0.05


class _Server:
    def __init__(self, control: socket.socket, preload: list[str], hide: list[str], *, watched: bool) -> None:
        self.control = control
        self.users: Iterator[int] = itertools.cycle(_USERS)
        app = _import_everything(preload, watched=watched)
        filters = {}
        with contextlib.suppress(OSError):
            filters = {isolated: build_filter(unix_sockets=isolated) for isolated in (False, True)}
        self.warm = Warm(
            app=app,
            view=view_of_installation(hide=map(Path, hide)),
            namespaces=namespace_ids(),
            root_device=os.stat("/").st_dev,
            gives_users=_can_give_users(),
            filters=filters,
            size=size_of_self(),
            memory_mib=memory_mib("self", exact=False),
        )
        self.groups = Tree.find()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # supervisors leave no zombies
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the grader, which closes the socket
        gc.freeze()
        gc.enable()

    def serve(self) -> None:
        """Answer requests until the grader is gone."""
        self.control.send(b'{"ready": true}')
        has_settled = False
        for served in itertools.count():
            if served and not has_settled and not select.select([self.control], [], [], _REST_S)[0]:
                has_settled = True
                self._settle()
            packet, descriptors = _receive_packet(self.control)
            if not packet:
                break
            self._start(json.loads(packet), descriptors)
        until = time.monotonic() + _PATIENCE_S
        while self.groups is not None and not self.groups.remove_empty() and time.monotonic() < until:
            time.sleep(0.01)  # supervisors have seen that the grader is gone, and are ending

    def _settle(self) -> None:
        """Get ready for more kernels, while the first is at work: whoever wants only one does not wait for this."""
        warm_up_tracebacks(self.warm.app)
        if "grader.harness.serve" in sys.modules:
            sys.modules["grader.harness.serve"].warm_up()
        if "matplotlib.pyplot" in sys.modules:
            _plot_once(sys.modules["matplotlib.pyplot"])
        gc.collect()
        gc.freeze()
        use_huge_pages()
        self.warm = dataclasses.replace(self.warm, size=size_of_self(), memory_mib=memory_mib("self", exact=False))

    def _start(self, request: dict[str, Any], descriptors: list[int]) -> None:
        identity = Identity(os.geteuid(), os.getegid())
        if self.warm.gives_users:
            user = next(self.users)
            identity = Identity(user, user)
            with contextlib.suppress(FileNotFoundError):  # whoever asked is gone already
                os.chown(request["scratch"], user, user)
        bounds = Bounds(**request["bounds"])
        group = self.groups.make(bounds, warm_mib=self.warm.memory_mib) if self.groups is not None else None
        ours, theirs = socket.socketpair()
        process = os.fork()
        if process == 0:
            run_and_exit(lambda: Supervisor(self.warm, request, bounds, descriptors, identity, theirs, group).run())
        theirs.close()
        for descriptor in descriptors:
            os.close(descriptor)
        if group is not None:
            group.supervisor = process
            group.close()
        with ours:
            if self.warm.gives_users and ours.recv(1):  # nothing comes where namespaces were refused
                with contextlib.suppress(OSError):
                    write_maps_of(process, identity)
                    ours.send(b"1")


def _can_give_users() -> bool:
    """Whether we are root, with the power to make others of ourselves, and the users to give are there to be given."""
    if os.geteuid() != 0:
        return False
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
    set_users_and_groups = 1 << 6 | 1 << 7 | 1 << 0  # CAP_SETGID, CAP_SETUID, CAP_CHOWN
    if int(status["CapEff"], 16) & set_users_and_groups != set_users_and_groups:
        return False
    for kind in ("uid", "gid"):
        ranges = [
            [int(field) for field in line.split()] for line in Path(f"/proc/self/{kind}_map").read_text().splitlines()
        ]
        if not any(first <= _USERS.start and _USERS.stop <= first + count for first, _, count in ranges):
            return False
    return True


def _receive_packet(control: socket.socket) -> tuple[bytes, list[int]]:
    packet, ancillary, _, _ = control.recvmsg(_PACKET, socket.CMSG_SPACE(16 * 4), socket.MSG_CMSG_CLOEXEC)
    descriptors = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
    return packet, descriptors.tolist()


def _import_everything(preload: list[str], *, watched: bool) -> Any:
    app = prepare_kernel(watched=watched)
    for name in preload:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    if "torch" in sys.modules:
        torch = sys.modules["torch"]
        torch.set_num_threads(1)
        torch.zeros(8).half().sum()  # has it look at /proc/cpuinfo, which a kernel does not see
    if "grader.reference.mnist" in sys.modules:
        sys.modules["grader.reference.mnist"].prepare_mnist()  # what every notebook reads
    if "matplotlib.pyplot" in sys.modules:
        pyplot = sys.modules["matplotlib.pyplot"]
        pyplot.switch_backend(os.environ["MPLBACKEND"])
        if not watched:
            pyplot.uninstall_repl_displayhook()  # which has every figure drawn after each cell
    return app


def _plot_once(pyplot: Any) -> None:
    """Find fonts and colours."""
    pyplot.figure(figsize=(1, 1))
    pyplot.imshow([[0, 1]])
    pyplot.plot([0, 1])
    pyplot.title("0")
    pyplot.savefig(io.BytesIO(), format="png")
    pyplot.close("all")


def main(arguments: str) -> None:
    """Run the server. `arguments` is JSON: the number of the control socket, and what `ForkServer` was given."""
    options = json.loads(arguments)
    control = socket.socket(fileno=options["control"])
    with control, contextlib.suppress(ConnectionError):  # whoever was to want kernels may have left by now
        _Server(control, options["preload"], options["hide"], watched=options["watched"]).serve()
    os._exit(0)  # somebody waits, and there is nothing to tidy up
