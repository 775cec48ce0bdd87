"""
Serves requests in the student's process: it calls functions and sends back what they return.

Nothing here is trusted or secret. The notebook may have changed this module, torch or Python itself. Only data leaves
this process, and the process at the other end of the channel makes every decision.

Functions are called in a child that is forked from the state that the notebook left (`grader.harness.child`). The child
writes one message per case, so that a function that exits, hangs or crashes loses only its own remaining cases. After
that, the next exercise gets a new child. Requests that are to be done `apart` share a child with one another only.
"""

from __future__ import annotations

import contextlib
import functools
import socket
import sys
from typing import Any

import torch
from safetensors.torch import save

from grader.harness.call import NotebookState, call_cases
from grader.harness.chain import run_chain
from grader.harness.child import Child, are_other_processes_left, end_other_processes, take_reserve
from grader.harness.journal import Journal, Write
from grader.harness.observer import Observer
from grader.harness.passes import next_pass
from grader.harness.wire import REQUEST_LIMIT_BYTES, ChannelClosed, Message, pack, receive_message
from grader.modes import ordinary

__all__ = ["perform", "serve", "warm_up"]


def serve(shell: Any, descriptor: int) -> None:
    """
    Report on the channel that the harness is ready, then serve requests until it is closed. Runs in the kernel.

    Args:
        shell: IPython's shell, in which the notebook has run.
        descriptor: That of the channel.
    """
    # `_filename_map` maps the file name of each cell to its execution count.
    journal = Journal(is_alone=True)
    state = NotebookState(shell.user_ns, shell.compile._filename_map, journal=journal)
    observer = Observer(journal, state.cells)

    def begin() -> None:
        observer.watch()
        journal.passes = next_pass()

    take_reserve()
    end_other_processes()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()  # otherwise a thread that still publishes what the notebook printed slows down the calls
    child: Child | None = None
    is_apart = False
    with socket.socket(fileno=descriptor) as channel, contextlib.suppress(ChannelClosed):
        channel.setblocking(True)
        channel.sendall(pack({"status": "ready"}))
        while True:
            request = receive_message(channel.recv, payload_limit=REQUEST_LIMIT_BYTES)
            header, _ = request
            if child is not None and not child.has_ended and is_apart != bool(header.get("apart")):
                child.end()
            if child is None or child.has_ended:
                child = Child(functools.partial(perform, state=state), begin=begin)
                is_apart = bool(header.get("apart"))
            status, results = child.ask(request, seconds=float(header["seconds"]), limit=int(header["limit"]))
            if child.has_ended or are_other_processes_left(expected=2):
                if not child.has_ended:
                    child.end()
                end_other_processes()
            channel.sendall(pack(status, results))


def perform(request: Message, write: Write, *, state: NotebookState) -> None:
    """Do what a request asks for in this process, and write a message for each result."""
    operation = {"call": call_cases, "chain": run_chain}[request[0]["operation"]]
    with ordinary():
        operation(request, state, write)


def warm_up() -> None:
    """Call a function once in the process that kernels are forked from: they inherit what the first call sets up."""
    header = {
        "cases": ["case"],
        "arguments": ["x"],
        "function": "f",
        "targets": ["w"],
        "inference": True,
        "limit": 1 << 10,
    }
    payload = save({"case/x": torch.zeros(2, 2, dtype=torch.float64)})
    call_cases((header, payload), NotebookState({"f": lambda x: x.T @ x}, {}), lambda _: None)
