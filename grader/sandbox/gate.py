"""
Decides on system calls that name or start processes, where processes have no namespace of their own.

The filter of a kernel has such a call wait, and the kernel's supervisor, which is outside of it, says whether the
process belongs to the kernel. If it does not, the call fails as if there were no such process. This needs Linux 5.5.

Source: https://docs.kernel.org/userspace-api/seccomp_filter.html ("Userspace Notification"). The ids are in registers,
so a process cannot change them after they were looked at.

It also counts: Linux's own limit on processes is one for all processes of a user, so that a submission would use up
what others may have, and everything else that the user runs would count.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import struct
from collections.abc import Callable

from grader.sandbox.bounds import RESERVED_PROCESSES
from grader.sandbox.processes import count_tasks, descendants, group_of, has_raised_its_limit, parent_of
from grader.sandbox.syscalls import NAMING, STARTING, Naming, native_number

__all__ = ["Gate"]

_RECEIVE, _SEND = 0xC0502100, 0xC0182101  # SECCOMP_IOCTL_NOTIF_RECV, SECCOMP_IOCTL_NOTIF_SEND
_QUESTION = struct.Struct("=QIIiIQ6Q")  # id, asking process, flags; number, architecture, instruction, arguments
_ANSWER = struct.Struct("=QqiI")  # id, value, error, flags
_CONTINUE = 1
_MOST_ANCESTORS = 1000
_ATTEMPTS = 3


class Gate:
    """
    Answers the filter of one kernel, in the process that has started it, and that orphans of the kernel return to.

    Args:
        descriptor: From `seccomp.listen_with_filter`.
        kernel: The kernel's process.
        processes: How many processes and threads it may have.
    """

    def __init__(self, descriptor: int, kernel: int, processes: int) -> None:
        self.descriptor = descriptor
        self._kernel = kernel
        self._processes = processes
        self._supervisor = os.getpid()
        self._starting = {native_number(numbers) for numbers in STARTING.values()}
        self._namings = {native_number((x86, arm)): naming for x86, arm, naming in NAMING.values()}

    def answer(self) -> None:
        """Answer the question that waits."""
        question = bytearray(_QUESTION.size)
        with contextlib.suppress(OSError):  # who asked has been killed meanwhile
            fcntl.ioctl(self.descriptor, _RECEIVE, question)
            identity, _, _, number, _, _, *arguments = _QUESTION.unpack(question)
            if number in self._starting:
                error = 0 if self._has_room() else errno.EAGAIN
            else:
                is_ours = self._allows(number, [ctypes.c_int(argument).value for argument in arguments])
                error = 0 if is_ours else errno.ESRCH
            reply = (identity, 0, -error, 0) if error else (identity, 0, 0, _CONTINUE)
            fcntl.ioctl(self.descriptor, _SEND, bytearray(_ANSWER.pack(*reply)))

    def _has_room(self) -> bool:
        reserve = RESERVED_PROCESSES if has_raised_its_limit(self._kernel) else 0
        return count_tasks(self._supervisor) <= self._processes + reserve  # the supervisor counts as the new one

    def _allows(self, number: int, arguments: list[int]) -> bool:
        naming = self._namings[number]
        if naming is Naming.FIRST:
            return self._is_process(arguments[0])
        if naming is Naming.SIGNAL:
            return self._is_process_or_group(arguments[0])
        if naming is Naming.OWNER:
            return self._is_process_or_group(arguments[2])
        kind = arguments[0] - (naming is Naming.KIND_FROM_ONE)
        kinds: dict[int, Callable[[int], bool]] = {0: self._is_process, 1: self._is_group}
        return kind in kinds and kinds[kind](arguments[1])

    def _is_process_or_group(self, number: int) -> bool:
        return self._is_group(-number) if number < 0 else self._is_process(number)

    def _is_process(self, process: int) -> bool:
        """Whether it is a process or a thread of the kernel's."""
        # An ancestor may end while we walk: then its children have another parent, and we look again.
        return any(self._descends(process) for _ in range(_ATTEMPTS))

    def _descends(self, process: int) -> bool:
        for _ in range(_MOST_ANCESTORS):
            if process <= 1:
                return False
            parent = parent_of(process)
            if parent == self._supervisor:
                return True
            process = parent
        return False

    def _is_group(self, group: int) -> bool:
        """Whether it is a group of the kernel's, whose session is its own: its processes are in no other group."""
        return group > 1 and any(group_of(process) == group for process in descendants(self._supervisor))
