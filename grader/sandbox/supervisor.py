"""
Stays with one kernel, outside of its sandbox, from its fork to its end; and what the kernel itself does to get inside.

The grader speaks to it over the kernel's control socket: a number is a signal to send; `cpu SECONDS SIGNAL` allows that
much CPU time from now on, and says what to send when it is used up. It answers in packets of JSON. Closing the socket
kills the kernel.
"""

# Between two roots, plain strings say best which path is meant.
# ruff: noqa: PTH110, PTH208

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import select
import signal
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from grader.sandbox import linux
from grader.sandbox.cgroup import Group
from grader.sandbox.installation import View
from grader.sandbox.layers import (
    SCRATCH,
    Bounds,
    Identity,
    become_inner_user,
    build_root,
    enter_namespaces,
    give_up_powers,
    namespace_ids,
    probe,
)
from grader.sandbox.meter import Meter
from grader.sandbox.processes import descendants

__all__ = ["Supervisor", "Warm", "run_and_exit"]

_PACKET = 1 << 16
_WATCH_S = 0.1
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Warm:
    """
    What the warm process has got ready for all kernels.

    Attributes:
        app: The kernel's application.
        view: What of the machine's files a kernel sees.
        namespaces: Those of the warm process, by layer.
        root_device: The device of its root.
        gives_users: Whether each kernel is another user.
        filters: The system call filters, with and without a private root.
        size: Bytes of address space and of data that a fork begins with.
        memory_mib: What it has in memory to begin with.
    """

    app: Any
    view: View
    namespaces: dict[str, int]
    root_device: int
    gives_users: bool
    filters: Mapping[bool, bytes]
    size: tuple[int, int]
    memory_mib: float


class Supervisor:
    """Stays outside of the sandbox: carries signals into it, watches what it uses, and tells what became of it."""

    def __init__(
        self,
        warm: Warm,
        request: dict[str, Any],
        bounds: Bounds,
        descriptors: list[int],
        identity: Identity,
        maps: socket.socket,
        group: Group | None,
    ) -> None:
        self.warm = warm
        self.request = request
        self.identity = identity
        self.maps = maps
        self.bounds = bounds
        self.group = group
        self.control = socket.socket(fileno=descriptors[0])
        self.channel, *listeners = descriptors[1:]
        self.listeners = dict(zip(request["listeners"], listeners, strict=True))
        self.kernel = 0
        self.meter = Meter(self._processes)
        self.allowed_cpu_s, self.at_end_of_allowance = math.inf, signal.SIGKILL
        self.next_look = 0.0

    def run(self) -> None:
        """Fork the kernel, and stay until it has ended."""
        os.setsid()  # a process group of our own: `kill(0)` in there must not reach the server
        linux.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        linux.prctl(_PR_SET_CHILD_SUBREAPER, 1)  # where there is no PID namespace, orphans come to us
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        keep = {self.control.fileno(), self.maps.fileno(), self.channel, *self.listeners.values()}
        if self.group is not None:
            keep |= self.group.descriptors
        _close_all_but(keep)
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("1000")  # if anything must go, then this
            Path("/proc/self/coredump_filter").write_text("0")  # a crash has nothing to tell the machine
        self.isolated = enter_namespaces(
            self.identity, write_maps=self._ask_for_maps if self.warm.gives_users else None
        )
        self.maps.close()
        told, tells = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.kernel = os.fork()
        if self.kernel == 0:
            told.close()
            run_and_exit(lambda: _Inside(self, tells).run())
        tells.close()
        os.close(self.channel)
        for listener in self.listeners.values():
            os.close(listener)
        # Takes milliseconds, in which the kernel is busy with the rest of its sandbox.
        if self.group is not None and not self.group.add(self.kernel):
            self.group.close()
            self.group = None
        if self.isolated:
            become_inner_user()
            linux.drop_capabilities()
            linux.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # which the change of user has cleared
        self._watch(told)

    def _ask_for_maps(self) -> bool:
        self.maps.send(b"?")
        return self.maps.recv(1) == b"1"

    def _watch(self, told: socket.socket) -> None:
        process = os.pidfd_open(self.kernel)
        poll = select.poll()
        for descriptor in (self.control.fileno(), process, told.fileno()):
            poll.register(descriptor, select.POLLIN)
        why, is_inside = "", False
        while True:
            ready = {descriptor for descriptor, _ in poll.poll(_WATCH_S * 1000)}
            if told.fileno() in ready:
                if message := told.recv(_PACKET):  # before student code runs: the socket is closed by then
                    is_inside = True
                    self._tell(self._with_group(message))
                else:
                    poll.unregister(told.fileno())
            if self.control.fileno() in ready and not self._obey():
                self._kill()
                poll.unregister(self.control.fileno())
            if process in ready:
                break
            if is_inside and not why and (why := self._limit_that_is_hit()):
                self._kill()
        self._kill()
        _, status = os.waitpid(self.kernel, 0)
        self._kill_orphans()
        if not why and self.group is not None and self.group.ran_out_of_memory():
            why = "memory"
        self._tell(json.dumps({"exit": os.waitstatus_to_exitcode(status), "why": why}).encode())

    def _obey(self) -> bool:
        """Do what we are told; false where the kernel is to end."""
        try:
            command = self.control.recv(64).decode()
        except OSError:
            return False
        if command.startswith("cpu "):
            _, seconds, number = command.split()
            self.allowed_cpu_s = self._cpu_s() + float(seconds)
            self.at_end_of_allowance = signal.Signals(int(number))
            return True
        if not command or int(command) == signal.SIGKILL:
            return False
        os.kill(self.kernel, int(command))
        return True

    def _with_group(self, message: bytes) -> bytes:
        told = json.loads(message)
        if "layers" in told and self.group is not None and self.group.holds:
            told["layers"].append("cgroup")
        return json.dumps(told).encode()

    def _tell(self, message: bytes) -> None:
        with contextlib.suppress(OSError):
            self.control.send(message)

    def _kill(self) -> None:
        for _ in range(300):
            try:
                os.kill(self.kernel, signal.SIGKILL)
                break
            except PermissionError:
                time.sleep(0.01)  # the kernel is just about to become the user that we are already
        if not self.isolated:
            self._kill_orphans()

    def _kill_orphans(self) -> None:
        """Where killing process 1 does not end everything: end, one by one, whoever descends from us."""
        if self.isolated:
            return
        if self.group is not None:
            self.group.kill()
        for _ in range(1000):
            family = descendants(os.getpid())
            if not family - {self.kernel}:
                return
            for process in family:
                with contextlib.suppress(OSError):
                    os.kill(process, signal.SIGKILL)
                    if process != self.kernel:  # that one is waited for elsewhere
                        os.waitpid(process, os.WNOHANG)

    def _processes(self) -> Iterable[str]:
        if not self.isolated:
            return map(str, descendants(os.getpid()))
        # Our root is theirs, where masked parts of `/proc` may have left it without one.
        return filter(str.isdigit, os.listdir("/proc")) if os.path.exists("/proc") else ()

    def _cpu_s(self) -> float:
        # A group knows of those too that nobody waited for.
        return self.meter.cpu_s() if self.group is None else self.group.cpu_s()

    def _limit_that_is_hit(self) -> str:
        """What all processes together use too much of, if anything: to be killed for. Looks as often as is due."""
        if time.monotonic() < self.next_look:
            return ""  # commands come often, and looking costs more than they do
        self.next_look = time.monotonic() + _WATCH_S
        if self.meter.has_more_memory(self.bounds.memory_mib + self.warm.memory_mib):
            return "memory"
        used = self._cpu_s()
        if used > self.bounds.cpu_s:
            return "cpu"
        if used > self.allowed_cpu_s:
            self.allowed_cpu_s = math.inf
            if self.at_end_of_allowance == signal.SIGKILL:
                return "cpu"
            self._tell(b'{"over": "cpu"}')
            os.kill(self.kernel, self.at_end_of_allowance)
        return ""


