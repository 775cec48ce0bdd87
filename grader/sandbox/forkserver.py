"""
The warm process: imports everything once, then forks a supervised kernel in a sandbox for each request.

It has one thread, knows no secret, and ends when its socket is closed. A request is one packet of JSON with
descriptors. The first of them is the kernel's own control socket, which the kernel's supervisor serves.

    caller ── control ──► warm process
       └───── one per kernel ──► supervisor ──► kernel (process 1 of its namespace) ──► what untrusted code starts
"""

# While the root changes, a plain string shows best which path is meant.
# ruff: noqa: PTH116

from __future__ import annotations

import array
import contextlib
import dataclasses
import functools
import gc
import importlib
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

from grader.sandbox.bounds import KERNEL_USERS, Bounds
from grader.sandbox.cgroup import Tree
from grader.sandbox.inside import run_inside
from grader.sandbox.installation import view_of_installation
from grader.sandbox.kernel import prepare_kernel, warm_up_tracebacks
from grader.sandbox.layers import Identity, namespace_ids, write_id_maps
from grader.sandbox.pages import use_huge_pages
from grader.sandbox.processes import memory_mib, size_of_self
from grader.sandbox.seccomp import Outsiders, build_filter
from grader.sandbox.state import WarmState
from grader.sandbox.supervisor import Supervisor, run_and_exit

__all__ = ["main"]

_PACKET = 1 << 16
_MOST_DESCRIPTORS = 64
_END_TIMEOUT_S = 1.0
_IDLE_S = 0.05


class _Server:
    def __init__(
        self,
        control: socket.socket,
        *,
        preload: str,
        own: list[str],
        secrets: list[str],
        watched: bool,
        settles: bool,
        channel_variable: str,
    ) -> None:
        self.control = control
        self.settles = settles
        self.look = functools.partial(view_of_installation, own=own, secrets=[Path(path) for path in secrets])
        self.users: Iterator[int] = itertools.cycle(KERNEL_USERS)
        app = prepare_kernel(watched=watched)  # first, since what is preloaded may look for the shell
        self.preloaded = importlib.import_module(preload) if preload else None
        self._call_preloaded("prepare", watched=watched)
        filters, asking_filters = {}, {}
        with contextlib.suppress(OSError):
            filters = {
                (True, True): build_filter(unix_sockets=True),
                (False, True): build_filter(unix_sockets=True, outsiders=Outsiders.REFUSED),
                (False, False): build_filter(unix_sockets=False, outsiders=Outsiders.REFUSED),
            }
            asking_filters = {
                unix: build_filter(unix_sockets=unix, outsiders=Outsiders.ASKED) for unix in (False, True)
            }
        self.warm = WarmState(
            app=app,
            call_preloaded=self._call_preloaded,
            channel_variable=channel_variable,
            view=self.look(),
            namespaces=namespace_ids(),
            root_device=os.stat("/").st_dev,
            has_own_users=_can_assign_users(),
            filters=filters,
            asking_filters=asking_filters,
            size=size_of_self(),
            memory_mib=memory_mib("self", exact=False),
        )
        self.groups = Tree.find()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # supervisors become no zombies
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is meant for the caller, which then closes the socket
        sys.dont_write_bytecode = True
        gc.freeze()
        gc.enable()

    def serve(self) -> None:
        """Answer requests until the caller has closed the socket."""
        self.control.send(b'{"ready": true}')
        has_settled = not self.settles
        for served in itertools.count():
            if served and not has_settled and not select.select([self.control], [], [], _IDLE_S)[0]:
                has_settled = True
                self._settle()
            packet, descriptors = _receive_packet(self.control)
            if not packet:
                break
            self._start(json.loads(packet), descriptors)
        until = time.monotonic() + _END_TIMEOUT_S
        while self.groups is not None and not self.groups.remove_empty() and time.monotonic() < until:
            time.sleep(0.01)  # supervisors have noticed that the caller has gone, and are ending

    def _settle(self) -> None:
        """Prepare for more kernels while the first one is busy: a caller that wants only one does not wait for it."""
        warm_up_tracebacks(self.warm.app)
        self._call_preloaded("settle")
        gc.collect()
        gc.freeze()
        use_huge_pages()
        self.warm = dataclasses.replace(self.warm, size=size_of_self(), memory_mib=memory_mib("self", exact=False))

    def _call_preloaded(self, name: str, *arguments: Any, **named: Any) -> None:
        function = getattr(self.preloaded, name, None)
        if function is not None:
            function(*arguments, **named)

    def _start(self, request: dict[str, Any], descriptors: list[int]) -> None:
        if not self.warm.view.is_current:
            self.warm = dataclasses.replace(self.warm, view=self.look())
        identity = Identity(os.geteuid(), os.getegid())
        if self.warm.has_own_users:
            user = next(self.users)
            identity = Identity(user, user)
            with contextlib.suppress(FileNotFoundError):  # the caller may have gone already
                os.chown(request["scratch"], user, user)
        bounds = Bounds(**request["bounds"])
        group = self.groups.make(bounds, warm_mib=self.warm.memory_mib) if self.groups is not None else None
        our_end, supervisors_end = socket.socketpair()
        process = os.fork()
        if process == 0:
            run_and_exit(
                lambda: Supervisor(
                    self.warm, request, bounds, descriptors, identity, supervisors_end, group, run_inside
                ).run()
            )
        supervisors_end.close()
        for descriptor in descriptors:
            os.close(descriptor)
        if group is not None:
            group.supervisor = process
            group.close()
        with our_end:
            if self.warm.has_own_users and our_end.recv(1):  # nothing arrives if namespaces were refused
                with contextlib.suppress(OSError):
                    write_id_maps(process, identity)
                    our_end.send(b"1")


def _can_assign_users() -> bool:
    """Whether we are root, may become other users, and have all of the ids that kernels get."""
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
        if not any(first <= KERNEL_USERS.start and KERNEL_USERS.stop <= first + count for first, _, count in ranges):
            return False
    return True


def _receive_packet(control: socket.socket) -> tuple[bytes, list[int]]:
    packet, ancillary, _, _ = control.recvmsg(
        _PACKET, socket.CMSG_SPACE(_MOST_DESCRIPTORS * 4), socket.MSG_CMSG_CLOEXEC
    )
    descriptors = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
    return packet, descriptors.tolist()


def main(descriptor: int) -> None:
    """Run the server on this socket, from which it first reads the options of `ForkServer` as a JSON object."""
    control = socket.socket(fileno=descriptor)
    options = json.loads(control.recv(_PACKET))
    with control, contextlib.suppress(ConnectionError):  # the caller may have gone by now
        _Server(control, **options).serve()
    os._exit(0)  # the caller may be waiting, and there is nothing to clean up
