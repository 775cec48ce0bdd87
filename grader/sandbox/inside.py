"""
The kernel's process, from its fork until untrusted code runs: how it gets inside.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import tempfile
from pathlib import Path

from grader.sandbox import linux
from grader.sandbox.descriptors import redirect_to_null
from grader.sandbox.environment import make_scratch
from grader.sandbox.errors import SandboxUnavailable
from grader.sandbox.layers import (
    OWN_PLACES,
    SCRATCH,
    build_root,
    change_user,
    give_up_powers,
    namespace_ids,
)
from grader.sandbox.probes import probe
from grader.sandbox.supervisor import Supervisor
from grader.sandbox.view import check_secrets

__all__ = ["run_inside"]


def run_inside(supervisor: Supervisor, to_supervisor: socket.socket) -> None:
    """Enter the sandbox in a process that was just forked, send its layers to the supervisor, and run the kernel."""
    _KernelProcess(supervisor, to_supervisor).run()


class _KernelProcess:
    """The kernel's process, from its fork until untrusted code runs."""

    def __init__(self, supervisor: Supervisor, to_supervisor: socket.socket) -> None:
        self.supervisor = supervisor
        self.to_supervisor = to_supervisor

    def run(self) -> None:
        """Enter the sandbox, send its layers to the supervisor, and run the kernel. If that fails, send why."""
        try:
            self._enter_and_run()
        except Exception as error:
            is_refusal = isinstance(error, SandboxUnavailable)
            message = {"refusal": error.args} if is_refusal else {"problem": f"{type(error).__name__}: {error}"[:1000]}
            with contextlib.suppress(OSError):
                self.to_supervisor.send(json.dumps(message).encode())
            raise

    def _enter_and_run(self) -> None:
        outer, warm = self.supervisor, self.supervisor.warm
        bounds = outer.bounds
        outer.control.close()
        if outer.group is not None:
            outer.group.close()
        os.setsid()
        inside = namespace_ids()
        has_root = outer.isolated and build_root(warm.view, bounds)
        if not has_root:
            change_user(outer.identity, isolated=outer.isolated, has_own_user=warm.has_own_users)
        if outer.isolated:
            linux.libc.sethostname(b"sandbox", 7)
        scratch = SCRATCH if has_root else Path(outer.request["scratch"])
        work, variables = make_scratch(scratch)
        os.chdir(work)
        os.environ.update(variables | {warm.channel_variable: f"fd:{outer.channel}"})
        tempfile.tempdir = None  # forget the folder that the warm process found
        redirect_to_null()
        call = outer.request.get("call")
        # Without a private root, only our own code may make unix sockets: others could reach those of the machine.
        has_unix_sockets = has_root or bool(call)
        gate = give_up_powers(
            warm.view,
            bounds,
            filter_program=warm.filters.get((has_root, has_unix_sockets)),
            asking_program=None if outer.isolated else warm.asking_filters.get(has_unix_sockets),
            scratch=scratch,
            initial_size=warm.size,
        )
        if gate is not None:
            socket.send_fds(self.to_supervisor, [b"gate"], [gate])
            os.close(gate)
        layers = probe(
            warm.namespaces,
            inside,
            bounds,
            has_root=has_root,
            has_gate=gate is not None,
            root_device=warm.root_device,
        )
        if "private_root" in layers or "landlock" in layers:
            check_secrets(warm.view, outer.request["secrets"], own=OWN_PLACES if has_root else ())
        self.to_supervisor.send(json.dumps({"layers": layers}).encode())
        if outer.request.get("probe"):
            self.to_supervisor.recv(1)  # the supervisor looks at a process that lives
            return
        if call:
            self.to_supervisor.close()
            warm.call_preloaded(call, outer.channel, list(outer.listeners.values()))
            return
        from grader.sandbox.kernel import run_kernel

        run_kernel(
            warm.app,
            begin=lambda: warm.call_preloaded("begin", seed=self._seed()),
            key=outer.request["key"].encode(),
            listeners=outer.listeners,
            name=outer.request["name"],
            output_bytes=bounds.output_bytes,
            quiet=outer.request["quiet"],
            ready=self._ready,
            take_over=lambda shell: warm.call_preloaded("serve", shell, outer.channel),
        )

    def _seed(self) -> int:
        seed = self.supervisor.request["seed"]
        return int(self.to_supervisor.recv(64)) if seed is None else seed

    def _ready(self) -> None:
        self.to_supervisor.send(b'{"ready": true}')
        self.to_supervisor.close()