class _Inside:
    """The kernel's process, from its fork until student code runs."""

    def __init__(self, supervisor: Supervisor, tells: socket.socket) -> None:
        self.supervisor = supervisor
        self.tells = tells

    def run(self) -> None:
        """Go in, say so, and be a kernel; say what went wrong if it did."""
        try:
            self._go_in()
        except Exception as error:
            with contextlib.suppress(OSError):
                self.tells.send(json.dumps({"problem": f"{type(error).__name__}: {error}"[:1000]}).encode())
            raise

    def _go_in(self) -> None:
        outer, warm = self.supervisor, self.supervisor.warm
        bounds = outer.bounds
        outer.control.close()
        if outer.group is not None:
            outer.group.close()
        os.setsid()
        inside = namespace_ids()
        has_root = outer.isolated and build_root(warm.view, bounds)
        if not has_root:
            _change_user(outer.identity, isolated=outer.isolated, is_given=warm.gives_users)
        if outer.isolated:
            linux.libc.sethostname(b"sandbox", 7)
        scratch = SCRATCH if has_root else Path(outer.request["scratch"])
        os.chdir(scratch)
        _set_environment(scratch, outer.channel)
        _silence()
        give_up_powers(warm.view, bounds, filter_program=warm.filters.get(has_root), scratch=scratch, warm=warm.size)
        layers = probe(warm.namespaces, inside, bounds, has_root=has_root, root_device=warm.root_device)
        self.tells.send(json.dumps({"layers": layers}).encode())
        if outer.request.get("probe"):
            return
        from grader.sandbox.kernel import run_kernel

        run_kernel(
            warm.app,
            key=outer.request["key"].encode(),
            listeners=outer.listeners,
            name=outer.request["name"],
            output_bytes=outer.request["output_bytes"],
            ready=self._ready,
        )

    def _ready(self) -> None:
        self.tells.send(b'{"ready": true}')
        self.tells.close()


def run_and_exit(work: Any) -> NoReturn:
    """Run in a forked child, and never return into the server's code."""
    status = 1
    try:
        work()
        status = 0
    except BaseException:
        with contextlib.suppress(BaseException):
            traceback.print_exc(file=sys.__stderr__)
    finally:
        os._exit(status)


def _change_user(identity: Identity, *, isolated: bool, is_given: bool) -> None:
    """Without a private root: be somebody else than root, if that one can still read Python's own files."""
    if isolated:
        become_inner_user()
    elif is_given:
        with contextlib.suppress(OSError):
            os.setgroups([])
            os.setegid(identity.group)
            os.seteuid(identity.user)
            can_read = os.access(os.__file__, os.R_OK, effective_ids=True)
            os.seteuid(0)
            os.setegid(0)
            if can_read:
                os.setresgid(identity.group, identity.group, identity.group)
                os.setresuid(identity.user, identity.user, identity.user)


def _set_environment(scratch: Path, channel: int) -> None:
    folder = str(scratch)
    os.environ.update(
        HOME=folder,
        TMPDIR=folder,
        IPYTHONDIR=folder,
        MPLCONFIGDIR=folder,
        USER="student",
        GRADER_CHANNEL=f"fd:{channel}",
    )
    tempfile.tempdir = None  # what was found out in the warm process does not hold here


def _silence() -> None:
    null = os.open("/dev/null", os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.close(null)


def _close_all_but(keep: set[int]) -> None:
    previous = 2
    for descriptor in [*sorted(keep), 1 << 20]:
        os.closerange(previous + 1, descriptor)
        previous = descriptor
