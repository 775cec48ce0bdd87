"""The harness serves requests over a channel: here in a forked process with an IPython shell, without a kernel."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell
from safetensors.torch import load, save
from traitlets.config import Config

from grader.harness import serve as module
from grader.harness.call import NotebookState
from grader.harness.serve import perform, serve, warm_up
from grader.harness.wire import ChannelClosed, pack, receive_message, unpack_all

X = torch.tensor([[1.0, 2.0], [3.0, 4.0]])

NOTEBOOK = """\
import os, time, torch
calls = 0

def double(x):
    return 2 * x

def count(x):
    global calls
    calls += 1
    return x * calls

def leave(x):
    os._exit(7)

def wait(x):
    time.sleep(60)

def fail(x):
    return x @ None
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Server:
    """A process that serves requests, and our end of its channel."""

    pid: int
    channel: socket.socket

    def receive(self) -> tuple[dict[str, Any], bytes]:
        return receive_message(self.channel.recv, payload_limit=1 << 20)

    def ask(self, function: str, *, cases: int = 1, seconds: float = 20.0, limit: int = 1 << 16) -> Any:
        """The status, and for each case its header and its tensor's entries."""
        names = [f"case {number}" for number in range(cases)]
        header = {
            "operation": "call",
            "function": function,
            "arguments": ["x"],
            "targets": ["w"],
            "cases": names,
            "inference": True,
        }
        header |= {"seconds": seconds, "cpu_seconds": 60, "limit": limit}
        self.channel.sendall(pack(header, save({f"{name}/x": X + number for number, name in enumerate(names)})))
        status, content = self.receive()
        return status, [
            (described, load(payload)["0"].tolist() if payload else None) for described, payload in unpack_all(content)
        ]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A forked process with an IPython shell in which the notebook has run."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        status = 1
        with contextlib.suppress(BaseException):
            ours.close()
            shell = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))
            assert shell.run_cell(NOTEBOOK, store_history=True).success
            serve(shell, theirs.detach())
            status = 0
        os._exit(status)
    theirs.close()
    ours.settimeout(60)
    with ours:
        yield Server(pid, ours)
    with contextlib.suppress(ChildProcessError):  # a test has waited for it
        if os.waitpid(pid, os.WNOHANG) == (0, 0):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def test_every_request_gets_a_reply(server: Server) -> None:
    """First the harness says that it is ready. When the channel is closed, its process ends."""
    assert server.receive() == ({"status": "ready"}, b"")

    status, ((header, values), (_, more)) = server.ask("double", cases=2)
    assert status == {"status": "done"}
    assert (header["case"], header["status"], values) == ("case 0", "returned", (2 * X).tolist())
    assert more == (2 * X + 2).tolist()

    status, ((header, values),) = server.ask("fail")
    assert (status, header["status"], values) == ({"status": "done"}, "raised", None)
    assert header["error"]["frames"] == [{"cell": 1, "line": 19, "function": "fail"}]

    server.channel.close()
    assert os.waitpid(server.pid, 0) == (server.pid, 0)


def test_calls_start_from_the_state_that_the_notebook_left(server: Server) -> None:
    """A child keeps its state between requests. After a crash or a timeout, a new one starts from the notebook's."""
    server.receive()

    assert [server.ask("count")[1][0][1] for _ in range(2)] == [X.tolist(), (2 * X).tolist()]
    assert server.ask("leave") == ({"status": "crashed", "exit": 7}, [])
    assert server.ask("count", cases=2)[1][1][1] == (2 * (X + 1)).tolist()
    begun = time.monotonic()
    assert server.ask("wait", seconds=0.2) == ({"status": "timed_out"}, [])
    assert time.monotonic() - begun < 10
    assert server.ask("count")[1][0][1] == X.tolist()
    status, records = server.ask("double", cases=40, limit=600)
    assert status == {"status": "too_large"}
    assert len(records) < 40
    assert server.ask("count")[1][0][1] == X.tolist()


def test_bytes_that_are_not_a_request_end_the_harness(server: Server) -> None:
    server.receive()

    server.channel.sendall(b"\xff" * 100)

    with pytest.raises((ChannelClosed, ConnectionError)):
        server.receive()
    assert os.waitstatus_to_exitcode(os.waitpid(server.pid, 0)[1]) == 1


@pytest.fixture
def _threads() -> Iterator[None]:
    """Restores the number of threads, which `perform` changes."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("_threads")
@pytest.mark.parametrize("operation", ["call", "chain"])
def test_requests_are_performed_with_one_thread(operation: str) -> None:
    threads: list[int] = []

    def f(x: torch.Tensor) -> torch.Tensor:
        threads.append(torch.get_num_threads())
        return x

    torch.set_num_threads(2)
    written: list[bytes] = []
    called = {
        "function": "f",
        "arguments": ["x"],
        "targets": ["w"],
        "cases": ["mnist"],
        "inference": True,
        "limit": 1 << 16,
    }
    composed = {
        "inputs": ["mnist/x"],
        "parameters": [],
        "exercises": [{"function": "f", "arguments": ["mnist/x"], "targets": ["x"], "returns": ["x"]}],
        "steps": 0,
    }
    header = {"operation": operation, **(called if operation == "call" else composed)}
    state = NotebookState({"f": f}, {}, forward=lambda **_: {"loss": torch.tensor(2.0)})

    perform((header, save({"mnist/x": X})), written.append, state=state)

    cases = [header["case"] for content in written for header, _ in unpack_all(content)]
    assert cases == (["mnist"] if operation == "call" else ["chain", "training"])
    assert threads == [1]


@pytest.mark.usefixtures("_threads")
def test_other_operations_are_refused() -> None:
    written: list[bytes] = []

    with pytest.raises(KeyError):
        perform(({"operation": "exec"}, b""), written.append, state=NotebookState({}, {}))
    assert written == []


def test_warming_up_calls_a_function(monkeypatch: pytest.MonkeyPatch) -> None:
    """It uses the code that serves requests, and the function returns."""
    replies: list[Any] = []
    call_cases: Callable[..., None] = module.call_cases

    def spy(request: Any, state: Any, write: Any) -> None:
        call_cases(request, state, lambda content: replies.extend(unpack_all(content)))

    monkeypatch.setattr(module, "call_cases", spy)

    warm_up()

    assert [header["status"] for header, _ in replies] == ["returned"]
