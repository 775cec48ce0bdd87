"""
What the warm process hands to the supervisor of each kernel.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from grader.sandbox.view import View

__all__ = ["WarmState"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WarmState:
    """
    What the warm process has prepared for all kernels.

    Attributes:
        app: The kernel's application, from `kernel.prepare_kernel`.
        call_preloaded: Calls a function of the preloaded module, if it has one of that name.
        channel_variable: The environment variable that tells a kernel which descriptor its channel has.
        view: Which files of the machine a kernel sees.
        namespaces: The namespaces of the warm process, by layer.
        root_device: The device of its root.
        has_own_users: Whether each kernel gets a user of its own.
        filters: The system call filters, by whether there is a private root, and whether unix sockets may be made.
        asking_filters: Those that ask the supervisor about other processes, with (True) and without unix sockets.
        size: Bytes of address space and of data that a process has from the fork.
        memory_mib: The memory in MiB that a process has from the fork.
    """

    app: Any
    call_preloaded: Callable[..., None]
    channel_variable: str
    view: View
    namespaces: dict[str, int]
    root_device: int
    has_own_users: bool
    filters: Mapping[tuple[bool, bool], bytes]
    asking_filters: Mapping[bool, bytes]
    size: tuple[int, int]
    memory_mib: float
