"""
The supervisor, which stays outside of the sandbox with one kernel until that has ended.

The caller sends commands over the kernel's control socket. A number is a signal for the kernel. `cpu SECONDS SIGNAL`
allows the kernel that much CPU time from now on, and names the signal to send when it is used up; `used` asks how much
it has used of that. `seed NUMBER` lets a kernel go on that waits for its seed. The supervisor sends packets of JSON.
When the caller closes the socket, the supervisor kills the kernel.
"""

# While the root changes, a plain string shows best which path is meant.
# ruff: noqa: PTH110, PTH208

from __future__ import annotations

import contextlib
import json
import math
import os
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NoReturn

from grader.sandbox import linux
from grader.sandbox.bounds import RESERVED_MIB, Bounds
from grader.sandbox.cgroup import Group
from grader.sandbox.descriptors import close_all_but
from grader.sandbox.gate import Gate
from grader.sandbox.layers import (
    Identity,
    become_inner_user,
    enter_namespaces,
)
from grader.sandbox.meter import Meter
from grader.sandbox.processes import descendants
from grader.sandbox.scratch import Scratch
from grader.sandbox.state import WarmState

__all__ = ["Supervisor", "run_and_exit"]

_PACKET = 1 << 16
_WATCH_S = 0.1
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


class Supervisor:
    """
    Stays outside of the sandbox: passes signals on to the kernel, watches what it uses, and reports how it ended.

    Args:
        warm: From the warm process.
        request: What the caller asked for.
        bounds: What the kernel may use.
        descriptors: Those of the control socket, of the kernel's end of the channel, and of the kernel's listeners.
        identity: The user and group that the kernel has outside of its user namespace.
        maps: A socket on which the warm process can be asked to write the maps of users and groups.
        group: The kernel's control group, if there is one.
        inside: What runs in the kernel's process, with a socket to the supervisor.
    """

    def __init__(
        self,
        warm: WarmState,
        request: dict[str, Any],
        bounds: Bounds,
        descriptors: list[int],
        identity: Identity,
        maps: socket.socket,
        group: Group | None,
        inside: Callable[[Supervisor, socket.socket], object],
    ) -> None:
        self.warm = warm
        self.inside = inside
        self.request = request
        self.identity = identity
        self.maps = maps
        self.bounds = bounds
        self.group = group
        self.control = socket.socket(fileno=descriptors[0])
        self.channel, *listeners = descriptors[1:]
        self.listeners = dict(zip(request["listeners"], listeners, strict=True))
        self.kernel = 0
        self.gate: Gate | None = None
        self.meter = Meter(self._processes)
        self.scratch: Scratch | None = None
        self.allowed_cpu_s, self.allowance_signal = math.inf, signal.SIGKILL
        self.cpu_s_before = 0.0
        self.next_check = 0.0

    def run(self) -> None:
        """Fork the kernel, and stay until it has ended."""
        os.setsid()  # a process group of our own, so that `kill(0)` inside does not reach the warm process
        linux.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        linux.prctl(_PR_SET_CHILD_SUBREAPER, 1)  # without a PID namespace, orphans become our children
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        keep = {self.control.fileno(), self.maps.fileno(), self.channel, *self.listeners.values()}
        if self.group is not None:
            keep |= self.group.descriptors
        close_all_but(keep)
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("1000")  # if memory is short, Linux kills this one
            Path("/proc/self/coredump_filter").write_text("0")  # a crash leaves no core dump
        self.isolated = enter_namespaces(
            self.identity, write_maps=self._ask_for_maps if self.warm.has_own_users else None
        )
        self.maps.close()
        if not self.isolated:  # else its files are in a file system of a limited size
            self.scratch = Scratch(Path(self.request["scratch"]), self.bounds, self._processes)
        from_kernel, to_supervisor = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.kernel = os.fork()
        if self.kernel == 0:
            from_kernel.close()
            run_and_exit(lambda: self.inside(self, to_supervisor))
        to_supervisor.close()
        self.from_kernel = from_kernel
        os.close(self.channel)
        for listener in self.listeners.values():
            os.close(listener)
        # This takes milliseconds, in which the kernel builds the rest of its sandbox.
        if self.group is not None and not self.group.add(self.kernel):
            self.group.close()
            self.group = None
        if self.isolated:
            become_inner_user()
            linux.drop_capabilities()
            linux.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # again, since the change of user has cleared it
        self._watch()

    def _ask_for_maps(self) -> bool:
        self.maps.send(b"?")
        return self.maps.recv(1) == b"1"

    def _watch(self) -> None:
        from_kernel = self.from_kernel
        process = os.pidfd_open(self.kernel)
        poll = select.poll()
        for descriptor in (self.control.fileno(), process, from_kernel.fileno()):
            poll.register(descriptor, select.POLLIN)
        reason, is_inside = "", False
        while True:
            ready = dict(poll.poll(_WATCH_S * 1000))
            if self.gate is not None and ready.get(self.gate.descriptor, 0) & select.POLLIN:  # not if it hung up
                self.gate.answer()
            if from_kernel.fileno() in ready:
                is_inside = True
                self._hear(poll)
            if self.control.fileno() in ready and not self._obey():
                self._kill()
                poll.unregister(self.control.fileno())
            if process in ready:
                break
            if is_inside and not reason and (reason := self._exceeded_limit()):
                self._kill()
        self._kill()
        _, status = os.waitpid(self.kernel, 0)
        self._kill_orphans()
        if not reason and self.group is not None and self.group.ran_out_of_memory():
            reason = "memory"
        self._send(json.dumps({"exit": os.waitstatus_to_exitcode(status), "reason": reason}).encode())

    def _hear(self, poll: select.poll) -> None:
        """Read what our own code in the kernel says. It closes the socket before any other code runs."""
        from_kernel = self.from_kernel
        message, listeners, _, _ = socket.recv_fds(from_kernel, _PACKET, 1)
        if listeners:
            self.gate = Gate(listeners[0], self.kernel, self.bounds.processes)
            poll.register(self.gate.descriptor, select.POLLIN)
        elif message:
            self._send(self._with_own_layers(message))
            if self.request.get("probe"):
                from_kernel.send(b".")
        else:
            poll.unregister(from_kernel.fileno())

    def _obey(self) -> bool:
        """
        Read a command and obey it; returns False if the kernel is to end.

        It ends, too, if this is no command: a conductor has the other end of the socket, and may have been taken over.
        """
        try:
            return self._obey_command(self.control.recv(64).decode())
        except (OSError, ValueError):
            return False

    def _obey_command(self, command: str) -> bool:
        if command.startswith("cpu "):
            _, seconds, number = command.split()
            self.cpu_s_before = self._cpu_s()
            self.allowed_cpu_s = self.cpu_s_before + float(seconds)
            self.allowance_signal = signal.Signals(int(number))
            return True
        if command.startswith("seed "):
            with contextlib.suppress(OSError):
                self.from_kernel.send(command.removeprefix("seed ").encode(), socket.MSG_DONTWAIT)
            return True
        if command == "used":
            self._send(json.dumps({"used": self._cpu_s() - self.cpu_s_before}).encode())
            return True
        if not command or int(command) == signal.SIGKILL:
            return False
        self._signal(signal.Signals(int(command)))
        return True

    def _signal(self, number: signal.Signals) -> None:
        """Send the kernel a signal, and as a terminal does, the commands that it waits for, too, if it interrupts."""
        if number == signal.SIGINT:
            os.killpg(self.kernel, number)
        else:
            os.kill(self.kernel, number)

    def _with_own_layers(self, message: bytes) -> bytes:
        """Add what we see to: limits on all processes together, and the control group, which the kernel cannot see."""
        content = json.loads(message)
        if "layers" in content and self.meter.sees_memory():
            content["layers"].append("joint_limits")
        if "layers" in content and self.group is not None and self.group.holds:
            content["layers"].append("cgroup")
        return json.dumps(content).encode()

    def _send(self, message: bytes) -> None:
        """Send a message, unless nobody reads them: the limits are enforced whether anybody does or not."""
        with contextlib.suppress(OSError):
            self.control.send(message, socket.MSG_DONTWAIT)

    def _kill(self) -> None:
        for _ in range(300):
            try:
                os.kill(self.kernel, signal.SIGKILL)
                break
            except PermissionError:
                time.sleep(0.01)  # the kernel has not yet become the user that we already are
        if not self.isolated:
            self._kill_orphans()

    def _kill_orphans(self) -> None:
        """Kill all our descendants one by one, if there is no PID namespace that ends with its process 1."""
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
                    if process != self.kernel:  # `_watch` waits for the kernel
                        os.waitpid(process, os.WNOHANG)

    def _processes(self) -> Iterable[str]:
        if not self.isolated:
            return map(str, descendants(os.getpid()))
        # Our root is that of the kernel. It has no `/proc` if a container masks parts of the machine's.
        return filter(str.isdigit, os.listdir("/proc")) if os.path.exists("/proc") else ()

    def _cpu_s(self) -> float:
        # A group also counts processes that nobody waited for.
        return self.meter.cpu_s() if self.group is None else self.group.cpu_s()

    def _exceeded_limit(self) -> str:
        """
        The limit for which the kernel must be killed: `memory`, `files` or `cpu`; empty if all processes keep to them.

        Checks at most once in `_WATCH_S` seconds, since a check takes longer than a command, and commands come often.
        With many processes it checks more rarely, so that it has time for commands.
        """
        begun = time.monotonic()
        if begun < self.next_check:
            return ""
        has_more = self.meter.has_more_memory(self.bounds.memory_mib + RESERVED_MIB + self.warm.memory_mib)
        self.next_check = max(begun + _WATCH_S, time.monotonic() + 4 * (time.monotonic() - begun))
        if has_more:
            return "memory"
        if self.scratch is not None and self.scratch.is_too_large():
            return "files"
        used = self._cpu_s()
        if used > self.bounds.cpu_s:
            return "cpu"
        if used > self.allowed_cpu_s:
            self.allowed_cpu_s = math.inf
            if self.allowance_signal == signal.SIGKILL:
                return "cpu"
            self._send(b'{"over": "cpu"}')
            self._signal(self.allowance_signal)
        return ""


def run_and_exit(work: Callable[[], object]) -> NoReturn:
    """Call `work` in a forked child, and end the process, so that it never returns into the code of its parent."""
    status = 1
    try:
        work()
        status = 0
    except BaseException:
        with contextlib.suppress(BaseException):
            traceback.print_exc(file=sys.__stderr__)
    finally:
        os._exit(status)
